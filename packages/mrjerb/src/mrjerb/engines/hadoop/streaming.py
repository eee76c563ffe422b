"""A run as jobs of Hadoop Streaming: one for each shuffle, and the arguments of each. Pure.

    job 1   map 0      → shuffle → reduce 1, and the maps behind it      text of the output, if it is the last
    job 2   identity   → shuffle → reduce 2 …                            else pairs in a sequence file

The identity mapper is Hadoop's own, in Java: pairs between two jobs pass through no Python of ours.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mrjerb.engines.hadoop.places import seen_by_hadoop
from mrjerb.engines.hadoop.shipping import FOLDER
from mrjerb.engines.hadoop.tasks import MAP, REDUCE
from mrjerb.engines.hadoop.wire import PREFIX
from mrjerb.errors import UsageError
from mrjerb.outputs.parts import TABLES
from mrjerb.plan import Plan, Settings
from mrjerb.stages import Stage

LIBRARY: Final = "org.apache.hadoop.mapred"
GZIP: Final = "org.apache.hadoop.io.compress.GzipCodec"
OURS: Final = re.compile(
    r"stream\.|textinputformat\.|mapreduce\.partition\.binarypartitioner\.|mapreduce\.job\.reduces$"
)
"""Settings on which it depends that pairs arrive as they were sent."""

STEP: Final = re.compile(r"mrjerb\.step\.(\d+)\.")
"""Before the name of a setting that is for one of several jobs."""


@dataclass(frozen=True)
class StreamingJob:
    """One job: the stage that its mapper runs (None: Hadoop's identity) and its reducer (None: map-only).

    input: what Hadoop reads, names of files and folders. lines: whether these are the run's own inputs, which Hadoop
    reads as text; else they hold our splits, or pairs of the job before.
    """

    number: int
    jobs: int
    mapper: Stage | None
    reducer: Stage | None
    input: Sequence[str]
    lines: bool
    output: str

    @property
    def last(self) -> Stage:
        stage = self.reducer or self.mapper
        assert stage is not None
        return stage

    @property
    def name(self) -> str:
        """`map`, `map, reduce 1`, `reduce 2`: the stages in it."""
        return ", ".join(stage.name for stage in (self.mapper, self.reducer) if stage is not None)

    @property
    def final(self) -> bool:
        """Whether it writes the run's output."""
        return self.last.shuffle is None


def jobs_of(plan: Plan, inputs: Sequence[str], *, lines: bool, work: str) -> list[StreamingJob]:
    """The jobs of a run, one after another; each writes into `work/out-NUMBER`."""
    stages = plan.stages
    count = max(1, len(stages) - 1)
    jobs: list[StreamingJob] = []
    for number in range(count):
        reducer = stages[number + 1] if len(stages) > 1 else None
        mapper = stages[0] if not number else None
        read = inputs if not number else [jobs[-1].output]
        jobs.append(StreamingJob(number, count, mapper, reducer, read, lines and not number, f"{work}/out-{number}"))
    return jobs


@dataclass(frozen=True)
class Shipment:
    """What goes to the tasks: URIs of archives (with `#name`) and of jars, and the tasks' Python."""

    archives: Sequence[str]
    jars: Sequence[str]
    python: str


def arguments(job: StreamingJob, plan: Plan, shipment: Shipment, jar: str, reducers: int) -> list[str]:
    """What follows `hadoop`: each argument by itself, for no shell will see them."""
    settings = plan.settings
    java = java_partitioner(settings)
    found = ["jar", jar]
    asked = {**hadoop_settings(settings), **settings_of_step(settings, job)}
    for name, value in {**_settings(job, plan), **asked, **_wire(job, reducers)}.items():
        found += ["-D", f"{name}={value}"]
    found += ["-archives", ",".join(shipment.archives)]
    if shipment.jars:
        found += ["-libjars", ",".join(shipment.jars)]
    for one in job.input:
        found += ["-input", seen_by_hadoop(one)]
    found += ["-output", seen_by_hadoop(job.output)]
    found += ["-mapper", _program(shipment.python, MAP, job.mapper) if job.mapper else f"{LIBRARY}.lib.IdentityMapper"]
    if job.mapper is None:
        found += ["-inputformat", f"{LIBRARY}.SequenceFileInputFormat"]
    elif not job.lines:
        found += ["-inputformat", f"{LIBRARY}.lib.NLineInputFormat"]
    if job.reducer is not None:
        found += ["-reducer", _program(shipment.python, REDUCE, job.reducer)]
        found += ["-partitioner", java or f"{LIBRARY}.lib.BinaryPartitioner"]
    if not job.final:
        found += ["-outputformat", f"{LIBRARY}.SequenceFileOutputFormat"]
    return found


def written_aside(plan: Plan) -> bool:
    """Whether tasks write the parts themselves: what is no lines, or compressed by a codec that Hadoop has only where
    its native library has it."""
    return plan.output_format in TABLES or plan.settings.compression == "zstd"


def java_partitioner(settings: Settings) -> str | None:
    """The Java class of `--partitioner`: a name with dots and without a colon."""
    given = settings.partitioner
    return given if given and "." in given and ":" not in given else None


def hadoop_settings(settings: Settings) -> dict[str, str]:
    """The settings of `--conf` that are for Hadoop. Raises UsageError for one that is ours to set."""
    for name in settings.conf:
        if OURS.match(STEP.sub("", name)):
            raise UsageError(f"--conf {name}: mrjerb sets this itself, for pairs to arrive as they were sent")
    return {name: value for name, value in settings.conf.items() if not name.startswith("mrjerb.")}


def settings_of_step(settings: Settings, job: StreamingJob) -> dict[str, str]:
    """The settings of `--conf mrjerb.step.NUMBER.NAME=VALUE` for one job. Raises UsageError where no job has the
    number, which the first says before it runs."""
    found: dict[str, str] = {}
    for name, value in settings.conf.items():
        step = STEP.match(name)
        if step is None:
            continue
        if not 1 <= int(step[1]) <= job.jobs:
            raise UsageError(f"--conf {name}: the run has {job.jobs} of Hadoop's jobs, one for each reduce")
        if int(step[1]) == job.number + 1:
            found[name[step.end() :]] = value
    return found


def _settings(job: StreamingJob, plan: Plan) -> dict[str, str]:
    """What `--conf` may set otherwise."""
    settings = plan.settings
    part = f" ({job.number + 1} of {job.jobs})" if job.jobs > 1 else ""
    found = {
        "mapreduce.job.name": f"{plan.name}{part}",
    }
    if settings.workers is not None:
        for name in ("job.running.map.limit", "job.running.reduce.limit"):
            found[f"mapreduce.{name}"] = str(settings.workers)
        for name in ("local.map.tasks.maximum", "local.reduce.tasks.maximum"):
            found[f"mapreduce.{name}"] = str(settings.workers)
    if settings.split_size is not None and job.lines:
        found["mapreduce.job.maps"] = str(max(1, -(-plan.bytes // settings.split_size)))
        found["mapreduce.input.fileinputformat.split.minsize"] = str(settings.split_size)
        found["fs.local.block.size"] = str(settings.split_size)  # the local runner goes by this alone
    if job.final and settings.compression and not written_aside(plan):
        found["mapreduce.output.fileoutputformat.compress"] = "true"
        found["mapreduce.output.fileoutputformat.compress.codec"] = GZIP
    elif job.final:
        found["mapreduce.output.fileoutputformat.compress"] = "false"
    return found


def _wire(job: StreamingJob, reducers: int) -> Mapping[str, str]:
    """What pairs depend on."""
    found = {
        "mapreduce.job.reduces": str(reducers if job.reducer else 0),
        "stream.map.output": "rawbytes" if job.reducer else "keyonlytext",
    }
    if job.lines:
        found["textinputformat.record.delimiter"] = "\n"  # Hadoop's own idea of lines ends them at \r, too
    if job.reducer:
        found["stream.reduce.input"] = "rawbytes"
        found["stream.reduce.output"] = "keyonlytext" if job.final else "rawbytes"
        found["mapreduce.partition.binarypartitioner.left.offset"] = "0"
        found["mapreduce.partition.binarypartitioner.right.offset"] = str(PREFIX - 1)
    return found


def _program(python: str, kind: str, stage: Stage) -> str:
    """A command line as streaming takes it apart: at spaces, where there are no quotes."""
    if '"' in python:
        raise UsageError(f"--python-env {python}: a path with a quotation mark can't be given to Hadoop Streaming")
    return f'"{python}" {FOLDER}/start.py {kind} {stage.number}'
