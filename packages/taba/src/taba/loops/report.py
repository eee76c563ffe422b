"""What is seen of a loop becomes tabs, and a line of the log where that is wished for.

loop.lag_ms          percentile  how late a timer fires
loop.stalls{cause=}  counter     stalls, by what they came from
loop.stall_ms        percentile  how long each lasted
loop.stalls.stack    top         where it was, for each stall
loop.away_ms         percentile  how long the whole process did not run, each time beyond the threshold
"""

from __future__ import annotations

import sys
from contextlib import suppress

import taba
from taba.loops.real import is_patched
from taba.loops.stacks import compact, whole
from taba.loops.stalls import CAUSES, Sample

SAID = {
    "blocked": "has been blocked for {:.0f} ms, in",
    "crowded": "has had more to do at once than it can, for {:.0f} ms, most of it in",
    "gil": "has waited {:.0f} ms while another thread held the interpreter; it stands in",
    "unseen": "has been blocked for {:.0f} ms, unseen",
}
STACKLESS = {"gil": "(another thread held the interpreter)", "unseen": "(not seen)"}
"""What stands in the place of a stack that is not to blame."""


class Tabs:
    """Records into tabs that were all made at the beginning: a watchdog must not wait for a greenlet's lock."""

    def __init__(self, name: str | None, log: bool) -> None:
        tags = {} if name is None else {"loop": name}
        self.record_lag_ms = taba.percentile("loop.lag_ms", **tags).record
        self._stalls = {cause: taba.counter("loop.stalls", cause=cause, **tags).record for cause in CAUSES}
        self._stall_ms = taba.percentile("loop.stall_ms", **tags).record
        self._stack = taba.top("loop.stalls.stack", **tags).record
        self._away_ms = taba.percentile("loop.away_ms", **tags).record
        self._log = log

    def lag(self, seconds: float) -> None:
        """A timer would have been so late."""
        self.record_lag_ms(seconds * 1000)

    def stall(self, cause: str, sample: Sample | None, lasted: float) -> None:
        """Count a stall, and tell its stack."""
        self._stalls[cause](1)
        stack, who = ((), "") if sample is None else (sample.stack or (), sample.who)
        self._stack(STACKLESS.get(cause) or compact(stack, who))
        if self._log:
            named = f" ({who})" if who else ""
            _tell(f"the loop{named} {SAID[cause].format(lasted * 1000)}\n{whole(stack)}".rstrip())

    def ended(self, lasted: float) -> None:
        """Record how long a stall was."""
        self._stall_ms(lasted * 1000)

    def away(self, seconds: float) -> None:
        """Record how long the process did not run."""
        self._away_ms(seconds * 1000)


def _tell(text: str) -> None:
    """Log a warning; to standard error where logging's locks are greenlets', which a thread may not wait for."""
    with suppress(Exception):  # a program's own handlers, or a closed standard error
        if is_patched():
            sys.stderr.write(f"taba.loops: {text}\n")
        else:
            import logging

            logging.getLogger("taba.loops").warning("%s", text)
