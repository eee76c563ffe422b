"""`eventlog count`: how many events, by any columns."""

import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from eventlog.cli.app import READING, app, err, opened, out
from eventlog.cli.asked import Json, Limit, Prefix, Sample, Since, Types, Until, Where, listed, scanned
from eventlog.cli.seen import seen
from eventlog.cli.shown import aligned, plain
from eventlog.scan import Scan

if TYPE_CHECKING:
    import polars as pl

DERIVED = {"day": "%Y-%m-%d", "hour": "%Y-%m-%d %H:00"}


@app.command(rich_help_panel=READING)
def count(
    by: Annotated[
        str, typer.Option(help="Columns: type, day, hour, user, Impression.advertiser_id, notes.NAME.")
    ] = "type",
    since: Since = None,
    until: Until = None,
    types: Types = None,
    where: Where = None,
    sample: Sample = "1",
    prefix: Prefix = "",
    limit: Limit = None,
    json: Json = False,
) -> None:
    """How many events there are, by one or more columns; the most first.

    Example: [bold]eventlog count --by day,Impression.advertiser_id --type Click[/]
    """
    names = listed(by) or ["type"]
    with opened() as log:
        columns = list(dict.fromkeys("time" if name in DERIVED else name for name in names))
        scan = scanned(log, since, until, types=types, columns=columns, where=where, sample=sample, prefix=prefix)
        counted = counts(scan, names)
    total = int(counted["count"].sum()) if counted.height else 0
    shown = counted.head(limit) if limit is not None else counted
    if json:
        for record in shown.iter_rows(named=True):
            sys.stdout.buffer.write(msgspec.json.encode(record) + b"\n")
    else:
        for name in shown["user"] if "user" in names else ():
            seen.user(name)
        cells = [
            [*("–" if value is None else plain(value) for value in record[:-1]), f"{record[-1]:,}"]
            for record in shown.iter_rows()
        ]
        *lines, last = aligned(
            [*names, "count"], [*cells, ["total", *[""] * (len(names) - 1), f"{total:,}"]], right=True
        )
        for line in lines:
            out.print(line)
        out.print(last, style="bold")
    err.print(str(scan.reads), style="dim")


def counts(scan: Scan, names: list[str]) -> "pl.DataFrame":
    """A line for each combination, and its `count`; the most first, then in the order of the columns."""
    import polars as pl

    keys = [
        pl.col("time").dt.strftime(DERIVED[name]).alias(name) if name in DERIVED else pl.col(name) for name in names
    ]
    parts = [frame.group_by(keys).agg(pl.len().cast(pl.Int64).alias("count")) for frame in scan.frames()]
    if not parts:
        return pl.DataFrame(schema={**dict.fromkeys(names, pl.String), "count": pl.Int64})
    found = pl.concat(parts).group_by(names).agg(pl.col("count").sum())
    return found.sort(["count", *names], descending=[True, *[False] * len(names)])
