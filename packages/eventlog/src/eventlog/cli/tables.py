"""A scan's tables on the screen: for a person, as JSON, as CSV. Imported by commands that need it: Polars is large."""

import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import polars as pl
from rich.padding import Padding
from rich.text import Text

from eventlog.cli.app import out
from eventlog.cli.seen import seen
from eventlog.cli.shown import COLOURS, aligned, plain, safe
from eventlog.scan import Scan

TITLE = ("time", "type", "user")  # what heads a record, and is not said again below
INDENT = 4


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
    """A table as CSV, or as a line of JSON for each of its lines."""
    if csv:
        file.write(flat(frame).write_csv(include_header=header).encode())
    else:
        file.write(frame.with_columns(pl.col(pl.Binary).bin.encode("hex")).write_ndjson().encode())


def write_csv(asked: Scan, most: int | None) -> None:
    """A scan as CSV on standard output; the header is there also where no event is."""
    written(sys.stdout.buffer, asked.empty(), csv=True, header=True)
    for frame in limited(asked, most):
        written(sys.stdout.buffer, frame, csv=True, header=False)


def write_json(asked: Scan, most: int | None) -> None:
    """A scan as JSON on standard output."""
    for frame in limited(asked, most):
        written(sys.stdout.buffer, frame, csv=False, header=False)


def show(asked: Scan, most: int | None) -> None:
    """A scan for a person: a table where the terminal is wide enough, or else a paragraph for each event.

    Where no column was named, the row's id is left out, and what is empty throughout.
    What goes to a file or a pipe is a table, however wide.
    """
    names = asked.empty().columns
    records = [record for frame in limited(asked, most) for record in frame.iter_rows(named=True)]
    for record in records:
        _remember(record)
    if asked.asked.columns is None:
        names = [name for name in names if name != "row" and any(record[name] is not None for record in records)]
    cells = [["" if record[name] is None else plain(record[name]) for name in names] for record in records]
    table = list(aligned(names, cells)) if cells else []
    if not out.is_terminal or all(line.cell_len <= out.width for line in table):
        for line in table:
            out.print(line)
    else:
        for record in records:
            _show_record(names, record)


def _remember(record: dict[str, Any]) -> None:
    """Notes what a line shows."""
    user, event = record.get("user"), record.get("id")
    if user is not None:
        seen.user(user)
    if event is not None:
        seen.event(event, " ".join(plain(record[name]) for name in TITLE if record.get(name) is not None))


def _show_record(names: list[str], record: dict[str, Any]) -> None:
    """One event as a paragraph: its time, type and user; below, what else it has, folded at the terminal's edge."""
    head = Text()
    for name in TITLE:
        if name in names and record[name] is not None:
            colour = f"bold {COLOURS[sum(record[name].encode()) % len(COLOURS)]}" if name == "type" else ""
            head.append(plain(record[name]), style="dim" if name == "time" else colour).append("  ")
    if head:
        out.print(head)
    told = Text()
    for name in sorted(names, key=lambda name: name == "id"):  # the id last
        if name not in TITLE and record[name] is not None:
            value = plain(record[name])
            told.append(f"{safe(name)}=", style="dim").append(value, style="dim" if name == "id" else "").append("  ")
    told.rstrip()
    out.print(Padding(told, (0, 0, 0, INDENT)), soft_wrap=False)
