"""A job: what a person writes. A class with a generator or two, or a module with functions of the same names.

    class WordCount(Job):
        def map(self, line):
            for word in line.split():
                yield word, 1

        def combine(self, word, counts):
            yield word, sum(counts)

        reduce = combine

`map(record)` yields (key, value) pairs. `reduce(key, values)` gets each key once, with an iterator over all its values,
and yields pairs. `combine(key, values)` is a reduce of a part of the values, before they travel: it must not matter how
often it is called. Both stream: `values` can be read once, and holds nothing in memory. A job without `reduce` writes
what its map yields. Several steps follow one another in `steps()`; a later step's map gets `(key, value)`.

The fields of a class are its options: `n: int = 10` is `--n 10` on the command line (see `options`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

from mrjerb.errors import JobError
from mrjerb.options import options_of

Pair = tuple[Any, Any]
Pairs = Iterable[Pair] | None


@dataclass(frozen=True)
class Step:
    """One map, shuffle and reduce of a job. What is None is left out; a step has at least a map or a reduce.

    map(record) in the first step, map(key, value) in the others, reduce(key, values), combine(key, values)
    yield pairs.
    order(key, value) gives what the values of a key are sorted by (like a key; None: as they come).
    partition(key, partitions) gives the number of the output part that a key belongs to, from 0.
    map_begin, map_end, reduce_begin … take nothing and may yield pairs: before a task's first item, and after its last.
    """

    map: Callable[..., Pairs] | None = None
    combine: Callable[[Any, Iterator[Any]], Pairs] | None = None
    reduce: Callable[[Any, Iterator[Any]], Pairs] | None = None
    order: Callable[[Any, Any], Any] | None = None
    partition: Callable[[Any, int], int] | None = None
    map_begin: Callable[[], Pairs] | None = None
    map_end: Callable[[], Pairs] | None = None
    combine_begin: Callable[[], Pairs] | None = None
    combine_end: Callable[[], Pairs] | None = None
    reduce_begin: Callable[[], Pairs] | None = None
    reduce_end: Callable[[], Pairs] | None = None

    def __post_init__(self) -> None:
        if self.map is None and self.reduce is None:
            raise JobError("a step has neither map nor reduce: write at least one of them")
        if self.reduce is None and (self.combine or self.order):
            raise JobError("a step has combine or order, and no reduce that would get the values: add a reduce")


class Job:
    """The base of jobs that are classes. Its fields with a type, in a subclass, are the job's options.

    input: how records are read: "auto" (by the file's name, else text), "text", "bytes", "json", "csv", "tsv",
        "parquet"; or "path", where a record is a whole file, of which map gets the path.
    record: a msgspec.Struct, or another type that msgspec knows, which each record is checked against and made into.
    output: how pairs are written (see `outputs.protocols`), "json" unless said.
    sort_values: the values of a key come sorted by themselves. For another order, write `order(self, key, value)`.
    files: paths beside the job's file that travel with it; `self.file(name)` is where one is.
    moves: its processes leave the folder that it is launched from, so inputs and output are told as whole paths.
    """

    input: ClassVar[str] = "auto"
    record: ClassVar[Any] = None
    output: ClassVar[str] = "json"
    sort_values: ClassVar[bool] = False
    files: ClassVar[Sequence[str]] = ()
    moves: ClassVar[bool] = False

    def __init__(self, **options: Any) -> None:
        for option in options_of(type(self)):
            setattr(
                self,
                option.name,
                option.value(options.pop(option.name)) if option.name in options else option.default(),
            )
        if options:
            raise JobError(f"{type(self).__name__} has no option {', '.join(sorted(options))}")
        self._context = Context()

    def setup(self) -> None:
        """Called in each process before its first record: open here what can't travel."""

    def teardown(self) -> None:
        """Called in each process after its last record."""

    def steps(self) -> Sequence[Step]:
        """The steps of the job: made of its methods `map`, `combine`, `reduce`, `order` and `partition`."""
        return [step_of(self)]

    def made_with(self) -> dict[str, Any]:
        """The options that make this job again, in another process."""
        return {option.name: getattr(self, option.name) for option in options_of(type(self))}

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter of the job. Counters of tasks that failed and were repeated count once."""
        counters = self._context.counters
        counters[name] = counters.get(name, 0) + amount

    @property
    def path(self) -> str | None:
        """The input that the record being mapped is from; None while reducing."""
        return self._context.path

    def file(self, name: str) -> Path:
        """Where a side file is, on whichever machine this runs. Raises JobError where the job's `files` lack it."""
        try:
            return self._context.files[name]
        except KeyError:
            known = ", ".join(sorted(self._context.files)) or "none"
            raise JobError(f"no side file {name!r}: the job's files are {known}") from None


class Context:
    """What a running engine tells a job: its counters, the file being read, where side files are."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self.path: str | None = None
        self.files: dict[str, Path] = {}


def step_of(job: Any) -> Step:
    """The one step that a job's own methods, or a module's functions, are."""
    parts = {name: getattr(job, name, None) for name in ("map", "combine", "reduce", "order", "partition")}
    if getattr(job, "sort_values", False) and parts["order"] is None:
        parts["order"] = itself
    return Step(**parts)


def itself(_key: Any, value: Any) -> Any:
    """The order of `sort_values`: a value is sorted by itself."""
    return value


def context_of(job: Job) -> Context:
    """Where an engine reads and says what belongs to the running of a job."""
    return job._context  # pyright: ignore[reportPrivateUsage]


def checked_steps(job: Job) -> list[Step]:
    """A job's steps, where they can follow one another. Raises JobError."""
    steps = list(job.steps())
    if not steps:
        raise JobError(f"{type(job).__name__}.steps() is empty: a job has at least one step")
    for number, step in enumerate(steps):
        if not isinstance(step, Step):
            raise JobError(f"{type(job).__name__}.steps()[{number}] is a {type(step).__name__}, not a mrjerb.Step")
    if steps[0].map is None:
        raise JobError(f"{type(job).__name__} has no map: write `def map(self, record)`, a generator of (key, value)")
    return steps


class FunctionJob(Job):
    """A job whose generators are functions: a module's `map`, `combine` and `reduce`, or those that are given."""

    def __init__(self, functions: Any, *, name: str) -> None:
        super().__init__()
        self.name = name
        self._functions = functions
        for said in ("input", "record", "output", "sort_values", "files", "setup", "teardown"):
            if (found := getattr(functions, said, None)) is not None:
                setattr(self, said, found)

    def steps(self) -> Sequence[Step]:
        said = getattr(self._functions, "steps", None)
        if said is not None:
            return list(cast("Sequence[Step]", said() if callable(said) else said))
        step = step_of(self._functions)
        return [replace(step, order=itself)] if self.sort_values and step.order is None else [step]


def name_of(job: Job) -> str:
    """What a job is called where nobody has named it."""
    return getattr(job, "name", None) or type(job).__name__


def record_type(job: Job, step: Step) -> Any:
    """What records are made into: the job's `record`, else the annotation of its map's argument if that is a class of
    msgspec's or a dataclass; None where records are as the format gives them."""
    if job.record is not None:
        return job.record
    assert step.map is not None
    try:
        parameters = list(inspect.signature(step.map, eval_str=True).parameters.values())
    except (TypeError, ValueError, NameError):
        return None
    if len(parameters) != 1:
        return None
    kind = parameters[0].annotation
    structured = hasattr(kind, "__struct_fields__") or hasattr(kind, "__dataclass_fields__")
    return kind if structured else None
