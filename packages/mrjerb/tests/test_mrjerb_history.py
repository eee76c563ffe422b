"""The history: what was run stays known, in bounds, whoever writes at the same time."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from launched import COUNT, mrjerb

from mrjerb.errors import UsageError
from mrjerb.history import DIED, KEPT, RUNNING, SUCCEEDED, History, Process, Run, new_run, slowest, this_process
from mrjerb.plan import BadRecord, TaskReport


def test_a_run_comes_back_as_it_was(tmp_path):
    """All of a run, and its bad records."""
    history = History(tmp_path)
    run = Run(run="20240501-1", name="Count", status=SUCCEEDED, counters={"lines": 3}, process=this_process())
    history.keep_bad(run, [BadRecord("a.txt:3", "ValueError: x", "é\x00")])
    history.keep(run)
    assert history.run("last") == run
    assert history.run("20240501") == run
    assert history.bad_records(run) == [BadRecord("a.txt:3", "ValueError: x", "é\x00")]


def test_the_newest_stay(tmp_path):
    """Beyond 200 the oldest go; one that is still running stays."""
    history = History(tmp_path)
    for number in range(KEPT + 5):
        status = RUNNING if number == 0 else SUCCEEDED
        history.keep(Run(run=f"{number:06d}", name="Count", status=status, process=this_process()))
    history.prune()
    names = [run.run for run in history.runs()]
    assert len(names) == KEPT + 1
    assert (names[0], names[-1]) == (f"{KEPT + 4:06d}", "000000")


def test_a_run_that_is_gone_has_died(tmp_path):
    """One that lives is running; one whose process is gone, is another's by now, or was before a restart, died."""
    history = History(tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = this_process()
    for name, process in {
        "1": here,
        "2": Process(gone.pid, 1, here.boot),
        "3": Process(here.pid, here.began - 1, here.boot),
        "4": Process(here.pid, here.began, "another boot"),
    }.items():
        history.keep(Run(run=name, name="Count", began=time.time(), process=process))
    assert [run.status for run in history.runs()] == [DIED, DIED, DIED, RUNNING]


def test_a_run_that_ends_while_it_is_looked_at(tmp_path, monkeypatch):
    """A run whose process was there when its file was read, and has ended well since, has not died."""
    history = History(tmp_path)
    run = Run(run="1", name="Count", began=time.time(), process=this_process())
    history.keep(run)

    def ends(process):
        history.keep(Run(run="1", name="Count", status=SUCCEEDED, process=this_process()))
        return False

    monkeypatch.setattr(Process, "lives", property(ends))
    assert history.run("1").status == SUCCEEDED


def test_what_is_broken_is_passed_over(tmp_path):
    """A run whose file can't be read hides no other."""
    history = History(tmp_path)
    history.keep(Run(run="1", name="Count"))
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "run.json").write_text('{"run": ')
    (tmp_path / "3").mkdir()
    assert [run.run for run in history.runs()] == ["1"]
    assert history.run("last").run == "1"


def test_a_name_that_is_none(tmp_path):
    """What begins several, or nothing, is said."""
    history = History(tmp_path)
    for name in ("ab1", "ab2"):
        history.keep(Run(run=name, name="Count"))
    with pytest.raises(UsageError, match="several runs begin so: ab2, ab1"):
        history.run("ab")
    with pytest.raises(UsageError, match="no such run"):
        history.run("x")


def test_names_sort_by_time_and_differ():
    """Runs that begin in the same second are in the order in which they began, and have names of their own."""
    names = []
    for _ in range(30):
        names.append(new_run())
        time.sleep(0.002)
    assert names == sorted(names)
    assert len({new_run() for _ in range(20)}) > 10


def test_only_the_slowest_tasks_are_kept():
    """A run of a million tasks has a small file; those kept are the slowest, in their order."""
    tasks = [TaskReport(0, str(number), float(number % 10), 1, 1) for number in range(100)]
    kept = slowest(tasks, 20)
    assert [task.seconds for task in kept] == [8.0, 9.0] * 10
    assert slowest(tasks, 100) == tasks


def test_runs_at_the_same_time(tmp_path, monkeypatch):
    """Eight runs at once, of real processes: each is in the history with its own counters."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "count.py").write_text(COUNT)
    for number in range(8):
        (tmp_path / f"{number}.txt").write_text("a\n" * (number + 1))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: mrjerb("run", "count.py", f"{n}.txt", "-o", f"out{n}", cwd=tmp_path), range(8)))
    runs = [json.loads(line) for line in mrjerb("history", "--json").stdout.splitlines()]
    assert sorted(run["counters"]["lines"] for run in runs) == list(range(1, 9))
    table = mrjerb("history").stdout.splitlines()
    assert len(table) == 9
    assert all("succeeded" in line for line in table[1:])


def test_a_history_that_cannot_be_written(tmp_path, monkeypatch):
    """The run is done all the same, with a word on standard error."""
    (tmp_path / "state").write_text("a file, where a folder should be")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "count.py").write_text(COUNT)
    (tmp_path / "in.txt").write_text("a\n")
    done = mrjerb("run", "count.py", "in.txt", "-o", "out")
    assert (tmp_path / "out" / "part-00000").read_text() == '"a"\t1\n'
    assert "the history can't be written" in done.stderr
