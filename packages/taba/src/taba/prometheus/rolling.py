"""Answers over a window that moves along with time: what uniques, tops, buffers and types of one's own show.

The window is the one that the selector's label `window` names, else DEFAULT. The type's own arithmetic gives the answer
at each time, so it is the answer of `/v1/aggregates` over that window.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from taba import durations
from taba.handlers.base import Handler
from taba.prometheus.asked import Asked, numbered
from taba.prometheus.gauges import together
from taba.prometheus.naming import VALUE, WINDOW
from taba.prometheus.promql.labels import fits
from taba.prometheus.promql.syntax import CLIENT
from taba.prometheus.promql.tokens import QueryError
from taba.prometheus.promql.vectors import ExecutionError, Integers, Vector, bounded, empty
from taba.prometheus.windows import windows
from taba.states.fold import merge, project

DEFAULT = "5m"
"""As in `/metrics`."""
MAX_ROWS = 10_000_000
"""Rows of States, each counted once for each time whose window it is in."""
END = "bucket"
"""The column that holds a window's end."""
ANSWER = "\0answer"
"""The column of what is shown; a label may be called `value`."""


def rolling(asked: Asked) -> Vector:
    """The answers at each time, of the window asked for; raises QueryError."""
    written = _window(asked)
    if written is None:
        return empty(len(asked.times))
    try:
        seconds = durations.parse(written)
    except durations.DurationError as error:
        raise QueryError(f"window: {error}") from None
    starts, ends = windows(asked.ladder, asked.times, round(seconds * 1000), asked.now)
    distinct, places = np.unique(np.stack([ends, starts]), axis=1, return_inverse=True)
    ends, starts = distinct
    found = []
    for handler, states in asked.states(int(starts[0]), int(ends[-1]), per_client=asked.by_client):
        keys = ["tab", CLIENT] if asked.by_client else ["tab"]
        inside = _by_window(handler, states, keys, starts, ends)
        if inside.height:
            found.append(_answers(asked, handler, inside, keys, seconds, ends))
    vector = together(found, len(ends))
    labels = vector.labels.with_columns(pl.lit(written).alias(WINDOW))
    present = vector.present & asked.kept(starts)
    return Vector(labels, vector.values[:, places], present[:, places])


def _window(asked: Asked) -> str | None:
    """The window that the matchers want; None where they fit none."""
    about = [matcher for matcher in asked.matchers if matcher.label == WINDOW]
    named = [matcher.value for matcher in about if matcher.operator == "=" and matcher.value]
    window = named[0] if named else DEFAULT
    return window if all(fits(pl.Series([window]), matcher).item() for matcher in about) else None


def _by_window(
    handler: Handler, states: pl.DataFrame, keys: list[str], starts: Integers, ends: Integers
) -> pl.DataFrame:
    """The States, each once for each window that it is in, with the window's END. Ends and starts ascend."""
    edges = np.unique(np.concatenate([starts, ends]))
    place = np.searchsorted(edges, states["slice"].to_numpy(), side="right") - 1
    # What lies between the same edges is in the same windows: it is merged first.
    merged = merge(handler, states.with_columns(place=place), [*keys, "place"])
    begin = edges[merged["place"].to_numpy()]
    first, behind = np.searchsorted(ends, begin, side="right"), np.searchsorted(starts, begin, side="right")
    times = np.maximum(behind - first, 0)
    if times.sum() > MAX_ROWS:
        raise ExecutionError(
            f"query processing would load too many samples into memory in query execution: {times.sum():,} rows of "
            f"windows that overlap, at most {MAX_ROWS:,} are worked out: take a longer step, or a shorter window"
        )
    rows = np.repeat(np.arange(len(times)), times)
    offsets = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    return merged[rows].drop("place").with_columns(pl.Series(END, ends[first[rows] + offsets]))


def _answers(
    asked: Asked, handler: Handler, states: pl.DataFrame, keys: list[str], seconds: float, ends: Integers
) -> Vector:
    shown = project(handler, states, [*keys, END], seconds=seconds, until=pl.col(END), fleet=not asked.by_client)
    answers = shown.select(*keys, END, pl.col(asked.figure).alias(ANSWER))
    if answers.schema[ANSWER] == pl.String:
        keys = [*keys, VALUE]
        answers = _listed(answers)
    answers = answers.drop_nulls(ANSWER)
    rows = answers.select(keys).unique(maintain_order=True)
    bounded(rows.height, len(ends), "a selector")
    values, present = np.zeros((rows.height, len(ends))), np.zeros((rows.height, len(ends)), dtype=np.bool_)
    place, column = numbered(rows, keys, answers), np.searchsorted(ends, answers[END].to_numpy())
    values[place, column] = answers[ANSWER].cast(pl.Float64).to_numpy()
    present[place, column] = True
    return asked.vector(asked.joined(rows), values, present)


def _listed(answers: pl.DataFrame) -> pl.DataFrame:
    """Lists of values with their counts, in JSON -> a row for each value."""
    shape = pl.List(pl.Struct({"value": pl.String, "count": pl.Float64}))
    item = pl.col(ANSWER).struct
    listed = answers.with_columns(pl.col(ANSWER).str.json_decode(shape)).explode(ANSWER).drop_nulls(ANSWER)
    return listed.with_columns(item.field("value").alias(VALUE), item.field("count").alias(ANSWER))
