"""What runs in a task of Hadoop's: a stage of the job, from what Hadoop gives on standard input to what it takes.

    map      standard input is lines of a file, which the environment names; or one split of ours after another
    reduce   standard input is sorted pairs (see `wire`)

The folder that was shipped has all that a task needs to know in `task.json`, a Task.
"""

import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from mrjerb.engines.hadoop.delivery import Delivery
from mrjerb.engines.hadoop.lines import HadoopFile, blocks_of_file
from mrjerb.engines.hadoop.reports import Heartbeat, failure_line, say
from mrjerb.engines.hadoop.sinks import Combining, Lines, Part, Shuffle, Sink
from mrjerb.engines.hadoop.wire import PREFIX, chunks
from mrjerb.engines.reporting import Largest, Report
from mrjerb.engines.shipping import at_home, import_from
from mrjerb.errors import EngineError, RecordError, UsageError
from mrjerb.groups import groups
from mrjerb.inputs import Block
from mrjerb.inputs.reading import name_of, read
from mrjerb.job import Job, context_of, record_type
from mrjerb.loading import job_of
from mrjerb.outputs.parts import TABLES, ending, open_part
from mrjerb.outputs.protocols import encoder
from mrjerb.plan import PartFile, Source, Split, TaskReport
from mrjerb.running import Skipped, as_blocks, failure, set_path, stage_pairs
from mrjerb.shuffle import partition_for
from mrjerb.stages import stages_of

BUFFER: Final = 1 << 20
MAP: Final = "map"
REDUCE: Final = "reduce"


class Task(msgspec.Struct, frozen=True):
    """What every task of a run is told. Paths are within the folder that was shipped, or the task's own.

    inputs: of Hadoop's names of files, what people call each, and its format, so far as Hadoop reads them itself.
    java_partitioner: whether a Java class says where keys go. origins: where the files of the code were, as tracebacks
    name them. aside: whether tasks write parts themselves, whose standard output they are else. settings, hadoop:
    generic options and the command, for places that only Hadoop can write to.
    """

    source: Source
    reducers: int
    partitioner: str | None
    java_partitioner: bool
    output_format: str
    compression: str = ""
    skip_bad: int = 0
    aside: bool = False
    settings: Sequence[str] = ()
    hadoop: str = ""
    inputs: Mapping[str, HadoopFile] = {}
    files: Mapping[str, str] = {}
    origins: Mapping[str, str] = {}
    archives: Mapping[str, str] = {}


def main(folder: str, kind: str, number: int) -> None:
    """Run a stage; the process ends with 1 where it fails, and has said why."""
    output = _own_output()
    try:
        with output:
            _Running(Path(folder), number, output).run(kind)
    except BrokenPipeError:  # Hadoop has ended the task
        os._exit(1)
    except BaseException as error:
        say(failure_line(_as_launched(error, Path(folder))))
        sys.stderr.flush()
        os._exit(1)  # nothing of the job's own can hold it up


def _as_launched(error: BaseException, folder: Path) -> BaseException:
    """A record's error, with the job's files named as they were where it was launched."""
    if isinstance(error, RecordError):
        origins = msgspec.json.decode((folder / "task.json").read_bytes(), type=Task).origins
        for name in (folder.name, folder.resolve().name):
            error.trace = at_home(error.trace, name, origins)
    return error


def _own_output() -> IO[bytes]:
    """Standard output as the task's alone: what the job prints goes to standard error, where it can't be taken for
    pairs."""
    output = os.fdopen(os.dup(1), "wb", BUFFER)
    os.dup2(2, 1)
    return output


