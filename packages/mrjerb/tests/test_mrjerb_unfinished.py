"""A run that fails, or is ended: what is known of it by then is kept, marked as such, and nothing is made up."""

import json
import signal
from pathlib import Path

import pytest
from launched import mrjerb, started, until

import mrjerb as package
from mrjerb.engines import Silent

FAILING = """
import os, time
from mrjerb import Job

class Failing(Job):
    at: str = "map"
    beside: bool = False

    def map(self, line):
        if line == "last":
            open("last", "w").close()
            time.sleep(1000)
        self.count("lines")
        if self.at == "map" and line == "bad":
            while self.beside and not os.path.exists("last"):
                time.sleep(0.01)
            time.sleep(0.6)
            raise ValueError("no")
        yield line, 1

    def reduce(self, key, values):
        self.count("keys")
        if self.at == "reduce" and key == "bad":
            raise ValueError("no")
        yield key, sum(values)
"""

SLOW = """
import time
from mrjerb import Job

class Slow(Job):
    def map(self, line):
        self.count("lines")
        if line == "bad":
            open("there", "w").close()
            time.sleep(100)
        yield line, 1
"""
LONG = """
import os, time
from mrjerb import Job

class Long(Job):
    def map(self, line):
        self.count("lines")
        if line == "200":
            first = not os.path.exists("first")
            open("first", "w").close()
            while not os.path.exists("seen"):
                time.sleep(0.01)
            if first:
                os.kill(os.getpid(), 9)
        yield line, 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A job that fails at the line or key `bad`, and three inputs, of which the last has it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "failing.py").write_text(FAILING)
    (tmp_path / "a.txt").write_text("x\n" * 300)
    (tmp_path / "b.txt").write_text("y\n" * 50)
    (tmp_path / "c.txt").write_text("z\n" * 7 + "bad\n" + "z\n" * 100)
    return tmp_path


def failed(*more, code=1):
    """The run as JSON."""
    return json.loads(
        mrjerb("run", "failing.py", "a.txt", "b.txt", "c.txt", *more, "-o", "out", "--json", code=code).stdout
    )


# Of two workers one fails once the other has a fourth input, which it gets when all that it said before was heard.
BESIDE = ["d.txt", "--beside", "--workers", "2"]


@pytest.mark.parametrize("how", [["--workers", "1"], BESIDE, ["--debug"]], ids=" ".join)
def test_a_map_that_fails(folder, how):
    """Tasks that ended, the one that failed, and the counters of both; no part is named, for none was published."""
    (folder / "d.txt").write_text("last\n")
    found = failed(*how)
    tasks = {task["of"]: task for task in found["tasks"]}
    assert {of: task["failed"] for of, task in tasks.items()} == {
        "a.txt:0-600": False,
        "b.txt:0-100": False,
        "c.txt:0-218": True,
    }
    assert [tasks[of]["items"] for of in ("a.txt:0-600", "b.txt:0-100")] == [300, 50]
    assert tasks["c.txt:0-218"]["seconds"] >= 0.6
    assert found["counters"] == {"lines": 358}
    assert (found["records"], found["tasks_run"], found["parts"], found["pairs"]) == (350, 3, [], 0)


@pytest.mark.parametrize("how", [["--workers", "1"], ["--debug"]], ids=" ".join)
def test_a_reduce_that_fails(folder, how):
    """All maps have ended; the partition that failed is named; what the reduce counted until then is there."""
    found = failed("--at", "reduce", *how)
    assert [task["of"] for task in found["tasks"] if task["failed"]] == ["partition 0"]
    assert found["records"] == 458
    assert found["counters"] == {"lines": 458, "keys": 1}


def test_it_is_shown(folder):
    """In the terminal and on the page: marked as of a run that failed, the failed task first, nothing published."""
    failed("--workers", "1")
    shown = mrjerb("show").stdout
    assert "to be read  3 files, 918 bytes; 350 records in tasks that ended" in shown
    assert "nothing was published" in shown
    assert "counters, as far as known when it ended\n  lines  358" in shown
    tasks = shown.split("slowest of 3 tasks that had ended, or failed\n")[1].splitlines()
    assert tasks[0].split()[:2] == ["map", "c.txt:0-218"]
    assert "failed" in tasks[0]
    mrjerb("show", "--html", "page.html")
    page = (folder / "page.html").read_text()
    assert 'class="bar task failed"' in page
    assert "As far as known when it ended" in page
    assert "pairs written" not in page


def test_a_run_that_fails_before_its_beginning(folder):
    """What was refused has read nothing, and says no more than why."""
    found = failed("--format", "none", code=2)
    assert (found["tasks"], found["counters"], found["records"]) == ([], {}, 0)
    shown = mrjerb("show").stdout
    assert "counters" not in shown
    assert "slowest" not in shown


def test_bad_records_of_a_run_that_met_one_too_many(folder):
    """Those that were tolerated are kept, so that the next run need not find them again."""
    (folder / "c.txt").write_text("z\nbad\nz\nbad\nbad\n")
    found = failed("--skip-bad", "2", "--workers", "1")
    assert found["error"]["where"] == "c.txt:5"
    kept = [json.loads(line)["where"] for line in Path(found["bad_file"]).read_text().splitlines()]
    assert kept == ["c.txt:2", "c.txt:4"]


def test_a_run_that_is_ended(folder):
    """Ctrl-C keeps what is known, too."""
    (folder / "slow.py").write_text(SLOW)
    process = started("run", "slow.py", "a.txt", "b.txt", "c.txt", "-o", "out", "--json", "--workers", "1")
    until((folder / "there").exists, "the last input")
    process.send_signal(signal.SIGINT)
    found = json.loads(process.communicate(timeout=100)[0])
    assert found["status"] == "interrupted"
    assert found["records"] == 350
    assert 0 <= found["counters"].get("lines", 0) <= 358


class Heard(Silent):
    """What is told of counters while a run goes on; `after` is called with each."""

    def __init__(self, after):
        self.so_far, self.for_good, self.after = [], [], after

    def progress(self, done, tasks, counters):
        self.so_far.append(dict(counters))
        self.after(counters)

    def counted(self, counters):
        self.for_good.append(dict(counters))


def test_counters_move_before_a_task_is_over(folder, monkeypatch):
    """What has not been committed is told as so far; as for good it comes once, though a worker was killed."""
    (folder / "long.py").write_text(LONG)
    (folder / "in.txt").write_text("".join(f"{number}\n" for number in range(100, 400)))
    heard = Heard(lambda counters: (folder / "seen").touch() if counters.get("lines") else None)
    monkeypatch.setattr("mrjerb.engines.local.worker.TELL", 0.0)
    result = package.run("long.py", "in.txt", "out", listener=heard, workers=1, split_size=200)
    assert result.counters == {"lines": 300}
    assert any(0 < counters.get("lines", 0) < 300 for counters in heard.so_far)
    assert heard.for_good[-1] == {"lines": 300}
    totals = [counters.get("lines", 0) for counters in heard.for_good]
    assert totals == sorted(totals)
