"""Runs on Hadoop and here, to be compared."""

import os
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
    """What lies beside the outputs that no run should have left. A folder may vanish meanwhile, which rglob minds."""
    walked = os.walk(Path.cwd())
    return [Path(folder, name) for folder, *names in walked for some in names for name in some if "mrjerb-" in name]
