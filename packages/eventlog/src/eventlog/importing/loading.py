"""The import of a day: files become sorted runs, these become one order, and that goes into the log.

    preparing    sort: each piece of a file becomes a run (workers)
                 the bad lines are counted; too many, and the import is refused: nothing was written
    loading      merge: each part of each day becomes files that the engine takes in (workers)
                 load: each day takes its files, all at once
                 what the import replaces is removed
    done

Killed at any moment and run again, it goes on from the runs, the merged parts and the loaded days that it finds.
"""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventlog import erasure, keys
from eventlog.cells import Cell, Cells
from eventlog.engines import Bulk, Want
from eventlog.engines import Counts as ReadCounts
from eventlog.errors import EngineError, EventlogError
from eventlog.importing import inputs
from eventlog.importing.inputs import Source
from eventlog.importing.making import Limits
from eventlog.importing.manifest import (
    BAD,
    DONE,
    LOADING,
    REFUSED,
    REPLACED,
    Counts,
    Manifest,
    all_imports,
    alone,
    finish,
    folder_of,
    now,
    save,
)
from eventlog.importing.merging import Task, merge
from eventlog.importing.request import Imported, Options, Progress, begun, check, identity, looked_at, result
from eventlog.importing.runs import SUFFIX, Index, adjoining, of_buckets, read_bad, read_index
from eventlog.importing.sorting import Job, sources_of
from eventlog.importing.undo import remove_batch
from eventlog.importing.workers import FULL, Merged, Workers, hired, merge_part, read_merged, sort_piece
from eventlog.times import DAY, day_of, day_start

if TYPE_CHECKING:
    from eventlog.log import Log

PART_BYTES: Final = (
    64 * 2**20
)  # of cells that become one pair of sorted files: some 20 MB, so that a year is not too many
SMALL_BYTES: Final = 4 * 2**20  # of files that are not worth other processes
TRIES: Final = 3  # at merging while others write
PUT_CELLS: Final = 10_000


class TooManyBadError(EventlogError):
    """More lines are bad than `max_bad` allows; nothing was written."""


def import_day(log: "Log", day: str, files: Iterable[str | Path], options: Options) -> Imported:
    """Imports a day's files. Raises EventlogError; see `Log.import_day`."""
    day_start(day)
    check(log, options)
    if getattr(log.engine, "read_only", False):
        raise EngineError(f"{log.engine.url} is open for reading only")
    with alone(log.engine), looked_at([str(file) for file in files], log.engine, options) as sources:
        same = identity(log, day, sources, options)
        before = all_imports(log.engine)
        done = next((one for one in before if one.identity == same and one.state == DONE), None)
        if done is not None:
            return result(log.engine, done, repeated=True)
        manifest = begun(log.engine, day, same, sources, before, options)
        return _Import(log, manifest, sources, options).run()


