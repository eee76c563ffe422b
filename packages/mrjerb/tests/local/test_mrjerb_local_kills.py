"""Workers that die, as real processes: every record counts once, or the run ends with what killed it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from launched import until
from worlds import processes_in, world, written

__all__ = ["world"]

ONCE = """
import os, signal, time
from pathlib import Path

def once(name):
    '''Whether nobody was here before; who is writes its process id, and waits for its death.'''
    try:
        file = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    os.write(file, b"%d\\n" % os.getpid())
    time.sleep(1000)
    return True
"""
COUNTED = (
    ONCE
    + """
from mrjerb import Job

class Counted(Job):
    die_at: str = "map"
    output = "json"

    def map(self, line):
        self.count("records")
        if self.die_at == "map" and line == "900":
            once("victim")
        yield int(line) % 10, 1

    def combine(self, key, values):
        if self.die_at == "combine":
            once("victim")
        yield key, sum(values)

    def reduce(self, key, values):
        self.count("keys")
        if self.die_at == "reduce" and key == 7:
            once("victim")
        yield key, sum(values)
"""
)
COUNTS = [(key, 100) for key in range(10)]


@pytest.mark.parametrize("where", ["map", "combine", "reduce"])
def test_a_worker_that_is_killed(world, where):
    """In a map with pairs that it had gathered, in writing them, in a reduce: its tasks run again, and once count."""
    world.job(COUNTED)
    for at in range(10):
        world.lines(*range(at * 100, at * 100 + 100), name=f"in{at}.txt")
    inputs = [f"in{at}.txt" for at in range(10)]
    process = world.start("--die-at", where, "--workers", "2", "--reducers", "2", inputs=inputs)
    os.kill(written(world.folder / "victim"), signal.SIGKILL)
    found = world.ended(process)
    assert sorted(world.pairs()) == COUNTS
    assert found["counters"] == {"records": 1000, "keys": 10}
    assert found["records"] == 1000
    assert found["retried"] >= 1
    assert "was killed by SIGKILL" in found["stderr"]
    world.tidy()


def test_a_worker_that_is_killed_leaves_no_half_part(world):
    """In a job without reduce, its part was half written: the output has each record once, and in the input's order."""
    world.job(
        ONCE
        + """
def map(line):
    if line == "1500":
        once("victim")
    yield int(line), "x" * 2000
"""
    )
    world.lines(*range(2000))
    process = world.start("--workers", "2", "--split-size", "2KB")
    victim = written(world.folder / "victim")
    (staging,) = world.folder.glob(".out.mrjerb-*")
    until(lambda: any(path.stat().st_size for path in staging.glob(f"*-{victim}")), "its half part")
    os.kill(victim, signal.SIGKILL)
    found = world.ended(process)
    assert [key for key, _ in world.pairs()] == list(range(2000))
    assert found["pairs"] == 2000
    names = sorted(path.name for path in (world.folder / "out").iterdir())
    assert names == ["_SUCCESS", "_manifest.json", *sorted(part["name"] for part in found["parts"])]
    world.tidy()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("os._exit(7)", "ended by itself with status 7"),
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("os.kill(os.getpid(), 11)", "was killed by SIGSEGV"),
    ],
)
def test_a_worker_that_dies_always(world, how, said):
    """After three times the run ends, and names the input; the output is as it was."""
    world.job(f"import os\n\ndef map(line):\n    if line == '7':\n        {how}\n    yield line, 1\n")
    world.lines(*range(5), name="good.txt")
    world.lines(*range(10), name="bad.txt")
    found = world.run("--workers", "2", inputs=["good.txt", "bad.txt"], code=1)
    message = found["error"]["message"]
    assert found["error"]["kind"] == "EngineError"
    assert message.startswith("bad.txt:0-20: a worker that read it " + said + ", 3 times")
    assert "good.txt" not in message
    world.as_before()


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (
            "def map(line):\n    yield 1, 1\n\ndef combine(key, values):\n    os._exit(3)\n\nreduce = combine",
            "in.txt:0-",
        ),
        ("def map(line):\n    yield 1, 1\n\ndef reduce(key, values):\n    os._exit(3)", "partition 0"),
        ("def setup():\n    os._exit(3)\n\ndef map(line):\n    yield 1, 1", "in.txt:0-"),
    ],
)
def test_a_worker_that_dies_outside_of_map(world, job, said):
    """In writing what it gathered, in its reduce, in setup: three times, and not for ever."""
    world.job("import os\n\n" + job)
    world.lines(1, 2, 3)
    found = world.run("--workers", "1", code=1)
    assert found["error"]["message"].startswith(said)
    assert "ended by itself with status 3, 3 times" in found["error"]["message"]
    world.as_before()


