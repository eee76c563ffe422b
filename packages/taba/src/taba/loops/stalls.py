"""What a watchdog makes of what it sees: which loops stall, for how long, and because of what. Pure: time is passed in.

A loop is overdue when its beat is. It is looked at half a period after each beat was due: mostly the next one is due by
then; where it is not, the stack is sampled, again and again. After a look at a loop that rested one is left out: what
stalls it from then on for two periods is still seen. A stall is counted once, when it is over or has lasted CONFIRM
seconds, with the stack that was seen most often; how long it lasted is known when the beat comes. It may have begun at
any time in the period before the beat was due. A look in the middle of that period tells in which half, by whether the
same callback ran then, so a duration is right to within a quarter of a period, or half of one where there was no look.

The watchdog may be late itself, for one of two reasons:

    held      it waited for the interpreter, in whose lock a wait is broken off and begun anew each few milliseconds,
              which the system counts. C code held it: the stall goes on. If it was another thread that computed
              meanwhile, the loop is not to blame.
    away      nothing of the process ran: it was stopped, or got no processor. That time is nobody's stall.

    blocked   one callback or greenlet ran all the time
    crowded   several ran, one after another: the loop has more to do at once than it can
    gil       another thread held the interpreter
    unseen    the watchdog did not get to look
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from taba.loops.pulse import Pulse
from taba.loops.stacks import Entry, is_debugged, own

CAUSES = ("blocked", "crowded", "gil", "unseen")
CONFIRM = 1.0
"""Seconds after which a stall is counted and told although it goes on."""
SLOWEST_LOOKS = 1.0
"""Seconds between looks at a loop that stalls on and on."""
LEAST_COMPUTED = 0.05
"""Of a time in which the interpreter was held, what another thread must have computed to be the one that held it."""
LAGS_AT_ONCE = 1000
ABSENCES = 64
"""Times at which the process was away that are remembered."""


class Moment(NamedTuple):
    """When the watchdog looks, and what the system has counted so far.

    `processor`: seconds that the process computed; `computed`: of those the loop's thread; `waits`: how often the
    watchdog's own thread has begun to wait. None where the system does not say.
    """

    time: float
    processor: float
    computed: float | None
    waits: int | None


class Sample(NamedTuple):
    """What the loop's thread does. `stack` is None where no callback runs.

    `run` is the same object as long as one callback or greenlet runs; `who` is the name it was given.
    """

    stack: tuple[Entry, ...] | None
    run: object = None
    who: str = ""


class Report(Protocol):
    """Whom a watchdog tells."""

    def lag(self, seconds: float) -> None:
        """A timer would have been so late."""
        ...

    def stall(self, cause: str, sample: Sample | None, lasted: float) -> None:
        """The loop stalls, for so long until now."""
        ...

    def ended(self, lasted: float) -> None:
        """A stall is over."""
        ...

    def away(self, seconds: float) -> None:
        """The process did not run."""
        ...


class Stall:
    """A time in which the loop does not come to its beat, which was due at `due`; `begun` is when it began, about."""

    def __init__(self, due: float, begun: float) -> None:
        self.due = due
        self.begun = begun
        self.told = False
        self.debugged = False
        self.by_another = False
        self._seen: Counter[Sample] = Counter()
        self._idle = 0

    def add(self, sample: Sample) -> None:
        """Something was seen."""
        if sample.stack is None:
            self._idle += 1
        else:
            self.debugged = self.debugged or is_debugged(sample.stack)
            self._seen[sample] += 1

    @property
    def sample(self) -> Sample | None:
        """What was seen most often of what the program itself had called; of those alike, what was seen first."""
        seen: Counter[tuple[Entry, ...]] = Counter()
        for sample, times in self._seen.items():
            seen[own(sample.stack or ())] += times
        return max(self._seen, key=lambda sample: (seen[own(sample.stack or ())], self._seen[sample]), default=None)

    @property
    def cause(self) -> str | None:
        """Of CAUSES; None where the loop was ready and only got no processor."""
        if self.by_another:
            return "gil"
        if not self._seen:
            return None if self._idle else "unseen"
        return "blocked" if len({sample.run for sample in self._seen}) == 1 else "crowded"


class Judge:
    """Looks at one loop's pulse again and again."""

    def __init__(self, pulse: Pulse, threshold: float, sample: Callable[[], Sample], report: Report) -> None:
        """`threshold` in seconds; `sample` looks at the loop's thread."""
        self._pulse = pulse
        self._threshold = threshold
        self._sample = sample
        self._report = report
        self._stall: Stall | None = None
        self._away: deque[tuple[float, float]] = deque(maxlen=ABSENCES)
        self._held: tuple[float, float] = (0.0, 0.0)
        """When another thread held the interpreter last."""
        self._before: tuple[float, object] = (0.0, None)
        """When a loop was looked at that was not overdue, and what ran then."""
        self._last: Moment | None = None
        self._expected = 0.0

    def look(self, moment: Moment) -> float:
        """Judge what happened since the last look; return how many seconds later to look again."""
        if self._last is not None and moment.time - self._expected > self._pulse.period:
            self._was_late(self._last, moment)
        self._take_late_beats()
        pause = self._watch(moment.time)
        self._last, self._expected = moment, moment.time + pause
        return pause

    def _watch(self, now: float) -> float:
        pulse = self._pulse
        patience = pulse.period / 2
        due = pulse.due
        if due is None or pulse.paused:
            return pulse.period
        overdue = self._lateness(due, now)
        sample = self._sample()
        if pulse.due != due:  # it beat meanwhile
            return patience
        if overdue < patience:
            self._before = now, sample.run
            return max(patience - overdue, patience / 4) + (pulse.period if sample.stack is None else 0.0)
        stall = self._stall_of(due, sample.run)
        stall.add(sample)
        stall.by_another = stall.by_another or _overlap(self._held, due, now) > overdue / 2
        self._stall = stall
        lasted = overdue + due - stall.begun
        if lasted >= max(CONFIRM, self._threshold):
            self._tell(stall, lasted)
        return min(max(patience, overdue / 10), SLOWEST_LOOKS)

    def _take_late_beats(self) -> None:
        pulse = self._pulse
        while pulse.late:
            due, came = pulse.late.popleft()
            stall = self._stall_of(due, None)
            if stall.debugged:
                continue
            late = self._lateness(due, came)
            self._record_lags(late)
            lasted = late + due - stall.begun
            if lasted >= self._threshold:
                stall.by_another = stall.by_another or _overlap(self._held, due, came) > late / 2
                self._tell(stall, lasted)
                if stall.told:
                    self._report.ended(lasted)

    def _stall_of(self, due: float, run: object) -> Stall:
        """The one that is looked at already, or a new one, in which `run` is seen to run."""
        if self._stall is not None and self._stall.due == due:
            return self._stall
        earliest, (looked, ran) = due - self._pulse.period, self._before
        if run is None or not earliest < looked < due:
            return Stall(due, due - self._pulse.period / 2)
        return Stall(due, (looked + (earliest if run == ran else due)) / 2)

    def _tell(self, stall: Stall, lasted: float) -> None:
        cause = stall.cause
        if not stall.told and not stall.debugged and cause is not None:
            stall.told = True
            self._report.stall(cause, stall.sample, lasted)

    def _record_lags(self, late: float) -> None:
        """Also for the beats that did not come meanwhile: a timer set for any of those times would have been late."""
        step = max(self._pulse.period, late / LAGS_AT_ONCE)
        while late > step / 2:
            self._report.lag(late)
            late -= step

    def _was_late(self, last: Moment, moment: Moment) -> None:
        """What kept the watchdog itself: C code that held the interpreter, or nothing that the process did."""
        late = moment.time - self._expected
        processor = moment.processor - last.processor
        if moment.waits is None or last.waits is None:
            held = processor >= late / 2
        else:
            held = moment.waits - last.waits >= max(3.0, late / (4 * sys.getswitchinterval()))
        if not held:
            self._away.append((self._expected, moment.time))
            if late >= self._threshold:
                self._report.away(late)
        elif moment.computed is not None and last.computed is not None:
            loops = moment.computed - last.computed
            if processor - loops >= max(3 * loops, late * LEAST_COMPUTED):
                self._held = (self._expected, moment.time)

    def _lateness(self, due: float, until: float) -> float:
        return until - due - sum(_overlap(absence, due, until) for absence in self._away)


def _overlap(interval: tuple[float, float], start: float, stop: float) -> float:
    return max(0.0, min(interval[1], stop) - max(interval[0], start))
