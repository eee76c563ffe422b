"""The command `noisy`: who records most just now, what costs most, and who was refused by which limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import typer
from rich.text import Text

from taba.cli import options
from taba.cli.connection import DEFAULT, Connection
from taba.cli.grid import Column, Grid, Group, lines
from taba.cli.ledger import clients_missing
from taba.cli.numbers import number
from taba.cli.screen import output, show, tab_text, write_json

Answer = Mapping[str, Any]
Order = Literal["events", "states"]


def noisy(
    by: Annotated[Order, typer.Option("--by", help="Rank by what is recorded, or by what is kept of it.")] = "events",
    window: Annotated[
        str, typer.Option("--window", metavar="DURATION", help="The time that ends now: 1m to 1h.")
    ] = "1m",
    most: Annotated[int, typer.Option("--most", metavar="N", min=1, max=100, help="How many are shown.")] = 10,
    server: options.Server = DEFAULT,
    json: options.Json = False,
) -> None:
    """Show the noisiest clients and tabs, the names with most tabs, and what of theirs was refused."""
    options.duration("--window", window)
    body = Connection(server).get("/v1/noisiest", [("order", by), ("window", window), ("most", str(most))])
    if json:
        write_json(body)
        return
    console = output()
    show(console, pictured(msgspec.json.decode(body), console.width))


def pictured(answer: Answer, width: int) -> list[Text]:
    """The lines that show an answer."""
    total, found = answer["total"], answer["noisiest"]
    told = f"{number(total['events'])} events of {number(total['clients'])} clients in the last {answer['window']}"
    picture = [Text(f"{told}; {number(total['states'])} States kept of them", style="dim")]
    if not total["clients"] and not total["tabs"]:
        return picture
    picture += [Text(), *_table(_clients(found["clients"], total), width)]
    picture += [Text(), *_table(_tabs(found["tabs"], total), width)]
    picture += [Text(), *_table(_names(found["names"]), width)]
    missing = clients_missing(answer)
    return [*picture, *([Text(f"  {missing}", style="dim italic")] if missing else [])]


def _table(grid: Grid, width: int) -> list[Text]:
    return lines(grid, width)[0]


def _clients(rows: Sequence[Answer], total: Answer) -> Grid:
    columns = [
        *_figures(),
        Column("tabs", spare=1),
        Column("lost", style="red"),
        Column("why", left=True, flexible=True),
    ]
    grid = Grid(columns, "client", titles_inline=True)
    for row in rows:
        figures = [*_shares(row, total["events"], total["states"]), number(row["tabs"]), number(row["dropped"])]
        grid.groups.append(Group(Text(row["client"], style="bold"), [[*figures, _why(row["reasons"])]]))
    return grid


def _tabs(rows: Sequence[Answer], total: Answer) -> Grid:
    grid = Grid(
        [*_figures(), Column("clients", spare=1), Column("type", left=True, spare=2)], "tab", titles_inline=True
    )
    for row in rows:
        figures = _shares(row, total["counted"], total["states"])
        grid.groups.append(Group(tab_text(row["tab"]), [[*figures, number(row["clients"]), row["type"]]]))
    return grid


def _names(rows: Sequence[Answer]) -> Grid:
    grid = Grid([Column("tabs"), Column("events", spare=1), Column("States", spare=2)], "name", titles_inline=True)
    for row in rows:
        grid.groups.append(Group(tab_text(row["name"]), [[number(row[key]) for key in ("tabs", "events", "states")]]))
    return grid


def _figures() -> list[Column]:
    return [Column("events"), Column("%", spare=3), Column("States"), Column("%", spare=3)]


def _shares(row: Answer, events: int, states: int) -> list[str]:
    """Both figures, each with its share of the whole."""
    return [number(row["events"]), _share(row["events"], events), number(row["states"]), _share(row["states"], states)]


def _share(count: int | None, whole: int) -> str:
    return "" if count is None or not whole else f"{100 * count / whole:.1f}"


def _why(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {number(count)}" for reason, count in reasons.items())