def test_a_worker_that_dies_in_teardown(world):
    """All is done by then, but for what the teardown had to do: the run fails, and says where."""
    world.job("import os\n\ndef map(line):\n    yield line, 1\n\ndef teardown():\n    os._exit(3)\n")
    world.lines(1)
    assert "status 3 in the job's teardown" in world.run(code=1)["error"]["message"]
    world.as_before()


def test_what_a_worker_had_started_goes_with_it(world):
    """A job that starts processes: they end with the worker that is killed, and with the run that is over."""
    world.job(
        ONCE
        + """
import subprocess
from mrjerb import Job

class Starts(Job):
    def setup(self):
        subprocess.Popen(["sleep", "1000"])

    def map(self, line):
        once("victim")
        yield line, 1
"""
    )
    world.lines(1, 2, 3)
    process = world.start("--workers", "1")
    victim = written(world.folder / "victim")
    before = set(processes_in(world.folder))
    os.kill(victim, signal.SIGKILL)
    world.ended(process)
    assert len(before) == 4  # the launcher, the janitor, the worker and what it has started
    assert [key for key, _ in world.pairs()] == ["1", "2", "3"]
    world.tidy()


def test_what_a_worker_had_started_goes_with_the_launcher(world):
    """kill -9 of the launcher, with a worker that has a child: none of them is left, no file, and history knows."""
    world.job(
        ONCE + "import subprocess\n\ndef map(line):\n    subprocess.Popen(['sleep', '1000'])\n    once('victim')\n"
    )
    world.lines(1)
    process = world.start("--workers", "1")
    victim = written(world.folder / "victim")
    assert victim in processes_in(world.folder)
    process.kill()
    process.communicate(timeout=100)
    until(lambda: not processes_in(world.folder), "all processes to be gone")
    world.as_before()


def test_a_worker_that_closes_what_it_did_not_open(world):
    """A job that closes all files takes the pipe to the launcher with them: no run that waits for ever."""
    world.job("import os, time\n\ndef map(line):\n    os.closerange(3, 1000)\n    time.sleep(1000)\n    yield 1, 1\n")
    world.lines(1)
    found = world.run(code=1)
    assert "3 times" in found["error"]["message"]
    world.as_before()


def test_a_death_is_seen_though_its_pipe_is_held_open(world):
    """A child that a job has started, and that has left its group, keeps the dead worker's pipe open."""
    world.job(
        ONCE
        + """
def map(line):
    if not os.path.exists("victim") and os.fork() == 0:
        os.setsid()
        Path("child").write_text(f"{os.getpid()}\\n")
        time.sleep(1000)
    if not os.path.exists("victim"):
        while not os.path.exists("child"):
            time.sleep(0.01)
    once("victim")
    yield line, 1
"""
    )
    world.lines(1)
    process = world.start("--workers", "1")
    victim, child = written(world.folder / "victim"), written(world.folder / "child")
    try:
        os.kill(victim, signal.SIGKILL)
        assert process.wait(timeout=100) == 0
        assert [key for key, _ in world.pairs()] == ["1"]
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate(timeout=100)


def test_the_launcher_as_the_first_process_of_a_container(world):
    """Where it has the id 1, its workers are no orphans."""
    world.job("def map(line):\n    yield line, 1\n")
    world.lines(1, 2)
    command = str(Path(sys.executable).parent / "mrjerb")
    inside = ["unshare", "--pid", "--fork", "--mount-proc", command, *world.arguments("--json")]
    done = subprocess.run(inside, capture_output=True, text=True, timeout=100)
    if "unshare" in done.stderr:
        pytest.skip(f"this process may make no namespaces: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["retried"] == 0
    assert [key for key, _ in world.pairs()] == ["1", "2"]
