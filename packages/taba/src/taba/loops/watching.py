"""One watched loop: its heartbeat in the loop's own thread, and the thread that watches it.

The thread is one of the operating system's also where gevent has patched threads. A forked child has none; the first
beat that comes in the child starts one there, so a child that does not run the loop is not watched.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import Protocol

from taba.client.log import warn
from taba.loops.pulse import Pulse
from taba.loops.real import new_lock, start_thread
from taba.loops.report import Tabs
from taba.loops.stacks import entries, within
from taba.loops.stalls import Judge, Moment, Sample

try:
    import resource
except ImportError:  # not every system has it
    resource = None

THRESHOLD = 0.1
LEAST_THRESHOLD = 0.01
MOST_THRESHOLD = 60.0
BEATS = 2
"""Beats in the time of a threshold."""
LONGEST_PERIOD = 0.25
ABSENT_LOOKS = 50
"""Looks at an overdue loop in which its thread had no frame, after which it has ended. A greenlet that begins has none
for a moment."""
STOP_SECONDS = 2.0
RUNS, RESTS, ENDED = "runs", "rests", "ended"
"""What a loop does: it runs callbacks or waits for them; it may run again; it never will."""


class Loop(Protocol):
    """A kind of loop. `state` and `running` are called by the watchdog's thread, the others by the loop's own."""

    def begin(self, watch: Watch) -> None:
        """Call `watch.beat` each period from now on."""
        ...

    def end(self) -> None:
        """Call it no more; from any thread."""
        ...

    def state(self) -> str:
        """RUNS, RESTS or ENDED."""
        ...

    def running(self) -> tuple[object, str]:
        """What stands for the task or greenlet that runs now, and the name that it was given; None and "" if none."""
        ...


class Watch:
    """A loop that is watched until `stop`, or its end."""

    def __init__(self, loop: Loop, threshold: float, name: str | None, log: bool) -> None:
        """`threshold` in seconds. Raises ValueError where it is out of range."""
        if not LEAST_THRESHOLD <= threshold <= MOST_THRESHOLD:
            raise ValueError(
                f"the threshold is {LEAST_THRESHOLD} to {MOST_THRESHOLD:.0f} seconds, and not {threshold!r}"
            )
        self.threshold = threshold
        self.period = min(threshold / BEATS, LONGEST_PERIOD)
        self._loop = loop
        self._tabs = Tabs(name, log)
        self._pulse = Pulse(self.period, self._tabs.record_lag_ms)
        self._watchdog: _Watchdog | None = None
        self._pid = os.getpid()
        self._stopped = False
        loop.begin(self)

    @property
    def is_stopped(self) -> bool:
        """Whether it watches no more."""
        return self._stopped

    def beat(self) -> None:
        """The loop's timer has fired."""
        if self._stopped:
            return
        if self._pid != os.getpid():
            self._pid, self._watchdog = os.getpid(), None
            self._pulse = Pulse(self.period, self._tabs.record_lag_ms)
        self._pulse.beat()
        if self._watchdog is None:
            self._watchdog = _Watchdog(self._loop, self._pulse, self.threshold, self._tabs)

    def stop(self) -> None:
        """Watch no more; returns when the thread has ended. May be called from any thread, and again."""
        self._stopped = True
        self._loop.end()
        if self._watchdog is not None and self._pid == os.getpid():
            self._watchdog.stop()
            self._watchdog = None


class _Watchdog:
    """The thread."""

    def __init__(self, loop: Loop, pulse: Pulse, threshold: float, tabs: Tabs) -> None:
        self._loop = loop
        self._pulse = pulse
        self._judge = Judge(pulse, threshold, self._sample, tabs)
        self._wake = new_lock()
        self._wake.acquire()
        self._done = new_lock()
        self._done.acquire()
        self._stopping = False
        self._absent = 0
        start_thread(self._run, "taba-loops")

    def stop(self) -> None:
        """End the thread, and wait for it."""
        self._stopping = True
        with suppress(RuntimeError):  # it was woken before
            self._wake.release()
        if self._done.acquire(True, STOP_SECONDS):
            self._done.release()

    def _run(self) -> None:
        try:
            pause = 0.0
            while not self._wake.acquire(True, pause) and not self._stopping:
                state = self._loop.state()
                if state == ENDED or self._absent > ABSENT_LOOKS:
                    self._loop.end()
                    return
                self._pulse.paused = self._pulse.paused or state == RESTS
                pause = self._judge.look(_moment(self._pulse))
        except Exception as error:  # a watchdog that fails must not harm the program
            warn(f"a loop is not watched any more: {error!r}")
        finally:
            self._done.release()

    def _sample(self) -> Sample:
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        stack = entries(frames.get(self._pulse.thread))
        del frames  # they would keep what they work on
        self._absent = 0 if stack else self._absent + 1
        run, who = self._loop.running()
        own = within(stack, self._pulse.base)
        if not own:
            return Sample(None)
        return Sample(own, own[-1].code if run is None else run, who)


def _moment(pulse: Pulse) -> Moment:
    return Moment(time.monotonic(), time.process_time(), pulse.computed(), _waits())


def _waits() -> int | None:
    """How often this thread has begun to wait; None where the system does not say it of a thread."""
    of_thread = getattr(resource, "RUSAGE_THREAD", None)
    return None if resource is None or of_thread is None else resource.getrusage(of_thread).ru_nvcsw
