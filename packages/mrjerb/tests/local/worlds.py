"""Runs of the local engine in real processes: a folder of their own, what is in it, and what must not be left."""

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from launched import SECONDS, mrjerb, started, until


class World:
    """A folder with an output of before, a folder for temporary files, and a history of its own."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "tmp").mkdir()
        (folder / "out").mkdir()
        (folder / "out" / "part-00000").write_text("before\n")

    def job(self, source):
        """Write the job."""
        (self.folder / "job.py").write_text(source)

    def lines(self, *numbers, name="in.txt"):
        """Write an input of numbers, one a line."""
        (self.folder / name).write_text("".join(f"{number}\n" for number in numbers))

    def arguments(self, *more, inputs=("in.txt",), output="out"):
        return ["run", "job.py", *inputs, "-o", output, "--overwrite", "--tmp", "tmp", *more]

    def run(self, *more, code=0, **how):
        """Run the job to its end; what it says, as JSON."""
        done = mrjerb(*self.arguments(*more, **how), "--json", code=code)
        assert "fault of mrjerb" not in done.stderr
        found = json.loads(done.stdout)
        found["stderr"] = done.stderr
        return found

    def start(self, *more, **how):
        """The job, running, in a session of its own."""
        return started(*self.arguments(*more, **how), "--json")

    def ended(self, process, code=0):
        """Wait for the end of a run that was started; what it says."""
        out, err = process.communicate(timeout=SECONDS)
        assert process.returncode == code, out + err
        return json.loads(out) | {"stderr": err}

    def pairs(self, output="out"):
        """The pairs of the output, in its order."""
        parts = sorted((self.folder / output).glob("part-*"))
        lines = [line for part in parts for line in part.read_text().splitlines()]
        return [tuple(map(json.loads, line.split("\t"))) for line in lines]

    def as_before(self):
        """Nothing was published, and nothing is left."""
        self.tidy()
        assert [(path.name, path.read_text()) for path in (self.folder / "out").iterdir()] == [
            ("part-00000", "before\n")
        ]

    def tidy(self):
        """No temporary file, no staging folder, no process of a run that was started in this folder."""
        assert list((self.folder / "tmp").iterdir()) == []
        assert list(self.folder.glob(".*.mrjerb-*")) == []
        until(lambda: not processes_in(self.folder), "all processes to be gone")  # a child is not waited for


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A `World` that is the current folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return World(tmp_path)


def processes_in(folder):
    """The living processes whose current folder is this one, but for this process."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            alive = (place / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
            if alive and (place / "cwd").readlink() == folder and int(place.name) != os.getpid():
                found.append(int(place.name))
        except OSError:
            continue
    return found


@contextmanager
def small_disk(folder, size):
    """A disk of its own, of `size` as in 2m, at `folder`."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this process may not mount a disk: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def written(path):
    """Wait until a job has written a number into a file: a process's id, most often."""
    return int(until(lambda: path.exists() and path.read_text().endswith("\n") and path.read_text(), path.name))