class _Running:
    """A stage that is being run."""

    def __init__(self, folder: Path, number: int, output: IO[bytes]) -> None:
        self.task = msgspec.json.decode((folder / "task.json").read_bytes(), type=Task)
        self.job = _loaded(self.task, folder)
        self.stage = stages_of(self.job)[number]
        self.partition = int(_told("task_partition", "0"))
        self.skipped = Skipped(self.task.skip_bad)
        self.at, self.began = time.time(), time.monotonic()
        self.items = 0
        self.of = (self.partition, 0)
        self.largest = Largest(number, self.partition)
        self.before: list[Report] = []
        self.shuffle: Shuffle | None = None
        self.delivery: Delivery | None = None
        self.sink = self._sink(output)

    def run(self, kind: str) -> None:
        heartbeat = Heartbeat(lambda: (self.items, self.sink.pairs))
        self._around("setup")
        try:
            self.sink.take(self._mapped() if kind == MAP else self._reduced())
            self.sink.close()
        finally:
            self._around("teardown")
            heartbeat.close()
        self._tell()

    def _around(self, when: str) -> None:
        try:
            getattr(self.job, when)()
        except Exception as error:
            raise failure(error, f"{when}()") from error

    def _sink(self, output: IO[bytes]) -> Sink:
        step = self.stage.shuffle
        if step is None or self.stage.groups is not None:
            self.delivery = Delivery(self.task.settings, self.task.hadoop)
        if step is None and self.delivery and self.task.aside:
            return self._part(self.delivery.folder)
        if step is None:
            return Lines(output, encoder(self.task.output_format))
        place = None if self.task.java_partitioner else partition_for(step, self.task.partitioner)
        self.shuffle = shuffle = Shuffle(output, step, place, self.task.reducers)
        if not self.partition and place is not None:
            shuffle.reach_all()
        return Combining(shuffle, step, self.skipped) if step.combine else shuffle

    def _part(self, folder: str) -> Part:
        task, name = self.task, f"made-{self.partition:05d}"
        try:
            part = open_part(folder, name, format=task.output_format, compression=task.compression)
        except (ImportError, UsageError) as error:
            python = f"{sys.executable} on {socket.gethostname()}"
            what = task.output_format if task.output_format in TABLES else task.compression
            raise EngineError(f"{python} can't write {what}: {error}: give --python-env a Python that has it") from None
        return Part(part, skips=task.skip_bad > 0)

    def _mapped(self) -> Iterator[tuple[Any, Any]]:
        """The pairs of what Hadoop gave to this task."""
        record = record_type(self.job, self.stage.maps[0])
        name = _told("map_input_file", "")
        file = self.task.inputs.get(name)
        if file is not None:
            start = int(_told("map_input_start", "0"))
            self.of = file.at, start
            yield from self._map_blocks(blocks_of_file(sys.stdin.buffer, file, start, record), file.name)
            return
        if self.task.inputs:
            raise EngineError(f"Hadoop gave a task {name!r}, which is none of the inputs: it may have been replaced")
        for at, split in _splits(sys.stdin.buffer):
            self.of = at, split.start
            yield from self._map_blocks(read(split, record=record), name_of(split))

    def _map_blocks(self, blocks: Iterator[Block], path: str) -> Iterator[tuple[Any, Any]]:
        set_path(self.job, path)
        yield from stage_pairs(self.stage, self.sink.function, self._counted(blocks), self.skipped)
        set_path(self.job, None)

    def _reduced(self) -> Iterator[tuple[Any, Any]]:
        """The pairs of the groups of this task's partition."""
        step = self.stage.groups
        assert step is not None
        prefixed = 0 if self.task.java_partitioner else PREFIX
        pairs = chunks(sys.stdin.buffer, self.before, ordered=step.order is not None, prefixed=prefixed)
        blocks = self._counted(as_blocks(groups(pairs, self.largest.told), self.stage.name))
        yield from stage_pairs(self.stage, self.sink.function, blocks, self.skipped)

    def _counted(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for block in blocks:
            yield block
            self.items += len(block.records)

    def _tell(self) -> None:
        """Hand on what this task did, and what those told whose output it has read: a map to the reduce behind it, all
        others beside what they wrote."""
        reports = [*self.before, self._report()]
        if self.delivery is not None:
            self.delivery.report(self.partition, reports)
            self.delivery.send()
        elif self.shuffle is not None:
            self.shuffle.send(reports)

    def _report(self) -> Report:
        """What this task did."""
        part = f"part-{self.partition:05d}{ending(self.task.output_format, self.task.compression)}"
        pairs, seconds = self.sink.pairs, time.monotonic() - self.began
        return Report(
            TaskReport(self.stage.number, f"task {self.partition}", seconds, self.items, pairs, began=self.at),
            dict(context_of(self.job).counters),
            self.skipped.found,
            self.largest.groups(),
            part=PartFile(part, pairs, 0, self.of) if self.shuffle is None else None,
        )


def _told(name: str, otherwise: str) -> str:
    """What Hadoop's job configuration says, which streaming hands on as the environment."""
    return os.environ.get(f"mapreduce_{name}", otherwise)


def _loaded(task: Task, folder: Path) -> Job:
    """The job, from the code that was shipped."""
    here = Path.cwd()
    import_from([str(folder / "code"), str(folder / "files"), *(str(here / one) for one in task.archives.values())])
    source = msgspec.structs.replace(task.source, path=str(folder / "code" / task.source.path))
    job = job_of(source)
    files = {name: folder / place for name, place in task.files.items()}
    context_of(job).files = files | {name: here / place for name, place in task.archives.items()}
    return job


def _splits(lines: IO[bytes]) -> Iterator[tuple[int, Split]]:
    """The splits that Hadoop gave as lines, each with its place among the inputs; Hadoop puts its own key before."""
    for line in lines:
        told = line.partition(b"\t")[2]
        if told.strip():  # a blank line: all inputs are empty
            yield msgspec.json.decode(told, type=tuple[int, Split])
