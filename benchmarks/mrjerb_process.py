"""What a program costs, with all processes that it starts: seconds, processor seconds, the peak of memory, its end.

    wall     from its start until its first process has ended
    CPU      what the system says of each process that was waited for (wait4). This process is the reaper of orphans, so
             daemons count too, Spark's and Ray's among them. Where a program has the system reap its children, their
             times are lost to it: the sum of what was last seen of each process in /proc is taken where that is more.
    memory   the largest sum of the proportional set sizes (PSS: a shared page counts once, in parts) of all processes,
             as seen every `EVERY` seconds

What is still there when the first process has ended has a moment to end by itself, and is then ended by its id.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

EVERY: Final = 0.15
GRACE: Final = 5.0  # seconds for daemons to end by themselves
PR_SET_CHILD_SUBREAPER: Final = 36
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    """What a program came to. memory: bytes; 0 where it was not looked at. left: processes that had to be ended."""

    wall: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    status: int = 0
    timed_out: bool = False
    left: int = 0
    processes: int = 0

    def plain(self) -> dict[str, Any]:
        return asdict(self)


class Reaper:
    """Runs programs one after the other, and is the parent of all that they leave."""

    def __init__(self) -> None:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def run(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        said: Path,
        timeout: float,
        watched: bool = True,
    ) -> Cost:
        """Run a program to its end. What it says goes to the file `said`. watched: whether memory is looked at."""
        cost, seen = Cost(), _Seen()
        with said.open("wb") as file:
            began = time.perf_counter()
            first = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        try:
            with _ending(first.pid) as ended:
                while not self._reaped(cost, first, began):
                    left = began + timeout - time.perf_counter()
                    if left <= 0:
                        cost.timed_out = True
                        first.kill()
                    if watched:
                        seen.look()
                    ended(min(left, EVERY) if watched else left)
        finally:
            self._end(cost, first, began, seen)
        cost.cpu, cost.memory, cost.processes = max(cost.cpu, seen.cpu), seen.memory, max(1, len(seen.times))
        return cost

    def _reaped(self, cost: Cost, first: subprocess.Popen[bytes], began: float) -> bool:
        """Take up what has ended; whether the first process is among it."""
        over = first.returncode is not None
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if not pid:
                return over
            cost.cpu += usage.ru_utime + usage.ru_stime
            if pid == first.pid:
                first.returncode = cost.status = os.waitstatus_to_exitcode(status)
                cost.wall, over = time.perf_counter() - began, True

    def _end(self, cost: Cost, first: subprocess.Popen[bytes], began: float, seen: _Seen) -> None:
        """Nothing that was started is there any more when this returns."""
        until = time.perf_counter() + GRACE
        while _descendants() and time.perf_counter() < until:
            seen.look()
            self._reaped(cost, first, began)
            time.sleep(EVERY)
        cost.left = len(_descendants())
        while found := _descendants():
            seen.look()
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
            self._reaped(cost, first, began)


@contextmanager
def _ending(pid: int) -> Iterator[Callable[[float], object]]:
    """What waits so many seconds for a process to end, and no longer."""
    end = os.pidfd_open(pid)
    try:
        yield lambda seconds: select.select([end], [], [], max(seconds, 0.01))
    finally:
        os.close(end)


class _Seen:
    """What was last seen of each process, and the most that all held together."""

    def __init__(self) -> None:
        self.times: dict[int, float] = {}
        self.memory = 0

    @property
    def cpu(self) -> float:
        return sum(self.times.values())

    def look(self) -> None:
        held = 0
        for pid in _descendants():
            with suppress(OSError, ValueError, IndexError):
                fields = _fields(pid)
                self.times[pid] = (int(fields[11]) + int(fields[12])) / TICKS
                held += _proportional(pid)
        self.memory = max(self.memory, held)


def _descendants() -> list[int]:
    """The processes below this one; those that have ended and wait to be taken up are among them."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - asked often
        if entry.isdecimal():
            with suppress(OSError, ValueError, IndexError):
                children.setdefault(int(_fields(int(entry))[1]), []).append(int(entry))
    found, waiting = [], [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _fields(pid: int) -> list[str]:
    """Of /proc/PID/stat what is behind the name: state, parent, … user and system time are 11 and 12."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _proportional(pid: int) -> int:
    """The PSS of a process, in bytes; 0 of one that has ended."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
