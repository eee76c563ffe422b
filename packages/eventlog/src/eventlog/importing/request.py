"""What is asked of an import: its settings and files, whether it is a repeat, and whether the day allows it."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from eventlog import erasure
from eventlog.engines import Engine
from eventlog.errors import EventError
from eventlog.importing.inputs import InputError, Source, digest_of, keep_stream, look
from eventlog.importing.manifest import (
    BAD,
    DONE,
    LOADING,
    PREPARING,
    REFUSED,
    ROLLING_BACK,
    STREAM,
    Counts,
    File,
    ImportExistsError,
    ImportStateError,
    Manifest,
    clear_sorted,
    folder_of,
    imports_folder,
    now,
    save,
)
from eventlog.times import DAY, SECOND

if TYPE_CHECKING:
    from eventlog.log import Log

FORMAT: Final = 2  # of runs; what was sorted in another is not used again


class Progress(msgspec.Struct):
    """How far an import is. `done` and `total` are bytes, of files and then of sorted cells."""

    stage: str
    done: int
    total: int
    events: int = 0
    bad: int = 0


class Imported(msgspec.Struct):
    """What an import came to. `repeated` says that it had been done before; `bad_file` holds what was put aside."""

    number: int
    day: str
    files: list[File]
    days: list[str]
    counts: Counts
    replaced: list[int]
    repeated: bool = False
    bad_file: str = ""


class Options(msgspec.Struct):
    """How a day is imported; see `Log.import_day`."""

    kind: str = ""
    format: str = ""
    slack: int = DAY
    max_bad: float | int = 0.05
    replace: bool = False
    add: bool = False
    workers: int | None = None
    progress: Callable[[Progress], None] | None = None


def check(log: "Log", options: Options) -> None:
    if not log.catalog.schemas:
        raise EventError("the log was opened without event types: name them (--types), so that lines can be read")
    if options.kind and options.kind not in log.catalog.by_name:
        raise EventError(f"type {options.kind!r} is not among the event types ({', '.join(log.catalog.by_name)})")
    if options.replace and options.add:
        raise EventError("replace and add exclude each other")


@contextmanager
def looked_at(names: Sequence[str], engine: Engine, options: Options) -> Iterator[list[Source]]:
    """The files, in an order of their contents: their numbers don't depend on how they were named."""
    if not names:
        raise InputError("no files are named; give them, or - for standard input")
    kept = imports_folder(engine) / f"{STREAM}{os.getpid()}"
    try:
        found = []
        for name in names:
            path = keep_stream(sys.stdin.buffer, kept) if name == "-" else Path(name)
            if path.is_dir():
                raise InputError(f"{name}: is a folder; name the files in it")
            found.append(look("standard input" if name == "-" else name, path, options.format))
        if len({source.path for source in found}) < len(found):
            raise InputError("a file is named twice")
        yield sorted(found, key=lambda source: source.digest)
    finally:
        kept.unlink(missing_ok=True)


def identity(log: "Log", day: str, sources: Sequence[Source], options: Options) -> str:
    """What makes a repeated import the same: the day, the files' contents, and how their lines are read."""
    types = [(one.name, one.version, one.fingerprint(), dict(one.encoded), one.time_unit) for one in log.catalog]
    files = [(source.digest, source.format) for source in sources]
    return digest_of([FORMAT, day, files, options.kind, options.slack, sorted(types, key=lambda one: one[0])])


def begun(
    engine: Engine, day: str, identity: str, sources: Sequence[Source], before: Sequence[Manifest], options: Options
) -> Manifest:
    """The manifest of an import that begins, or goes on. Raises where the day does not allow it."""
    of_day = [one for one in before if one.day == day]
    for other in of_day:
        if other.state in (LOADING, ROLLING_BACK) and other.identity != identity:
            raise ImportStateError(
                f"{day}: import {other.number} was interrupted ({other.state}); end it first: repeat its command, "
                f"or `eventlog rollback {other.number}`"
            )
    mine = next(
        (one for one in before if one.identity == identity and one.state in (PREPARING, REFUSED, LOADING)), None
    )
    forgotten = (engine.get_meta(erasure.LAST) or b"").decode()
    if mine is not None and mine.forgotten != forgotten:  # what is sorted may hold who was forgotten since
        clear_sorted(folder_of(engine, mine.number))
        mine.forgotten = forgotten
    if mine is not None and mine.state == LOADING:
        return mine
    done = [one.number for one in of_day if one.state == DONE]
    if done and not (options.replace or options.add):
        raise ImportExistsError(
            f"{day}: has been imported from other files, or in another way (import {done[-1]}): --replace puts these "
            f"in their place, --add imports these besides"
        )
    if mine is None:
        number = max((one.number for one in before), default=0) + 1
        mine = Manifest(number, day, PREPARING, identity, [], now(), forgotten=forgotten)
    mine.files = [File(source.name, source.size, source.digest) for source in sources]
    mine.state = PREPARING
    mine.replaces = done if options.replace else []
    save(engine, mine)
    return mine


def result(engine: Engine, manifest: Manifest, *, repeated: bool = False) -> Imported:
    bad = folder_of(engine, manifest.number) / BAD
    return Imported(
        manifest.number,
        manifest.day,
        manifest.files,
        manifest.days,
        manifest.counts,
        manifest.replaces,
        repeated,
        str(bad) if bad.exists() else "",
    )


def slack_of(value: str | int | float) -> int:
    """A slack such as `36h`, `1d`, `0`, or a number of seconds, in microseconds. Raises EventError."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    text = str(value).strip()
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        found = float(number) * units[unit]
    except ValueError:
        found = -1.0
    if not 0 <= found <= 36_500 * 86_400:
        raise EventError(f"slack: {value!r} is not a length of time; write it like 36h, 1d or 0")
    return round(found * SECOND)


def max_bad_of(value: str | int | float) -> int | float:
    """`1000` lines, or `5%` of them (or 0.05). Raises EventError."""
    text = str(value).strip()
    try:
        found = float(text[:-1]) / 100 if text.endswith("%") else float(text) if "." in text else int(text)
    except ValueError:
        found = -1
    if found < 0 or (isinstance(found, float) and not found <= 1):
        raise EventError(f"max-bad: {value!r} is neither a number of lines, such as 100, nor a part, such as 5%")
    return found
