"""A classic histogram is told in parts, a series for each bucket: here they are put together again. Pure.

The parts of one scrape have one time, but may come in several requests, and those of another scrape between them. What
belongs to a time is gathered until all are there that were there the last time. A scrape that stays incomplete costs
nothing: counts add up, so the next that is whole has what was in it. Where buckets have gone for good, the oldest of
PATIENCE scrapes is taken as it is, if it says how many values there are.
"""

from __future__ import annotations

import itertools
import math

import msgspec

from taba.dialects.buckets import MOST_BUCKETS, Buckets, BucketsError, explicit
from taba.dialects.prometheus.kinds import Role

PATIENCE = 3
MOST_TIMES = 1_000
"""Scrapes of one histogram in one request, and in those before it that were not whole."""


class Told(msgspec.Struct, array_like=True):
    """What is there of one scrape: how many values lie at each bound or below, their sum and number."""

    below: dict[float, float] = {}
    total: float | None = None
    count: float | None = None


class Parts(msgspec.Struct, array_like=True):
    """What is known of one histogram; all that has to be kept from one request to the next.

    Times are in milliseconds since 1970. `since` is when it began to count, 0 where that is not told.
    """

    bounds: set[float] = set()
    with_total: bool = True
    with_count: bool = True
    done: int = 0
    told: dict[int, Told] = {}
    since: int = 0

    def add(self, role: Role, bound: float, value: float, time: int) -> None:
        """A part. What belongs to a time that is done only tells that there is such a bound. Raises BucketsError."""
        if role is Role.BUCKET and bound not in self.bounds and len(self.bounds) >= MOST_BUCKETS:
            raise BucketsError(f"more than {MOST_BUCKETS} buckets")
        if time <= self.done:
            if role is Role.BUCKET:
                self.bounds.add(bound)
            return
        if time not in self.told and len(self.told) >= MOST_TIMES:
            del self.told[min(self.told)]
        told = self.told.setdefault(time, Told())
        if role is Role.BUCKET:
            if len(told.below) >= MOST_BUCKETS:
                raise BucketsError(f"more than {MOST_BUCKETS} buckets")
            told.below[bound] = value
        elif role is Role.SUM:
            told.total = value
        else:
            told.count = value

    def end(self, role: Role, bound: float) -> None:
        """A part's series has ended: nobody waits for it."""
        if role is Role.BUCKET:
            self.bounds.discard(bound)
        elif role is Role.SUM:
            self.with_total = False
        else:
            self.with_count = False

    def whole(self) -> list[tuple[int, Told]]:
        """The scrapes that are whole, or have to be taken as they are, by time; then all up to the last are done."""
        found = [(time, told) for time, told in sorted(self.told.items()) if self._ends(time, told)]
        if not found and len(self.told) >= PATIENCE:
            usable = [time for time, told in sorted(self.told.items()) if self._is_usable(told)]
            found = [(time, self._end_with(time, self.told[time])) for time in usable[:1]]
        self.told = {time: told for time, told in self.told.items() if time > self.done}
        return found

    def _ends(self, time: int, told: Told) -> bool:
        if (self.with_total and told.total is None) or (self.with_count and told.count is None):
            return False
        whole = self.bounds <= told.below.keys() if self.bounds else math.inf in told.below
        if whole:
            self._end_with(time, told)
        return whole

    def _is_usable(self, told: Told) -> bool:
        """Whether it says how many values there are, and their sum where that is still told."""
        missed = self.with_total and told.total is None and len(self.told) < 3 * PATIENCE
        return not missed and (math.inf in told.below or told.count is not None)

    def _end_with(self, time: int, told: Told) -> Told:
        """From now on what this scrape had is waited for."""
        self.done = time
        self.bounds = set(told.below)
        self.with_total, self.with_count = told.total is not None, told.count is not None
        return told


def buckets_of(told: Told) -> tuple[Buckets, float | None]:
    """Its buckets, and the sum of its values, where it has one. Raises BucketsError."""
    below = dict(told.below)
    if told.count is not None:
        below.setdefault(math.inf, told.count)
    if math.inf not in below:
        raise BucketsError("it has no bucket le=+Inf, and no count")
    bounds = sorted(below)
    counts = [_whole(below[bound]) for bound in bounds]
    single = [after - before for before, after in itertools.pairwise([0, *counts])]
    if min(single) < 0:
        raise BucketsError("a bucket has fewer values than the one below it")
    total = told.total if told.total is not None and math.isfinite(told.total) else None
    return explicit(bounds[:-1], single), total


def _whole(count: float) -> int:
    if not (0 <= count < 1 << 53 and count == int(count)):
        raise BucketsError(f"{count} is no number of values")
    return int(count)
