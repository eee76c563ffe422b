"""Parts that tasks write themselves, and bad records: the same bytes, and the same records, as on the other engines."""

import sys
import tarfile
from pathlib import Path

import pytest
from hadoop_runs import left_over, run_both, write_job

import mrjerb.runner
from mrjerb.errors import EngineError, OutputError, RecordError

ROWS = """
    from mrjerb import Job


    class Rows(Job):
        def map(self, line):
            self.count("lines")
            name, number = line.split(" ")
            yield name, 1000
            if not int(number):
                raise ValueError("nothing")
            yield name, int(number)

        def combine(self, name, numbers):
            yield name, sum(numbers)
            if name == "worse":
                raise ValueError("worse than nothing")

        def reduce(self, name, numbers):
            yield None, {"name": name + "\\r\\n", "sum": sum(numbers), "é": [name, None]}
            if name == "bad":
                raise ValueError("no good")
"""
LATE = """
    import os

    def map(line):
        yield line, os.environ.get("IN_ENVIRONMENT")
"""


def bad_lines():
    """Two inputs, of which Hadoop makes a task each, with two bad records and a bad key."""
    Path("one.txt").write_text("ann 1\nbob\nbad 3\nann 4\n")
    Path("two.txt").write_text("ann 5\ncy 6\ncy 0\n")
    return write_job("rows.py", ROWS), ["one.txt", "two.txt"]


def test_rows_and_bad_records(folder):
    """CSV with line ends in its cells, in zstd, which Hadoop's own jars can't write: byte for byte as here.
    As many bad records as allowed are kept, of all tasks together, and leave nothing of what they yielded."""
    job, inputs = bad_lines()
    here, there = run_both(job, inputs, output_format="csv", compression="zstd", reducers=2, skip_bad=3)
    assert sorted(there.bad, key=str) == sorted(here.bad, key=str)
    assert {bad.where for bad in there.bad} == {"one.txt:2", "two.txt:3", "reduce 1, key 'bad'"}
    assert [part.pairs for part in there.parts] == [part.pairs for part in here.parts]
    assert left_over() == []


@pytest.mark.slow
def test_one_bad_record_too_many(folder):
    """Each task has fewer bad records than may be, all together more: the run fails and publishes nothing. So does a
    combine that fails, which is a record, too."""
    job, inputs = bad_lines()
    for allowed in (0, 2):
        with pytest.raises(RecordError):
            mrjerb.runner.run(job, inputs, "out", on="hadoop", skip_bad=allowed)
    Path("one.txt").write_text("worse 1\n")
    with pytest.raises(RecordError, match="worse than nothing"):
        mrjerb.runner.run(job, inputs[:1], "out", on="hadoop")
    assert not Path("out").exists()
    assert left_over() == []


@pytest.mark.slow
@pytest.mark.parametrize("output_format", ["tsv", "parquet"])
def test_tables_of_maps_alone(folder, output_format):
    """Parts of maps are in the order of the inputs; an empty input is an empty part."""
    for name, lines in (("one.txt", 3), ("two.txt", 500), ("three.txt", 0)):
        Path(name).write_text("".join(f"{name} {line}\n" for line in range(lines)))
    job = write_job("lines.py", "def map(line):\n    yield line, len(line)\n")
    run_both(job, ["one.txt", "two.txt", "three.txt"], output_format=output_format)
    job = write_job("odd.py", "def map(line):\n    yield None, {'a': 1} if line.endswith('1') else {'b': 2}\n")
    with pytest.raises((OutputError, RecordError), match="columns"):
        mrjerb.runner.run(job, "one.txt", "out", on="hadoop", output_format=output_format)
    assert not Path("out").exists()
    assert left_over() == []


@pytest.mark.slow
def test_an_environment_travels(folder):
    """The archive of an environment is unpacked for the tasks, and its Python runs them."""
    archive_of_python("env.tar.gz")
    Path("in.txt").write_text("a\n")
    mrjerb.runner.run(write_job("late.py", LATE), "in.txt", "out", on="hadoop", python_env="env.tar.gz")
    assert Path("out/part-00000").read_text() == '"a"\t"yes"\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "lacks"), [({"compression": "zstd"}, "backports"), ({"output_format": "parquet"}, "pyarrow")]
)
def test_a_python_that_can_not_write_it(folder, asked, lacks):
    """What the tasks' Python lacks for a format or compression is told by name, with which Python, and what to do."""
    Path("in.txt").write_text("a\n")
    Path("lacking").mkdir()
    Path("lacking", f"{lacks}.py").write_text(f"raise ImportError('No module named {lacks}')\n")
    python = python_with(f"PYTHONPATH={folder}/lacking")
    job = write_job("late.py", LATE)
    with pytest.raises(EngineError, match=rf"can't write {next(iter(asked.values()))}: .*{lacks}.*--python-env"):
        mrjerb.runner.run(job, "in.txt", "out", on="hadoop", python_env=str(python.resolve()), **asked)
    assert not Path("out").exists()


def python_with(variable):
    """A folder `env` with a `bin/python` that sets a variable, and is this Python otherwise."""
    python = Path("env/bin/python")
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\n{variable} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return Path("env")


def archive_of_python(name):
    """An archive of a Python that tells that it is the archive's."""
    python_with("IN_ENVIRONMENT=yes")
    with tarfile.open(name, "w:gz") as archive:
        archive.add("env", ".")
