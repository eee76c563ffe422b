"""Processes that leave nothing behind, however the launcher ends.

A worker is killed by the kernel when its launcher dies. The janitor is a small process, forked first, that reads from a
pipe which only the launcher holds open: it hears which workers there are, and at the pipe's end it kills their process
groups, with whatever they had started, runs the commands that it was given for this, such as one that ends a job on a
cluster, and removes the run's temporary folders. So a launcher that was killed with -9 leaves no process and no file.

A fork copies what is open, and a process may have several runs in threads. So whatever is forked from a launcher lets
go of all its janitors' pipes: else two janitors, each holding the other's, would wait for one another for ever.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Final

PR_SET_PDEATHSIG: Final = 1
WILL: Final = b"will "
COMMAND_SECONDS: Final = 120.0
"""Seconds that a command may take which the launcher has left."""
PATIENCE: Final = 10.0
"""Seconds that the janitor waits for killed workers to be gone before it removes their files."""
_forking = threading.Lock()
"""Held while a process is forked. Nobody may fork while holding it: other locks are taken before a fork, in an order
that the order of imports decides."""
_held = set[int]()
"""This process's ends of its janitors' pipes. Changed with `_forking` held, so that no fork comes in between."""


def _let_go() -> None:
    """In a forked child: it is not the launcher, whatever it was forked for."""
    while _held:
        os.close(_held.pop())
    _forking.release()


os.register_at_fork(before=_forking.acquire, after_in_parent=_forking.release, after_in_child=_let_go)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies. `parent` is whose child it was begun as."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before the kernel was asked


def lead_group(pid: int) -> None:
    """Have a process lead a group of its own. Parent and child both ask, so that it does for either from there on."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)


def kill_group(pid: int) -> None:
    """Kill the leader of a group and whatever it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


class Janitor:
    """Cleans up behind this process: at its end, or when `close` is called."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = [folder for folder in folders if "://" not in folder]
        with _forking:
            reading, self._pipe = os.pipe()
            _held.add(self._pipe)
        self.pid = os.fork()
        if self.pid == 0:
            _watch(reading, self._folders)
        os.close(reading)

    def started(self, pid: int) -> None:
        """A process has been started that leads a group."""
        self._say(b"%d\n" % pid)

    def ended(self, pid: int) -> None:
        """It was killed with its group, and its number may soon be another's."""
        self._say(b"-%d\n" % pid)

    def will(self, name: str, command: Sequence[str] | None) -> None:
        """A command to be run where the launcher dies; None, or another of that name, takes it back."""
        self._say(WILL + json.dumps([name, command]).encode() + b"\n")

    def close(self) -> None:
        """The launcher has cleaned up itself; the janitor ends."""
        self._say(b"done\n")
        with _forking:
            _held.discard(self._pipe)
            os.close(self._pipe)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, word)


def _watch(reading: int, folders: list[str]) -> None:
    """The janitor's life."""
    try:
        os.closerange(3, reading)  # what the launcher has open, such as a port, is not kept open here
        os.closerange(max(reading + 1, 3), os.sysconf("SC_OPEN_MAX"))
        os.setsid()  # signals to the launcher's terminal and group pass it by
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        said = b""
        while part := os.read(reading, 4096):
            said += part
        words = said.splitlines()
        if b"done" not in words:
            pids = [int(word) for word in words if not word.startswith(WILL)]
            _clean(_living(pids), _last_will(words), folders)
    finally:
        os._exit(0)


def _living(said: Sequence[int]) -> list[int]:
    """Which processes were started and have not ended, of a number for each start and its negative for each end."""
    living: dict[int, None] = {}
    for pid in said:
        if pid > 0:
            living[pid] = None
        else:
            living.pop(-pid, None)
    return list(living)


def _last_will(words: Sequence[bytes]) -> list[list[str]]:
    """The commands that were left, and not taken back."""
    found = dict(json.loads(word.removeprefix(WILL)) for word in words if word.startswith(WILL))
    return [command for command in found.values() if command]


def _clean(workers: list[int], commands: Sequence[Sequence[str]], folders: list[str]) -> None:
    for pid in workers:
        kill_group(pid)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and any(_alive(pid) for pid in workers):
        time.sleep(0.02)
    for command in commands:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            nowhere = subprocess.DEVNULL
            subprocess.run(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, timeout=COMMAND_SECONDS, check=False)  # noqa: S603
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(folder)  # noqa: PTH108 - a file


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
