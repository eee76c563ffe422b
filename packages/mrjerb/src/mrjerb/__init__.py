"""A batch job is a generator or two: on every core here, on Spark or Hadoop there."""

from mrjerb.combining import total
from mrjerb.errors import (
    EngineError,
    InputError,
    Interrupted,
    JobError,
    MrjerbError,
    OutputError,
    RecordError,
    UnsupportedError,
    UsageError,
)
from mrjerb.job import Job, Step
from mrjerb.results import Result
from mrjerb.runner import plan, run

__all__ = [
    "EngineError",
    "InputError",
    "Interrupted",
    "Job",
    "JobError",
    "MrjerbError",
    "OutputError",
    "RecordError",
    "Result",
    "Step",
    "UnsupportedError",
    "UsageError",
    "plan",
    "run",
    "total",
]
