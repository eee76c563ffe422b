"""Loops of asyncio, its own and uvloop's."""

from __future__ import annotations

import asyncio
import re
import threading
import weakref

from taba.loops.watching import ENDED, RESTS, RUNS, THRESHOLD, Watch

_watched: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Watch]] = weakref.WeakKeyDictionary()
_DEFAULT_NAME = re.compile(r"Task-\d+")


class AsyncioLoop:
    """A loop that runs. What a `taba.loops.watching.Loop` does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, watch: Watch) -> None:
        """Beat from now on."""
        later, period, beat = self._loop.call_later, watch.period, watch.beat

        def fire() -> None:
            beat()
            self._timer = later(period, fire)

        self._timer = later(period, fire)

    def end(self) -> None:
        """Beat no more."""
        if threading.get_ident() == self._thread:
            self._cancel()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)

    def state(self) -> str:
        """Between two `run_until_complete` a loop rests."""
        if self._loop.is_closed():
            return ENDED
        return RUNS if self._loop.is_running() else RESTS

    def running(self) -> tuple[object, str]:
        """The task, and the name that the program gave it."""
        task = asyncio.current_task(self._loop)
        if task is None:
            return None, ""
        name, ref = task.get_name(), weakref.ref(task)
        hash(ref)  # which is not possible any more once the task is gone
        return ref, "" if _DEFAULT_NAME.fullmatch(name) else f"task {name}"

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def watch(*, threshold: float = THRESHOLD, name: str | None = None, log: bool = False) -> Watch:
    """Watch the loop that runs: its lag, and what stalls it for `threshold` seconds or more.

    `name` becomes a tag, for a process with several loops; `log` writes each stall's whole stack to the log
    `taba.loops`. A loop that is watched already stays as it is. Raises RuntimeError where no loop runs, and ValueError
    for a threshold below 0.01 or above 60 seconds.
    """
    loop = asyncio.get_running_loop()
    known = _watched.get(loop)
    found = known and known()  # the loop's timer keeps it
    if found is None or found.is_stopped:
        found = Watch(AsyncioLoop(loop), threshold, name, log)
        _watched[loop] = weakref.ref(found)
    return found
