"""`mrjerb run`: what it writes where, how it ends, what it says of mistakes."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from launched import COUNT, MRJERB, mrjerb, pairs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a job and two inputs, and a history of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "count.py").write_text(COUNT)
    (tmp_path / "one.txt").write_text("a b a\n")
    (tmp_path / "two.txt").write_text("a c\n")
    return tmp_path


def test_a_run_says_what_it_wrote(folder):
    """The output is there; stdout has what was written and the counters; stderr, but for progress, is empty."""
    done = mrjerb("run", "count.py", "one.txt", "two.txt", "-o", "out", "--no-progress")
    assert pairs(folder / "out") == {"a": 3, "b": 1, "c": 1}
    assert done.stdout.startswith("wrote out: 1 part, 3 pairs, ")
    assert "lines  2" in done.stdout
    assert done.stderr == ""


def test_a_job_that_yields_nothing(folder):
    """Whoever forgets to yield is told so; an empty input is no such thing, nor is an output with pairs."""
    (folder / "forgot.py").write_text("def map(line):\n    line.upper()\n")
    (folder / "empty.txt").write_text("")
    assert "no pair was written" in mrjerb("run", "forgot.py", "one.txt", "-o", "out").stdout
    for name in ("one.txt", "empty.txt"):
        assert "no pair was written" not in mrjerb("run", "count.py", name, "-o", "other", "--overwrite").stdout


def test_an_output_on_stdout_is_alone_there(folder):
    """`-o -` can be read by a program: what is said of the run stands on stderr, and --json does not fit beside it."""
    done = mrjerb("run", "count.py", "one.txt", "-o", "-", cwd=folder)
    assert all("\t" in line for line in done.stdout.splitlines()), done.stdout
    assert done.stdout
    assert "wrote" in done.stderr
    assert "both write to stdout" in mrjerb("run", "count.py", "one.txt", "-o-", "--json", code=2, cwd=folder).stderr


def test_flags_may_stand_anywhere_behind_the_job(folder):
    """Inputs and flags may be mixed; the job's options come in every form, and are typed."""
    mrjerb("run", "-o", "out", "count.py", "one.txt", "--only", "a", "two.txt", "--upper", "--only=c", "--least", "1")
    assert pairs(folder / "out") == {"A": 3, "C": 1}


def test_an_input_that_begins_with_a_dash(folder):
    """Behind `--` all are inputs."""
    (folder / "-odd.txt").write_text("z\n")
    mrjerb("run", "count.py", "one.txt", "-o", "out", "--", "-odd.txt")
    assert pairs(folder / "out") == {"a": 2, "b": 1, "z": 1}


