"""Rows of numbers, sorted by series, made into what a frame says: weights, a gauge's last value. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taba.dialects.statsd.columns import Integers, Truths, Words
from taba.dialects.statsd.series import COUNTER, GAUGE, Series
from taba.frame import MAX_WEIGHT

Floats = NDArray[np.float64]

_ROW_BITS, _SERIES_BITS = 32, 20
ALMOST = 1e-9
"""So much may be missing from a whole number of events: sums of fractions are rounded."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Parallel: a number of a series, for how many events it stands, and whether it changes a gauge. In their order."""

    series: Integers
    numbers: Floats
    inverses: Floats
    changes: Truths

    def only(self, at: Integers) -> Rows:
        """Some of the rows, in the order of `at`."""
        return Rows(self.series[at], self.numbers[at], self.inverses[at], self.changes[at])


def joined(blocks: list[Rows]) -> Rows:
    """Several blocks as one."""
    if len(blocks) == 1:
        return blocks[0]
    return Rows(
        np.concatenate([one.series for one in blocks]),
        np.concatenate([one.numbers for one in blocks]),
        np.concatenate([one.inverses for one in blocks]),
        np.concatenate([one.changes for one in blocks]),
    )


def by_client(rows: Rows, series: Series) -> Rows:
    """The rows of each client together, of these each series', and these in their order."""
    places: Words = series.client[rows.series].astype(np.uint64) << np.uint64(_ROW_BITS + _SERIES_BITS)
    places |= rows.series.astype(np.uint64) << np.uint64(_ROW_BITS)
    places |= np.arange(len(places), dtype=np.uint64)
    places.sort()
    order = (places & np.uint64((1 << _ROW_BITS) - 1)).astype(np.int64)
    return rows.only(order)


def starts(column: Integers) -> Integers:
    """Where another value begins in a sorted column."""
    begins = np.empty(len(column), np.bool_)
    begins[:1] = True
    np.not_equal(column[1:], column[:-1], out=begins[1:])
    return np.flatnonzero(begins)


def weighed(rows: Rows, series: Series) -> tuple[Floats, Floats]:
    """Numbers and whole weights, at least 1.

    A weight is the whole number of events that have come up by its row, less those told before; the fraction left is
    kept in the series. A counter's number times its weight is its part of the total, to the last bit or two.
    """
    inverses = rows.inverses
    if (inverses == np.floor(inverses)).all():
        return rows.numbers, inverses
    begin = starts(rows.series)
    length = np.diff(begin, append=len(inverses))
    of = rows.series[begin]
    total = np.cumsum(inverses)
    total += np.repeat(series.fraction[of] - total[begin] + inverses[begin], length)
    whole = np.floor(total + ALMOST)
    weights = np.diff(whole, prepend=0.0)
    weights[begin] = whole[begin]
    np.clip(weights, 1.0, MAX_WEIGHT, out=weights)
    last = begin + length - 1
    series.fraction[of] = np.maximum(total[last] - whole[last], 0.0)
    parts = rows.numbers * (inverses / weights)
    counters = series.kind[rows.series] == COUNTER
    return np.where(counters, parts, rows.numbers), weights


def levelled(rows: Rows, series: Series) -> Rows:
    """The rows with one alone for each gauge: what it stands at in the end, which is kept for changes to come."""
    gauge = series.kind[rows.series] == GAUGE
    at = np.flatnonzero(gauge)
    if not len(at):
        return rows
    of, numbers, changes = rows.series[at], rows.numbers[at], rows.changes[at]
    begin = starts(of)
    last = np.append(begin[1:], len(at)) - 1
    numbers = _changed(series.level[of[begin]], begin, numbers, changes) if changes.any() else numbers[last]
    limit = np.finfo(np.float64).max
    series.level[of[begin]] = numbers = np.clip(numbers, -limit, limit)
    stay = ~gauge
    stay[at[last]] = True
    values = rows.numbers.copy()
    values[at[last]] = numbers
    return Rows(rows.series, values, rows.inverses, rows.changes).only(np.flatnonzero(stay))


def _changed(level: Floats, begin: Integers, numbers: Floats, changes: Truths) -> Floats:
    """Each gauge's last value that is none, or else its level, and the sum of the changes since."""
    place = np.arange(len(numbers))
    set_at = np.maximum.reduceat(np.where(changes, -1, place), begin)
    base = np.where(set_at >= 0, numbers[set_at], level)
    length = np.diff(begin, append=len(numbers))
    since = np.where(place > np.repeat(set_at, length), numbers, 0.0)
    with np.errstate(over="ignore"):
        return base + np.add.reduceat(since, begin)
