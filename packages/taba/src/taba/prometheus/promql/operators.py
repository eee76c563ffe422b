"""Operators between scalars and vectors. Vectors go together by all of their labels but the name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from taba.prometheus.promql.syntax import COMPARISONS, NAME, SETS, Binary
from taba.prometheus.promql.vectors import (
    Bools,
    ExecutionError,
    Floats,
    Integers,
    Result,
    Vector,
    bounded,
    grouped,
    unnamed,
)

ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
}
COMPARING: dict[str, Callable[[Floats, Floats], Bools]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def operate(node: Binary, left: Result, right: Result) -> Result:
    """What the operator makes of both sides; raises ExecutionError."""
    with np.errstate(all="ignore"):
        if isinstance(left, Vector) and isinstance(right, Vector):
            return _sets(node.operator, left, right) if node.operator in SETS else _matched(node, left, right)
        if isinstance(left, Vector):
            return _one_sided(node, left, left.values, right)
        if isinstance(right, Vector):
            return _one_sided(node, right, left, right.values)
        return _figures(node, left, right)


def _figures(node: Binary, left: Floats, right: Floats) -> Floats:
    if node.operator in COMPARISONS:
        return COMPARING[node.operator](left, right).astype(np.float64)
    return ARITHMETIC[node.operator](left, right)


def _one_sided(node: Binary, vector: Vector, left: Floats, right: Result) -> Vector:
    """A vector and a scalar: a comparison without bool keeps the vector's values where it holds."""
    assert not isinstance(right, Vector)
    if node.operator in COMPARISONS and not node.as_bool:
        return Vector(vector.labels, vector.values, vector.present & COMPARING[node.operator](left, right))
    return vector.with_values(_figures(node, left, right))


def _matched(node: Binary, left: Vector, right: Vector) -> Vector:
    """Vectors one to one."""
    ours, theirs, groups = _signatures(left, right)
    partner = np.full(groups, -1, dtype=np.int64)
    partner[theirs] = np.arange(right.series)
    for side, members, series in (("left", ours, left), ("right", theirs, right)):
        if len(np.unique(members)) < len(members):
            raise ExecutionError(
                f"found duplicate series on the {side} hand-side of {node.operator!r} ({_double(series, members)}); "
                "many-to-many matching not allowed: matching labels must be unique on one side"
            )
    rows = np.flatnonzero(partner[ours] >= 0)
    mine, other = left.take(rows), right.take(partner[ours[rows]])
    present = mine.present & other.present
    if node.operator in COMPARISONS and not node.as_bool:
        return Vector(mine.labels, mine.values, present & COMPARING[node.operator](mine.values, other.values))
    return unnamed(Vector(mine.labels, _figures(node, mine.values, other.values), present))


def _double(vector: Vector, members: Integers) -> str:
    """The labels of a series that is there twice."""
    first = int(np.flatnonzero(np.bincount(members)[members] > 1)[0])
    labels = vector.labels.row(first, named=True)
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items() if value and name != NAME) + "}"


def _sets(operator: str, left: Vector, right: Vector) -> Vector:
    """`and`, `or`, `unless`: whether there is a value on the other side at that time."""
    ours, theirs, groups = _signatures(left, right)
    if operator == "or":
        bounded(left.series + right.series, left.present.shape[1], "'or'")
        beside = right.present & ~_any(left.present, ours, groups)[theirs]
        return Vector(
            pl.concat([left.labels, right.labels], how="diagonal"),
            np.concatenate([left.values, right.values]),
            np.concatenate([left.present, beside]),
        )
    there = _any(right.present, theirs, groups)[ours]
    return Vector(left.labels, left.values, left.present & (there if operator == "and" else ~there))


def _any(present: Bools, members: Integers, groups: int) -> Bools:
    """By group and time, whether any series of the group has a value."""
    found = np.zeros((groups, present.shape[1]), dtype=np.bool_)
    np.logical_or.at(found, members, present)
    return found


def _signatures(left: Vector, right: Vector) -> tuple[Integers, Integers, int]:
    """For each series of both sides the number of its labels without the name, and how many numbers there are."""
    both = pl.concat([left.labels, right.labels], how="diagonal")
    _, members = grouped(both, [name for name in both.columns if name != NAME])
    ours, theirs = members[: left.series], members[left.series :]
    return ours, theirs, int(members.max(initial=-1)) + 1
