"""A worker of a local run: a process that takes tasks one after another, and commits what they made.

What goes to a shuffle stays in the worker's table from task to task, and is committed when the table is written, so
that a key's pairs meet early. What goes to the output is committed task by task.
"""

import gc
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import msgspec

from mrjerb.engines.local.merging import sorted_chunks
from mrjerb.engines.local.processes import lead_group
from mrjerb.engines.local.table import Spill, Table, table_of
from mrjerb.engines.local.tasks import Commit, Done, Failed, Flush, Gave, Give, Progress, Stop, Task
from mrjerb.errors import EngineError, MrjerbError
from mrjerb.groups import by_key, groups
from mrjerb.inputs import Block
from mrjerb.inputs.reading import read
from mrjerb.job import context_of
from mrjerb.keys import decode
from mrjerb.memory import MEGABYTE
from mrjerb.outputs.parts import PartWriter, open_part
from mrjerb.plan import Group, PartFile, Plan, TaskReport
from mrjerb.running import Skipped, all_or_nothing, as_blocks, each, failure, set_path
from mrjerb.shuffle import partition_for
from mrjerb.stages import Function, Stage

TELL: Final = 0.2  # seconds between two words of progress
TOGETHER: Final = 60.0  # seconds after which a table is written, so that a death costs no more than that
LARGEST_GROUPS: Final = 10
GIVEN: Final = 4 * MEGABYTE  # what is worth being given to another worker, at least


def main(plan: Plan, pipe: Connection, number: int, folder: str, memory: int, partitions: int) -> None:
    """A worker process from its start to its end."""
    lead_group(os.getpid())
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_DFL)
    _print_to_stderr()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    worker = Worker(plan, pipe, number, Path(folder), memory, partitions)
    try:
        worker.serve()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(1)  # the launcher is gone
    except MrjerbError as error:
        worker.failed(error)
    except MemoryError:
        worker.failed(EngineError(f"worker {number} has no memory left; give --memory less, or fewer --workers"))
    except BaseException as error:  # whatever it is, the launcher has to hear of it
        found = failure(error, f"worker {number}")
        worker.failed(EngineError(str(found)))


def _print_to_stderr() -> None:
    """What a job prints is no result: it goes to standard error, line by line, since this process may be killed."""
    with suppress(OSError):
        os.dup2(2, 1)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True, write_through=False)


