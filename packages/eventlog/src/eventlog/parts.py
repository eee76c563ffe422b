"""A scan in parts of about equal work, each of which can run anywhere: in a thread, a process, or on a cluster.

A part is plain values: where the log is, the event types, the question, and its own days and key ranges. Parts follow
each other as the scan itself reads, so that their answers, one after the other, are the scan's.
"""

import atexit
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice, pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventlog.engines import Engine
from eventlog.errors import EngineError, QueryError
from eventlog.keys import Range
from eventlog.questions import Question
from eventlog.reading import Entry
from eventlog.scan import Reads, Scan
from eventlog.times import day_start

if TYPE_CHECKING:
    import polars as pl

    from eventlog.log import Log

DAY_LENGTH: Final = day_start("1970-01-02")
PART_CELLS: Final = 200_000  # about, of one part that a worker reads at once: what bounds the memory
PARTS: Final = 4096  # at most, of one scan
WORKERS: Final = 256


class Part(msgspec.Struct, frozen=True):
    """A part of a scan. `types` are classes; `moment` tells one call of `parts` from another."""

    url: str
    types: tuple[type, ...]
    asked: Question
    within: tuple[Range, ...]
    moment: str

    def scan(self, log: "Log | None" = None) -> Scan:
        """The part as a scan, on an open log or on one that this process opens for reading, and keeps."""
        found = log or opened(self.url, self.types, self.moment)
        return Scan(found.engine, found.catalog, self.asked, list(self.within))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.scan())

    def frames(self) -> "Iterator[pl.DataFrame]":
        """The part's lines as tables."""
        return self.scan().frames()

    def polars(self) -> "pl.DataFrame":
        """The part's lines as one table."""
        return self.scan().polars()


def parts(scan: Scan, count: int) -> list[Part]:
    """A scan as about `count` parts, in its own order. Raises QueryError outside of 1 to 4096."""
    if not 1 <= count <= PARTS:
        raise QueryError(f"parts: {count} is not from 1 to {PARTS:,}")
    types = tuple(schema.cls for schema in scan.catalog)
    moment = os.urandom(8).hex()
    asked = msgspec.structs.replace(scan.asked, columns=tuple(scan.empty().columns))  # the same, whatever is new there
    return [
        Part(scan.engine.url, types, msgspec.structs.replace(asked, since=since, until=until), within, moment)
        for since, until, within in _pieces(scan, count)
    ]


def _pieces(scan: Scan, count: int) -> Iterator[tuple[int, int, tuple[Range, ...]]]:
    """Times and ranges of each part. Days that the engine keeps apart are cut first, then each day's ranges."""
    asked = scan.asked
    days = _days(scan.engine, asked)
    if days is None:
        for within in divide(scan.within, count, scan.engine):
            yield asked.since, asked.until, within
        return
    for group, share in groups(days, count):
        since = max(asked.since, day_start(group[0]))
        until = min(asked.until, day_start(group[-1]) + DAY_LENGTH)
        for within in divide(scan.within, share, scan.engine):
            yield since, until, within


def _days(engine: Engine, asked: Question) -> list[tuple[str, int]] | None:
    """The days of a question with their sizes, from an engine that keeps days apart."""
    sizes: Callable[[int, int], list[tuple[str, int]]] | None = getattr(engine, "day_sizes", None)
    return None if sizes is None else sizes(asked.since, asked.until)


def groups(days: Sequence[tuple[str, int]], count: int) -> list[tuple[list[str], int]]:
    """Days one after the other in groups of about equal size, and into how many parts each group is to be cut.

    Only a day alone is cut: a scan reads all ranges of a day before the next day.
    """
    share = sum(size for _, size in days) / count
    found: list[tuple[list[str], int]] = []
    group: list[str] = []
    held = 0
    for day, size in days:
        if size >= share:
            found += [(group, 1)] if group else []
            found.append(([day], max(1, round(size / share)) if share else 1))
            group, held = [], 0
            continue
        group.append(day)
        held += size
        if held >= share:
            found.append((group, 1))
            group, held = [], 0
    return [*found, (group, 1)] if group else found


