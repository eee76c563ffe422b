"""The parts of a job as they run in a task: a mapper, combiner or reducer with a job of its own, from init to final.

As with mrjob, each task has a new instance of the job's class, so what an instance keeps is the task's. A part takes
what travels and gives what travels (see `pairs`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mrjerb.compat import commands
from mrjerb.compat.job import MRJob
from mrjerb.compat.pairs import Encode, Key, Value, consecutive, decoder, encoder, grouping, joined, split
from mrjerb.compat.steps import RAW

Pairs = Iterator[tuple[Key, Value]]
Open = Callable[[], MRJob]


class Part:
    """One mapper, combiner or reducer of a step. `open` gives a new instance of the job for each task."""

    kind = ""

    def __init__(self, open: Open, step: int, description: dict[str, Any], *, output: bool) -> None:  # noqa: A002
        self.open, self.number, self.output = open, step, output
        said = description[self.kind]
        self.command: list[str] | None = commands.words_of(said["command"]) if said["type"] == "command" else None
        self.filter = commands.programs_of(said["pre_filter"]) if "pre_filter" in said else None
        self.pipeline: commands.Pipeline | None = None

    def begin(self) -> Pairs:
        """A task begins: what `_init` yields."""
        self.close()
        self.job = self.open()
        if self.command is not None:
            self.pipeline = commands.Pipeline([self.command], strict=True)
            return
        self.step = self.job.steps()[self.number]
        self.read, write = self.job.pick_protocols(self.number, self.kind)
        self.encode: Encode = encoder(write, output=self.output)
        self.function = self.step[self.kind]
        self.prepare()
        if self.filter is not None:
            self.pipeline = commands.Pipeline(self.filter, strict=False)
        yield from self.around("init")

    def prepare(self) -> None:
        """Whatever else the kind of part needs for a task."""

    def around(self, when: str) -> Pairs:
        """What `_init` or `_final` yields."""
        function = self.step[f"{self.kind}_{when}"]
        if function is not None:
            yield from self.encoded(function() or ())

    def encoded(self, pairs: Iterable[tuple[Any, Any]]) -> Pairs:
        """Pairs of the job's, as they travel."""
        encode = self.encode
        for key, value in pairs:
            yield encode(key, value)

    def end(self) -> Pairs:
        """The task is over: what its command or its pre-filter gave, and what `_final` yields."""
        if self.pipeline is not None:
            lines = self.pipeline.lines()
            if self.command is not None:
                yield from ((None, line) if self.output else split(line) for line in lines)
                return
            yield from self.filtered(map(self.read, lines))
        yield from self.around("final")

    def filtered(self, pairs: Iterator[tuple[Any, Any]]) -> Pairs:
        """What the part makes of the pairs that a pre-filter has let through."""
        raise NotImplementedError

    def close(self) -> None:
        """End the programs of a task that was not ended."""
        if self.pipeline is not None:
            self.pipeline.close()
            self.pipeline = None


class Mapper(Part):
    """The mapper of a step: of lines in the first step, else of what the step before has made."""

    kind = "mapper"

    def prepare(self) -> None:
        self.decode = decoder(self.read)

    def line(self, line: bytes) -> Pairs:
        """A line of the input."""
        line = line.rstrip(b"\r")
        if self.pipeline is not None:
            self.pipeline.write(line)
            return
        encode = self.encode
        for key, value in self.function(*self.read(line)) or ():
            yield encode(key, value)

    def pair(self, key: Key, value: Value) -> Pairs:
        """A pair of the step before."""
        if self.pipeline is not None:
            self.pipeline.write(joined(key, value))
            return
        yield from self.encoded(self.function(*self.decode(key, value)) or ())

    def whole(self, path: str) -> Pairs:
        """A whole file, for `mapper_raw`."""
        if "://" not in path:
            path = str(Path(path).resolve())
        yield from self.encoded(self.step[RAW](path, path) or ())

    def filtered(self, pairs: Iterator[tuple[Any, Any]]) -> Pairs:
        for key, value in pairs:
            yield from self.encoded(self.function(key, value) or ())


class Reducer(Part):
    """The reducer of a step."""

    kind = "reducer"

    def prepare(self) -> None:
        self.decode = grouping(self.read)

    def group(self, key: Key, values: Iterator[Value]) -> Pairs:
        """A key and its values."""
        if self.pipeline is not None:
            for value in values:
                self.pipeline.write(joined(key, value))
            return
        encode = self.encode
        for found, value in self.function(*self.decode(key, values)) or ():
            yield encode(found, value)

    def filtered(self, pairs: Iterator[tuple[Any, Any]]) -> Pairs:
        for key, values in consecutive(pairs):
            yield from self.encoded(self.function(key, values) or ())


class Combiner(Reducer):
    """The combiner of a step."""

    kind = "combiner"


def run_part(job: MRJob, kind: str, step: int) -> None:
    """Run one part of a job by itself, as `--mapper` and its like do: lines in, lines out, on the job's own streams."""
    part = {made.kind: made for made in (Mapper, Combiner, Reducer)}[kind]
    descriptions = [one.description(at) for at, one in enumerate(job.steps())]
    if not 0 <= step < len(descriptions):
        raise ValueError(f"Out-of-range step: {step}")
    if kind not in descriptions[step]:
        raise ValueError(f"No {kind} in step {step}")
    running = part(lambda: job, step, descriptions[step], output=True)
    try:
        for _, line in _whole_part(running, _lines(job)):
            job.stdout.write(line)
            job.stdout.write(b"\n")
        job.stdout.flush()
    finally:
        running.close()


def _whole_part(part: Any, lines: Iterator[bytes]) -> Pairs:
    yield from part.begin()
    if part.pipeline is not None:
        for line in lines:
            part.pipeline.write(line)
    elif isinstance(part, Mapper) and part.step[RAW]:
        for path in part.job.options.args:
            yield from part.whole(path)
    else:
        yield from part.filtered(map(part.read, lines))
    yield from part.end()


def _lines(job: MRJob) -> Iterator[bytes]:
    """The lines of a job's inputs, or of its standard input."""
    from mrjerb.compat.util import lines_of

    for path in job.options.args or ["-"]:
        if path == "-":
            for line in job.stdin:
                yield line.rstrip(b"\r\n")
        else:
            yield from lines_of(path)
