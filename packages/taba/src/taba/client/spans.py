"""Which time a frame stands for: quarters of the wall clock's seconds, so that it lies within one second."""

from __future__ import annotations

import math

QUARTER = 0.25
"""Seconds from one flush to the next."""


def until_boundary(now: float) -> float:
    """Seconds from `now` to the next quarter second, more than none."""
    return QUARTER - now % QUARTER


def boundary(now: float) -> float:
    """The last quarter second that `now` has reached."""
    return math.floor(now / QUARTER) * QUARTER


class Spans:
    """Cuts time into spans that follow one another, as long as the wall clock runs evenly.

    `now` is the wall clock, in seconds since 1970; `ticks` a clock that nobody sets, in seconds.
    """

    def __init__(self, now: float, ticks: float) -> None:
        self.stop = now
        self._ticks = ticks

    def next(self, stop: float, ticks: float) -> tuple[float, float]:
        """The span from the last stop to `stop`.

        Where the wall clock was set meanwhile, back or ahead of the time that has passed, the last stop says
        nothing, and the span is a quarter second long. It never starts after it stops.
        """
        passed = ticks - self._ticks
        start = self.stop if 0 <= stop - self.stop <= passed + 2 * QUARTER else stop - QUARTER
        self.stop, self._ticks = stop, ticks
        return start, stop
