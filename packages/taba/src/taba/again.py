"""When a process of ours that has ended is started again: at once, and then after pauses that grow."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass

LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
"""After a process that ran well for so long, the next one's failures are counted from the first."""


def pause(failures: int) -> float:
    """Seconds until the next one starts where so many have ended in a row, from 1."""
    return 0.0 if failures <= 1 else min(LONGEST_PAUSE, 0.5 * 2.0 ** min(failures - 2, 10))


def how(code: int) -> str:
    """How a process ended, in words that follow its name."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


@dataclass(slots=True)
class Again:
    """What the processes in one place have come to. Times are monotonic."""

    begun: float = 0.0
    """When the last one began."""
    failures: int = 0
    due: float = 0.0
    """When the next one may start."""

    def failed(self, *, well: bool) -> float:
        """Take note that one has ended, which ran `well` once it had begun; the seconds until the next."""
        now = time.monotonic()
        steady = well and now - self.begun > STEADY_SECONDS
        self.failures = 1 if steady else self.failures + 1
        seconds = pause(self.failures)
        self.due = now + seconds
        return seconds
