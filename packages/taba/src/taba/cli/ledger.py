"""The command `ledger`: what became of every event that was recorded, client by client."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from taba.cli import options
from taba.cli.connection import DEFAULT, Connection
from taba.cli.failure import Failure
from taba.cli.grid import Column, Grid, Group, lines
from taba.cli.numbers import NOTHING, ago
from taba.cli.screen import output, show, write_json

ALL = "in all"

Row = Mapping[str, Any]


def ledger(
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="CLIENT", help="A client or a glob of clients, as 'web-*'.", show_default=False),
    ] = None,
    server: options.Server = DEFAULT,
    json: options.Json = False,
) -> None:
    """Show what became of all that was recorded: folded, dropped and why, or still in flight."""
    body = Connection(server).get("/v1/ledger", [("client", pattern)] if pattern else [])
    if json:
        write_json(body)
    answer = msgspec.json.decode(body)
    if not answer["ledger"]:
        raise _nobody(pattern)
    if not json:
        console = output()
        show(console, pictured(answer, time.time(), console.width))


def _nobody(pattern: str | None) -> Failure:
    if pattern:
        return Failure(f"no client matches {pattern!r}: 'taba clients' lists them all")
    return Failure("no client has recorded anything yet: try 'taba record hello 1'")


def pictured(answer: Mapping[str, Any], now: float, width: int) -> list[Text]:
    """The lines that show a ledger; `now` is in seconds since 1970."""
    rows: Mapping[str, Row] = answer["ledger"]
    total: Row = answer["total"]
    grid = Grid(_columns(rows), "client", titles_inline=True)
    for client, row in rows.items():
        grid.groups.append(Group(Text(client, style="bold"), [_cells(row, grid, now)]))
    if len(rows) > 1:
        grid.groups.append(Group(Text(ALL, style="bold green"), [_cells(total, grid, now)]))
    picture, left_out = lines(grid, width)
    if left_out:
        picture.append(_note(f"{', '.join(left_out)}: in a wider terminal, or with --json"))
    return picture + _below(answer)


RECORDED, FOLDED, DROPPED, IN_FLIGHT = "recorded", "folded", "dropped", "in flight"
COMPLETE_TO, HEARD, UNACCOUNTED = "complete to", "heard", "unaccounted"


def _columns(rows: Mapping[str, Row]) -> list[Column]:
    """The columns; that for what must not be only where it is."""
    columns = [
        Column(RECORDED),
        Column(FOLDED),
        Column(DROPPED, style="red"),
        Column(IN_FLIGHT, style="yellow"),
    ]
    if any(row.get("unaccounted") for row in rows.values()):
        columns.append(Column(UNACCOUNTED, style="bold red"))
    return [*columns, Column(COMPLETE_TO, left=True, spare=1), Column(HEARD, left=True, spare=2)]


def _cells(row: Row, grid: Grid, now: float) -> list[str]:
    def seen(key: str) -> str:
        moment = row.get(key)
        return NOTHING if moment is None else ago(now - moment)

    cells = {
        # In full, so that a reader can add them up.
        RECORDED: f"{row['recorded']:,}",
        FOLDED: f"{row['folded']:,}",
        DROPPED: f"{sum(row['dropped'].values()):,}",
        IN_FLIGHT: f"{row['in_flight']:,}",
        UNACCOUNTED: f"{row.get('unaccounted', 0):,}",
        COMPLETE_TO: seen("complete_to"),
        HEARD: seen("heard"),
    }
    return ["" if "heard" not in row and column.left else cells[column.head] for column in grid.columns]


def _below(answer: Mapping[str, Any]) -> list[Text]:
    """What there is to say below the table: why events were dropped, who is late, what is wrong."""
    below = []
    dropped = answer["total"]["dropped"]
    if dropped:
        reasons = sorted(dropped.items(), key=lambda item: (-item[1], item[0]))
        told = ", ".join(f"{reason} {count:,}" for reason, count in reasons)
        below.append(Text(f"  dropped: {told}", style="red", overflow="fold"))
    missing = clients_missing(answer)
    if missing:
        below.append(_note(f"answers wait for nobody who is silent: {missing}"))
    return below + [Text(f"  {warning}", style="yellow", overflow="fold") for warning in answer["warnings"]]


def _note(text: str) -> Text:
    return Text(f"  {text}", style="dim italic", overflow="fold")


def clients_missing(answer: Mapping[str, Any]) -> str:
    """That not all clients known are in an answer, where that is so: `3 of 4 clients are in it`."""
    clients = answer.get("clients") or {}
    current, known = clients.get("current", 0), clients.get("known", 0)
    return f"{current} of {known} clients are in it" if current < known else ""


def came_late(answer: Mapping[str, Any]) -> str:
    """How many events came late in the last ten minutes, where any did."""
    late = answer.get("late") or 0
    return f"{late:,} event{'' if late == 1 else 's'} came late" if late else ""
