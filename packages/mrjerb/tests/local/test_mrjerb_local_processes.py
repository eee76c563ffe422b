"""What is left when a process goes: nothing that it started, and no file of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from launched import until

from mrjerb.engines.local.processes import Janitor, kill_group, lead_group

LAUNCHER = """
import os, subprocess, sys, time
from mrjerb.engines.local.processes import Janitor, lead_group

folder, ending = sys.argv[1:]
janitor = Janitor([folder, "s3://bucket/folder"])
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], process_group=0)
gone = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], process_group=0)
janitor.started(child.pid)
janitor.started(gone.pid)
janitor.ended(gone.pid)
janitor.will("taken back", ["touch", f"{folder}-not"])
janitor.will("kept", ["touch", f"{folder}-not"])
janitor.will("kept", ["sh", "-c", 'test -d "$1" && echo "$2" > "$1-will"', "sh", folder, "done"])
janitor.will("nowhere", ["/no/such/program"])
janitor.will("taken back", None)
print(janitor.pid, child.pid, gone.pid, flush=True)
if ending == "close":
    janitor.close()
time.sleep(100)
"""


def lives(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def launcher(tmp_path):
    """Starts a launcher with a janitor over the folder `own`; gives it, and the ids that it prints."""
    (tmp_path / "own" / "below").mkdir(parents=True)
    (tmp_path / "own" / "below" / "file").write_text("x")
    started = []

    def start(ending):
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(tmp_path / "own"), ending], stdout=subprocess.PIPE, text=True
        )
        pids = [int(word) for word in process.stdout.readline().split()]
        started.append((process, pids))
        return process, *pids

    yield start
    for process, pids in started:
        process.kill()
        process.wait()
        process.stdout.close()
        for pid in pids[1:]:
            kill_group(pid)


def test_the_janitor_of_a_launcher_that_is_killed(launcher, tmp_path):
    """It kills what was started, spares a number that has ended since and may be another's, runs the command that was
    left, each name's last, and then removes the folder."""
    process, janitor, child, gone = launcher("none")
    process.kill()
    until(lambda: not lives(janitor), "the janitor's end")
    assert not lives(child)
    assert lives(gone)
    assert not (tmp_path / "own").exists()
    assert (tmp_path / "own-will").read_text() == "done\n"
    assert not (tmp_path / "own-not").exists()


def test_the_janitor_of_a_launcher_that_has_tidied_up(launcher, tmp_path):
    """It does nothing more."""
    process, janitor, child, _ = launcher("close")
    until(lambda: not lives(janitor), "the janitor's end")
    process.kill()
    process.wait()
    assert lives(child)
    assert (tmp_path / "own").exists()
    assert not (tmp_path / "own-will").exists()


def test_signals_pass_the_janitor_by(launcher, tmp_path):
    """A terminal's Ctrl-C, its end and a SIGTERM to the launcher's group do not keep it from its work."""
    process, janitor, child, _ = launcher("none")
    until(lambda: ignores(Path(f"/proc/{janitor}/status").read_text()), "the janitor to be ready")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(janitor, number)
    assert lives(janitor)
    process.kill()
    until(lambda: not lives(janitor), "the janitor's end")
    assert not lives(child)
    assert not (tmp_path / "own").exists()


def ignores(status):
    """Whether a process ignores the three signals that ask for an end, of its /proc status."""
    (line,) = (line for line in status.splitlines() if line.startswith("SigIgn:"))
    mask = int(line.split()[1], 16)
    return all(mask & 1 << number - 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))


def test_a_group_is_killed_whole():
    """A worker's children go with it, also where the worker has gone before them."""
    program = (
        "import subprocess, sys\n"
        "print(subprocess.Popen(['sleep', '100'], stdout=subprocess.DEVNULL).pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], **streams, text=True, process_group=0) as process:
        child = int(process.stdout.readline())
        lead_group(process.pid)  # refused, since it runs another program by now: no harm
    assert lives(child)
    kill_group(process.pid)
    until(lambda: not lives(child), "the child's end")
    kill_group(process.pid)


TWO = """
import os, sys, threading, time
from mrjerb.engines.local.processes import Janitor

pipe, both = os.pipe, threading.Barrier(2)

def slowly():
    made = pipe()
    try:
        both.wait(1)  # were there two pipes before the first fork, each janitor would hold the other's
    except threading.BrokenBarrierError:
        pass
    return made

def run(folder):
    janitors.append(Janitor([folder]))

os.pipe, janitors = slowly, []
threads = [threading.Thread(target=run, args=(folder,)) for folder in sys.argv[2:]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
child = os.fork()
if child == 0:  # whatever else is forked, as a worker's own children are
    time.sleep(1000)
print(child, *(janitor.pid for janitor in janitors), flush=True)
if sys.argv[1] == "close":
    for janitor in janitors:
        janitor.close()
    print("closed", flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("ending", ["close", "kill"])
def test_janitors_of_runs_beside_each_other(tmp_path, ending):
    """Runs in threads of one process: each janitor ends with its own run or with the launcher, not with one another or
    with whatever else that process has forked."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    command = [sys.executable, "-c", TWO, ending, *map(str, folders)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        child, *janitors = [int(word) for word in process.stdout.readline().split()]
        try:
            if ending == "kill":
                process.kill()
            until(lambda: not any(map(lives, janitors)), "the janitors' end")
            assert lives(child)
            assert [folder.exists() for folder in folders] == [ending == "close"] * 2
        finally:
            for pid in (process.pid, child, *filter(lives, janitors)):
                os.kill(pid, signal.SIGKILL)


BESIDE = """
import os, sys, threading
from mrjerb.engines.local.processes import Janitor
import concurrent.futures.thread, logging  # their locks are taken at a fork, before the janitors' is

def forks():
    for _ in range(100):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)

def janitors():
    for _ in range(30):
        Janitor([]).close()

threads = [threading.Thread(target=one) for one in (forks, forks, janitors)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_janitors_beside_forks():
    """A janitor that is made while another thread forks keeps neither waiting for a lock that the other has."""
    subprocess.run([sys.executable, "-c", BESIDE], check=True, timeout=100)


def test_a_janitor_keeps_nothing_open(tmp_path):
    """A port or a pipe of the launcher's is free when the launcher lets go of it, though the janitor lives on."""
    ours, theirs = os.pipe()
    janitor = Janitor([str(tmp_path)])
    try:
        os.close(theirs)
        assert os.read(ours, 1) == b""
    finally:
        os.close(ours)
        janitor.close()


def test_a_janitor_that_is_gone(tmp_path):
    """Whoever kills it does not end the run."""
    janitor = Janitor([str(tmp_path)])
    os.kill(janitor.pid, signal.SIGKILL)
    until(lambda: not lives(janitor.pid), "its end")
    janitor.started(12345678)
    janitor.close()
    assert tmp_path.exists()
