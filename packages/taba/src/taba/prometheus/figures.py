"""States -> numbers by series and time. Pure: columns in, matrices out.

A matrix of sums is cumulative: its column k has what lies in slices before `edges[k]` (and not before `edges[0]`), so
the sum of any window between two edges is the difference of two columns.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from taba.prometheus.buckets import BOUNDS
from taba.prometheus.promql.vectors import Bools, ExecutionError, Floats, Integers

ZERO, TOP = BOUNDS.index(0.0), len(BOUNDS)
"""The rungs of zero and of infinity."""
MAX_HELD = 50_000_000
"""Values of single clients, at all times together, that are added up for one selector."""
EXPANDED = 4_000_000
"""Values of gauges that are added up at once."""


def cumulative(rows: Integers, slices: Integers, weights: Floats, edges: Integers, height: int) -> Floats:
    """Sums of `weights` by row and edge, as said above."""
    segments = len(edges) - 1
    place = np.searchsorted(edges, slices, side="right") - 1
    inside = (place >= 0) & (place < segments)
    cells = (rows * segments + place)[inside]
    sums = np.bincount(cells, weights[inside], minlength=height * segments).reshape(height, segments)
    return np.concatenate([np.zeros((height, 1)), np.cumsum(sums, axis=1, dtype=np.float64)], axis=1)


def reached(ranked: pl.DataFrame, name: str) -> pl.DataFrame:
    """(name, rung) of the bounds that the values of each `name` reach, from percentile States with their `rung`.

    On each side of zero from the one below the least to the greatest, and infinity; so `/metrics` has them too.
    """
    rung = pl.col("rung").cast(pl.Int64)
    sides = ranked.select(name, rung.alias("rung"), side=pl.when(rung == TOP).then(2).otherwise((rung - ZERO).sign()))
    spans = sides.group_by(name, "side").agg(least=pl.col("rung").min(), greatest=pl.col("rung").max())
    first = pl.when(pl.col("side").abs() == 1).then((pl.col("least") - 1).clip(0)).otherwise("least")
    found = spans.select(name, rung=pl.int_ranges(first, pl.col("greatest") + 1)).explode("rung")
    tops = spans.select(name, rung=pl.lit(TOP, dtype=pl.Int64))
    return pl.concat([found, tops]).unique().sort(name, "rung")


def up_to(counts: Floats, starts: Integers) -> Floats:
    """Buckets' own counts (rows x times) -> cumulative ones; `starts` are the first rows of histograms. Exact: counts
    are whole numbers."""
    whole = np.cumsum(counts, axis=0)
    before = np.where((starts > 0)[:, None], whole[starts - 1], 0.0)
    sizes = np.diff(np.append(starts, len(counts)))
    return whole - np.repeat(before, sizes, axis=0)


def last_values(keys: Integers, times: Floats, until: Floats, steps: Integers) -> Iterator[tuple[Integers, Integers]]:
    """Where values hold that each replace the one before: (row, step) pairs, in parts of about EXPANDED.

    Rows are sorted by key and time. A value holds from its time on (seconds) to `until`, and no longer than to the next
    of its key; steps are milliseconds, ascending. Raises ExecutionError for too many pairs.
    """
    begin = np.searchsorted(steps, np.ceil(times * 1000 - 1e-3))
    follows = np.append(keys[1:] == keys[:-1], False)
    end = np.where(follows, np.append(begin[1:], 0), len(steps))
    end = np.minimum(end, np.searchsorted(steps, np.minimum(until * 1000, 2.0**62)))
    lengths = np.maximum(end - begin, 0)
    if lengths.sum() > MAX_HELD:
        raise ExecutionError(
            f"query processing would load too many samples into memory in query execution: {lengths.sum():,} values of "
            f"single clients, at most {MAX_HELD:,} are added up: select fewer gauges, or take a longer step"
        )
    held = np.flatnonzero(lengths)
    parts = np.cumsum(lengths[held]) // EXPANDED
    for part in np.unique(parts):
        rows = held[parts == part]
        repeats = lengths[rows]
        offsets = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        yield np.repeat(rows, repeats), np.repeat(begin[rows], repeats) + offsets


class Statistics:
    """Sum, least, greatest and number of the values at each (row, step)."""

    def __init__(self, height: int, steps: int) -> None:
        self._shape = (height, steps)
        self.total = np.zeros(height * steps)
        self.numbers = np.zeros(height * steps, dtype=np.int64)
        self.least = np.full(height * steps, np.inf)
        self.greatest = np.full(height * steps, -np.inf)
        self.holders = np.zeros(height * steps, dtype=np.int64)

    def add(self, rows: Integers, steps: Integers, values: Floats) -> None:
        """Take values in; what is no number counts as a holder alone."""
        cells = rows * self._shape[1] + steps
        self.holders += np.bincount(cells, minlength=len(self.holders))
        some = ~np.isnan(values)
        cells, values = cells[some], values[some]
        self.total += np.bincount(cells, values, minlength=len(self.total))
        self.numbers += np.bincount(cells, minlength=len(self.numbers))
        np.minimum.at(self.least, cells, values)
        np.maximum.at(self.greatest, cells, values)

    def figure(self, name: str) -> tuple[Floats, Bools]:
        """One of sum, mean, min, max and clients, and where there is any."""
        has = self.numbers > 0
        with np.errstate(all="ignore"):
            found = {
                "sum": (self.total, has),
                "mean": (self.total / self.numbers, has),
                "min": (self.least, has),
                "max": (self.greatest, has),
                "clients": (self.holders.astype(np.float64), self.holders > 0),
            }[name]
        return found[0].reshape(self._shape), found[1].reshape(self._shape)
