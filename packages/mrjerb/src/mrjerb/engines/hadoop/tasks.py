"""What runs in a task of Hadoop's: a stage of the job, from what Hadoop gives on standard input to what it takes.

    map      standard input is lines of a file, which the environment names; or one split of ours after another
    reduce   standard input is sorted pairs (see `wire`)

The folder that was shipped has all that a task needs to know in `task.json`, a Task.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from mrjerb.engines.hadoop.lines import HadoopFile, blocks_of_file
from mrjerb.engines.hadoop.reports import (
    GROUP,
    KEYS,
    PLACES,
    TASK,
    Heartbeat,
    count,
    failure_line,
    place_of,
    say,
    task_name,
)
from mrjerb.engines.hadoop.sinks import Combining, Lines, Shuffle, Sink
from mrjerb.engines.hadoop.wire import PREFIX, chunks
from mrjerb.errors import EngineError, RecordError
from mrjerb.groups import groups
from mrjerb.inputs import Block
from mrjerb.inputs.reading import name_of, read
from mrjerb.job import Job, context_of, record_type
from mrjerb.keys import decode
from mrjerb.loading import job_of
from mrjerb.outputs.protocols import encoder
from mrjerb.plan import Source, Split
from mrjerb.running import Skipped, all_or_nothing, as_blocks, failure, pairs_of, set_path
from mrjerb.shuffle import partition_for
from mrjerb.stages import stages_of

BUFFER: Final = 1 << 20
LARGEST: Final = 3
"""Groups that each task tells of."""
MAP: Final = "map"
REDUCE: Final = "reduce"


class Task(msgspec.Struct, frozen=True):
    """What every task of a run is told. Paths are within the folder that was shipped, or the task's own.

    inputs: of Hadoop's names of files, what people call each, and its format, so far as Hadoop reads them itself.
    java_partitioner: whether a Java class says where keys go. root: where the code was, as tracebacks name it.
    """

    source: Source
    reducers: int
    partitioner: str | None
    java_partitioner: bool
    output_format: str
    root: str = ""
    inputs: Mapping[str, HadoopFile] = {}
    files: Mapping[str, str] = {}
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
        root = msgspec.json.decode((folder / "task.json").read_bytes(), type=Task).root
        for code in (folder / "code", (folder / "code").resolve()):
            error.trace = error.trace.replace(f"{code}/", f"{root}/")
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
        self.skipped = Skipped(0)
        self.began = time.monotonic()
        self.items = 0
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
        self._report()

    def _around(self, when: str) -> None:
        try:
            getattr(self.job, when)()
        except Exception as error:
            raise failure(error, f"{when}()") from error

    def _sink(self, output: IO[bytes]) -> Sink:
        step = self.stage.shuffle
        if step is None:
            return Lines(output, encoder(self.task.output_format))
        place = None if self.task.java_partitioner else partition_for(step, self.task.partitioner)
        shuffle = Shuffle(output, step, place, self.task.reducers)
        if not self.partition and place is not None:
            shuffle.reach_all()
        return Combining(shuffle, step, self.skipped) if step.combine else shuffle

    def _mapped(self) -> Iterator[tuple[Any, Any]]:
        """The pairs of what Hadoop gave to this task."""
        record = record_type(self.job, self.stage.maps[0])
        name = _told("map_input_file", "")
        file = self.task.inputs.get(name)
        if file is not None:
            start = int(_told("map_input_start", "0"))
            self._place(place_of(file.at, start))
            yield from self._map_blocks(blocks_of_file(sys.stdin.buffer, file, start, record), file.name)
            return
        if self.task.inputs:
            raise EngineError(f"Hadoop gave a task {name!r}, which is none of the inputs: it may have been replaced")
        for at, split in _splits(sys.stdin.buffer):
            self._place(place_of(at, split.start))
            yield from self._map_blocks(read(split, record=record), name_of(split))

    def _map_blocks(self, blocks: Iterator[Block], path: str) -> Iterator[tuple[Any, Any]]:
        set_path(self.job, path)
        yield from self.stage.begin()
        yield from pairs_of(self._counted(blocks), self._function(), self.skipped)
        yield from self.stage.end()
        set_path(self.job, None)

    def _reduced(self) -> Iterator[tuple[Any, Any]]:
        """The pairs of the groups of this task's partition."""
        step = self.stage.groups
        assert step is not None
        largest: list[tuple[int, str]] = []

        def told(key: bytes, values: int) -> None:
            if len(largest) < LARGEST or values > largest[-1][0]:
                largest.append((values, repr(decode(key))[:100]))
                largest.sort(reverse=True)
                del largest[LARGEST:]

        prefixed = 0 if self.task.java_partitioner else PREFIX
        found = groups(chunks(sys.stdin.buffer, ordered=step.order is not None, prefixed=prefixed), told)
        yield from self.stage.begin()
        yield from pairs_of(self._counted(as_blocks(found, self.stage.name)), self._function(), self.skipped)
        yield from self.stage.end()
        count(KEYS, {self._counter(key): values for values, key in largest})

    def _function(self) -> Any:
        return all_or_nothing(self.stage.function) if self.skipped.allowed else self.stage.function

    def _counted(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for block in blocks:
            yield block
            self.items += len(block.records)

    def _place(self, place: int) -> None:
        """Where the pairs of this task are from, by which parts are sorted where nothing is shuffled."""
        if self.stage.shuffle is None:
            count(PLACES, {str(self.partition): place})

    def _counter(self, what: str) -> str:
        return task_name(self.stage.number, self.partition, what)

    def _report(self) -> None:
        count(GROUP, context_of(self.job).counters)
        milliseconds = round((time.monotonic() - self.began) * 1000)
        did = {"items": self.items, "pairs": self.sink.pairs, "milliseconds": milliseconds}
        count(TASK, {self._counter(what): number for what, number in did.items()})


def _told(name: str, otherwise: str) -> str:
    """What Hadoop's job configuration says, which streaming hands on as the environment."""
    return os.environ.get(f"mapreduce_{name}", otherwise)


def _loaded(task: Task, folder: Path) -> Job:
    """The job, from the code that was shipped."""
    here = Path.cwd()
    sys.path[1:1] = [str(folder / "code"), str(folder / "files"), *(str(here / one) for one in task.archives.values())]
    source = msgspec.structs.replace(task.source, path=str(folder / "code" / task.source.path))
    job = job_of(source)
    files = {name: folder / "files" / place for name, place in task.files.items()}
    context_of(job).files = files | {name: here / place for name, place in task.archives.items()}
    return job


def _splits(lines: IO[bytes]) -> Iterator[tuple[int, Split]]:
    """The splits that Hadoop gave as lines, each with its place among the inputs; Hadoop puts its own key before."""
    for line in lines:
        told = line.partition(b"\t")[2]
        if told.strip():  # a blank line: all inputs are empty
            yield msgspec.json.decode(told, type=tuple[int, Split])
