"""`eventlog user U` and `eventlog event ID`: what one user did, and what one event belongs to."""

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from eventlog.cli.app import READING, app, err, opened, out
from eventlog.cli.asked import (
    Csv,
    Json,
    Limit,
    Since,
    Types,
    Until,
    Where,
    expression,
    listed,
    one_format,
    unknown_notes,
)
from eventlog.cli.seen import seen
from eventlog.cli.shown import clock, lines, program, safe
from eventlog.errors import QueryError
from eventlog.log import Log
from eventlog.reading import Row
from eventlog.scan import Scan

if TYPE_CHECKING:
    from eventlog.cli.timeline import Asked

HANG = 6  # columns by which the rest of a long line is indented


@app.command(rich_help_panel=READING)
def user(
    name: Annotated[str, typer.Argument(metavar="USER", help="The user, as it stands in the events.")],
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="With --html: the page's file; - is standard output.")
    ] = None,
    since: Since = None,
    until: Until = None,
    types: Types = None,
    where: Where = None,
    limit: Limit = None,
    json: Json = False,
    csv: Csv = False,
    html: Annotated[bool, typer.Option("--html", help="A page with a timeline, as USER.html or FILE.")] = False,
) -> None:
    """One user's events in the order of time, a child under its root, notes beside.

    With --type or --where, the whole rows that hold an event of these types of which it is true.

    [bold]eventlog user u1 --since 2011-02-16[/]  here
    [bold]eventlog user u1 --html[/]              as a timeline for a browser, in u1.html
    """
    one_format(json=json, csv=csv, html=html)
    if file is not None and not html:
        raise QueryError(f"user: {safe(file)!r} is one word too many; a file goes with --html")
    with opened() as log:
        true = expression(where)
        unknown_notes(log, true)
        scan = log.scan(since, until, types=listed(types), where=true, users=[name])
        if html:
            from eventlog.cli.timeline import Asked

            picture(log, scan, Asked(name, since, until, tuple(listed(types) or ()), limit), file)
        elif csv:
            from eventlog.cli.tables import write_csv

            write_csv(scan, limit)
        elif json:
            for entry in itertools.islice(scan, limit):
                sys.stdout.buffer.write(program(entry))
        else:
            show(scan, limit)
        if not scan.reads.rows_returned:
            told = f", and true of {scan.asked.where}" if scan.asked.where is not None else ""
            times = " in these times" if since or until else ""
            err.print(f"no events of {safe(name)!r}{times}{safe(told)}", markup=False)
        err.print(str(scan.reads), style="dim")


def picture(log: Log, scan: Scan, asked: "Asked", file: str | None) -> None:
    """Writes the page of a user's rows, and says where it is."""
    from eventlog.cli.timeline import file_name, history, page, save

    made = history(asked, itertools.islice(scan.rows(), asked.limit), log.catalog.parent, log.catalog.clock())
    if file == "-":
        sys.stdout.buffer.write(page(made).encode())
        return
    path = Path(file or file_name(asked.user))
    save(page(made), path)
    err.print(f"{made.events:,} event{'s' * (made.events != 1)} in {safe(str(path))}", markup=False)


def show(scan: Scan, limit: int | None) -> None:
    """Rows for a person, up to so many."""
    for row in itertools.islice(scan.rows(), limit):
        remember(row)
        for told in lines(row):
            put(told)


def put(told: Text) -> None:
    """An event's line; on a terminal folded between words, and the rest of it indented."""
    if not out.is_terminal:
        out.print(told)
        return
    for index, part in enumerate(told.wrap(out, max(out.width - HANG, HANG))):
        out.print(Text(" " * HANG if index else "").append_text(part))


def remember(row: Row) -> None:
    """Notes what a row has shown."""
    seen.user(row.user)
    for entry in row.entries():
        seen.event(entry.id, f"{clock(entry.time)} {entry.type} {row.user}")


@app.command(rich_help_panel=READING)
def event(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="An event's id, as `write` and reads give it.")],
    json: Json = False,
) -> None:
    """The whole row of an event: its root and all children, the event itself marked.

    Example: [bold]eventlog event "$(eventlog user u1 --json | head -1 | jq -r .id)"[/]
    """
    with opened() as log:
        row = log.row(event_id)
        if row is None or all(entry.id != event_id for entry in row.entries()):
            raise QueryError(f"there is no event {safe(event_id)}; it was deleted, has expired, or has not come yet")
        remember(row)
        if json:
            for entry in row.entries():
                sys.stdout.buffer.write(program(entry))
        else:
            for told in lines(row, event_id):
                put(told)
