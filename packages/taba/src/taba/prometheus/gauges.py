"""Gauges: the last value of each client, at each time.

States of gauges know their client in the fleet's view too, so series of single clients are as fine as the fleet's, and
go back as far.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from taba.prometheus.asked import Asked, converted, numbered
from taba.prometheus.figures import Statistics, last_values
from taba.prometheus.naming import VALUE
from taba.prometheus.promql.syntax import CLIENT
from taba.prometheus.promql.vectors import Floats, Integers, Vector, bounded, empty

HOLDERS = "holders"


def gauges(asked: Asked, reach: float) -> Vector:
    """The statistics over clients' values, or each client's own; a value is remembered for `reach` seconds."""
    first, last = asked.times[0] / 1000, asked.times[-1] / 1000
    keys = ["tab", CLIENT] if asked.by_client else ["tab"]
    keys += [VALUE] if asked.figure == HOLDERS else []
    vectors = [
        _statistics(asked, _ordered(states), keys, reach)
        for _, states in asked.states(first - reach, np.floor(last) + 1, per_client=False)
    ]
    return together(vectors, len(asked.times))


def together(vectors: list[Vector], times: int) -> Vector:
    """Vectors of different series as one."""
    if not vectors:
        return empty(times)
    bounded(sum(vector.series for vector in vectors), times, "a selector")
    return Vector(
        pl.concat([vector.labels for vector in vectors], how="diagonal"),
        np.concatenate([vector.values for vector in vectors]),
        np.concatenate([vector.present for vector in vectors]),
    )


def _ordered(states: pl.DataFrame) -> pl.DataFrame:
    """By tab, client and time. Among equal times the one that a merge keeps comes last."""
    columns = states.select(
        "tab", "time", "number", "expires", pl.col("text").alias(VALUE), pl.col("holder").alias(CLIENT)
    )
    by = [pl.col("tab").to_physical(), pl.col(CLIENT).to_physical(), "time", "number", VALUE]
    return columns.sort(by, nulls_last=False)


def _statistics(asked: Asked, states: pl.DataFrame, keys: list[str], reach: float) -> Vector:
    rows = states.select(keys).drop_nulls().unique(maintain_order=True)
    bounded(rows.height, len(asked.times), "a gauge's selector")
    own = (states["tab"].to_physical().cast(pl.Int64) * (1 << 32) + states[CLIENT].to_physical()).to_numpy()
    times = states["time"].to_numpy()
    until = np.minimum(states["expires"].fill_null(float("inf")).to_numpy(), times + reach)
    place = numbered(rows, keys, states)
    numbers = states["number"].fill_null(float("nan")).to_numpy()
    found = Statistics(rows.height, len(asked.times))
    for some, steps in last_values(own, times, until, asked.times):
        _take(found, place[some], steps, numbers[some])
    series = asked.joined(rows)
    values, present = found.figure("clients" if asked.figure == HOLDERS else asked.figure)
    wanted = asked.figure not in (HOLDERS, "clients")
    return asked.vector(series, converted(series, values) if wanted else values, present)


def _take(found: Statistics, rows: Integers, steps: Integers, values: Floats) -> None:
    """Take in what belongs to a row: a number is held under no text."""
    some = rows >= 0
    found.add(rows[some], steps[some], values[some])
