"""The command `mrjerb` in real processes, for the tests that run it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

MRJERB = str(Path(sys.executable).parent / "mrjerb")
SECONDS = 100.0
COUNT = '''
from typing import Annotated

from mrjerb import Job


class Count(Job):
    """How often each word is there."""

    least: Annotated[int, "rarer words are left out"] = 1
    only: list[str] = []
    upper: bool = False

    def map(self, line):
        self.count("lines")
        for word in line.split():
            if not self.only or word in self.only:
                yield word.upper() if self.upper else word, 1

    def combine(self, word, counts):
        yield word, sum(counts)

    def reduce(self, word, counts):
        found = sum(counts)
        if found >= self.least:
            yield word, found
'''


def mrjerb(*arguments, code=0, cwd=None):
    """What the command writes, on both streams; it ends with `code`."""
    done = subprocess.run([MRJERB, *arguments], capture_output=True, text=True, timeout=SECONDS, cwd=cwd)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def started(*arguments, on_signal=None, **how):
    """The command, running. `on_signal`: what it finds set for some signals, as a shell or nohup would."""
    usual = dict.fromkeys(
        (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_DFL
    )  # also where nohup runs the tests
    dispositions = {int(number): int(what) for number, what in (usual | (on_signal or {})).items()}
    program = (
        "import os, signal, sys\n"
        f"for number, what in {dispositions}.items():\n    signal.signal(number, signal.Handlers(what))\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen([sys.executable, "-c", program, MRJERB, *arguments], **(streams | how))


def pairs(folder):
    """The pairs of an output, as JSON."""
    lines = [line for part in sorted(folder.glob("part-*")) for line in part.read_text().splitlines()]
    return {json.loads(key): json.loads(value) for key, value in (line.split("\t") for line in lines)}


def until(found, what="it"):
    """Wait until `found()` is true, and give that."""
    end = time.monotonic() + SECONDS
    while not (value := found()):
        assert time.monotonic() < end, f"waited for {what} in vain"
        time.sleep(0.02)
    return value
