"""Vectors: some series at some times, as columns of labels and a matrix of values.

    labels    a row for each series, a column of texts for each label, null where a series has no such label; the
              column of the name is always there, so that a table has its height even where no series has a label
    values    float64, series x times
    present   bool, series x times: whether there is a value; where there is none, `values` holds anything

A scalar is an array of float64, one for each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from taba.prometheus.promql.syntax import NAME
from taba.prometheus.promql.tokens import QueryError

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Integers: TypeAlias = npt.NDArray[np.int64]

MAX_VALUES = 5_000_000
"""Series times times that the selectors of a query may have together: 45 MB, and a few times as much on the way."""

_GROUP = "\0group"


class ExecutionError(QueryError):
    """A query that is read, but cannot be worked out: too large, or its vectors do not go together."""


@dataclass(frozen=True, slots=True)
class Vector:
    """Series at times; see above."""

    labels: pl.DataFrame
    values: Floats
    present: Bools

    @property
    def series(self) -> int:
        return self.values.shape[0]

    def take(self, rows: Integers) -> Vector:
        """Some of the series, in this order."""
        return Vector(self.labels[rows], self.values[rows], self.present[rows])

    def narrowed(self) -> Vector:
        """Without the series that have no value, and labels that no series has."""
        some = self.present.any(axis=1)
        kept = self if some.all() else self.take(np.flatnonzero(some))
        return replace(kept, labels=_used(kept.labels))

    def with_values(self, values: Floats) -> Vector:
        """Other values, which belong to no metric any more."""
        return unnamed(Vector(self.labels, values, self.present))


Result: TypeAlias = Vector | Floats


def bounded(series: int, times: int, what: str) -> None:
    """Raise ExecutionError where a vector would be too large."""
    if series * times > MAX_VALUES:
        raise ExecutionError(
            f"query processing would load too many samples into memory in query execution: {what} has {series:,} "
            f"series, at {times:,} times {series * times:,} values, and at most {MAX_VALUES:,} are worked out: "
            "select fewer series, or take a longer step"
        )


def empty(times: int) -> Vector:
    """No series."""
    return Vector(pl.DataFrame(schema={NAME: pl.String}), np.empty((0, times)), np.empty((0, times), dtype=np.bool_))


def unlabelled(values: Floats) -> Vector:
    """The one series that has no label."""
    return Vector(pl.DataFrame({NAME: [None]}, schema={NAME: pl.String}), values, np.ones(values.shape, dtype=np.bool_))


def grouped(labels: pl.DataFrame, keep: Sequence[str]) -> tuple[pl.DataFrame, Integers]:
    """The different values of the labels `keep`, and for each series the row of its own among them."""
    nameless = labels if NAME in keep else labels.with_columns(pl.lit(None, dtype=pl.String).alias(NAME))
    mine = nameless.select(NAME, *(name for name in keep if name in labels.columns and name != NAME))
    if labels.is_empty():
        return mine, np.zeros(0, dtype=np.int64)
    groups = mine.unique(maintain_order=True).with_row_index(_GROUP)
    joined = mine.join(groups, on=mine.columns, how="left", nulls_equal=True, maintain_order="left")
    return groups.drop(_GROUP), joined[_GROUP].cast(pl.Int64).to_numpy()


def _used(labels: pl.DataFrame) -> pl.DataFrame:
    return labels.select(
        column for column in labels.get_columns() if column.name == NAME or column.null_count() < len(column)
    )


def unnamed(vector: Vector) -> Vector:
    """Without the metric's name; raises ExecutionError where series are told apart by nothing else."""
    if vector.labels[NAME].null_count() == vector.series:
        return vector
    rest, members = grouped(vector.labels, [name for name in vector.labels.columns if name != NAME])
    if rest.height < vector.series:
        raise ExecutionError(
            "vector cannot contain metrics with the same labelset: several metrics are selected that differ by "
            "nothing but their name"
        )
    return replace(vector, labels=rest.select(pl.all().gather(members)))
