"""Arguments and options that commands share, and what their texts mean."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from taba import durations, names
from taba.cli.connection import DEFAULT
from taba.cli.failure import USAGE, Failure
from taba.client.settings import fill_in

Server = Annotated[
    str,
    typer.Option(
        "--server",
        metavar="URL",
        envvar="TABA_SERVER",
        show_envvar=False,
        show_default=False,
        help=f"The server; if left out, TABA_SERVER or {DEFAULT}.",
    ),
]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Write the server's JSON, for programs.")]
Windows = Annotated[
    list[str] | None,
    typer.Option("--window", metavar="LENGTH", help="A window that ends now, as 90s, 10m, 1h, 1d; may repeat."),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="From then: 10m (ago), 2026-01-31T12:00, epoch seconds."),
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to then; now if left out.")]
Clients = Annotated[
    str | None, typer.Option("--client", metavar="GLOB", help="Only what the matching clients recorded.")
]
Pattern = Annotated[
    str, typer.Argument(metavar="PATTERN", help="A tab or a glob of tabs, as 'bids.*'.", show_default=False)
]
MaybePattern = Annotated[str | None, typer.Argument(metavar="PATTERN", help="A glob, as 'bids.*'.", show_default=False)]


def own_client() -> str:
    """The client id of this command: TABA_CLIENT, otherwise the machine's name."""
    try:
        return fill_in(os.environ.get("TABA_CLIENT") or "{host}")
    except names.NameRuleError as error:
        raise Failure(f"TABA_CLIENT: {error}", USAGE) from None


def checked_client(client: str) -> str:
    """`client`, where it is a client id."""
    try:
        return names.check_client(client)
    except names.NameRuleError as error:
        raise Failure(f"--client: {error}", USAGE) from None


def moment(option: str, text: str, now: float) -> float:
    """The time that a text means, in seconds since 1970; a text without a zone is in local time."""
    try:
        return now - durations.parse(text)
    except durations.DurationError:
        pass
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise Failure(
            f"{option}: {text!r} is not a time: write it as 10m (ago), 2026-01-31T12:00, or epoch seconds",
            USAGE,
        ) from None


def checked_windows(windows: Sequence[str] | None) -> list[str]:
    """The windows, each where it is a duration."""
    for window in windows or ():
        duration("--window", window)
    return list(windows or ())


def duration(option: str, text: str) -> float:
    """The seconds that a text means."""
    try:
        return durations.parse(text)
    except durations.DurationError as error:
        raise Failure(f"{option}: {error}", USAGE) from None


def time_parameters(start: str | None, stop: str | None, now: float) -> list[tuple[str, str]]:
    """`from` and `to` as the server takes them."""
    if stop is not None and start is None:
        raise Failure("--to needs --from", USAGE)
    parameters = []
    if start is not None:
        begin = moment("--from", start, now)
        end = now if stop is None else moment("--to", stop, now)
        if begin >= end:
            raise Failure(f"--from {start} is not before --to {stop or 'now'}", USAGE)
        parameters = [("from", f"{begin:.3f}"), ("to", f"{end:.3f}")]
    return parameters


def number_of(text: str) -> float | None:
    """The number that a text means, an int where it is whole; None where it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else value


def value_of(text: str) -> float | str:
    """An event's value: the number that the text means, or the text, without quotes around it."""
    value = number_of(text)
    if value is not None:
        return value
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    return text
