"""The command as a process of its own, and what it has started."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

MRJERB = [sys.executable, "-m", "mrjerb.engines.spark.submit"]
PATIENCE = 200
QUICK = ["--conf", "spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"]


def until(true, what, seconds=PATIENCE):
    """Wait for a condition, and give back what it gave."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, f"{what} did not come in {seconds} s"
        time.sleep(0.05)
    return found


def parents():
    """Of each process its parent and its state."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                said = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found[int(folder.name)] = (int(said[1]), said[0])
    return found


def below(pid):
    """All processes that a process has started, and those that they have."""
    known = parents()
    found, waiting = set(), [pid]
    while waiting:
        above = waiting.pop()
        children = {child for child, (parent, _) in known.items() if parent == above} - found
        found |= children
        waiting += children
    return found


def are_gone(pids):
    """Whether none of these processes is there any more."""
    known = parents()
    return all(known.get(pid, (0, "Z"))[1] == "Z" for pid in pids)


@contextmanager
def started(arguments, folder, **environment):
    """`mrjerb` with arguments, in a folder, whose temporary files are in `folder/tmp`; killed if it is still there."""
    (folder / "tmp").mkdir(exist_ok=True)
    own = {"TMPDIR": str(folder / "tmp"), "XDG_STATE_HOME": str(folder / "state"), **environment}
    process = subprocess.Popen(
        [*MRJERB, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **own},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            pids = below(process.pid)
            process.kill()
            for pid in pids:
                kill(pid)
        process.communicate()


def kill(pid, number=signal.SIGKILL):
    """A signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def ran(arguments, folder, *, code=0, **environment):
    """What the command wrote, on standard output and standard error."""
    with started(arguments, folder, **environment) as process:
        written, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, written + said
    return written, said