class _Import:
    """One import at work."""

    def __init__(self, log: "Log", manifest: Manifest, sources: list[Source], options: Options) -> None:
        self._log = log
        self._engine = log.engine
        self._manifest = manifest
        self._sources = sources
        self._options = options
        self._folder = folder_of(log.engine, manifest.number)
        self._runs = self._folder / "runs"
        self._said = Progress("reading", 0, sum(source.size for source in sources))
        schemas = log.catalog.schemas
        limits = Limits.of(manifest.day, options.slack)
        self._erased = erasure.load(log.engine)
        self._job = Job(sources_of(schemas) or [], manifest.number, limits, options.kind, self._erased)

    def run(self) -> Imported:
        try:
            self._runs.mkdir(parents=True, exist_ok=True)
            with hired(self._workers(), self._job, self._log.catalog.schemas) as workers:
                indexes = self._sorted(workers)
                self._judge(indexes)
                for schema in self._log.catalog:
                    self._log.catalog.remember(schema)
                self._load(workers, indexes)
        except OSError as error:
            why = FULL if error.errno == errno.ENOSPC else f"{error.strerror or error}; repeat it"
            self._make_room()
            raise EngineError(f"{self._folder}: {why}") from None
        except EngineError as error:
            if "disk is full" in str(error):
                self._make_room()
            raise
        for number in self._manifest.replaces:
            self._give_way(number)
        finish(self._engine, self._manifest, DONE)
        return result(self._engine, self._manifest)

    def _make_room(self) -> None:
        """Gives back the disk's space, which the log needs: after more is found, the files are sorted again."""
        for name in ("runs", "sorted"):
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def _workers(self) -> int:
        if self._options.workers is not None:
            return self._options.workers
        return 0 if self._said.total < SMALL_BYTES else len(os.sched_getaffinity(0))

    def _say(self) -> None:
        if self._options.progress is not None:
            self._options.progress(self._said)

    # preparing: sort

    def _run_path(self, source: int, piece: int) -> Path:
        return self._runs / f"{source:04d}-{piece:06d}{SUFFIX}"

    def _sorted(self, workers: Workers) -> dict[Path, Index]:
        """The runs of all pieces, those that are there already included."""
        found = {path: index for path in sorted(self._runs.glob(f"*{SUFFIX}")) if (index := read_index(path))}
        sizes: dict[Path, int] = {}
        seen: set[Path] = set()

        def tasks() -> Iterator[tuple[Path, Any]]:
            for at, source in enumerate(self._sources):
                done = frozenset(int(path.stem[5:]) for path in found if path.stem.startswith(f"{at:04d}-"))
                behind = 0
                for number, piece, until in inputs.pieces(source, done):
                    path = self._run_path(at, number)
                    seen.add(path)
                    sizes[path], behind = until - behind, until
                    if piece is None:
                        self._count(found[path], sizes[path])
                    else:
                        yield path, piece

        self._say()
        for (path, *_), index in workers.run(sort_piece, tasks()):
            found[path] = index
            self._count(index, sizes[path])
        for source in self._sources:
            source.check()
        return {path: found[path] for path in sorted(seen)}

    def _count(self, index: Index, size: int) -> None:
        self._said.done += size
        self._said.events += index.events
        self._said.bad += index.bad
        self._say()

    def _judge(self, indexes: dict[Path, Index]) -> None:
        """Writes the bad lines to the side file. Raises TooManyBadError."""
        bad, erased, events = (
            sum(getattr(index, name) for index in indexes.values()) for name in ("bad", "erased", "events")
        )
        self._manifest.counts = Counts(lines=bad + erased + events, bad=bad, erased=erased)
        reasons = self._side_file(indexes) if bad else []
        most = self._options.max_bad
        allowed = most if isinstance(most, int) else int(most * self._manifest.counts.lines)
        if bad > allowed:
            self._manifest.state, self._manifest.finished = REFUSED, now()
            save(self._engine, self._manifest)
            raise TooManyBadError(
                f"{bad:,} of {self._manifest.counts.lines:,} lines are bad, more than the {allowed:,} allowed; nothing "
                f"was written. They are in {self._folder / BAD}: mend them, or allow more (--max-bad); the first: "
                f"{reasons[0]}"
            )

    def _side_file(self, indexes: dict[Path, Index]) -> list[str]:
        """Puts all bad lines into one file, in the order of the files; gives the first reasons."""
        first: list[str] = []
        temporary = self._folder / f"{BAD}.part"
        with temporary.open("wb") as file:
            at, before = -1, 0
            for path, index in indexes.items():
                number = int(path.stem[:4])
                source = self._sources[number]
                at, before = number, before if number == at else 0
                for bad in read_bad(path) if index.bad else []:
                    line = bad.line + (before if source.format == "ndjson" else 0)
                    told = {"file": source.name, "line": line, "reason": bad.reason, "text": bad.text}
                    file.write(msgspec.json.encode(told) + b"\n")
                    if len(first) < 3:
                        first.append(f"{source.name}, line {line}: {bad.reason}")
                before += index.lines
        temporary.replace(self._folder / BAD)
        return first

    # loading: merge, load

    def _load(self, workers: Workers, indexes: dict[Path, Index]) -> None:
        manifest = self._manifest
        numbers = sorted({day for index in indexes.values() for day in index.days})
        manifest.days = [day_of(day * DAY) for day in numbers]
        manifest.state = LOADING
        save(self._engine, manifest)
        self._said = Progress("loading", 0, _bytes(indexes), self._said.events, self._said.bad)
        if isinstance(self._engine, Bulk):
            self._load_files(workers, indexes, self._engine)
        else:
            self._put_cells(indexes)

    def _load_files(self, workers: Workers, indexes: dict[Path, Index], engine: Bulk) -> None:
        days = [day for day in self._manifest.days if not engine.laid(day, self._manifest.number)]
        self._recall(indexes, days)
        for _ in range(TRIES - 1):
            before = engine.sequence()
            parts = self._merged(workers, indexes, days, engine.files(), before)
            with self._log.gate.alone():  # from the look on nothing is written, and no day dropped, until all are laid
                if engine.sequence() == before:
                    self._lay(engine, days, parts)
                    return
            # Something was written meanwhile, that must not be gone over.
        with self._log.gate.alone():  # writes have to wait for once
            self._lay(engine, days, self._merged(workers, indexes, days, engine.files(), engine.sequence()))

    def _lay(self, engine: Bulk, days: Sequence[str], parts: Sequence[tuple[str, Merged]]) -> None:
        """Puts the merged files into their days."""
        for day in days:
            made = [part for of_day, part in parts if of_day == day]
            for part in made:
                self._add(part.events, part.repeated, part.present)
            self._remember_counts(day, made)
            if files := [file for part in made for file in part.files]:
                engine.lay(day, files, self._manifest.number)

    def _merged(
        self, workers: Workers, indexes: dict[Path, Index], days: Sequence[str], files: Any, sequence: int
    ) -> list[tuple[str, Merged]]:
        """The parts of the days as files, those that are there already included."""
        folder = self._folder / "sorted" / str(sequence)
        for other in (self._folder / "sorted").glob("*"):
            if other != folder:
                shutil.rmtree(other)
        folder.mkdir(parents=True, exist_ok=True)
        self._said.done = 0
        parts: dict[Path, tuple[str, Merged]] = {}
        todo: dict[Path, Task] = {}
        for name, task in self._tasks(indexes, days):
            record = folder / f"{name}.json"
            made = read_merged(record)
            if made is None:
                todo[record] = task
            else:
                parts[record] = (task.day, made)
        for (record, *_), made in workers.run(merge_part, [(record, task, files) for record, task in todo.items()]):
            parts[record] = (todo[record].day, made)
            self._said.done += todo[record].bytes
            self._say()
        return [parts[record] for record in sorted(parts)]

    def _tasks(self, indexes: dict[Path, Index], days: Sequence[str]) -> Iterator[tuple[str, Task]]:
        """The days in parts of adjoining buckets, of about the same size."""
        over = frozenset({self._manifest.number, *self._manifest.replaces})
        for day in days:
            number = day_start(day) // DAY
            runs = [(str(path), index.days[number]) for path, index in indexes.items() if number in index.days]
            for first, last in adjoining([offsets for _, offsets in runs], PART_BYTES):
                yield f"{day}-{first:03d}", Task(day, of_buckets(runs, first, last), stored=True, over=over)

    def _remember_counts(self, day: str, made: Sequence[Merged]) -> None:
        """Keeps a day's counts, for whoever goes on after the day was loaded."""
        sums = [sum(getattr(part, name) for part in made) for name in ("events", "repeated", "present")]
        temporary = self._folder / "counts.part"
        temporary.write_bytes(msgspec.json.encode(sums))
        temporary.replace(self._folder / f"{day}.counts")

    def _recall(self, indexes: dict[Path, Index], days: Sequence[str]) -> None:
        """Adds the counts of the days that are loaded already."""
        for day in set(self._manifest.days) - set(days):
            kept = self._folder / f"{day}.counts"
            self._add(*msgspec.json.decode(kept.read_bytes(), type=tuple[int, int, int]))

    def _add(self, events: int, repeated: int, present: int) -> None:
        counts = self._manifest.counts
        counts.events += events
        counts.repeated += repeated
        counts.present += present

    # loading, where the engine takes cells only

    def _put_cells(self, indexes: dict[Path, Index]) -> None:
        """Puts all cells. Those that this import put before it was interrupted are put again: they are the same."""
        schemas = self._log.catalog.by_code
        for _, task in self._tasks(indexes, self._manifest.days):
            counts = {"events": 0, "repeated": 0, "present": 0}
            for cells, _ in merge(task, schemas, self._present, counts):
                for start in range(0, len(cells), PUT_CELLS):
                    counts["events"] -= self._put(cells.part(start, start + PUT_CELLS))
            self._add(**counts)
            self._said.done += task.bytes
            self._say()

    def _put(self, cells: Cells) -> int:
        """Puts cells, without those of users whom another machine has erased meanwhile; gives how many these are."""
        found = [_cell(*cell) for cell in cells]
        with self._log.gate.shared():  # nobody is forgotten, and no day dropped, between look and put
            self._erased = erasure.load(self._engine, self._erased)
            kept = [cell for cell in found if not self._erased.covers_row(cell.row)] if self._erased else found
            if kept:
                self._engine.put(kept)
        gone = len(found) - len(kept)
        self._manifest.counts.erased += gone
        return gone

    def _present(self, _day: str, wanted: Sequence[bytes]) -> dict[bytes, bytes]:
        """The heads that the engine holds under any of these keys."""
        rows = sorted({key[: keys.row_end(key)] for key in wanted})
        asked = frozenset(wanted)
        ranges = [keys.Range(row, keys.after(row)) for row in rows]
        found: dict[bytes, bytes] = {}
        for batch in self._engine.read(ranges, Want(bodies=False, notes=False), ReadCounts()):
            found |= {cell.row + cell.place: cell.head for cell in batch if cell.row + cell.place in asked}
        return found

    def _give_way(self, number: int) -> None:
        """Removes what an earlier import wrote, that this one replaces and did not go over."""
        other = next((one for one in all_imports(self._engine) if one.number == number), None)
        if other is not None and other.state == DONE:
            self._said = Progress(f"removing import {number}", 0, len(other.days))
            for day in other.days:
                remove_batch(self._engine, day, number)
                self._said.done += 1
                self._say()
            other.state = REPLACED
            save(self._engine, other)


def _cell(key: bytes, head: bytes, body: bytes) -> Cell:
    end = keys.row_end(key)
    return Cell(key[:end], key[end:], head, body)


def _bytes(indexes: dict[Path, Index]) -> int:
    return sum(offsets[-1] - offsets[0] for index in indexes.values() for offsets in index.days.values())
