"""How long a piece of work ran on its loop, and how long it waited. Pure: time is passed in, in seconds of any clock.

A task or greenlet that is looked at has one `Turns`, which is told when it goes on and when it yields. Any number of
`Work`s may be measured by it at a time, one within another.
"""

from __future__ import annotations


class Work:
    """From `begun` on: seconds that it ran, its longest run, and how often it went on after it had yielded."""

    __slots__ = ("_since", "begun", "longest", "ran", "switches")

    def __init__(self, now: float) -> None:
        self.begun = self._since = now
        self.ran = 0.0
        self.longest = 0.0
        self.switches = 0

    def goes_on(self, now: float) -> None:
        """It has waited until now."""
        self._since = now
        self.switches += 1

    def yields(self, now: float) -> None:
        """It has run until now."""
        run = now - self._since
        self.ran += run
        self.longest = max(self.longest, run)

    def waited(self, now: float) -> float:
        """Seconds in which it did not run; `now` is its end."""
        return max(now - self.begun - self.ran, 0.0)


class Turns:
    """When a task or greenlet runs. It does as this begins."""

    __slots__ = ("runs", "thread", "works")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.runs = True
        self.works: list[Work] = []

    def begin(self, now: float) -> Work:
        """Measure a piece of work from now on."""
        work = Work(now)
        self.works.append(work)
        return work

    def finish(self, work: Work, now: float) -> None:
        """A piece of work is over."""
        if work in self.works:
            self.works.remove(work)
            if self.runs:
                work.yields(now)

    def goes_on(self, now: float) -> None:
        """The loop has come to it."""
        if not self.runs:
            self.runs = True
            for work in self.works:
                work.goes_on(now)

    def yields(self, now: float) -> None:
        """It gives the loop to others."""
        if self.runs:
            self.runs = False
            for work in self.works:
                work.yields(now)