def test_the_help_shows_the_options_of_the_job(folder):
    """They stand in a group of their own, with their help and what they are without a word."""
    shown = mrjerb("run", "count.py", "--help").stdout
    assert "options of Count:\n  How often each word is there." in shown
    assert "rarer words are left out · 1" in shown
    assert "--upper, --no-upper" in shown
    assert "Exit codes: 0 done, 1 failed" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["count.py", "one.txt", "-o", "out", "--leest", "2"], "no flag --leest; is it --least?"),
        (["count.py", "one.txt", "-o", "out", "--reducer=2"], "no flag --reducer; is it --reducers?"),
        (["count.py", "one.txt", "-o", "out", "--least", "x"], "--least x: Expected `int`"),
        (["count.py", "one.txt", "-o", "out", "--reducers", "x"], "--reducers: invalid int value: 'x'"),
        (["count.py", "one.txt", "-o", "out", "--reducers", "0"], "--reducers 0: give at least 1"),
        (["count.py", "one.txt", "-o", "out", "--memory", "much"], "--memory much: is no size"),
        (["count.py", "one.txt", "-o", "out", "--on", "sparc"], "--on sparc: engines are local, spark, hadoop"),
        (["count.py", "one.txt", "-o", "out", "--cleanup", "no"], "--cleanup no: there are always, success, never"),
        (["count.py", "one.txt", "-o", "out", "--conf", "x"], "--conf x: write --conf name=value"),
        (["count.py", "one.txt", "-o", "out", "--jars", "x.jar"], "--jars is for clusters"),
        (["count.py", "one.txt", "-o", "out", "--files", "no.txt"], "side file no.txt: there is no"),
        (["count.py", "one.txt"], "no output was given"),
        (["count.py", "none.txt", "-o", "out"], "none.txt: no such file"),
        (["none.py", "one.txt", "-o", "out"], "none.py: no such file"),
        (["-o", "out"], "no job was given"),
        (["count.py", "one.txt", "-o"], "expected one argument"),
    ],
)
def test_what_was_not_understood(folder, arguments, said):
    """Exit code 2, one line on standard error that names the flag, no output; JSON says the same where it is asked."""
    done = mrjerb("run", *arguments, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (folder / "out").exists()
    found = json.loads(mrjerb("run", "--json", *arguments, code=2).stdout)
    assert found["status"] == "failed"
    assert said in found["error"]["message"]


def test_an_option_named_as_a_flag_of_ours(folder):
    """It is refused by name, when the job is loaded."""
    (folder / "bad.py").write_text(COUNT.replace("upper", "memory"))
    assert "the option memory is --memory, a flag of mrjerb" in mrjerb("run", "bad.py", "one.txt", code=2).stderr


def test_a_record_that_fails(folder):
    """The file and line, the error, the job's own traceback and what to do; the output before stays, nothing else."""
    mrjerb("run", "count.py", "one.txt", "-o", "out")
    (folder / "count.py").write_text(COUNT.replace("self.count(", "assert line != 'a c', 'no c'\n        self.count("))
    done = mrjerb("run", "count.py", "one.txt", "two.txt", "-o", "out", "--overwrite", code=1)
    assert "two.txt:1: AssertionError: no c" in done.stderr
    assert "count.py\", line 15, in map\n    assert line != 'a c', 'no c'" in done.stderr
    assert "mrjerb/" not in done.stderr.replace(str(folder), "")
    assert "--skip-bad N" in done.stderr
    assert pairs(folder / "out") == {"a": 2, "b": 1}
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def test_bad_records_are_kept(folder):
    """As many as are allowed; where they are is said, and `show` says it too."""
    (folder / "count.py").write_text(COUNT.replace("self.count(", "assert line != 'a c', 'no c'\n        self.count("))
    done = mrjerb("run", "count.py", "one.txt", "two.txt", "-o", "out", "--skip-bad", "1", "--json")
    found = json.loads(done.stdout)
    assert pairs(folder / "out") == {"a": 2, "b": 1}
    (bad,) = map(json.loads, Path(found["bad_file"]).read_text().splitlines())
    assert bad["raw"] == "a c"
    assert bad["where"].endswith("two.txt:1")
    assert "1 bad record tolerated, kept in " + found["bad_file"] in mrjerb("show").stdout


def test_json_has_the_result(folder):
    """One object: what a program needs of a run."""
    found = json.loads(mrjerb("run", "count.py", "one.txt", "two.txt", "-o", "out", "--json").stdout)
    assert found["status"] == "succeeded"
    assert found["counters"] == {"lines": 2}
    assert (found["records"], found["pairs"], found["files"]) == (2, 3, 2)
    assert [part["name"] for part in found["parts"]] == ["part-00000"]
    assert json.loads(mrjerb("show", found["run"], "--json").stdout) == found


def test_quiet_says_nothing(folder):
    """A run of cron that goes well mails nothing."""
    done = mrjerb("run", "-q", "count.py", "one.txt", "-o", "out")
    assert done.stdout + done.stderr == ""


def test_a_reader_that_leaves(folder):
    """`mrjerb history | head -0` is no error."""
    mrjerb("run", "count.py", "one.txt", "-o", "out")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([MRJERB, "history"], stdout=writing, stderr=subprocess.PIPE, timeout=100)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
