"""Histograms that others counted: their buckets, what two of them differ by, and numbers that stand for one.

A bucket (low, high] says how many values lay in it, and no more. What is recorded for it is one number, with the count
as its weight. Which number, is chosen for the whole histogram at once: all buckets take the same position t between
their bounds, low + t (high - low), and t is what makes the numbers add up to the sum that was told. So totals and means
are exact, and a percentile lies in the right bucket. How wrong a number can be is told with it (`Weighed.error`).
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_BUCKETS = 2_000
"""Buckets that one histogram may have."""
UNKNOWN = 1.0
"""The error where only the bucket is known: a value may be any in it."""
ZERO = math.nextafter(0.0, -1.0)
"""Where the bucket of zero alone begins."""
FARTHEST = 1000
"""Exponential buckets beyond this power of 2, or below its inverse, are taken for that."""


class BucketsError(ValueError):
    """Buckets that make no histogram; the text says why."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """How many values lay in each (low, high]: parallel, ascending, without empty ones."""

    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Weighed:
    """Numbers, each for so many equal events; none is farther than `error` from what it stands for, relatively."""

    numbers: array[float]
    weights: array[float]
    error: float


def explicit(bounds: Sequence[float], counts: Sequence[int]) -> Buckets:
    """Buckets between bounds that ascend: the first from -inf, the last to inf. Raises BucketsError."""
    if len(counts) != len(bounds) + 1:
        raise BucketsError(f"{len(bounds)} bounds make {len(bounds) + 1} buckets, but there are {len(counts)} counts")
    if len(counts) > MOST_BUCKETS:
        raise BucketsError(f"{len(counts)} buckets: at most {MOST_BUCKETS} are taken")
    edges = [-math.inf, *bounds, math.inf]
    if not all(low < high for low, high in itertools.pairwise(edges)):
        raise BucketsError("the bounds do not ascend")
    return _of(zip(edges, edges[1:], counts, strict=False))


def exponential(
    scale: int,
    zero: int,
    threshold: float,
    positive: Sequence[tuple[int, int]],
    negative: Sequence[tuple[int, int]] = (),
) -> Buckets:
    """Buckets (base^index, base^(index + 1)] as (index, count), of base 2^(2^-scale), and the zeros' up to `threshold`.

    The indexes are OTLP's; a bucket i of Prometheus' native histograms is i - 1 here. Raises BucketsError.
    """
    if not -10 <= scale <= 20:
        raise BucketsError(f"the scale {scale} is none from -10 to 20")
    if not (math.isfinite(threshold) and threshold >= 0):
        raise BucketsError(f"the zero threshold {threshold} is not a number from 0")
    if len(positive) + len(negative) > MOST_BUCKETS:
        raise BucketsError(f"{len(positive) + len(negative)} buckets: at most {MOST_BUCKETS} are taken")
    below = [(-_edge(scale, index + 1), -_edge(scale, index), count) for index, count in sorted(negative, reverse=True)]
    zeros = (-threshold if threshold and negative else ZERO, threshold, zero)
    above = [(_edge(scale, index), _edge(scale, index + 1), count) for index, count in sorted(positive)]
    return _of([*below, zeros, *above])


def _edge(scale: int, index: int) -> float:
    return 2.0 ** min(max(math.ldexp(index, -scale), -FARTHEST), FARTHEST)


def _of(rows: Iterable[tuple[float, float, int]]) -> Buckets:
    kept = [row for row in rows if row[2]]
    if any(count < 0 for _, _, count in kept):
        raise BucketsError("a count is below 0")
    lows, highs, counts = zip(*kept, strict=True) if kept else ((), (), ())
    return Buckets(lows, highs, counts)


def less(now: Buckets, before: Buckets) -> Buckets | None:
    """What came to `before` until `now`; None where some bucket has fewer than before.

    Where their bounds differ, the answer has those that both know.
    """
    if (now.lows, now.highs) == (before.lows, before.highs):
        counts = [new - old for new, old in zip(now.counts, before.counts, strict=True)]
        return None if min(counts, default=0) < 0 else _of(zip(now.lows, now.highs, counts, strict=True))
    edges = sorted({*now.lows, *now.highs, *before.lows, *before.highs})
    known = [
        (edge, new - old)
        for edge, new, old in zip(edges, _below(now, edges), _below(before, edges), strict=True)
        if new is not None and old is not None
    ]
    rows = [(low, high, after - so_far) for (low, so_far), (high, after) in itertools.pairwise(known)]
    return None if any(count < 0 for _, _, count in rows) else _of(rows)


def _below(buckets: Buckets, edges: Sequence[float]) -> list[int | None]:
    """How many values lie at each edge or below it; None where that is within a bucket."""
    found: list[int | None] = []
    place = below = 0
    for edge in edges:
        while place < len(buckets.highs) and buckets.highs[place] <= edge:
            below += buckets.counts[place]
            place += 1
        within = place < len(buckets.lows) and buckets.lows[place] < edge
        found.append(None if within else below)
    return found


@dataclass(slots=True)
class _Row:
    """A bucket that is weighed; `closed` says that both of its ends are known."""

    low: float
    high: float
    count: int
    closed: bool = True

    def error(self, number: float) -> float:
        """How far the number can be from a value of the bucket, relatively to that value."""
        if not self.closed:
            return UNKNOWN
        if self.low == self.high:
            return 0.0
        if self.low <= 0 <= self.high:
            return UNKNOWN
        return min(max(abs(number - self.low) / abs(self.low), abs(number - self.high) / abs(self.high)), UNKNOWN)


def weigh(
    buckets: Buckets,
    total: float | None,
    least: float | None = None,
    most: float | None = None,
    *,
    least_in: bool = False,
    most_in: bool = False,
) -> Weighed:
    """Numbers for a histogram whose values add up to `total`, where that was told, and lie from `least` to `most`.

    `least_in` and `most_in` say that these two are values of the histogram themselves: then they are exact.
    """
    if buckets.count == 1 and total is not None:
        return Weighed(array("d", (total,)), array("d", (1.0,)), 0.0)
    rows = [_Row(*one) for one in zip(buckets.lows, buckets.highs, buckets.counts, strict=True)]
    for row in rows:
        _close(row, least, most, positive=total is not None)
    single: list[float] = []
    if rows and least_in and least is not None:
        single.append(least)
        rows[0].count -= 1
    if rows and rows[-1].count and most_in and most is not None:
        single.append(most)
        rows[-1].count -= 1
    rows = [row for row in rows if row.count]
    numbers = _centres(rows) if total is None else _fitted(rows, total - sum(single))
    error = max((row.error(number) for row, number in zip(rows, numbers, strict=True)), default=0.0)
    weights = [1.0] * len(single) + [float(row.count) for row in rows]
    return Weighed(array("d", [*single, *numbers]), array("d", weights), error)


def _close(row: _Row, least: float | None, most: float | None, positive: bool) -> None:
    """Bring a bucket's ends as near to each other as is known; an end that is nowhere goes to the other."""
    low = 0.0 if row.low == ZERO else row.low
    if low == -math.inf and row.high > 0 and positive:
        low = 0.0  # a sum is told of values that are not negative (OTLP, Histogram.sum; as in Prometheus)
    if least is not None:
        low = max(low, least)
    high = row.high if most is None else min(row.high, most)
    if low > high:  # then what was told of the ends is wrong
        low, high = row.low, row.high
    row.closed = math.isfinite(low) and math.isfinite(high)
    row.low = low if math.isfinite(low) else high if math.isfinite(high) else 0.0
    row.high = high if math.isfinite(high) else row.low


