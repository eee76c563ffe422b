"""`eventlog scan` and `eventlog export`: events as a table, JSON or CSV on the screen, or as whole files."""

from pathlib import Path
from typing import Annotated

import typer

from eventlog.cli.app import READING, app, err, opened
from eventlog.cli.asked import (
    Csv,
    Json,
    Limit,
    Prefix,
    Sample,
    Since,
    Types,
    Until,
    Where,
    listed,
    one_format,
    scanned,
)
from eventlog.errors import QueryError

Columns = Annotated[str | None, typer.Option(help="Columns such as user,time,Impression.price; all of the types.")]


@app.command(rich_help_panel=READING)
def scan(
    since: Since = None,
    until: Until = None,
    types: Types = None,
    columns: Columns = None,
    where: Where = None,
    sample: Sample = "1",
    prefix: Prefix = "",
    limit: Limit = None,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """The events of all users, as a table. Shows 20 lines unless told otherwise by --limit; --json and --csv give all.

    Where a terminal is too narrow for the table, each event is a paragraph.

    Example: [bold]eventlog scan --type Click --where "Impression.price > 2" --sample 1/64 --columns user,time[/]
    """
    one_format(json=json, csv=csv)
    from eventlog.cli import tables

    with opened() as log:
        asked = scanned(
            log, since, until, types=types, columns=listed(columns), where=where, sample=sample, prefix=prefix
        )
        if csv:
            tables.write_csv(asked, limit)
        elif json:
            tables.write_json(asked, limit)
        else:
            tables.show(asked, 20 if limit is None else limit)
        err.print(str(asked.reads), style="dim")


@app.command(rich_help_panel=READING)
def export(
    parquet: Annotated[Path | None, typer.Option(help="The Parquet file to write.")] = None,
    csv: Annotated[Path | None, typer.Option(help="The CSV file to write.")] = None,
    ndjson: Annotated[Path | None, typer.Option(help="The file to write a line of JSON an event to.")] = None,
    by_day: Annotated[
        bool, typer.Option("--by-day", help="A file for each day of root events, in the folder that is named instead.")
    ] = False,
    since: Since = None,
    until: Until = None,
    types: Types = None,
    columns: Columns = None,
    where: Where = None,
    sample: Sample = "1",
    prefix: Prefix = "",
) -> None:
    """Writes events to a file, as they are read; the file is there once it is whole.

    Example: [bold]eventlog export --parquet clicks.parquet --type Click --since 2011-02-16 --until 2011-02-17[/]

    A file a day: [bold]eventlog export --parquet days --by-day[/] makes days/2011-02-16.parquet, and so on
    """
    targets = [(kind, path) for kind, path in (("parquet", parquet), ("csv", csv), ("ndjson", ndjson)) if path]
    if len(targets) != 1:
        raise QueryError("export: name one file: --parquet OUT, --csv OUT or --ndjson OUT")
    from eventlog.cli import files

    kind, path = targets[0]
    with opened() as log:
        asked = scanned(
            log, since, until, types=types, columns=listed(columns), where=where, sample=sample, prefix=prefix
        )
        if by_day:
            count, days, reads = files.exported_by_day(log, asked.asked, kind, path)
            err.print(f"{count:,} events to {days:,} file{'s' * (days != 1)} in {path}", markup=False)
        else:
            count, reads = files.exported(asked, kind, path), asked.reads
            err.print(f"{count:,} events to {path}", markup=False)
        err.print(str(reads), style="dim")
