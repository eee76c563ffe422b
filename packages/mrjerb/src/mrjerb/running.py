"""Items go through a stage's function, on every engine alike: who is told where it failed, what may be skipped.

An inner loop takes items from an iterator and knows nothing of errors. Where one comes out of it, the item is found by
how many are left in the iterator, so that a record which does not fail pays nothing.
"""

import linecache
import os
import pickle
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from operator import length_hint
from typing import Any, Final, cast

from mrjerb.errors import JobError, MrjerbError, RecordError
from mrjerb.inputs import Block
from mrjerb.job import Job, context_of
from mrjerb.keys import encode
from mrjerb.plan import BadRecord
from mrjerb.stages import Function, NoPairError, Stage

OWN: Final = os.path.dirname(__file__)  # noqa: PTH120 - as tracebacks name it: a Path would drop a leading ./
RAW: Final = 2000  # characters of a record, at most, in what is kept of it


class Skipped:
    """How many records may fail, and which did. Raises RecordError at one more."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.found: list[BadRecord] = []

    def add(self, bad: BadRecord, error: RecordError, cause: BaseException | None = None) -> None:
        """Keep a bad record, or raise where no more are allowed."""
        if len(self.found) >= self.allowed:
            raise error from cause
        self.found.append(bad)


def beyond(bad: Sequence[BadRecord], allowed: int) -> None:
    """Raises RecordError for the first bad record that is more than may be skipped."""
    if len(bad) > allowed:
        one = bad[allowed]
        raise RecordError(one.where, one.error, _shown(one.raw))


def all_or_nothing(function: Function) -> Function:
    """The function with its pairs made before any is used: what fails in its middle leaves nothing."""
    return lambda item: list(function(item) or ())


def each(blocks: Iterable[Block], take: Callable[[Iterator[Any]], None], skipped: Skipped) -> Iterator[Block]:
    """Have `take` use up each block's records, and give each block back when it is done.

    Raises RecordError where `take` raises at a record, unless that may be skipped; `take` then goes on with the next.
    """
    for block in blocks:
        records = iter(block.records)
        while True:
            try:
                take(records)
            except (Exception, SystemExit) as error:  # a job that ends the process fails at that record
                _failed(block, records, error, skipped)
            else:
                break
        if block.bad is not None:
            unread = RecordError(block.bad.where, block.bad.error, _shown(block.bad.raw))
            skipped.add(block.bad, unread)
        yield block


def pairs_of(blocks: Iterable[Block], function: Function, skipped: Skipped) -> Iterator[tuple[Any, Any]]:
    """All pairs of all records, one after another: for engines that ask for pairs instead of taking them."""
    if skipped.allowed:
        function = all_or_nothing(function)
    for block in blocks:
        records = iter(block.records)
        while True:
            try:
                for item in records:
                    for key, value in function(item) or ():  # noqa: UP028 - what is no pair fails here, not elsewhere
                        yield key, value
            except (Exception, SystemExit) as error:
                _failed(block, records, error, skipped)
            else:
                break
        if block.bad is not None:
            skipped.add(block.bad, RecordError(block.bad.where, block.bad.error, _shown(block.bad.raw)))


def stage_pairs(
    stage: Stage, wrapped: Callable[[Function], Function], blocks: Iterable[Block], skipped: Skipped
) -> Generator[tuple[Any, Any], None, None]:
    """A stage's pairs as `wrapped` makes them of its function's: those before the first item, of each item, after the
    last."""
    name = stage.name
    yield from aside(stage.begin(), f"{name}, before its first item", wrapped)
    yield from pairs_of(blocks, wrapped(stage.function), skipped)
    yield from aside(stage.end(), f"{name}, after its last item", wrapped)


def aside(
    pairs: Iterable[tuple[Any, Any]] | None, name: str, wrapped: Callable[[Function], Function]
) -> Iterator[tuple[Any, Any]]:
    """Pairs that no record yields, as `wrapped` makes them; `name` is what fails where they do."""
    block = Block([pairs], lambda _: name, lambda _: "", 0)
    yield from pairs_of([block], wrapped(lambda item: item), Skipped(0))


def keyed(function: Function) -> Function:
    """The function with its keys encoded: a key that can't be one fails at its record."""

    def encoded(item: Any) -> Iterator[tuple[bytes, Any]]:
        for key, value in function(item) or ():
            yield encode(key), value

    return encoded


def as_blocks(groups: Iterable[tuple[Any, Iterator[Any]]], name: str) -> Iterator[Block]:
    """Groups as a block, whose records come one by one, each named for its key when its reduce fails. How many records
    it has is known when it was used up."""
    stream = _Stream(groups)
    records = cast("list[Any]", stream)  # to whoever takes records, it is one
    yield Block(records, lambda _: f"{name}, key {stream.key!r:.200}", lambda _: repr(stream.key), 0)


def failure(error: BaseException, where: str) -> RecordError:
    """An exception of the job's own code as an error that names the place, with the job's own part of the traceback."""
    return RecordError(where, _summary(error), own_trace(error))


def own_trace(error: BaseException) -> str:
    """The traceback without what is ours: the job's frames, and what they called."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(OWN)]
    linecache.checkcache()
    return "".join(traceback.format_list(frames)).rstrip()


def stuck(values: Iterable[Any], error: Exception) -> JobError:
    """What to raise where values can't be pickled, on their way to a reduce: the first such is shown."""
    for value in values:
        try:
            pickle.dumps(value, 5)
        except Exception:
            return JobError(f"the value {value!r:.200} can't travel to a reduce: {error}; yield what pickle takes")
    return JobError(f"values can't travel to a reduce: {error}; yield what pickle takes")


def set_path(job: Job, path: str | None) -> None:
    """Tell the job which input its records are from."""
    context_of(job).path = path


class _Stream:
    """Groups as the records of a block: as many as were taken. The key is the last one's, which is what failed."""

    def __init__(self, groups: Iterable[tuple[Any, Iterator[Any]]]) -> None:
        self._groups = groups
        self._taken = 0
        self.key: Any = None
        self.error: Exception | None = None
        """What the groups themselves came to, which is no fault of the last one."""

    def __len__(self) -> int:
        return self._taken

    def __iter__(self) -> Iterator[tuple[Any, Iterator[Any]]]:
        try:
            for group in self._groups:
                self.key = group[0]
                self._taken += 1
                yield group
        except Exception as error:
            self.error = error
            raise


def _failed(block: Block, records: Iterator[Any], error: BaseException, skipped: Skipped) -> None:
    """Keep the record that an error came from, or raise it as a RecordError. Others' faults go on up."""
    if isinstance(error, MrjerbError) and not isinstance(error, JobError):
        raise error
    if isinstance(block.records, _Stream) and block.records.error is error:
        raise error
    at = len(block.records) - length_hint(records) - 1
    found = failure(error, block.where(at))
    skipped.add(BadRecord(found.where, found.summary, block.raw(at)[:RAW]), found, error)


def _summary(error: BaseException) -> str:
    """One line: the type of an error and its text; what a job most often gets wrong, in words."""
    text = str(error)
    if isinstance(error, NoPairError):
        return text
    if isinstance(error, TypeError | ValueError) and ("unpack" in text or "not iterable" in text):
        return f"map, combine and reduce yield pairs (key, value), and this one did not: {text}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _shown(raw: str) -> str:
    return f"  {raw:.200}" if raw else ""