def divide(within: Sequence[Range], count: int, engine: Engine) -> list[tuple[Range, ...]]:
    """Ranges in at most `count` lots of about equal size: whole ranges where there are many, cut ones where few."""
    if not within:
        return []
    if len(within) < count:
        cuts = -(-count // len(within))
        return [(piece,) for one in within for piece in engine.split(one, cuts)]
    edges = [len(within) * part // count for part in range(count + 1)]
    return [tuple(within[start:stop]) for start, stop in pairwise(edges)]


def run(scan: Scan, workers: int) -> "Iterator[pl.DataFrame]":
    """A scan's tables by several workers, in the scan's own order; adds up `scan.reads`.

    Processes, where the engine can be opened beside itself, else threads. Reads a few parts ahead and no more.
    """
    if not 1 <= workers <= WORKERS:
        raise QueryError(f"workers: {workers} is not from 1 to {WORKERS}")
    scan.reads = Reads()
    days = _days(scan.engine, scan.asked)
    cells = sum(size for _, size in days) if days else 0
    cut = parts(scan, min(PARTS, max(workers * 4, cells // PART_CELLS)))
    if getattr(scan.engine, "apart", False):
        try:
            yield from _ahead(scan, [(_answer, part) for part in cut], _processes(workers), workers)
        finally:
            scan.catalog.metrics.read(scan.reads)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="eventlog-scan") as pool:
        yield from _ahead(scan, [(_within(scan), part) for part in cut], pool, workers)


Answer = tuple[Reads, "list[pl.DataFrame]"]
Task = tuple[Callable[[Part], Answer], Part]


def _answer(part: Part) -> Answer:
    """What a worker gives for a part. Runs in another process."""
    return _answered(part.scan())


def _within(scan: Scan) -> Callable[[Part], Answer]:
    return lambda part: _answered(Scan(scan.engine, scan.catalog, part.asked, list(part.within)))


def _answered(one: Scan) -> Answer:
    import polars as pl

    frames = list(one.frames())
    return one.reads, [pl.concat(frames, rechunk=True)] if frames else []


def _ahead(scan: Scan, tasks: list[Task], pool: Executor, workers: int) -> "Iterator[pl.DataFrame]":
    """The tasks' tables in order, with no more than a few tasks begun and not yet given."""
    from eventlog.tables import same_kinds

    waiting: deque[Future[Answer]] = deque()
    schema = scan.empty().schema
    left = iter(tasks)
    try:
        waiting.extend(pool.submit(call, part) for call, part in islice(left, workers + 1))
        while waiting:
            reads, frames = waiting.popleft().result()
            waiting.extend(pool.submit(call, part) for call, part in islice(left, 1))
            add(scan.reads, reads)
            for frame in frames:
                same_kinds(frame, schema)
                yield frame
    except BrokenProcessPool:
        _forget_processes()
        raise EngineError(
            "a worker process of the scan ended: killed, out of memory, or started from a script that "
            "has no `if __name__ == '__main__':` around what it runs"
        ) from None
    finally:
        for one in waiting:
            one.cancel()


def add(total: Reads, more: Reads) -> None:
    """Adds what a part read to what the scan read."""
    for name in Reads.__struct_fields__:
        setattr(total, name, getattr(total, name) + getattr(more, name))


_lock: Final = Lock()
_pools: dict[int, ProcessPoolExecutor] = {}
_logs: "dict[tuple[str, Any], tuple[str, Log]]" = {}


def _processes(workers: int) -> ProcessPoolExecutor:
    """The pool of that many processes, kept for the next scan: starting one takes half a second.

    Each is a new interpreter, since a fork of a process with threads, as Polars starts them, may hang.
    """
    with _lock:
        if workers not in _pools:
            _pools[workers] = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
        return _pools[workers]


def _forget_processes() -> None:
    with _lock:
        for pool in _pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        _pools.clear()


atexit.register(_forget_processes)


def opened(url: str, types: Any, moment: str) -> "Log":
    """The log of a part, opened anew for each call of `parts`, so that it holds what was written before that."""
    from eventlog.log import open_log

    with _lock:
        found = _logs.get((url, types))
        if found is None or found[0] != moment:
            found = _logs[url, types] = (moment, open_log(url, types, read_only=True))
        return found[1]
