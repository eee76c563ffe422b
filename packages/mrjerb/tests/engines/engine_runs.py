"""Runs a job of the algebra on an engine, from its plan on, and reads back what it wrote."""

from pathlib import Path

from algebra_job import Algebra, packed

from mrjerb.engines import Silent, engine_named
from mrjerb.inputs.resolving import resolve
from mrjerb.inputs.splitting import splits
from mrjerb.job import record_type
from mrjerb.outputs.publish import Staging
from mrjerb.plan import Plan, Settings, Source
from mrjerb.stages import stages_of

JOB = Path(__file__).with_name("algebra_job.py")


def run(program, inputs, output, engine="local", **settings):
    """The lines of each part, and the outcome."""
    job = Algebra(program=packed(program))
    stages = stages_of(job)
    record = record_type(job, stages[0].maps[0])
    asked = Settings(output=str(output), engine=engine, **settings)
    found = splits(resolve(inputs, format=job.input, record=record), asked.split_size, workers=asked.workers or 2)
    staging = Staging.create(str(output), "run", overwrite=False, inputs=inputs)
    plan = Plan(
        "run", "algebra", job, Source(str(JOB), "Algebra", {"program": packed(program)}), stages, found, record, asked,
        staging.folder, job.output,
    )  # fmt: skip
    outcome = engine_named(engine).run(plan, Silent())
    staging.numbered(outcome.parts)
    staging.publish({})
    # A line ends with a line feed only: what Python's repr leaves as it is may look like another end.
    return [part.read_text().split("\n")[:-1] for part in sorted(Path(output).glob("part-*"))], outcome
