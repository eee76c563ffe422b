"""What launcher and workers of a local run say to each other. Plain values over a pipe for each worker."""

from dataclasses import dataclass, field

from mrjerb.engines.local.runs import Segment
from mrjerb.plan import BadRecord, Group, PartFile, Split, TaskReport


@dataclass
class Task:
    """To a worker: a split to map, or a partition's segments to reduce. `of` is its place among the parts."""

    number: int
    stage: int
    of: tuple[int, int]
    split: Split | None = None
    segments: list[Segment] = field(default_factory=list)
    attempts: int = 0
    report: TaskReport | None = None
    """What it did, where it has run and is not committed."""

    @property
    def size(self) -> int:
        """Bytes that it reads."""
        if self.split is not None:
            return self.split.size
        return sum(segment.end - segment.start for segment in self.segments)

    @property
    def name(self) -> str:
        if self.split is not None:
            return f"{self.split.path}:{self.split.start}-{self.split.end}"
        return f"partition {self.of[0]}"


@dataclass(frozen=True)
class Give:
    """To a worker: give up the second half of what is left of your split."""


@dataclass(frozen=True)
class Flush:
    """To a worker: write what you have gathered, and commit it."""


@dataclass(frozen=True)
class Stop:
    """To a worker: end."""


@dataclass(frozen=True)
class Gave:
    """From a worker: its split ends at this byte by now; None where there was too little left."""

    task: int
    end: int | None


@dataclass(frozen=True)
class Progress:
    """From a worker: bytes that it has read since it said so last, and what it has counted since its last commit."""

    bytes: int
    counters: dict[str, int]


@dataclass(frozen=True)
class Done:
    """From a worker: a task has been run. What it made counts once it is committed. Not said of a task that is
    committed at once."""

    task: int
    report: TaskReport


@dataclass(frozen=True)
class Failed:
    """From a worker: the run can't go on; and what it has counted, and skipped, since its last commit."""

    error: Exception
    counters: dict[str, int] = field(default_factory=dict)
    bad: list[BadRecord] = field(default_factory=list)


@dataclass
class Commit:
    """From a worker: all that these tasks made, whole. If the worker dies before this, the tasks are run again."""

    tasks: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    parts: list[PartFile] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    reports: list[TaskReport] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)
    flushed: bool = False
    """Whether it answers a Flush."""
