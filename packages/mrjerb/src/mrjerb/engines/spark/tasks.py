"""What runs in Spark's executors: one stage of a job over one split or partition.

A task sets the job up before its first item and tears it down after its last, whether or not its process runs others.
"""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from mrjerb.engines.reporting import Largest, Report
from mrjerb.engines.spark.combining import Combining
from mrjerb.engines.spark.exchange import Element, Received, Sender
from mrjerb.engines.spark.failures import told
from mrjerb.engines.spark.shipping import Shipped, load
from mrjerb.errors import JobError, MrjerbError
from mrjerb.groups import by_key, groups
from mrjerb.inputs import Block
from mrjerb.inputs.reading import name_of, read
from mrjerb.job import Pair, Step, context_of
from mrjerb.outputs.parts import PartWriter, open_part
from mrjerb.plan import PartFile, Split, TaskReport
from mrjerb.running import Skipped, as_blocks, aside, beyond, failure, keyed, pairs_of, set_path, stage_pairs
from mrjerb.stages import Function

PairStream = Generator[tuple[Any, Any], None, None]


@dataclass(frozen=True)
class Work:
    """What every task of a stage is told."""

    shipped: Shipped
    stage: int
    partitions: int
    partitioner: str | None
    skip_bad: int
    staging: str
    output_format: str
    compression: str
    memory: int
    """Megabytes that a Python may use before it sorts on disk."""


class Mapping:
    """Runs the first stage over a split: what `mapPartitionsWithIndex` calls."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def __call__(self, index: int, elements: Iterable[Split]) -> Iterator[Any]:
        for split in elements:  # one, or none where there is no input
            yield from _Task(self.work, index, task_name(split), (index, split.start)).run(split, ())


class Reducing:
    """Runs a later stage over a partition, sorted."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def __call__(self, index: int, elements: Iterable[Element]) -> Iterator[Any]:
        yield from _Task(self.work, index, f"partition {index}", (index, 0)).run(None, elements)


def task_name(split: Split) -> str:
    """What the task of a split is called."""
    return f"{name_of(split)}:{split.start}-{split.end}"


