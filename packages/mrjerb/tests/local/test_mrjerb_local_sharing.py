"""Work that is shared out while it runs, runs beside each other in one process, and what is kept when that is asked."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from launched import mrjerb as mrjerb_command
from launched import until
from worlds import processes_in, world

import mrjerb

__all__ = ["world"]

LINES = 300_000
TAKEN = """
import os, time
from mrjerb import Job, Step

class Taken(Job):
    '''The first worker goes on slowly until another has something of the file, too.'''

    reducing: bool = False
    first = 0
    since = 0.0

    def steps(self):
        return [Step(map=self.map, reduce=self.reduce if self.reducing else None)]

    def map(self, line):
        number = int(line[:8])
        if number == 0:
            open("first", "w").write(str(os.getpid()))
            self.first = os.getpid()
        if self.first == os.getpid():
            if number % 10_000 == 0 and number < 200_000:
                until = time.monotonic() + 2
                while not os.path.exists("taken") and time.monotonic() < until:
                    time.sleep(0.01)
        elif not os.path.exists("taken"):
            open("taken", "w").close()
        self.count("records")
        yield number % 10 if self.reducing else number, 1

    def reduce(self, key, values):
        yield key, sum(values)
"""


@pytest.mark.parametrize("reducing", [False, True])
def test_the_end_of_a_split_is_taken_over(world, reducing):
    """One large file, one split, two workers: the second gets some of it, each record is mapped once, and without a
    reduce the parts are in the input's order."""
    world.job(TAKEN)
    (world.folder / "in.txt").write_text("".join(f"{number:08d}{'x' * 91}\n" for number in range(LINES)))
    given = ["--workers", "2", "--split-size", "1GB", "--reducing" if reducing else "--no-reducing"]
    found = world.run(*given, "--memory", "200MB")
    assert (world.folder / "taken").exists()
    assert found["counters"] == {"records": LINES}
    assert found["splits"] == 1
    spans = [one["of"].rpartition(":")[2].split("-") for one in found["tasks"] if one["stage"] == 0]
    edges = sorted((int(start), int(end)) for start, end in spans)
    assert len(edges) > 1
    assert [edges[0][0], *[end for _, end in edges]] == [*[start for start, _ in edges], LINES * 100]
    assert sum(one["bytes"] for one in found["tasks"] if one["stage"] == 0) == LINES * 100
    if reducing:
        assert sorted(world.pairs()) == [(key, LINES // 10) for key in range(10)]
    else:
        assert [key for key, _ in world.pairs()] == list(range(LINES))
        assert len(found["parts"]) == len(edges)
    world.tidy()


class Doubles(mrjerb.Job):
    """Whatever a test's own process has."""

    def map(self, line):
        yield int(line) % 7, int(line)

    def reduce(self, key, values):
        yield key, sum(values)


def test_runs_in_threads_beside_each_other(world):
    """As a notebook or a server may have them: each has its own workers, and none waits for another's."""
    world.lines(*range(1000))
    expected = {key: sum(number for number in range(1000) if number % 7 == key) for key in range(7)}
    found = []

    def run():
        with mrjerb.run(Doubles(), "in.txt", workers=2, tmp="tmp", split_size=500, memory="200MB") as result:
            found.append(dict(result))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert found == [expected] * 3
    assert list((world.folder / "tmp").iterdir()) == []
    assert processes_in(world.folder) == []


class Rows(mrjerb.Job):
    """Writes rows."""

    def map(self, line):
        yield None, {"a": line}


IMPORTING = """
import sys, threading, time
from importlib.machinery import SourceFileLoader
import mrjerb
from test_mrjerb_local_sharing import Rows

begun, execute = threading.Event(), SourceFileLoader.exec_module

def slowly(loader, module):
    if module.__name__ == "mrjerb.outputs.rows" and threading.current_thread() is not threading.main_thread():
        begun.set()
        time.sleep(3)
    execute(loader, module)

SourceFileLoader.exec_module = slowly
threading.Thread(target=__import__, args=("mrjerb.outputs.rows",), daemon=True).start()
begun.wait()
mrjerb.run(Rows(), "in.txt", output="rows", output_format="csv", workers=2, tmp="tmp", memory="200MB")
"""


def test_a_run_while_another_thread_imports(world):
    """A worker that needs a module which another thread is just importing gets it, and does not wait for ever."""
    world.lines(1, 2)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", IMPORTING], cwd=world.folder, env=environment, check=True, timeout=60)
    assert (world.folder / "rows" / "part-00000.csv").read_text() == "a\n1\n2\n"


ENDING = """
import os, time
from mrjerb import Job

class Ends(Job):
    def setup(self):
        if os.fork() == 0:  # holds what the worker speaks through, as long as it lives
            time.sleep(100)

    def map(self, line):
        yield line, 1

    def reduce(self, key, values):
        yield key, sum(values)

    def teardown(self):
        os._exit(3)
"""


def test_a_worker_that_ends_in_its_teardown(world):
    """It is told, though a process that the job has started still holds the pipe of the worker."""
    world.job(ENDING)
    world.lines(1)
    done = mrjerb_command(*world.arguments("--workers", "1"), code=1)
    assert "ended by itself with status 3 in the job's teardown" in done.stderr
    world.as_before()


@pytest.mark.parametrize(("cleanup", "kept"), [("always", False), ("success", True), ("never", True)])
def test_what_is_kept_of_a_launcher_that_is_killed(world, cleanup, kept):
    """Temporary files and the unfinished output stay where that was asked; processes never do."""
    world.job(
        "import time\nfrom pathlib import Path\n\ndef map(line):\n    Path('there').touch()\n    time.sleep(1000)\n"
    )
    world.lines(1)
    process = world.start("--cleanup", cleanup)
    until((world.folder / "there").exists, "the first record")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=100)
    until(lambda: not processes_in(world.folder), "all processes to be gone")
    assert len(list((world.folder / "tmp").iterdir())) == kept
    assert len(list(world.folder.glob(".out.mrjerb-*"))) == kept
    assert (world.folder / "out" / "part-00000").read_text() == "before\n"


@pytest.mark.parametrize(("cleanup", "kept"), [("always", 0), ("success", 0), ("never", 1)])
def test_what_is_kept_of_a_run_that_succeeds(world, cleanup, kept):
    """Only what was asked for, and where it is, is said."""
    world.job("def map(line):\n    yield line, 1\n\ndef reduce(key, values):\n    yield key, sum(values)\n")
    world.lines(1)
    found = world.run("--cleanup", cleanup)
    folders = list((world.folder / "tmp").iterdir())
    assert len(folders) == kept
    assert ("temporary files are kept in" in found["stderr"]) == bool(kept)
    assert json.loads((world.folder / "out" / "_manifest.json").read_text())["counters"] == {}
    assert Path(found["output"]).name == "out"
