"""Jobs that were written for mrjob, run by mrjerb: `from mrjerb.compat import MRJob` in the place of `from mrjob.job`.

A job's file needs no edit at all where it is run with `mrjerb run JOB.py …` or `python -m mrjerb.compat JOB.py …`, or
after `mrjerb.compat.install()`: then `import mrjob` finds this package (see `modules`).
"""

from mrjerb.compat.job import MRJob
from mrjerb.compat.jobconf import jobconf_from_env
from mrjerb.compat.modules import install
from mrjerb.compat.protocols import (
    BytesProtocol,
    BytesValueProtocol,
    JSONProtocol,
    JSONValueProtocol,
    PickleProtocol,
    PickleValueProtocol,
    RawProtocol,
    RawValueProtocol,
    ReprProtocol,
    ReprValueProtocol,
    StandardJSONProtocol,
    StandardJSONValueProtocol,
    TextProtocol,
    TextValueProtocol,
)
from mrjerb.compat.steps import JarStep, MRStep, SparkJarStep, SparkScriptStep, SparkStep, StepFailedException

__all__ = [
    "BytesProtocol",
    "BytesValueProtocol",
    "JSONProtocol",
    "JSONValueProtocol",
    "JarStep",
    "MRJob",
    "MRStep",
    "PickleProtocol",
    "PickleValueProtocol",
    "RawProtocol",
    "RawValueProtocol",
    "ReprProtocol",
    "ReprValueProtocol",
    "SparkJarStep",
    "SparkScriptStep",
    "SparkStep",
    "StandardJSONProtocol",
    "StandardJSONValueProtocol",
    "StepFailedException",
    "TextProtocol",
    "TextValueProtocol",
    "install",
    "jobconf_from_env",
]
