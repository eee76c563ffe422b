"""Launching from code: `mrjerb.run`, `mrjerb.plan` and the Result."""

import gc
import json
import threading
from pathlib import Path

import pytest
from launched import COUNT

import mrjerb
from mrjerb.engines import Silent


class Count(mrjerb.Job):
    least: int = 1

    def map(self, line):
        self.count("lines")
        for word in line.split():
            yield word, 1

    def reduce(self, word, counts):
        found = sum(counts)
        if found >= self.least:
            yield word, found


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An input, and a history of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("a b a\nc\n")
    return tmp_path


@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
@pytest.mark.parametrize("protocol", ["json", "pickle", "repr"])
def test_the_pairs_are_read_back(protocol, compression):
    """As they were, however they are written, as often as one likes."""
    result = mrjerb.run(Count, "in.txt", output_format=protocol, compression=compression)
    assert dict(result) == dict(result) == {"a": 2, "b": 1, "c": 1}
    assert result.counters == {"lines": 2}
    assert (result.status, len(result.parts), result.bad) == ("succeeded", 1, [])
    assert json.loads(result.json())["pairs"] == 3


def test_a_temporary_output_goes_with_its_result():
    """It is there while the Result is; a context ends it earlier."""
    result = mrjerb.run(Count(least=2), "in.txt")
    place = Path(result.output)
    assert dict(result) == {"a": 2}
    assert place.exists()
    del result
    gc.collect()
    assert not place.parent.exists()
    with mrjerb.run(Count, ["in.txt"]) as result:
        place = Path(result.output)
    assert not place.parent.exists()


def test_a_job_in_each_form(folder):
    """A file, a class, a job that is made; options go to what is not made yet."""
    (folder / "count.py").write_text(COUNT)
    for job in ("count.py", "count.py:Count", Count):
        assert dict(mrjerb.run(job, "in.txt", options={"least": 2})) == {"a": 2}
    assert dict(mrjerb.run(Count(least=2), "in.txt", "out")) == {"a": 2}
    assert (folder / "out" / "part-00000").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"job": 5}, mrjerb.JobError, "5 is no job"),
        ({"options": {"most": 1}}, mrjerb.JobError, "Count has no option most"),
        ({"options": {"least": "x"}}, mrjerb.UsageError, "--least x"),
        ({"job": Count(), "options": {"least": 1}}, mrjerb.JobError, "the job is made already"),
        ({"inputs": "none.txt"}, mrjerb.InputError, "none.txt: no such file"),
        ({"inputs": []}, mrjerb.InputError, "no input"),
        ({"memory": "much"}, mrjerb.UsageError, "memory much: is no size"),
        ({"on": "sparc"}, mrjerb.UsageError, "engines are local"),
        ({"output_format": "jason"}, mrjerb.UsageError, "jason"),
        ({"jars": ["x.jar"]}, mrjerb.UnsupportedError, "--jars"),
        ({"reducer": 3}, TypeError, "reducer"),
    ],
)
def test_what_cannot_be(folder, arguments, error, said):
    """An error of a kind that can be caught, which names what was wrong; nothing is left in its place."""
    given = {"job": Count, "inputs": "in.txt", "output": "out"} | arguments
    with pytest.raises(error, match=said):
        mrjerb.run(**given)
    assert not (folder / "out").exists()
    assert not list(folder.glob(".out*"))


def test_an_error_knows_its_run():
    """Of a run that had begun, what the history has is at hand."""

    class Failing(mrjerb.Job):
        def map(self, line):
            yield line, 1 / len(line.split())
            raise ValueError(line)

    with pytest.raises(mrjerb.RecordError, match=r"in\.txt:1: ValueError: a b a") as error:
        mrjerb.run(Failing, "in.txt")
    assert error.value.run.status == "failed"
    assert error.value.run.error.where == "in.txt:1"
    assert "raise ValueError(line)" in error.value.run.error.trace


def test_bad_records_are_given_back():
    """With where they are, and as they were read."""

    class Picky(mrjerb.Job):
        def map(self, line):
            assert line != "c"
            yield line, 1

    result = mrjerb.run(Picky, "in.txt", skip_bad=1)
    assert [(bad.where, bad.raw) for bad in result.bad] == [("in.txt:2", "c")]
    assert dict(result) == {"a b a": 1}


def test_a_listener_hears_the_run():
    """Stages come by name, and what was done of them."""

    class Listening(Silent):
        def __init__(self):
            self.stages = []

        def stage(self, name, tasks, size):
            self.stages.append((name, tasks))

    listener = Listening()
    mrjerb.run(Count, "in.txt", listener=listener, reducers=3)
    assert listener.stages == [("map", 1), ("reduce 1", 3)]


def test_a_run_in_a_thread():
    """Signals are the main thread's: a run elsewhere works as well."""
    found = []
    thread = threading.Thread(target=lambda: found.extend(mrjerb.run(Count, "in.txt")))
    thread.start()
    thread.join(100)
    assert dict(found) == {"a": 2, "b": 1, "c": 1}


def test_a_plan_writes_nothing(folder):
    """What would be read, and how; no output, no history."""
    prepared = mrjerb.plan(Count, "in.txt", "out", reducers=2)
    assert [stage.name for stage in prepared.plan.stages] == ["map", "reduce 1"]
    assert [file.path for file in prepared.files] == ["in.txt"]
    assert sorted(path.name for path in folder.iterdir()) == ["in.txt"]


def test_side_files(folder):
    """A job's own lie beside it, those that are given where one is; both by the names that were written."""
    (folder / "data").mkdir()
    (folder / "data" / "stop.txt").write_text("a")
    (folder / "more.txt").write_text("b")
    (folder / "stopping.py").write_text(
        "from mrjerb import Job\n\nclass Stopping(Job):\n    files = ['data/stop.txt']\n\n"
        "    def setup(self):\n        names = 'data/stop.txt', 'stop.txt', 'more.txt'\n"
        "        self.stop = [self.file(name).read_text() for name in names]\n\n"
        "    def map(self, line):\n        for word in line.split():\n"
        "            if word not in self.stop:\n                yield word, 1\n"
    )
    assert dict(mrjerb.run("stopping.py", "in.txt", files=["more.txt"])) == {"c": 1}
    with pytest.raises(mrjerb.MrjerbError, match=r"no side file 'more\.txt'"):
        mrjerb.run("stopping.py", "in.txt")
    with pytest.raises(mrjerb.UsageError, match=r"side file none\.txt: there is no"):
        mrjerb.run("stopping.py", "in.txt", files=["none.txt"])
