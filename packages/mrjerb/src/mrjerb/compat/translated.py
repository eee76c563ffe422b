"""An mrjob job as a job of mrjerb's, which every engine runs.

    mapper, mapper_init, mapper_final        Step.map, map_begin, map_end
    combiner …, reducer …                    Step.combine …, reduce …
    SORT_VALUES                              Step.order, by the value's bytes

`job_class(MRWordCount)` is the class whose one option, `args`, is the command line. It bears the module and the name of
the mrjob class, so that other processes find it where that is.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar

import msgspec

from mrjerb.compat import folder
from mrjerb.compat.job import MRJob
from mrjerb.compat.jobconf import tell, variable_of
from mrjerb.compat.pairs import Key, Value, without_keys
from mrjerb.compat.said import check
from mrjerb.compat.steps import COMBINER, MAPPER, REDUCER
from mrjerb.compat.tasks import Combiner, Mapper, Pairs, Part, Reducer
from mrjerb.errors import UsageError
from mrjerb.job import Job, Step, context_of


class Launch(msgspec.Struct, frozen=True):
    """What a process that runs tasks has to know of a job, and only the launching one can find out.

    args: the words that a task's job is made with. steps: their descriptions. sort_values: whether values come sorted.
    """

    args: list[str]
    steps: list[dict[str, Any]]
    sort_values: bool
    uploads: list[folder.Upload]
    environment: dict[str, str]
    of_steps: list[dict[str, str | None]] = []
    """What the environment says to each step, where some have properties of their own."""


class Translated(Job):
    """A job of mrjerb's that runs one of mrjob's. `args` are words of its command line; the options that subclasses
    have are the job's own arguments (see `job_class`)."""

    output: ClassVar[str] = "bytes_value"
    kind: ClassVar[type[MRJob]] = MRJob
    switches: ClassVar[Mapping[str, str]] = {}

    args: list[str] = []

    def __init__(self, *, launch: Any = None, **options: Any) -> None:
        super().__init__(**options)
        words = [*_words({name: getattr(self, name) for name in self.switches}, self.switches), *self.args]
        self.launch = launch_of(_parsed(self.kind, words)) if launch is None else msgspec.convert(launch, Launch)
        raw = self.launch.steps[0].get("input_manifest")
        self.input = "path" if raw else "bytes"  # pyright: ignore[reportAttributeAccessIssue]
        self.files = [upload.path for upload in self.launch.uploads]  # pyright: ignore[reportAttributeAccessIssue]
        self.moves = bool(self.files)  # pyright: ignore[reportAttributeAccessIssue]
        self.parts: list[Part] = []
        self.place = folder.Place(self.launch.uploads, self.launch.environment)
        self.of_steps = [dict(properties) for properties in self.launch.of_steps]
        self._before: dict[str, str | None] = {}
        self._path: str | None = None

    def made_with(self) -> dict[str, Any]:
        """What tasks have to know, which no other process could find out."""
        return {"launch": msgspec.to_builtins(self.launch)}

    def setup(self) -> None:
        """The folder and the environment that tasks run in."""
        self.place.enter(context_of(self).files)
        self._before = {name: os.environ.get(variable_of(name)) for one in self.of_steps for name in one}
        own = {value for one in self.launch.of_steps for value in one.values()}
        for properties in self.of_steps:  # what Hadoop says by itself stays, where it is not another step's
            properties.update(
                {name: now for name, now in self._before.items() if not properties[name] and now not in own}
            )

    def teardown(self) -> None:
        """Leave that folder, and end the programs that still run."""
        for part in self.parts:
            part.close()
        tell(self._before)
        self.place.leave()

    def steps(self) -> Sequence[Step]:
        """The job's steps."""
        return [self._step(at, said) for at, said in enumerate(self.launch.steps)]

    def _step(self, at: int, said: dict[str, Any]) -> Step:
        last = at == len(self.launch.steps) - 1
        parts: dict[str, Any] = {}
        if MAPPER in said:
            mapper = self._part(Mapper, at, said, output=last and REDUCER not in said)
            parts |= {"map": self._first(mapper, said) if at == 0 else mapper.pair}
            parts |= {"map_begin": mapper.begin, "map_end": mapper.end}
        if COMBINER in said:
            combiner = self._part(Combiner, at, said, output=False)
            parts |= {"combine": combiner.group, "combine_begin": combiner.begin, "combine_end": combiner.end}
        if REDUCER in said:
            reducer = self._part(Reducer, at, said, output=last)
            parts |= {"reduce": reducer.group, "reduce_begin": reducer.begin, "reduce_end": reducer.end}
        if any(self.of_steps):
            parts = {name: within(self.of_steps[at], part) for name, part in parts.items()}
        if REDUCER in said and self.launch.sort_values:
            parts |= {"order": by_bytes}
        return Step(**parts)

    def _part(self, kind: type[Any], at: int, said: dict[str, Any], *, output: bool) -> Any:
        part = kind(lambda: self._task(kind.kind, at), at, said, output=output)
        self.parts.append(part)
        return part

    def _task(self, kind: str, step: int) -> MRJob:
        """A new instance of the job's class, for a task."""
        self._told()
        job = self.kind([f"--{kind}", f"--step-num={step}", *self.launch.args])
        job._count = self._counter(step)  # pyright: ignore[reportPrivateUsage]
        return job

    def _counter(self, step: int) -> Callable[[str, str, int], None]:
        return lambda group, counter, amount: self.count(counter_name(step, group, counter), amount)

    def _first(self, mapper: Mapper, said: dict[str, Any]) -> Callable[[bytes], Pairs]:
        """The map of the first step: of lines, which name whole files where the mapper is raw."""
        context = context_of(self)
        if said.get("input_manifest"):
            return lambda line: mapper.whole(os.fsdecode(line))

        def mapped(line: bytes) -> Pairs:
            if context.path is not self._path:
                self._told()
            return mapper.line(line)

        return mapped

    def _told(self) -> None:
        """Have the environment say which file is read."""
        self._path = context_of(self).path
        folder.tell_input(self._path)


