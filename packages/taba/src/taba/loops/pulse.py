"""The heartbeat of a loop: a timer that is set again and again, and how late it fires.

It is written by the loop's thread and read by the watchdog's. A beat costs about a microsecond, and there are some
forty a second: nothing is done for each callback. A beat that is late by more than a period is not judged here, since
the whole process may have been stopped; the watchdog knows whether it was.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from types import CodeType, FrameType

from taba.loops.real import ident_of_thread

LATE_BEATS = 256
"""Late beats that wait for the watchdog; beyond them the oldest are forgotten."""

LOOP_FRAME = 3
"""How far above `Pulse.beat` the loop is: between them are `Watch.beat` and the timer's callback."""


class Pulse:
    """When the loop beat last, and is due to beat again, in seconds of the monotonic clock."""

    def __init__(self, period: float, record_lag: Callable[[float], None]) -> None:
        self.period = period
        self.due: float | None = None
        """None until the loop runs: what a program does before is no stall."""
        self.late: deque[tuple[float, float]] = deque(maxlen=LATE_BEATS)
        """When late beats were due, and when they came."""
        self.paused = False
        self.thread = 0
        self.base: tuple[CodeType, ...] = ()
        """What the loop itself has on its thread's stack, outermost first."""
        self.processor_clock: int | None = None
        """The clock of the loop's thread, where the system has one: what it has computed, in seconds."""
        self._record_lag = record_lag
        self._ident = ident_of_thread()

    def beat(self) -> None:
        """The timer has fired: called by the loop, and by nothing between."""
        now = time.monotonic()
        due, self.due = self.due, now + self.period
        if due is None or self.paused:
            self.paused = False
        elif now - due > self.period:
            self.late.append((due, now))
        else:
            self._record_lag(max(now - due, 0.0) * 1000)
        self.base = _outwards(sys._getframe(LOOP_FRAME))  # pyright: ignore[reportPrivateUsage]
        if self.thread != self._ident():
            self.thread = self._ident()
            clock_of = getattr(time, "pthread_getcpuclockid", None)
            self.processor_clock = clock_of and clock_of(self.thread)

    def computed(self) -> float | None:
        """Seconds that the loop's thread has computed; None where that cannot be known."""
        if self.processor_clock is None:
            return None
        try:
            return time.clock_gettime(self.processor_clock)
        except OSError:  # the thread has ended
            return None


def _outwards(frame: FrameType | None) -> tuple[CodeType, ...]:
    codes = []
    while frame is not None:
        codes.append(frame.f_code)
        frame = frame.f_back
    return tuple(reversed(codes))
