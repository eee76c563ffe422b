"""What is to run: settings as they were asked for, a plan made of them, and what an engine says of it afterwards.

Plain values, so that a plan can be printed, kept in the history and sent to another machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from mrjerb.job import Job
from mrjerb.stages import Stage

MEGABYTE: Final = 1 << 20
MEMORY: Final = 512 * MEGABYTE


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a job is to run. What is None is decided by the engine; what an engine can't honour, it refuses.

    output: the folder (or fsspec URL) that is published. memory: bytes that all processes together may use.
    reducers: how many partitions a shuffle has, and so how many parts the output of a reduce.
    partitioner: "module:function" taking (key, partitions), or for Hadoop a Java class.
    skip_bad: how many records may fail. compression: "", "gzip" or "zstd", of the output.
    conf: settings of the engine itself, passed through.
    """

    output: str
    engine: str = "local"
    name: str | None = None
    reducers: int | None = None
    partitioner: str | None = None
    workers: int | None = None
    memory: int | None = None
    skip_bad: int = 0
    overwrite: bool = False
    skip_done: bool = False
    input_format: str | None = None
    output_format: str | None = None
    compression: str = ""
    split_size: int | None = None
    tmp: str | None = None
    cleanup: str = "always"
    debug: bool = False
    archives: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    jars: tuple[str, ...] = ()
    python_env: str | None = None
    master: str | None = None
    conf: Mapping[str, str] = {}


class Source(msgspec.Struct, frozen=True):
    """Where a job's code is, so that another process can load it: a file, the class in it ("" for functions), and the
    name of its module, by which pickles know its classes (see `loading`)."""

    path: str
    name: str
    options: Mapping[str, Any] = {}
    module: str = ""


class Split(msgspec.Struct, frozen=True):
    """A piece of an input that one task reads: bytes `start` to `end` of a file, or what `extra` says of other sources.

    A line belongs to the split in which its first byte lies. A file that can't be split is one split of its whole size.
    """

    path: str
    start: int
    end: int
    format: str
    compression: str = ""
    extra: Mapping[str, Any] = {}

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Plan:
    """A job, its stages, what it reads, and how. `source` is None for a job that only this process knows."""

    run: str
    name: str
    job: Job
    source: Source | None
    stages: Sequence[Stage]
    splits: Sequence[Split]
    record: Any
    settings: Settings
    staging: str
    """The folder in which the output is written until it is published, an fsspec URL or a path."""
    output_format: str = "json"
    files: Mapping[str, str] = field(default_factory=dict)
    """Side files: by the names that the job asks for, where each is on this machine."""

    @property
    def bytes(self) -> int:
        return sum(split.size for split in self.splits)


class PartFile(msgspec.Struct, frozen=True):
    """A finished part of the output: its name within the folder, pairs, bytes, and what it is of, which sorts as the
    parts do: (input's place, first byte) where nothing was shuffled, else (partition, 0)."""

    name: str
    pairs: int
    bytes: int
    of: tuple[int, int]


class TaskReport(msgspec.Struct, frozen=True):
    """What one task did. `of` is `path:start-end`, or the partition; items are records, or groups, whose values are
    `values`; `began` is in seconds of Unix time, 0 where that is not known. Of a task that failed it is not known how
    much it had done: its items, pairs and values are 0."""

    stage: int
    of: str
    seconds: float
    items: int
    pairs: int
    bytes: int = 0
    worker: int = 0
    began: float = 0.0
    values: int = 0
    failed: bool = False


class Group(msgspec.Struct, frozen=True):
    """A key that has many values."""

    stage: int
    key: str
    values: int
    partition: int


class BadRecord(msgspec.Struct, frozen=True):
    """A record that failed, where that was allowed: where it is, why, and itself as it was read."""

    where: str
    error: str
    raw: str


@dataclass
class Outcome:
    """What an engine did: parts of the output (sorted by `of`), counters, tasks, the largest groups, bad records.

    Of a run that failed it is what was known by then: counters and bad records also of tasks that had not ended.
    """

    parts: list[PartFile] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    tasks: list[TaskReport] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    bad: list[BadRecord] = field(default_factory=list)
    spilled: int = 0
    """Bytes that were written to temporary files."""
    retried: int = 0
    """Tasks that were repeated because their process had died."""
    details: dict[str, Any] = field(default_factory=dict)
    """What only this engine has to say, such as an application id."""