def launch_of(job: MRJob) -> Launch:
    """What tasks have to know of a job. Raises UnsupportedError for what it asks and can't get, by name."""
    check(job)
    uploads = folder.uploads_of(job)
    environment = folder.environment_of(job, folder.properties_of(job))
    steps = [step.description(at) for at, step in enumerate(job.steps())]
    ordered = bool(job.sort_values()) or without_keys(job.internal_protocol().write)  # one group, in the lines' order
    return Launch(
        folder.task_args(job, uploads), steps, ordered, uploads, environment, folder.environment_of_steps(job)
    )


def within(properties: Mapping[str, str | None], part: Callable[..., Pairs]) -> Callable[..., Pairs]:
    """A part of a step, to which the environment says the step's properties whenever it goes on: the reducer of one
    step and the mapper of the next take turns in one process."""

    def told(*arguments: Any) -> Pairs:
        tell(properties)
        pairs = iter(part(*arguments))
        while True:
            tell(properties)
            try:
                pair = next(pairs)
            except StopIteration:
                return
            yield pair

    return told


def by_bytes(_key: Key, value: Value) -> Value:
    """The order of SORT_VALUES: by the value as the protocol writes it."""
    return value


def counter_name(step: int, group: str, counter: str) -> str:
    """The name of a step's counter in mrjerb: `step 1, group, counter`. Groups and counters hold no comma."""
    return f"step {step + 1}, {group}, {counter}"


def counters_of(found: dict[str, int], steps: int) -> list[dict[str, dict[str, int]]]:
    """mrjerb's counters as mrjob gives them: for each step, of each group, the counters."""
    counters: list[dict[str, dict[str, int]]] = [{} for _ in range(steps)]
    for name, amount in found.items():
        parts = name.split(", ", 2)
        if len(parts) == 3 and parts[0].startswith("step "):
            counters[int(parts[0][5:]) - 1].setdefault(parts[1], {})[parts[2]] = amount
    return counters


@cache
def job_class(kind: type[MRJob]) -> type[Translated]:
    """The class of mrjerb's jobs that runs a class of mrjob's. The job's own arguments are its options."""
    described = kind.__new__(kind)
    described.describe()
    options: dict[str, Any] = {}
    switches: dict[str, str] = {}
    initial: dict[str, Any] = {}
    for action in described.own_arguments():
        name = action.dest
        if not action.option_strings or hasattr(Translated, name) or name in Translated.__annotations__:
            continue
        options[name], initial[name] = _option(action)
        switches[name] = action.option_strings[-1]
    said = {"kind": kind, "switches": switches, "__annotations__": options, **initial}
    named = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (Translated,), {**said, **named})


def _option(action: Any) -> tuple[Any, Any]:
    """The type of an argument's option, with its help, and its value where nobody says anything."""
    if action.nargs == 0:
        return Annotated[bool, _help(action)], False
    if type(action).__name__ == "_AppendAction":
        return Annotated[list[str], _help(action)], []
    return Annotated[str | None, _help(action)], None


def _help(action: Any) -> str:
    return (action.help or "").replace("%(default)s", str(action.default))


def _words(options: Mapping[str, Any], switches: Mapping[str, str]) -> list[str]:
    """Options as words of a command line."""
    words: list[str] = []
    for name, value in options.items():
        if value is True:
            words.append(switches[name])
        elif value not in (None, False):
            for one in value if isinstance(value, list) else [value]:
                words += [switches[name], one] if not one.startswith("-") else [f"{switches[name]}={one}"]
    return words


def _parsed(kind: type[MRJob], words: list[str]) -> MRJob:
    """A job of a command line. Raises UsageError where that is none of its."""
    try:
        return kind(words)
    except ValueError as error:
        raise UsageError(f"{kind.__name__}: {error}") from None
