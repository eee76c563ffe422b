"""Series that add up since their process began -> what came to them from one message to the next. Pure.

A series is told as (start, time, value), again and again, where value is what was recorded from `start` to `time`:
OTLP's cumulative sums and histograms, and Prometheus' counters, whose start mostly is not told. What is known of it is
what was told last; what it grew by is the difference. A message that comes twice so adds nothing the second time.

    never seen         as `whole` says: all of it counts, or it is where counting begins
    not newer          nothing: what an older message says is in the newer one
    grown              the difference
    fallen             it began anew, without saying so: all of it counts
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from taba.dialects.buckets import Buckets, less


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a series recorded from `start` to `time`, in nanoseconds since 1970; a start of 0 is not told.

    `value` is the sum, None where a histogram has none. A histogram has `buckets`; its values lie from `least` to
    `most`, where these are known, and `least_in`, `most_in` say that these are values recorded in that time.
    """

    start: int
    time: int
    value: int | float | None
    buckets: Buckets | None = None
    least: float | None = None
    most: float | None = None
    least_in: bool = False
    most_in: bool = False


class Verdict(StrEnum):
    """What a message is to what was known of its series."""

    WHOLE = "whole"
    """Never seen, and all of it counts."""
    BEGINNING = "beginning"
    """Never seen, and counting begins here."""
    GREW = "grew"
    RESET = "reset"
    REPEATED = "repeated"
    """Not newer than what is known: nothing counts."""
    REFUSED = "refused"
    """Never seen, and more series than may be remembered: nothing is known of it."""


def increase(before: Recorded | None, now: Recorded, whole: bool) -> tuple[Verdict, Recorded | None]:
    """What a series recorded since `before`, or nothing; all of `now` where `before` is None and `whole` says so."""
    if before is None:
        return (Verdict.WHOLE, now) if whole else (Verdict.BEGINNING, None)
    if now.time <= before.time:
        return Verdict.REPEATED, None
    grown = _grown(before, now)
    if grown is None:
        return Verdict.RESET, replace(now, start=before.time)
    return Verdict.GREW, grown


def _grown(before: Recorded, now: Recorded) -> Recorded | None:
    """The difference; None where it began anew."""
    value = None if now.value is None or before.value is None else now.value - before.value
    if now.buckets is None or before.buckets is None:
        alike = now.buckets is before.buckets
        return Recorded(before.time, now.time, value) if alike and value is not None and value >= 0 else None
    buckets = less(now.buckets, before.buckets)
    if buckets is None:
        return None
    return Recorded(
        before.time,
        now.time,
        value,
        buckets,
        now.least,
        now.most,
        # An end that moved was recorded since; one that did not is a bound, no more.
        least_in=now.least is not None and before.least is not None and now.least < before.least,
        most_in=now.most is not None and before.most is not None and now.most > before.most,
    )
