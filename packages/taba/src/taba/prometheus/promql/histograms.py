"""Quantiles out of histograms' buckets, as Prometheus works them out (its bucketQuantile): within the bucket that the
rank falls into, values are taken to lie evenly."""

from __future__ import annotations

import numpy as np
import polars as pl

from taba.prometheus.promql.vectors import Floats, Integers, Vector, empty, grouped, unnamed

BOUND = "le"
"""The label that holds a bucket's upper bound."""


def histogram_quantile(q: Floats, vector: Vector) -> Vector:
    """The quantile of each histogram, a histogram being the series that differ by their bound alone."""
    vector = vector.narrowed()
    if BOUND not in vector.labels.columns:
        return empty(len(q))
    bounds = vector.labels[BOUND].str.replace("^\\+?Inf$", "inf").cast(pl.Float64, strict=False)
    vector = vector.take(np.flatnonzero(bounds.is_not_null().to_numpy()))
    limits = bounds.drop_nulls().to_numpy()
    if not vector.series:
        return empty(len(q))
    groups, members = grouped(vector.labels, [name for name in vector.labels.columns if name != BOUND])
    order = np.lexsort((limits, members))
    sizes = np.bincount(members)
    values, present = np.empty((len(sizes), len(q))), np.zeros((len(sizes), len(q)), dtype=np.bool_)
    begins = np.cumsum(sizes) - sizes
    # Histograms of as many buckets go together in one array of three dimensions.
    for size in np.unique(sizes):
        some = np.flatnonzero(sizes == size)
        rows = order[begins[some][:, None] + np.arange(size)]
        counts = np.where(vector.present[rows], vector.values[rows], 0.0)
        values[some] = _quantiles(q, limits[rows], counts)
        present[some] = vector.present[rows].any(axis=1)
    return unnamed(Vector(groups, values, present))


def _quantiles(q: Floats, limits: Floats, counts: Floats) -> Floats:
    """Of histograms with equally many buckets: q by times; limits: histograms x buckets; counts: x times too.

    Counts are cumulative; where one is less than that of a bucket before, it counts as that one's.
    """
    histograms, buckets, times = counts.shape
    if buckets < 2:
        return np.full((histograms, times), np.nan)
    counts = np.maximum.accumulate(np.nan_to_num(counts), axis=1)
    total = counts[:, -1]
    rank = q * total
    place = np.minimum((counts < rank[:, None]).sum(axis=1), buckets - 1)
    value = _within(place, rank, limits, counts)
    highest = limits[:, -2][:, None]
    value = np.where(place == buckets - 1, highest, value)
    value = np.where(np.isinf(limits[:, -1])[:, None] & (total > 0) & ~np.isnan(q), value, np.nan)
    some = ~np.isnan(value)
    return np.where(some & (q < 0), -np.inf, np.where(some & (q > 1), np.inf, value))


def _within(place: Integers, rank: Floats, limits: Floats, counts: Floats) -> Floats:
    """The value of a rank in the bucket at `place`; both are histograms x times."""
    index = np.arange(len(place))[:, None]
    first = place == 0
    before = np.maximum(place - 1, 0)
    upper = limits[index, place]
    lower = np.where(first, 0.0, limits[index, before])
    at = np.take_along_axis(counts, place[:, None], axis=1)[:, 0]
    below = np.where(first, 0.0, np.take_along_axis(counts, before[:, None], axis=1)[:, 0])
    with np.errstate(all="ignore"):
        value = lower + (upper - lower) * ((rank - below) / (at - below))
    return np.where(first & (upper <= 0), upper, value)
