"""Plans of jobs, run by Spark and by the inline engine, whose output is the reference."""

import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path

from mrjerb.engines.local.inline import run_inline
from mrjerb.engines.spark import Spark
from mrjerb.inputs.resolving import resolve
from mrjerb.inputs.splitting import splits
from mrjerb.job import record_type
from mrjerb.loading import load, source_of
from mrjerb.plan import Outcome, Plan, Settings
from mrjerb.stages import stages_of

JOBS = Path(__file__).parent / "spark_jobs.py"
runs = itertools.count()


@dataclass
class Heard:
    """A listener that remembers."""

    stages: list = field(default_factory=list)
    done: list = field(default_factory=list)
    said: list = field(default_factory=list)

    def stage(self, name, tasks, size):
        self.stages.append((name, tasks))

    def progress(self, done, tasks, counters):
        self.done.append((done, tasks))

    def counted(self, counters):
        pass

    def say(self, message):
        self.said.append(message)


def job_named(name, **options):
    """A job of the file of jobs."""
    return load(f"{JOBS}:{name}").make(options)


def plan_of(job, inputs, staging, *, source=True, files=None, compression="", **settings):
    """A plan that reads inputs and writes into a folder, which is made."""
    stages = stages_of(job)
    record = record_type(job, stages[0].maps[0])
    found = resolve([str(one) for one in inputs], format=None if job.input == "auto" else job.input, record=record)
    asked = Settings(output=str(staging), compression=compression, **{"reducers": 3, **settings})
    staging.mkdir(parents=True)
    return Plan(
        run=f"run-{os.getpid()}-{next(runs)}",
        name=type(job).__name__,
        job=job,
        source=source_of(job) if source else None,
        stages=stages,
        splits=splits(found, asked.split_size, workers=2),
        record=record,
        settings=asked,
        staging=str(staging),
        output_format=job.output,
        files=files or {},
    )


def parts_of(plan, outcome):
    """What is in each part of the output, in their order; nothing else is in the folder."""
    names = [part.name for part in outcome.parts]
    assert sorted(names) == sorted(path.name for path in Path(plan.staging).iterdir())
    assert [part.of for part in outcome.parts] == sorted(part.of for part in outcome.parts)
    contents = [(Path(plan.staging) / name).read_bytes() for name in names]
    assert [part.bytes for part in outcome.parts] == [len(content) for content in contents]
    return contents


def on_spark(job, inputs, staging, **settings):
    """The output, and all that is told of a run on Spark."""
    plan = plan_of(job, inputs, staging, **settings)
    Spark().check(plan.settings)
    outcome = Outcome()
    Spark().run(plan, Heard(), outcome)
    return parts_of(plan, outcome), outcome


def inline(job, inputs, staging, **settings):
    """The same of the inline engine."""
    plan = plan_of(job, inputs, staging, **settings)
    outcome = Outcome()
    run_inline(plan, Heard(), outcome)
    outcome.parts.sort(key=lambda part: part.of)
    return parts_of(plan, outcome), outcome


def assert_same(name, inputs, folder, *, options=None, **settings):
    """That Spark does what the inline engine does: parts byte for byte, counters, how many pairs and bad records."""
    options = options or {}
    found, outcome = on_spark(job_named(name, **options), inputs, folder / "spark", **settings)
    expected, reference = inline(job_named(name, **options), inputs, folder / "inline", **settings)
    assert found == expected
    assert outcome.counters == reference.counters
    assert [part.pairs for part in outcome.parts] == [part.pairs for part in reference.parts]
    assert [bad.where for bad in outcome.bad] == [bad.where for bad in reference.bad]
    return outcome
