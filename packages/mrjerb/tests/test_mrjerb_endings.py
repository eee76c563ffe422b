"""Runs that are ended from outside, as real processes: nothing published, nothing left, and the history knows."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from launched import mrjerb, started, until

SLOW = """
import os, time
from pathlib import Path

def map(line):
    Path("running").touch()
    time.sleep(0.05)
    yield line, 1

def reduce(line, counts):
    yield line, sum(counts)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A slow job, its input, an output of before, and a history and temporary folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "in.txt").write_text("".join(f"{number}\n" for number in range(20_000)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-00000").write_text("before\n")
    return tmp_path


def running(folder, *more, **how):
    """A run whose map is running."""
    said = ["slow.py", "in.txt", "-o", "out", "--overwrite", "--tmp", "tmp", "--split-size", "20KB", *more]
    process = started("run", *said, **how)
    until((folder / "running").exists, "the job's first record")
    return process


def processes_of(session):
    """The living processes of a session."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(place.name))
    return found


def assert_nothing_left(folder, process):
    """The output before is there, and nothing else: no process, no temporary file."""
    until(lambda: not processes_of(process.pid), "its processes to be gone")
    until(lambda: not list((folder / "tmp").iterdir()), "its temporary files to be gone")
    until(lambda: not list(folder.glob(".out*")), "the staging folder to be gone")
    assert [(path.name, path.read_text()) for path in (folder / "out").iterdir()] == [("part-00000", "before\n")]


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "ended by Ctrl-C"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "SIGHUP"),
    ],
)
def test_a_signal_ends_a_run_in_good_order(folder, number, code, said):
    """Ctrl-C, SIGTERM, and the end of a terminal: an exit code of its own, one line, no harm; known to the history."""
    process = running(folder, "--json")
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=100)
    assert process.returncode == code, err
    assert said in err
    assert "Traceback" not in err
    found = json.loads(out)
    assert (found["status"], found["error"]["exit_code"]) == ("interrupted", code)
    assert_nothing_left(folder, process)
    assert "interrupted" in mrjerb("history", "--failed").stdout


def test_ctrl_c_at_a_terminal_reaches_all(folder):
    """A terminal interrupts every process of the run, workers too: it ends in the same good order."""
    process = running(folder, "--no-progress")  # which a busy machine would have beside the one line
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130
    assert err == "error ended by Ctrl-C; nothing was published\n"
    assert_nothing_left(folder, process)


def test_a_launcher_that_is_killed(folder):
    """kill -9: the output stays, workers and temporary files go, and the history says that the run died."""
    process = running(folder)
    run = json.loads(mrjerb("history", "--json").stdout)
    assert run["status"] == "running"
    process.kill()
    process.communicate(timeout=100)
    assert_nothing_left(folder, process)
    found = json.loads(mrjerb("show", "--json").stdout)
    assert (found["run"], found["status"]) == (run["run"], "died")
    assert "its process was killed" in mrjerb("show").stdout


def test_a_signal_that_was_ignored_from_outside(folder):
    """What nohup ignores stays ignored."""
    process = running(folder, on_signal={signal.SIGHUP: signal.SIG_IGN})
    os.kill(process.pid, signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=100)
    assert process.returncode == 143


def test_what_is_kept_where_that_is_asked(folder):
    """`--cleanup never` keeps temporary files and the unfinished output of a run that failed, and says where."""
    (folder / "slow.py").write_text(SLOW.replace("    time.sleep(0.05)", "    raise ValueError(line)"))
    done = mrjerb("run", "slow.py", "in.txt", "-o", "new", "--tmp", "tmp", "--cleanup", "never", code=1)
    kept = list((folder / "tmp").iterdir())
    (staging,) = folder.glob(".new*")
    assert f"temporary files are kept in {kept[0].relative_to(folder)}" in done.stderr
    assert f"the unfinished output is kept in {staging}" in done.stderr
    assert not (folder / "new").exists()
