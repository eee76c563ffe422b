"""Events into files: whole ones, that are there once all of it is written. Imported by `export`: it needs pyarrow."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from eventlog.cli.app import err
from eventlog.cli.tables import written
from eventlog.errors import EngineError, QueryError
from eventlog.log import Log
from eventlog.parts import add
from eventlog.questions import Question
from eventlog.scan import Reads, Scan
from eventlog.times import DAY, END, Micros, day_of


def exported(asked: Scan, kind: str, path: Path) -> int:
    """Writes a scan beside the file, and renames. Gives the number of events. Raises EngineError where it can't."""
    with _bar() as advance:
        return _whole(asked, kind, path, lambda count: advance("", count))


def exported_by_day(log: Log, asked: Question, kind: str, folder: Path) -> tuple[int, int, Reads]:
    """Writes a file for each day of root events, such as 2011-02-16.parquet: how many events, files, and what was read.

    A day without an event gets no file. Raises EngineError; the files before then are whole.
    """
    events = files = 0
    reads = Reads()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"{folder}: can't be made: {error.strerror or error}") from None
    with _bar() as advance:
        for name, scan in _days(log, asked):
            count = _whole(scan, kind, folder / f"{name}.{kind}", partial(advance, name), empty=False)
            events += count
            files += count > 0
            add(reads, scan.reads)
    return events, files, reads


def _days(log: Log, asked: Question) -> Iterator[tuple[str, Scan]]:
    """The parts of a question by the day of root events, for the days that may hold some."""
    for start in _starts(log, asked):
        part = msgspec.structs.replace(asked, since=max(start, asked.since), until=min(start + DAY, asked.until))
        if part.since < part.until:
            yield day_of(start), Scan(log.engine, log.catalog, part)


def _starts(log: Log, asked: Question) -> Iterable[Micros]:
    """The first moments of days. Raises QueryError where the engine does not know them, nor the question."""
    spans = log.engine.spans()
    if all(until - since == DAY for since, until in spans):
        return [since for since, _ in spans]
    if asked.since == 0 or asked.until == END:
        raise QueryError(f"export --by-day: {log.engine.name} does not keep days apart: say --since and --until")
    return range(asked.since - asked.since % DAY, asked.until, DAY)


@contextmanager
def _bar() -> Iterator[Callable[[str, int], None]]:
    """Shows on a terminal how many events are written, and of which day."""
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed:,} events"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda day, count: bar.update(task, description=day, advance=count)


def _whole(asked: Scan, kind: str, path: Path, advance: Callable[[int], object], *, empty: bool = True) -> int:
    """Writes beside the file, and renames; a scan without events makes a file only where `empty`."""
    if path.is_dir():
        raise EngineError(f"{path}: is a folder; name a file, or say --by-day for a file of each day in it")
    beside = path.with_name(f".{path.name}.part")
    try:
        count = _poured(asked, kind, beside, advance)
        if count or empty:
            beside.replace(path)
    except OSError as error:
        raise EngineError(f"{path}: can't be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    return count


def _poured(asked: Scan, kind: str, path: Path, advance: Callable[[int], object]) -> int:
    empty = asked.empty()
    count = 0
    with path.open("wb") as file:
        writer = pq.ParquetWriter(file, empty.to_arrow().schema, compression="zstd") if kind == "parquet" else None
        if kind == "csv":
            written(file, empty, csv=True, header=True)
        for frame in asked.frames():
            if writer:
                writer.write_table(frame.to_arrow())
            else:
                written(file, frame, csv=kind == "csv", header=False)
            count += frame.height
            advance(frame.height)
        if writer:
            writer.close()
    return count