def _centres(rows: Sequence[_Row]) -> list[float]:
    """The number of each bucket that is the least wrong relatively: in (low, high] it is 2 low high / (low + high)."""
    centres = [
        row.low / 2 + row.high / 2 if row.low <= 0 <= row.high else 2 / (1 / row.low + 1 / row.high) for row in rows
    ]
    return [min(max(centre, row.low), row.high) for row, centre in zip(rows, centres, strict=True)]


def _sum(numbers: Iterable[float]) -> float:
    """The sum, rounded once; infinite where it is beyond a float64."""
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        return math.inf


def _fitted(rows: Sequence[_Row], total: float) -> list[float]:
    """The numbers that add up to `total`, where buckets allow."""
    numbers = _centres(rows)
    held = [row.count * number for row, number in zip(rows, numbers, strict=True)]
    last = rows[-1] if rows else None
    if last is not None and not last.closed and last.low > 0:
        # What lies beyond the last bound has no end: it takes what the others leave.
        rest = (total - _sum(held[:-1])) / last.count
        if rest >= last.low and math.isfinite(rest):
            return [*numbers[:-1], rest]
    lowest = _sum(row.count * row.low for row in rows)
    width = _sum(row.count * (row.high - row.low) for row in rows)
    if not (width > 0 and math.isfinite(width)):
        return numbers
    position = min(max((total - lowest) / width, 0.0), 1.0)
    return [row.low + position * (row.high - row.low) for row in rows]
