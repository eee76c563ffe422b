"""A batch job is a generator or two: on every core here, on Spark or Hadoop there."""

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

__all__ = [
    "EngineError",
    "InputError",
    "Interrupted",
    "Job",
    "JobError",
    "MrjerbError",
    "OutputError",
    "RecordError",
    "Step",
    "UnsupportedError",
    "UsageError",
]
