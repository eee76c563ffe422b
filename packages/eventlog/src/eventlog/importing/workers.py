"""The processes that sort and merge. Each lives as long as the import, and not longer: not even if that is killed."""

import errno
import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from threading import Thread
from typing import Any, Final, TypeVar

import msgspec

from eventlog.engines import Files
from eventlog.errors import EngineError
from eventlog.importing.inputs import Piece
from eventlog.importing.merging import Task, merge
from eventlog.importing.runs import Index
from eventlog.importing.sorting import Job, Sorter, load_schemas, sources_of
from eventlog.schema import Schema

R = TypeVar("R")
FULL: Final = "the disk is full; the import is not done: free some space, and repeat"
AHEAD: Final = 2  # tasks for each worker that wait or run

_here: dict[str, Sorter] = {}


class Workers:
    """Runs tasks, in other processes or (where `pool` is None) here."""

    def __init__(self, pool: ProcessPoolExecutor | None, count: int) -> None:
        self._pool = pool
        self._most = AHEAD * max(1, count)

    def run(
        self, call: Callable[..., R], tasks: Iterator[tuple[Any, ...]] | Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[tuple[Any, ...], R]]:
        """The tasks with their results, as they are done. Tasks are asked for as there are hands for them."""
        if self._pool is None:
            for task in tasks:
                yield task, _told(lambda task=task: call(*task))
            return
        running: dict[Future[R], tuple[Any, ...]] = {}
        for task in tasks:
            running[self._pool.submit(call, *task)] = task[:1]  # a piece itself is not kept
            if len(running) >= self._most:
                yield from _done(running)
        while running:
            yield from _done(running)


def _done(running: dict[Future[R], tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], R]]:
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        task = running.pop(future)
        yield task, _told(future.result)


def _told(call: Callable[[], R]) -> R:
    try:
        return call()
    except BrokenProcessPool:
        raise EngineError(
            "a worker of the import ended, perhaps for want of memory; repeat it, with fewer --workers"
        ) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise EngineError(FULL) from None
        raise EngineError(f"a worker of the import could not go on: {error}") from None


@contextmanager
def hired(count: int, job: Job, schemas: Sequence[Schema]) -> Iterator[Workers]:
    """Workers for an import; none but this process where `count` is 0, or where they could not load the types."""
    if count == 0 or sources_of(schemas) is None:
        _here["sorter"] = Sorter(job, schemas)
        try:
            yield Workers(None, 0)
        finally:
            _here.clear()
        return
    pool = ProcessPoolExecutor(
        count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(job,)
    )
    try:
        yield Workers(pool, count)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(job: Job) -> None:
    """The beginning of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    _here["sorter"] = Sorter(job, load_schemas(job.types))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


@contextmanager
def _no_cycles() -> Iterator[None]:
    """Keeps Python from looking for cycles among hundreds of thousands of tuples, again and again: there are none."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def sort_piece(path: Path, piece: Piece) -> Index:
    """Makes the sorted run of a piece."""
    with _no_cycles():
        return _here["sorter"].sort(piece, path)


class Merged(msgspec.Struct):
    """What a part of a day came to, in files that the engine takes in."""

    files: list[str]
    events: int
    repeated: int
    present: int


def merge_part(record: Path, task: Task, files: Files) -> Merged:
    """Writes the sorted files of a part of a day, and last the record that they are whole."""
    counts = {"events": 0, "repeated": 0, "present": 0}
    schemas = _here["sorter"].schemas
    with _no_cycles():
        cells = merge(task, schemas, files.present if task.stored else None, counts)
        written = files.write(record.with_suffix(""), cells)
    made = Merged(written, **counts)
    temporary = record.with_suffix(f".{os.getpid()}.part")
    temporary.write_bytes(msgspec.json.encode(made))
    temporary.replace(record)
    return made


def read_merged(record: Path) -> Merged | None:
    """The record of a part that is whole, or None."""
    try:
        found = msgspec.json.decode(record.read_bytes(), type=Merged)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return found if all(Path(file).exists() for file in found.files) else None