class Worker:
    """Runs tasks of one stage after another."""

    def __init__(self, plan: Plan, pipe: Connection, number: int, folder: Path, memory: int, partitions: int) -> None:
        self.plan, self.pipe, self.number, self.folder = plan, pipe, number, folder
        self.memory, self.partitions = memory, partitions
        self.stage: Stage | None = None
        self.table: Table | None = None
        self.skipped = Skipped(plan.settings.skip_bad)
        self.commit = Commit()
        self.began = time.monotonic()
        self.read = 0
        self.told = 0.0
        self.values = 0
        self.task: Task | None = None

    def serve(self) -> None:
        """Do as the launcher says, until it says to stop."""
        self.of_job("setup")
        while True:
            message = self.pipe.recv()
            if isinstance(message, Task):
                self.run(message)
            elif isinstance(message, Flush):
                self.send_commit(flushed=True)
            elif isinstance(message, Stop):
                self.of_job("teardown")
                self.send_commit()
                return

    def of_job(self, method: str) -> None:
        """Call the job's setup or teardown."""
        try:
            getattr(self.plan.job, method)()
        except (Exception, SystemExit) as error:
            raise failure(error, method) from error

    def run(self, task: Task) -> None:
        """One task from its first item to its last."""
        self.enter(self.plan.stages[task.stage])
        assert self.stage is not None
        self.task, began, clock, self.values = task, time.monotonic(), time.time(), 0
        set_path(self.plan.job, task.split.path if task.split is not None else None)
        blocks = self.split_blocks(task) if task.split is not None else self.group_blocks(task)
        items, pairs = self.into_table(blocks) if self.stage.shuffle is not None else self.into_part(task, blocks)
        self.commit.tasks.append(task.number)
        seconds = time.monotonic() - began
        report = TaskReport(task.stage, task.name, seconds, items, pairs, task.size, self.number, clock, self.values)
        self.commit.reports.append(report)
        self.task = None
        set_path(self.plan.job, None)
        if self.stage.shuffle is None or time.monotonic() - self.began > TOGETHER:
            self.send_commit()
        else:
            self.pipe.send(Done(task.number, report))

    def enter(self, stage: Stage) -> None:
        """Be ready for a stage's tasks."""
        if self.stage is stage:
            return
        self.stage, self.table = stage, None
        self.function: Function = all_or_nothing(stage.function) if self.skipped.allowed else stage.function
        if stage.shuffle is not None:
            partition = partition_for(stage.shuffle, self.plan.settings.partitioner)
            prefix = f"stage{stage.number}-worker{self.number}-{os.getpid()}"
            self.table = table_of(
                stage.shuffle, Spill(self.folder, prefix, self.memory, partition, self.partitions), self.skipped
            )

    def into_table(self, blocks: Iterable[Block]) -> tuple[int, int]:
        """A task's pairs into the table; how many items and pairs."""
        assert self.table is not None
        table, before, items = self.table, self.table.pairs, 0
        around = table.take(_itself)
        for _ in each(self.around("begin"), around, self.skipped):
            pass
        for block in each(blocks, table.take(self.function), self.skipped):
            items += len(block.records)
            self.tell(block.size)
            if block.size:
                table.look_now()
        for _ in each(self.around("end"), around, self.skipped):
            pass
        return items, table.pairs - before

    def into_part(self, task: Task, blocks: Iterable[Block]) -> tuple[int, int]:
        """A task's pairs into a part of the output."""
        settings = self.plan.settings
        name = f"made-{task.of[0]}-{task.of[1]}-{self.number}-{os.getpid()}"
        part = open_part(self.plan.staging, name, format=self.plan.output_format, compression=settings.compression)
        items = 0
        try:
            around = _writing(part, _itself)
            for _ in each(self.around("begin"), around, self.skipped):
                pass
            for block in each(blocks, _writing(part, self.function), self.skipped):
                items += len(block.records)
                self.tell(block.size)
            for _ in each(self.around("end"), around, self.skipped):
                pass
        except BaseException:
            part.abort()
            raise
        name, pairs, size = part.close()
        self.commit.parts.append(PartFile(name, pairs, size, task.of))
        return items, pairs

    def around(self, when: str) -> Iterator[Block]:
        """The stage's pairs from before its first item, or from after its last, as a block of one item."""
        assert self.stage is not None
        pairs = self.stage.begin() if when == "begin" else self.stage.end()
        name = f"{self.stage.name}, {'before its first' if when == 'begin' else 'after its last'} item"
        yield Block([pairs], lambda _: name, lambda _: "", 0)

    def split_blocks(self, task: Task) -> Iterator[Block]:
        split = task.split
        assert split is not None
        yield from read(split, record=self.plan.record, until=self.until)

    def group_blocks(self, task: Task) -> Iterator[Block]:
        """The groups of a partition, each a block; the largest of them are told with the commit."""
        stage = self.stage
        assert stage is not None
        assert stage.groups is not None
        sizes = _Largest()
        chunks = sorted_chunks(task.segments, self.folder, f"merge{task.number}-{os.getpid()}", self.memory, self.tell)
        found = groups(by_key(chunks) if stage.groups.order is not None else chunks, sizes.told)
        yield from as_blocks(found, stage.name)
        self.values = sizes.values
        self.commit.groups += [
            Group(task.stage, repr(decode(key))[:200], number, task.of[0]) for number, key in sizes.found
        ]

    def until(self, position: int) -> int:
        """Where the split being read ends by now, once requests to give some of it away are answered."""
        task = self.task
        assert task is not None
        assert task.split is not None
        split = task.split
        while self.pipe.poll():
            if isinstance(self.pipe.recv(), Give):
                half = (position + split.end) // 2
                given = split.end - half >= GIVEN
                if given:
                    task.split = split = msgspec.structs.replace(split, end=half)
                self.pipe.send(Gave(task.number, half if given else None))
        return split.end

    def tell(self, read: int) -> None:
        """Bytes have been read: say so now and then."""
        self.read += read
        now = time.monotonic()
        if now - self.told > TELL:
            self.pipe.send(Progress(self.read, context_of(self.plan.job).counters))
            self.read, self.told = 0, now

    def send_commit(self, *, flushed: bool = False) -> None:
        """Everything that was made since the last commit, to the launcher."""
        commit, self.commit = self.commit, Commit(flushed=flushed)
        commit.flushed = flushed
        if self.table is not None:
            commit.segments = self.table.flush()
        context = context_of(self.plan.job)
        commit.counters, context.counters = context.counters, {}
        commit.bad, self.skipped.found = self.skipped.found, []
        self.pipe.send(Progress(self.read, {}))
        self.read = 0
        self.pipe.send(commit)
        self.began = time.monotonic()

    def failed(self, error: Exception) -> None:
        """The run can't go on: why, and what is known by now."""
        self.pipe.send(Failed(error, context_of(self.plan.job).counters, self.skipped.found))


class _Largest:
    """The groups with the most values, and how many values all have."""

    def __init__(self) -> None:
        self.values = 0
        self.found: list[tuple[int, bytes]] = []
        self._least = 1

    def told(self, key: bytes, number: int) -> None:
        self.values += number
        if number > self._least:
            self.found.append((number, key))
            if len(self.found) > LARGEST_GROUPS:
                self.found.remove(min(self.found))
                self._least = min(self.found)[0]


def _writing(part: PartWriter, function: Function) -> Any:
    """A loop that writes a function's pairs."""
    write = part.write

    def loop(items: Iterator[Any]) -> None:
        for item in items:
            for key, value in function(item) or ():
                write(key, value)

    return loop


def _itself(item: Any) -> Any:
    return item
