"""Runs on Hadoop and here, to be compared."""

from pathlib import Path
from textwrap import dedent

import mrjerb.runner


def write_job(name, text):
    """A job's file; its path."""
    path = Path(name)
    path.write_text(dedent(text).lstrip())
    return str(path)


def parts_of(output):
    """The parts of an output, by name."""
    return {path.name: path.read_bytes() for path in sorted(Path(output).glob("part-*"))}


def run_both(job, inputs, **settings):
    """The same run by the local engine, in one process, and on Hadoop: both results, and that their parts are alike."""
    here = mrjerb.runner.run(job, inputs, "here", debug=True, **settings)
    there = mrjerb.runner.run(job, inputs, "there", on="hadoop", **settings)
    assert parts_of("there") == parts_of("here")
    assert there.counters == here.counters
    return here, there


def left_over():
    """What lies beside the outputs that no run should have left."""
    return [path for path in Path.cwd().rglob("*") if "mrjerb-" in path.name]
