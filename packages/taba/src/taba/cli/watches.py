"""The command `watches`: how the watches are, what fires and what was done, or how a rule would be."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from taba import durations
from taba.cli import options
from taba.cli.connection import DEFAULT, Connection
from taba.cli.failure import Failure
from taba.cli.grid import Column, Grid, Group, lines
from taba.cli.ledger import clients_missing
from taba.cli.numbers import ago, clock, number
from taba.cli.screen import output, show, write_json

FIRES = 3
"""The exit code where a watch fires."""
STYLES = {"firing": "bold red", "pending": "yellow", "unknown": "magenta", "ok": "green"}
SHOWN = 10
"""Instances of a watch that are listed; --json has more."""


def watches(
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="WATCH", help="A watch or a glob of watches, as 'pay*'.", show_default=False),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option("--try", metavar="RULE", help="How a watch with this rule would be now; nothing is done."),
    ] = None,
    server: options.Server = DEFAULT,
    json: options.Json = False,
) -> None:
    """Show the watches: what fires, since when, and what was done. Ends with 3 where one fires, else with 0."""
    asked = [("match", pattern)] if pattern else []
    asked += [("rule", rule)] if rule is not None else []
    body = Connection(server).get("/v1/watches", asked)
    answer = msgspec.json.decode(body)
    if json:
        write_json(body)
    elif not answer["watches"]:
        raise _none(pattern)
    else:
        console = output()
        show(console, pictured(answer, time.time(), console.width))
    if answer["firing"]:
        raise typer.Exit(FIRES)


def _none(pattern: str | None) -> Failure:
    if pattern:
        return Failure(f"no watch matches {pattern!r}: 'taba watches' lists them all")
    return Failure("no watches are set: write [[watches]] with a name and a rule into the server's file of settings")


def pictured(answer: Mapping[str, Any], now: float, width: int) -> list[Text]:
    """The lines that show an answer; `now` is in seconds since 1970."""
    columns = [
        Column("state", left=True),
        Column("value"),
        Column("since", left=True, spare=1),
        Column("rule", left=True, flexible=True),
    ]
    grid = Grid(columns, "watch", titles_inline=True)
    for watch in answer["watches"]:
        style = STYLES[watch["state"]]
        row = [watch["state"], _value(watch, watch["value"]), ago(now - watch["since"]), watch["rule"]]
        grid.groups.append(Group(Text(watch["watch"] or "tried", style=style), [row]))
    picture, _ = lines(grid, width)
    heads, rows = picture[:1], picture[1:]
    told = [*heads]
    # A watch's own line, or two where the title stands above it.
    each = len(rows) // len(grid.groups)
    for place, watch in enumerate(answer["watches"]):
        told += [_coloured(line, watch["state"]) for line in rows[place * each : (place + 1) * each]]
        told += _below(watch, now, width)
    return told + list(_completeness(answer, now))


def _coloured(line: Text, state: str) -> Text:
    line.highlight_regex(rf"(?<=\s){state}(?=\s|$)", STYLES[state])
    return line


def _value(watch: Mapping[str, Any], value: float | None) -> str:
    """A value; that of a client that is silent is for how many seconds."""
    return number(value) if value is None or watch["comparison"] is not None else f"{number(round(value))} s"


def _below(watch: Mapping[str, Any], now: float, width: int) -> list[Text]:
    """What is worth a line of its own: instances that are not well, and what was done last."""
    found: Sequence[Mapping[str, Any]] = watch["instances"]
    worth = [one for one in found if one["state"] != "ok"]
    below = [line for one in worth[:SHOWN] for line in _instance(watch, one, now, width)]
    more = watch["instances_total"] - watch["states"]["ok"] - len(worth[:SHOWN])
    if more > 0:
        below.append(_note(f"    and {more:,} more with --json"))
    below += [_action(one, now) for one in watch["last_actions"][:2]]
    return below


def _instance(watch: Mapping[str, Any], one: Mapping[str, Any], now: float, width: int) -> list[Text]:
    """An instance's line; the reason below it where there is no room for it."""
    value = "" if one["value"] is None else f"  {_value(watch, one['value'])}"
    since = "" if one["since"] is None else f"  {ago(now - one['since'])}"
    state = one["state"]
    line = Text.assemble("    ", (state, STYLES[state]), f"  {one['instance']}{value}{since}", overflow="fold")
    if one["reason"] is None:
        return [line]
    reason = Text(one["reason"], style="dim")
    if line.cell_len + 2 + reason.cell_len <= width:
        return [Text.assemble(line, "  ", reason)]
    return [line, Text.assemble(" " * 6, reason, overflow="fold")]


def _action(one: Mapping[str, Any], now: float) -> Text:
    style = {"failed": "red", "running": "yellow"}.get(one["outcome"], "dim")
    tries = f" after {one['tries']} tries" if (one["tries"] or 0) > 1 else ""
    ended = one["time"] if one["ended"] is None else one["ended"]
    told = f"    {one['action']} for {one['event']}: {one['outcome']}{tries}, {one['detail']}, {ago(now - ended)}"
    return Text(told, style=style, overflow="fold")


def _completeness(answer: Mapping[str, Any], now: float) -> Iterator[Text]:
    """When it was looked, and at what."""
    if answer["error"] is not None:
        yield Text(f"  the last look failed: {answer['error']}", style="red", overflow="fold")
    if answer["looked"] is None:
        yield _note("  nothing was looked at yet")
        return
    missing = clients_missing(answer)
    behind = "" if answer["complete"] else ", and some clients' events are missing in it"
    every = durations.write(answer["every"])
    told = f"  looked {ago(now - answer['looked'])} (every {every}), at what came up to {clock(answer['to'])}{behind}"
    yield _note(f"{told}; {missing}" if missing else told)


def _note(text: str) -> Text:
    return Text(text, style="dim italic", overflow="fold")
