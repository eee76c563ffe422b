"""Aggregations: series put together by their labels, at each time alone."""

from __future__ import annotations

import numpy as np

from taba.prometheus.promql.syntax import NAME, Aggregation
from taba.prometheus.promql.vectors import Bools, Floats, Integers, Vector, empty, grouped


def aggregate(node: Aggregation, vector: Vector, parameter: Floats | None) -> Vector:
    """The groups' values; of topk and bottomk the series themselves, each where it is among the first."""
    vector = vector.narrowed()
    if not vector.series:
        return empty(vector.values.shape[1])
    if node.without:
        keep = [name for name in vector.labels.columns if name != NAME and name not in node.labels]
    else:
        keep = [name for name in vector.labels.columns if name in node.labels]
    groups, members = grouped(vector.labels, keep)
    if parameter is not None:
        return _ranked(node.operator, vector, members, parameter)
    order = np.argsort(members, kind="stable")
    starts = np.flatnonzero(np.diff(members[order], prepend=-1))
    values, present = vector.values[order], vector.present[order]
    count = np.add.reduceat(present, starts, axis=0, dtype=np.int64)
    with np.errstate(all="ignore"):
        return Vector(groups, _figures(node.operator, values, present, starts, count), count > 0)


def _figures(operator: str, values: Floats, present: Bools, starts: Integers, count: Integers) -> Floats:
    if operator == "group":
        return np.ones(count.shape)
    if operator == "count":
        return count.astype(np.float64)
    if operator in ("min", "max"):
        # Both pass over what is no number, unless nothing else is there.
        least = np.fmin if operator == "min" else np.fmax
        return least.reduceat(np.where(present, values, np.nan), starts, axis=0)
    total = np.add.reduceat(np.where(present, values, 0.0), starts, axis=0)
    return total / count if operator == "avg" else total


def _ranked(operator: str, vector: Vector, members: Integers, count: Floats) -> Vector:
    """The `count` greatest or least series of each group; what is no number comes last."""
    key = -vector.values if operator == "topk" else vector.values
    group = np.broadcast_to(members[:, None], key.shape)
    order = np.lexsort((key, ~vector.present, group), axis=0)
    sizes = np.bincount(members)
    begins = np.cumsum(sizes) - sizes
    place = np.empty(order.shape, dtype=np.int64)
    np.put_along_axis(place, order, np.arange(len(order))[:, None] - begins[members[order]], axis=0)
    # Of a broken number of series the whole ones count, as in Prometheus; one that is no number takes none.
    wanted = np.trunc(np.nan_to_num(count, nan=0.0))
    kept = Vector(vector.labels, vector.values, vector.present & (place < wanted))
    return kept.take(order[:, 0]) if order.shape[1] == 1 else kept
