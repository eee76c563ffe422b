"""mrjob's steps: `MRStep`, and those of jars and of Spark, which are refused when a job with one is loaded.

A step has up to three parts, mapper, combiner and reducer. Each is a function with its `_init` and `_final`, before
which a `_pre_filter` may stand, or a command (`_cmd`) in its place; a mapper may be a `mapper_raw`, of whole files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

MAPPER, COMBINER, REDUCER = "mapper", "combiner", "reducer"
KINDS: Final = (MAPPER, COMBINER, REDUCER)
FUNCTIONS: Final = {
    kind: (kind, f"{kind}_init", f"{kind}_final", f"{kind}_cmd", f"{kind}_pre_filter") for kind in KINDS
}
RAW: Final = "mapper_raw"
NAMES: Final = (*(name for kind in KINDS for name in FUNCTIONS[kind]), RAW)

INPUT: Final = "<input>"
OUTPUT: Final = "<output>"
GENERIC_ARGS: Final = "<generic args>"


class StepFailedException(Exception):
    """What `runner.run()` raises where a job failed. `reason` says why, for people."""

    def __init__(
        self,
        reason: str | None = None,
        step_num: int | None = None,
        num_steps: int | None = None,
        step_desc: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.step_num, self.num_steps, self.step_desc = reason, step_num, num_steps, step_desc

    def __str__(self) -> str:
        name = "Step" if self.step_num is None else f"Step {self.step_num + 1}"
        name += f" of {self.num_steps}" if self.step_num is not None and self.num_steps else ""
        return f"{self.step_desc or name} failed" + (f": {self.reason}" if self.reason else "")


def same(key: Any, value: Any) -> Iterator[tuple[Any, Any]]:
    """The mapper of a step that has none."""
    yield key, value


def each(key: Any, values: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    """The combiner or reducer of a step that has only its `_init`, `_final` or `_pre_filter`."""
    for value in values:
        yield key, value


class MRStep:
    """A step of a job: functions and commands by their mrjob names, and `jobconf`."""

    def __init__(self, **parts: Any) -> None:
        unknown = sorted(set(parts) - {*NAMES, "jobconf"})
        if unknown:
            raise TypeError(f"MRStep() got an unexpected keyword argument {unknown[0]!r}")
        if not set(parts) & set(NAMES):
            raise ValueError("Step has no mappers and no reducers")
        self.parts = {name: part for name, part in parts.items() if part is not None}
        self._check()

    def _check(self) -> None:
        for kind in KINDS:
            self._refuse(f"{kind}_cmd", *FUNCTIONS[kind], *([RAW] if kind == MAPPER else []))
        self._refuse(RAW, MAPPER, "mapper_pre_filter")

    def _refuse(self, name: str, *others: str) -> None:
        if self.parts.get(name):
            for other in others:
                if other != name and self.parts.get(other):
                    raise ValueError(f"Can't specify both {name} and {other}")

    def has(self, kind: str) -> bool:
        """Whether the step says anything of its mapper, combiner or reducer."""
        names = (*FUNCTIONS[kind], RAW) if kind == MAPPER else FUNCTIONS[kind]
        return any(self.parts.get(name) for name in names)

    def __getitem__(self, name: str) -> Any:
        found = self.parts.get(name)
        if found is None and name == MAPPER:
            return same
        if found is None and name in (COMBINER, REDUCER) and self.has(name):
            return each
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MRStep) and self.parts == other.parts

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MRStep({', '.join(f'{name}={part!r}' for name, part in self.parts.items())})"

    def description(self, step_num: int = 0) -> dict[str, Any]:
        """What the step is made of, as mrjob's runners are told: a dict of `mapper`, `combiner`, `reducer`, each
        `{"type": "script"}` or `{"type": "command", "command": …}`. A part that is not needed is left out."""
        described: dict[str, Any] = {"type": "streaming"}
        if step_num == 0 or self.has(MAPPER) or self.has(COMBINER):
            described[MAPPER] = self._part(MAPPER)
        for kind in (COMBINER, REDUCER):
            if self.has(kind):
                described[kind] = self._part(kind)
        if self.parts.get(RAW):
            described["input_manifest"] = True
        if self.parts.get("jobconf"):
            described["jobconf"] = self.parts["jobconf"]
        return described

    def _part(self, kind: str) -> dict[str, Any]:
        command = self.parts.get(f"{kind}_cmd")
        if command:
            return {"type": "command", "command": command}
        pre_filter = self.parts.get(f"{kind}_pre_filter")
        return {"type": "script", "pre_filter": pre_filter} if pre_filter else {"type": "script"}


class OtherStep:
    """A step that is not one of Hadoop Streaming: a jar, or a program for Spark. Jobs with one are refused."""

    kind: str = ""

    def __init__(self, *arguments: Any, **said: Any) -> None:
        self.arguments, self.said = arguments, said

    def description(self, step_num: int = 0) -> dict[str, Any]:
        """What kind of step it is."""
        del step_num
        return {"type": self.kind, **self.said}


class JarStep(OtherStep):
    """A program of Java's for Hadoop."""

    kind = "jar"


class SparkStep(OtherStep):
    """A method that gets input and output paths, and speaks to Spark itself."""

    kind = "spark"


class SparkJarStep(OtherStep):
    """A program of Java's for Spark."""

    kind = "spark_jar"


class SparkScriptStep(OtherStep):
    """A script for Spark."""

    kind = "spark_script"


Function = Callable[..., Any]
JobConf = Mapping[str, Any]
