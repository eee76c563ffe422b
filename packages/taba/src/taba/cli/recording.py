"""The command `record`: one event, from a shell or a script."""

from __future__ import annotations

import uuid
from typing import Annotated

import msgspec
import typer

from taba import names
from taba.cli import options
from taba.cli.connection import DEFAULT, Connection
from taba.cli.failure import USAGE, Failure
from taba.cli.numbers import number
from taba.cli.screen import messages, write_json

PATIENCE = 10.0
"""Seconds for which a busy server is asked again."""


def record(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The tab, as bids.won or bids.won{exchange=fbx}.")],
    value: Annotated[
        str,
        typer.Argument(metavar="VALUE", help="A number or a text; '\"1.10\"' is a text like a number."),
    ],
    *,
    kind: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="The tab's type; if left out, the one it has, or counter."),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag of the tab; may repeat.")
    ] = None,
    client: Annotated[
        str | None,
        typer.Option("--client", metavar="ID", help="Who records; TABA_CLIENT or this machine, if left out."),
    ] = None,
    server: options.Server = DEFAULT,
    json: options.Json = False,
) -> None:
    """Record one event. It is counted once, however often the request has to be repeated."""
    for text in (name, value):
        # Numbers below zero begin like an option, so unknown options come here as arguments.
        if text.startswith("-") and options.number_of(text) is None:
            raise Failure(f"no such option: {text}", USAGE)
    tab = _tab(name, tag or [])
    event = {"tab": tab, "value": options.value_of(value)} | ({"type": kind} if kind else {})
    who = options.checked_client(client) if client else options.own_client()
    body = msgspec.json.encode({"client": who, "events": [event]})
    headers = {
        "Content-Type": "application/json",
        "Taba-Source": f"record/{uuid.uuid4().hex}",
        "Taba-Sequence": "1",
    }
    answer = Connection(server).post("/v1/events", body, headers, PATIENCE)
    if answer.get("rejected"):
        raise Failure(str(answer["rejected"][0]["error"]))
    if json:
        write_json(msgspec.json.encode(answer))
    else:
        messages().print(f"recorded {number(event['value'])} to {tab} as {who}")


def _tab(name: str, tags: list[str]) -> str:
    try:
        base, held = names.parse(name)
        for tag in tags:
            key, equals, value = tag.partition("=")
            if not equals:
                raise Failure(f"--tag {tag!r}: write it as KEY=VALUE", USAGE)
            held[key] = value
        names.check_tags(held)
    except names.NameRuleError as error:
        raise Failure(str(error), USAGE) from None
    return names.join(base, held)
