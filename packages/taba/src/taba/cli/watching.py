"""The command `watch`: the answers of tabs as they change, asked for again each second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from taba.cli import charts, options, queries, series
from taba.cli.answers import Entry, pictured
from taba.cli.connection import DEFAULT, Connection
from taba.cli.failure import Failure
from taba.cli.numbers import clock
from taba.cli.screen import output, show, write_json

PERIOD = 1.0
SPAN, STEP = 60, 3
"""Seconds that the lines of blocks go back, and that one block stands for."""
MOST_DRAWN = 200
"""Where there are more tabs, no lines of blocks are asked for."""


def watch(
    pattern: options.Pattern,
    *,
    window: options.Windows = None,
    client: options.Clients = None,
    count: Annotated[
        int | None,
        typer.Option("--count", metavar="N", min=1, help="Stop after N times."),
    ] = None,
    server: options.Server = DEFAULT,
    json: options.Json = False,
) -> None:
    """Show the answers of tabs live, until Ctrl-C; with --json, one line each second."""
    connection = Connection(server)
    chosen = [("client", client)] if client else []
    parameters = [("tab", pattern), *chosen]
    windows = [("window", name) for name in options.checked_windows(window) or ["1m"]]
    seen = False
    try:
        if json or not output().is_terminal:
            for _ in _ticks(count):
                seen |= _shown_once(connection, parameters, windows, json)
        else:
            seen = _live(connection, parameters, windows, count)
    except KeyboardInterrupt:
        return
    if not seen:
        raise queries.nothing_matched(connection, pattern, client)


def _ticks(count: int | None) -> Iterator[int]:
    """`count` times, a PERIOD apart; for ever where it is None."""
    begin = time.monotonic()
    turn = 0
    while count is None or turn < count:
        yield turn
        turn += 1
        if turn != count:
            time.sleep(max(0.0, begin + turn * PERIOD - time.monotonic()))
            # After a slow answer the next ones come a PERIOD apart again, not all at once.
            begin = max(begin, time.monotonic() - turn * PERIOD)


def _shown_once(
    connection: Connection, parameters: list[tuple[str, str]], windows: list[tuple[str, str]], json: bool
) -> bool:
    body = connection.get("/v1/aggregates", [*parameters, *windows])
    answer = msgspec.json.decode(body)
    if json:
        write_json(body)
    else:
        console = output()
        show(console, [Text(clock(time.time())), *_table(connection, parameters, answer, console.width)])
    return bool(answer["tabs"])


def _live(
    connection: Connection,
    parameters: list[tuple[str, str]],
    windows: list[tuple[str, str]],
    count: int | None,
) -> bool:
    """Draw over what was drawn before; a server that goes away is waited for."""
    console = output()
    seen = False
    table: list[Text] = []
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for turn in _ticks(count):
            told = Text(f"{clock(time.time())}  {connection.url}, each second; Ctrl-C ends", style="dim")
            try:
                answer = msgspec.json.decode(connection.get("/v1/aggregates", [*parameters, *windows]))
                table = _table(connection, parameters, answer, console.width)
                seen |= bool(answer["tabs"])
            except Failure as failure:
                if turn == 0:
                    raise
                told = Text(str(failure), style="red")
            if not table:
                table = [Text("nothing matches yet", style="dim italic")]
            live.update(Group(told, *_cut(table, console)), refresh=True)
    return seen


def _cut(table: list[Text], console: Console) -> list[Text]:
    """As many lines as the terminal holds, and how many it does not."""
    room = max(console.height - 3, 1)
    if len(table) <= room:
        return table
    return [
        *table[:room],
        Text(f"… {len(table) - room} more lines: a taller terminal shows them", style="dim"),
    ]


def _table(connection: Connection, parameters: list[tuple[str, str]], answer: dict[str, Any], width: int) -> list[Text]:
    drawn = _drawn(connection, parameters, answer) if len(answer["tabs"]) <= MOST_DRAWN else {}
    entries = [
        Entry(tab, queries.renamed(windows), extra=drawn.get(tab, "")) for tab, windows in answer["tabs"].items()
    ]
    return pictured(entries, width, extra_head="last minute" if any(drawn.values()) else "")


def _drawn(connection: Connection, parameters: list[tuple[str, str]], answer: dict[str, Any]) -> dict[str, str]:
    """A line of blocks for each tab that can be drawn."""
    stop = int(answer["complete_to"] or time.time()) // STEP * STEP
    times = [("from", str(stop - SPAN)), ("to", str(stop)), ("step", f"{STEP}s")]
    given = msgspec.json.decode(connection.get("/v1/series", [*parameters, *times]))
    lines = {}
    for tab, points in given["tabs"].items():
        for measure in series.drawn(points)[:1]:
            values = series.values_of(points, measure, given)
            lines[tab] = charts.spark(values, *series.scaled(values, measure))
    return lines