class _Task:
    """One task from its first item to its last, and what it tells of itself."""

    def __init__(self, work: Work, index: int, name: str, of: tuple[int, int]) -> None:
        self.work, self.index, self.name, self.of = work, index, name, of
        self.at, self.began = time.time(), time.monotonic()
        self.skipped = Skipped(work.skip_bad)
        self.largest = Largest(work.stage, index)
        self.before: list[Report] = []
        self.items = self.pairs = self.bytes = 0
        self.part: PartFile | None = None
        with self.failing():
            self.job, self.stage, self.record = load(work.shipped, work.stage)

    def run(self, split: Split | None, elements: Iterable[Element]) -> Iterator[Any]:
        """Elements of the shuffle that follows, or one list of reports where the output was written."""
        step = self.stage.shuffle
        with self.failing():
            sender = None if step is None else Sender(step, self.work.partitions, self.work.partitioner, self.index)
            with self.set_up(split):
                blocks = self.split_blocks(split) if split is not None else self.group_blocks(elements)
                if sender is None:
                    self.write(blocks)
                else:
                    yield from sender.numbered(self.sent(sender, blocks))
                    self.pairs = sender.number
            reports = [*self.before, self.report()]
            yield reports if sender is None else sender.reports(reports)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Errors leave as what the driver can read."""
        try:
            yield
        except MrjerbError as error:
            raise told(error) from error
        except Exception as error:  # of the job's setup, say: what concerns a record is a RecordError by now
            where = self.name if self.work.stage == 0 else f"reduce {self.work.stage}, {self.name}"
            raise told(failure(error, where)) from error

    @contextmanager
    def set_up(self, split: Split | None) -> Iterator[None]:
        """The job is ready for this task, and afterwards has nothing of it."""
        context_of(self.job).counters = {}
        set_path(self.job, None if split is None else name_of(split))
        self.job.setup()
        try:
            yield
        except BaseException:
            with suppress(Exception):
                self.job.teardown()
            raise
        self.job.teardown()

    def split_blocks(self, split: Split) -> Iterator[Block]:
        """A split's records."""
        for block in read(split, record=self.record):
            yield block
            self.items += len(block.records)
            self.bytes += block.size

    def group_blocks(self, elements: Iterable[Element]) -> Iterator[Block]:
        """A partition's groups. The reports that came with it are kept, and their bad records counted together."""
        received = Received(self.sized(elements))
        self.before = received.reports
        beyond([bad for report in self.before for bad in report.bad], self.work.skip_bad)
        assert self.stage.groups is not None
        chunks = by_key(received.chunks()) if self.stage.groups.order is not None else received.chunks()
        yield from as_blocks(groups(chunks, self.largest.told), self.stage.name)
        self.items = self.largest.number

    def sized(self, elements: Iterable[Element]) -> Iterator[Element]:
        for element in elements:
            self.bytes += len(element[0]) + len(element[1])
            yield element

    def passed(self, wrapped: Callable[[Function], Function], blocks: Iterable[Block]) -> PairStream:
        """The stage's pairs as `wrapped` makes them."""
        return stage_pairs(self.stage, wrapped, blocks, self.skipped)

    def sent(self, sender: Sender, blocks: Iterable[Block]) -> Iterator[Element]:
        """The stage's pairs as elements, combined if the step does so."""
        step = self.stage.shuffle
        assert step is not None
        if step.combine is None:
            return self.passed(sender.function, blocks)
        return self.combined(step, sender, blocks)

    def combined(self, step: Step, sender: Sender, blocks: Iterable[Block]) -> Iterator[Element]:
        combining = Combining(step, self.skipped, memory=self.work.memory)
        for when, block in (("begin", step.combine_begin), ("end", step.combine_end)):
            if when == "end":
                found = as_blocks(combining.groups(self.passed(keyed, blocks)), "combine")
                yield from pairs_of(found, sender.function(combining.function), self.skipped)
            if block is not None:
                yield from aside(block(), f"combine, {when}", sender.function)

    def write(self, blocks: Iterable[Block]) -> None:
        """The stage's pairs into a part of the output, under a name that only this attempt has."""
        work = self.work
        name = f"made-{self.of[0]}-{self.of[1]}-{_attempt()[0]}"
        part = open_part(work.staging, name, format=work.output_format, compression=work.compression)
        try:
            _write(part, self.passed(lambda function: function, blocks))
        except BaseException:
            part.abort()
            raise
        name, self.pairs, size = part.close()
        self.part = PartFile(name, self.pairs, size, self.of)

    def report(self) -> Report:
        """What is told of this task, when it is over."""
        from pyspark import shuffle

        seconds = time.monotonic() - self.began
        return Report(
            TaskReport(self.work.stage, self.name, seconds, self.items, self.pairs, self.bytes, os.getpid(), self.at),
            dict(context_of(self.job).counters),
            self.skipped.found,
            self.largest.groups(),
            spilled=shuffle.DiskBytesSpilled,
            failed=_attempt()[1],
            part=self.part,
        )


def _write(part: PartWriter, pairs: PairStream) -> None:
    """Write all pairs. What the format can't hold fails as if the job had failed there: at its record."""
    write = part.write
    pair = next(pairs, None)
    while pair is not None:
        try:
            write(*pair)
        except JobError as error:
            pair = _thrown(pairs, error)
        else:
            pair = next(pairs, None)


def _thrown(pairs: PairStream, error: Exception) -> Pair | None:
    try:
        return pairs.throw(error)
    except StopIteration:
        return None


def _attempt() -> tuple[int, int]:
    """The number of this attempt at a task, unique in the application, and how many failed before it."""
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None
    return context.taskAttemptId(), context.attemptNumber()
