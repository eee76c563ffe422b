"""Counters and histograms: sums of what lies in the slices between two times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from taba.handlers.base import count_sum
from taba.prometheus.asked import Asked, converted, numbered
from taba.prometheus.buckets import BOUNDS, with_rungs
from taba.prometheus.figures import cumulative, reached, up_to
from taba.prometheus.naming import LE
from taba.prometheus.promql.vectors import Floats, Integers, Vector, bounded, empty
from taba.prometheus.series import DIVIDE, MULTIPLY, NAMED, TAB
from taba.prometheus.text import bound_text
from taba.prometheus.totals import steady

BUCKET = "bucket"
RUNG = "\0rung"
"""The column of a bucket's rung beside labels, one of which may be called `rung`."""
WEIGHTS = {"total": "total", "sum": "total", "events": "count", "count": "count"}
"""Which of a State's columns each figure adds up."""


def sums(asked: Asked, starts: Integers, ends: Integers, *, risen: bool) -> Vector:
    """What the slices of [start, end) have come to, for each time; seconds.

    A series is there once it has an event since the first start. Where it is asked how much has `risen`, each known
    tab's is there, whatever it has; else sums are `steady`, as in `/metrics`.
    """
    edges = np.unique(np.concatenate([starts, ends]))
    keys = ["tab", "client"] if asked.by_client else ["tab"]
    buckets = asked.figure == BUCKET
    found = _by_segment(asked, edges, [*keys, "rung"] if buckets else keys)
    if buckets:
        return _buckets(asked, found, keys, edges, starts, ends)
    if risen and not asked.by_client:
        rows = asked.series.select(pl.col(TAB).cast(pl.Categorical).alias("tab"))
    else:
        rows = found.select(keys).unique(maintain_order=True)
    if rows.is_empty():
        return empty(len(ends))
    bounded(rows.height, len(ends), "a selector")
    place, height = numbered(rows, keys, found), rows.height
    first, last = np.searchsorted(edges, starts), np.searchsorted(edges, ends)
    counts = _matrix(found, "count", place, edges, height)
    weight = WEIGHTS[asked.figure]
    added = counts if weight == "count" else _matrix(found, weight, place, edges, height)
    series = asked.joined(rows)
    values = added[:, last] - added[:, first]
    present = np.full(values.shape, True) if risen and not asked.by_client else counts[:, last] > 0
    if weight == "count":
        return asked.vector(series, values, present)
    return asked.vector(series, converted(series, values if risen else _steady(values)), present)


def _steady(values: Floats) -> Floats:
    return (
        pl.DataFrame({"total": values.ravel()})
        .select(steady(pl.col("total")))["total"]
        .to_numpy()
        .reshape(values.shape)
    )


def _by_segment(asked: Asked, edges: Integers, keys: Sequence[str]) -> pl.DataFrame:
    """Counts and totals by keys and `place`, the number of the edge behind which they lie."""
    kinds = {"tab": pl.Categorical, "client": pl.Categorical, "rung": pl.UInt16}
    schema = {key: kinds[key] for key in keys} | {"place": pl.Int64, "count": pl.UInt64, "total": pl.Float64}
    parts = [pl.DataFrame(schema=schema)]
    for _, states in asked.states(int(edges[0]), int(edges[-1]), per_client=asked.by_client):
        if "rung" in keys:
            states = with_rungs(states)  # noqa: PLW2901 (the same States, with one more column)
        place = np.searchsorted(edges, states["slice"].to_numpy(), side="right") - 1
        measures = [count_sum(pl.col("count").cast(pl.UInt64))]
        measures += [pl.col("total").sum()] if "total" in states.columns else [pl.lit(0.0).alias("total")]
        parts.append(states.with_columns(place=place).group_by(*keys, "place").agg(measures).select(*schema))
    return pl.concat(parts)


def _matrix(found: pl.DataFrame, column: str, rows: Integers, edges: Integers, height: int) -> Floats:
    weights = found[column].cast(pl.Float64).to_numpy()
    return cumulative(rows, edges[found["place"].to_numpy()], weights, edges, height)


def _buckets(
    asked: Asked, found: pl.DataFrame, keys: Sequence[str], edges: Integers, starts: Integers, ends: Integers
) -> Vector:
    """A series for each bound that the values of all tabs of the name reach."""
    if found.is_empty():
        return empty(len(ends))
    named = found.join(
        asked.series.select(pl.col(TAB).cast(pl.Categorical).alias("tab"), pl.col(NAMED).alias("name")), on="tab"
    )
    bounds = reached(named, "name")
    holders = named.select(*keys, "name").unique(maintain_order=True)
    rows = holders.join(bounds, on="name", how="left", maintain_order="left_right").with_columns(
        pl.col("rung").cast(pl.UInt16)
    )
    bounded(rows.height, len(ends), "a histogram's selector")
    counts = _matrix(named, "count", numbered(rows, [*keys, "rung"], named), edges, rows.height)
    own = rows.select(pl.struct(keys).rle_id()).to_series().to_numpy()
    whole = up_to(counts, np.flatnonzero(np.diff(own, prepend=-1)))
    first, last = np.searchsorted(edges, starts), np.searchsorted(edges, ends)
    series = asked.joined(rows.drop("name").rename({"rung": RUNG})).pipe(_with_bounds)
    total = _of_histogram(whole, own)[:, last]
    return asked.vector(series, whole[:, last] - whole[:, first], total > 0)


def _of_histogram(whole: Floats, own: Integers) -> Floats:
    """Each row's histogram's count of all: what its last bucket has."""
    ends = np.append(np.flatnonzero(np.diff(own)), len(own) - 1)
    return whole[ends[own - own[0]]]


def _with_bounds(series: pl.DataFrame) -> pl.DataFrame:
    """Buckets with their bound, in the unit of their family, as the label."""
    known = series.select(RUNG, MULTIPLY, DIVIDE).unique()
    limits = (*BOUNDS, float("inf"))
    texts = [bound_text(limits[rung] * multiply / divide) for rung, multiply, divide in known.iter_rows()]
    named = known.with_columns(pl.Series(LE, texts, dtype=pl.String))
    return series.join(named, on=[RUNG, MULTIPLY, DIVIDE], how="left", maintain_order="left").drop(RUNG)
