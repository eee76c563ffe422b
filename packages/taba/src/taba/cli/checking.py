"""The command `check`: whether a store is as it should be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.text import Text

from taba.cli import flags
from taba.cli.failure import FAILED, Failure
from taba.cli.grid import Column, Grid, Group, lines
from taba.cli.keeping import PLACE, Json, bar, settings_of
from taba.cli.screen import output, show, write_json

if TYPE_CHECKING:
    from taba.config import Settings
    from taba.states.checking import Report

SHOWN = 20
"""Findings that are shown; --json has more."""


def check(
    store: Annotated[
        str | None,
        typer.Argument(metavar="STORE", help=f"{PLACE} If left out, that of the settings.", show_default=False),
    ] = None,
    config_file: flags.File = None,
    json: Json = False,
) -> None:
    """Look whether a store is as it should be, also while servers use it. Ends with 1 where something is wrong.

    Every chunk is read, and compared with what is told of it.
    Tabs and accounts are compared too, and the ledger with the States as far as the tiers reach.
    Handlers and tiers are those of the settings.
    """
    from taba.store import places

    settings = settings_of(config_file)
    place = store or places.name_of(settings)
    report = _report(place, settings, quiet=json)
    if json:
        write_json(msgspec.json.encode(_as_json(places.shown(place), report)))
    else:
        _tell(places.shown(place), report)
    if report.wrong:
        raise typer.Exit(FAILED)


def _report(place: str, settings: Settings, quiet: bool) -> Report:
    # Polars takes a moment to load, and few commands need it.
    from taba.handlers.registry import HandlerError, Registry
    from taba.states.checking import Report
    from taba.states.checking import check as look
    from taba.states.tiers import Tiers
    from taba.store import places
    from taba.store.moving import unfinished
    from taba.store.protocol import StoreError
    from taba.store.sqlite_house import SqliteHouse

    patterns = [(one.match, one.clients, one.fleet) for one in settings.tiers.patterns]
    tiers = Tiers.parse(settings.tiers.clients, settings.tiers.fleet, patterns)
    try:
        registry = Registry(settings.handlers)
        with bar(quiet=quiet) as progress, places.opened(place) as house:
            if isinstance(house, SqliteHouse):
                house.hold()
            report = look(house, registry, tiers, time.time(), progress)
            if house.origin is not None:
                report.add("store", places.shown(place), str(unfinished("it", house.origin)))
            return report
    except HandlerError as error:
        raise Failure(str(error)) from None
    except StoreError as error:
        if "is damaged" not in str(error):
            raise Failure(str(error)) from None
        report = Report()
        report.add("store", places.shown(place), str(error))
        return report


def _as_json(where: str, report: Report) -> dict[str, Any]:
    return {
        "store": where,
        "ok": not report.wrong,
        "chunks": report.chunks,
        "rows": report.rows,
        "tabs": report.tabs,
        "accounts": report.accounts,
        "clients_compared": report.clients_compared,
        "wrong": report.wrong,
        "findings": [finding._asdict() for finding in report.findings],
        "notes": report.notes,
    }


def _tell(where: str, report: Report) -> None:
    console = output()
    console.print(
        f"{where}: {report.chunks:,} chunks ({report.rows:,} States), {report.tabs:,} tabs, "
        f"{report.accounts:,} accounts; the ledger compared for {report.clients_compared:,} clients"
    )
    if report.findings:
        columns = [Column("kind", left=True, style="red"), Column("what is wrong", left=True, flexible=True)]
        grid = Grid(columns, "where", titles_inline=True)
        for finding in report.findings[:SHOWN]:
            grid.groups.append(Group(Text(finding.where, style="bold"), [[finding.kind, finding.told]]))
        show(console, lines(grid, console.width)[0])
    if report.wrong > SHOWN:
        console.print(f"  {report.wrong - SHOWN:,} more: with --json", style="dim")
    for note in report.notes:
        console.print(f"  {note}", style="dim")
    if report.wrong:
        console.print(f"{report.wrong:,} found wrong", style="red")
    else:
        console.print("all is well", style="green")
