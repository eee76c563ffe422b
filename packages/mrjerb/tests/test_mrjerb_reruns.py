"""`--skip-done`: what is done already is not done again, and what is not, is."""

import json
import os

import pytest
from launched import COUNT, mrjerb, pairs

UPPER = """
from words import split

def map(line):
    for word in split(line):
        yield None, word.upper()

output = "text"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "count.py").write_text(COUNT)
    (tmp_path / "upper.py").write_text(UPPER)
    (tmp_path / "words.py").write_text("def split(line):\n    return line.split()\n")
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"{name} {name}\n")
    return tmp_path


def run(*arguments):
    """A run that skips what is done; its JSON."""
    return json.loads(mrjerb("run", *arguments, "-o", "out", "--skip-done", "--overwrite", "--json").stdout)


def test_what_is_done_is_not_run_again(folder):
    """The same inputs, code and settings: nothing is run, and the result is as before."""
    first, again = run("count.py", "a.txt", "b.txt"), run("count.py", "a.txt", "b.txt")
    assert (first["status"], again["status"]) == ("succeeded", "skipped")
    assert again["counters"] == first["counters"] == {"lines": 2}
    assert (again["pairs"], again["tasks"]) == (2, [])
    said = mrjerb("run", "count.py", "a.txt", "b.txt", "-o", "out", "--skip-done").stdout
    assert said.startswith("out is there already, of the same inputs: nothing was run")
    assert "skipped" in mrjerb("history").stdout


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "a.txt").write_text("x y z\n"),
        lambda folder: os.utime(folder / "a.txt", ns=(1, 1)),
        lambda folder: (folder / "count.py").write_text(COUNT + "\n# changed\n"),
        lambda folder: (folder / "out" / "part-00000").write_text(""),
        lambda folder: (folder / "out" / "_manifest.json").write_text("{"),
    ],
    ids=["input", "time", "code", "part", "manifest"],
)
def test_what_has_changed_is_run_again(folder, change):
    """An input, the code, or the output itself: then it is made anew."""
    run("count.py", "a.txt", "b.txt")
    change(folder)
    assert run("count.py", "a.txt", "b.txt")["status"] == "succeeded"


def test_other_settings_and_inputs_are_run(folder):
    """An option of the job, a setting that shows in the output, an input more."""
    run("count.py", "a.txt", "b.txt")
    assert run("count.py", "a.txt", "b.txt", "--least", "2")["status"] == "succeeded"
    assert run("count.py", "a.txt", "b.txt", "--least", "2")["status"] == "skipped"
    assert run("count.py", "a.txt", "b.txt", "--least", "2", "--workers", "1")["status"] == "skipped"
    assert run("count.py", "a.txt", "b.txt", "--least", "2", "--reducers", "2")["status"] == "succeeded"
    assert run("count.py", "a.txt", "b.txt", "c.txt")["status"] == "succeeded"
    assert pairs(folder / "out") == {"a": 2, "b": 2, "c": 2}


def test_new_inputs_alone_are_mapped(folder):
    """Where nothing is shuffled, parts of inputs that are as they were are taken over, in the order of the inputs."""
    assert run("upper.py", "a.txt", "c.txt")["records"] == 2
    before = (folder / "out" / "part-00001").stat().st_ino
    (folder / "a.txt").write_text("x\n")
    found = run("upper.py", "a.txt", "b.txt", "c.txt")
    assert (found["status"], found["records"], len(found["parts"])) == ("succeeded", 2, 3)
    assert [part.read_text() for part in sorted((folder / "out").glob("part-*"))] == ["X\n", "B\nB\n", "C\nC\n"]
    assert (folder / "out" / "part-00002").stat().st_ino == before
    assert run("upper.py", "a.txt", "b.txt", "c.txt")["status"] == "skipped"
    assert run("upper.py", "b.txt")["parts"] == [{"name": "part-00000", "pairs": 2, "bytes": 4, "of": [0, 0]}]


def test_a_module_of_the_job_that_has_changed(folder):
    """Code that the job imports from beside it is its code."""
    run("upper.py", "a.txt")
    (folder / "words.py").write_text("def split(line):\n    return [line]\n")
    assert run("upper.py", "a.txt")["status"] == "succeeded"
    assert (folder / "out" / "part-00000").read_text() == "A A\n"


def test_without_overwrite_nothing_is_replaced(folder):
    """--skip-done alone replaces no output."""
    run("count.py", "a.txt")
    done = mrjerb("run", "count.py", "b.txt", "-o", "out", "--skip-done", code=2)
    assert "is there already" in done.stderr
    assert pairs(folder / "out") == {"a": 2}


def test_what_is_printed_is_never_done(folder):
    """Standard output: the parts go there, all else to standard error; it can be neither skipped nor shared."""
    done = mrjerb("run", "count.py", "a.txt", "-o", "-")
    assert done.stdout == '"a"\t2\n'
    assert "1 pair" in done.stderr
    for flag in ("--skip-done", "--json"):
        assert flag in mrjerb("run", "count.py", "a.txt", "-o", "-", flag, code=2).stderr
