"""`eventlog scan` and `eventlog export`: events as a table, JSON or CSV on the screen, or as a whole file."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import polars as pl
import pyarrow.parquet as pq
import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from eventlog.cli.app import app, err, opened, out
from eventlog.cli.asked import Json, Limit, Prefix, Sample, Since, Types, Until, Where, expression, listed, share
from eventlog.cli.shown import plain, safe
from eventlog.errors import EngineError, QueryError
from eventlog.scan import Scan

Columns = Annotated[str | None, typer.Option(help="Columns such as user,time,Impression.price; all of the types.")]


@app.command()
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
    csv: Annotated[bool, typer.Option("--csv", help="For programs and spreadsheets.")] = False,
) -> None:
    """The events of all users, as a table. Shows 20 lines unless told otherwise by --limit; --json and --csv give all.

    Example: [bold]eventlog scan --type Click --where "Impression.price > 2" --sample 1/64 --columns user,time[/]
    """
    with opened() as log:
        asked = log.scan(
            since,
            until,
            types=listed(types),
            columns=listed(columns),
            where=expression(where),
            sample=share(sample),
            prefix=prefix,
        )
        most = limit if limit is not None or json or csv else 20
        frames = limited(asked, most)
        if json or csv:
            for index, frame in enumerate(frames):
                written(sys.stdout.buffer, frame, csv=csv, header=index == 0)
        else:
            shown(frames)
        err.print(str(asked.reads), style="dim")


def limited(asked: Scan, most: int | None) -> Iterator[pl.DataFrame]:
    """The tables of a scan, up to so many lines in all."""
    left = most
    for frame in asked.frames():
        if left is not None and frame.height >= left:
            yield frame.head(left)
            return
        left = None if left is None else left - frame.height
        yield frame


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """A table that CSV can hold: lists become JSON, bytes hexadecimal, times ISO 8601."""
    made = []
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if isinstance(kind, pl.List):
            column = column.map_elements(lambda value: plain(value.to_list()), return_dtype=pl.String)
        elif kind == pl.Binary:
            column = column.bin.encode("hex")
        elif isinstance(kind, pl.Datetime):
            column = column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        made.append(column)
    return frame.select(made)


def written(file: BinaryIO, frame: pl.DataFrame, *, csv: bool, header: bool) -> None:
    if csv:
        file.write(flat(frame).write_csv(include_header=header).encode())
    else:
        file.write(frame.with_columns(pl.col(pl.Binary).bin.encode("hex")).write_ndjson().encode())


def shown(frames: Iterator[pl.DataFrame]) -> None:
    """Tables for a person; the row's id is left out."""
    table = None
    for frame in frames:
        names = [name for name in frame.columns if name != "row"]
        if table is None:
            table = Table(box=None, pad_edge=False, header_style="bold")
            for name in names:
                table.add_column(safe(name), overflow="fold")
        for record in frame.select(names).iter_rows():
            table.add_row(*("" if value is None else plain(value) for value in record))
    if table is not None:
        out.print(table, markup=False)


@app.command()
def export(
    parquet: Annotated[Path | None, typer.Option(help="The Parquet file to write.")] = None,
    csv: Annotated[Path | None, typer.Option(help="The CSV file to write.")] = None,
    ndjson: Annotated[Path | None, typer.Option(help="The file to write a line of JSON an event to.")] = None,
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
    """
    targets = [(kind, path) for kind, path in (("parquet", parquet), ("csv", csv), ("ndjson", ndjson)) if path]
    if len(targets) != 1:
        raise QueryError("export: name one file: --parquet OUT, --csv OUT or --ndjson OUT")
    kind, path = targets[0]
    with opened() as log:
        asked = log.scan(
            since,
            until,
            types=listed(types),
            columns=listed(columns),
            where=expression(where),
            sample=share(sample),
            prefix=prefix,
        )
        lines = exported(asked, kind, path)
        err.print(f"{lines:,} events to {path}", markup=False)
        err.print(str(asked.reads), style="dim")


def exported(asked: Scan, kind: str, path: Path) -> int:
    """Writes beside the file and renames. Gives the number of lines. Raises EngineError where it can't be written."""
    beside = path.with_name(f".{path.name}.part")
    bar = Progress(TextColumn("{task.completed:,} events"), TimeElapsedColumn(), console=err, transient=True)
    try:
        with bar:
            task = bar.add_task("", total=None)
            lines = poured(asked, kind, beside, lambda count: bar.advance(task, count))
        beside.replace(path)
    except OSError as error:
        raise EngineError(f"{path}: can't be written: {error.strerror or error}") from None
    finally:
        beside.unlink(missing_ok=True)
    return lines


def poured(asked: Scan, kind: str, path: Path, advance: Callable[[int], object]) -> int:
    from eventlog.tables import Table as Lines

    empty = pl.DataFrame(schema=Lines(asked.catalog, asked.asked).dtypes)
    lines = 0
    with path.open("wb") as file:
        writer = pq.ParquetWriter(file, empty.to_arrow().schema, compression="zstd") if kind == "parquet" else None
        if kind == "csv":
            written(file, empty, csv=True, header=True)
        for frame in asked.frames():
            if writer:
                writer.write_table(frame.to_arrow())
            else:
                written(file, frame, csv=kind == "csv", header=False)
            lines += frame.height
            advance(frame.height)
        if writer:
            writer.close()
    return lines
