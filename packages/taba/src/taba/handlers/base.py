"""What a handler is: the declaration behind a type, written in Polars expressions.

Events reach `cells` and `fold` as columns:

    tab, client   categories
    time          seconds since 1970, float64
    number        float64, null where the value is text
    text          string, null where the value is a number
    parameter     float64: what the type was given, 30 in gauge(30); null without
    weight        uint64: for how many equal events this one stands; nearly always 1
    error         float64: how far the number may lie from what it stands for, relative to that; nearly always 0

The last two are in the table only where a frame brought any, so that nobody else pays for them. `Measure` says how a
handler takes weights into account; one that says nothing folds each event once.

States have the keys (tab, client, slice), a column for each cell and one for each measure. `merge`
sees the measures' columns of several States with the same keys and cells, and gives one.

Projections see the merged States of one group, sorted by their cells, and besides the States' own columns

    seconds       how long the window is
    until         where it ends, in seconds since 1970

and give numbers, or strings that hold JSON (`json_text` and `json_list` make them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

import polars as pl

NUMBER = pl.col("number")
TEXT = pl.col("text")
TIME = pl.col("time")
TAB = pl.col("tab")
CLIENT = pl.col("client")
PARAMETER = pl.col("parameter")
SECONDS = pl.col("seconds").first()
UNTIL = pl.col("until").first()
WEIGHT = pl.col("weight")
ERROR = pl.col("error")
COUNT_EVENTS = pl.len().cast(pl.UInt64)
MOST_COUNT = (1 << 63) - 1
"""Counts end here: weights may add up to more, and a sum that wraps around would say next to nothing."""

EVENT_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "tab": pl.Categorical(),
    "client": pl.Categorical(),
    "time": pl.Float64,
    "number": pl.Float64,
    "text": pl.String,
    "parameter": pl.Float64,
}
INEXACT_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {"weight": pl.UInt64, "error": pl.Float64}
"""What events have besides, all of a table or none."""
EXACT = {"weight": pl.lit(1, dtype=pl.UInt64), "error": pl.lit(0.0)}
"""What stands for them where they are not there."""


class Value(Enum):
    """What kind of value a type takes. Numbers given to a TEXT type become text; others are refused."""

    NUMBER = "a number"
    TEXT = "text"
    ANY = "a number or text"


class Compared(Enum):
    """What of a type's States is compared, and which columns they must have for it."""

    COUNTS = "the measure count; with total, min and max the total too"
    RANKS = "one cell whose order is that of the values, and the measures count, min and max"


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of a State: how events make it, and how two States' columns become one.

    `merge` is "sum", "min", "max", "count" (a sum of counts, see `count_sum`), or an expression over all of the States'
    columns. `inexact` takes the place of `fold` where events have a weight and an error; None: these make no
    difference.
    """

    fold: pl.Expr
    merge: str | pl.Expr
    inexact: pl.Expr | None = None

    def folded(self, name: str, *, inexact: bool) -> pl.Expr:
        """The fold as an expression that gives the column `name`."""
        expression = self.inexact if inexact and self.inexact is not None else self.fold
        return expression.alias(name)

    def merged(self, name: str) -> pl.Expr:
        """The merge as an expression that gives the column `name`."""
        if isinstance(self.merge, str):
            if self.merge == "count":
                return count_sum(pl.col(name))
            return getattr(pl.col(name), self.merge)()
        return self.merge.alias(name)


def count_sum(column: pl.Expr) -> pl.Expr:
    """The sum of a column of counts (uint64), exactly; MOST_COUNT where it is more."""
    return _ending(column.sum(), column.cast(pl.Float64).sum())


def count_sums(column: pl.Expr) -> pl.Expr:
    """The sum of counts up to each one, likewise."""
    return _ending(column.cum_sum(), column.cast(pl.Float64).cum_sum())


def _ending(exactly: pl.Expr, about: pl.Expr) -> pl.Expr:
    return pl.when(about < float(MOST_COUNT)).then(exactly).otherwise(pl.lit(MOST_COUNT, dtype=pl.UInt64))


def counted() -> Measure:
    """How many events there were, weights and all."""
    return Measure(COUNT_EVENTS, "count", inexact=count_sum(WEIGHT))


def summed(value: pl.Expr) -> Measure:
    """The sum of a value over all events, each as often as its weight says."""
    return Measure(value.sum(), "sum", inexact=(value * WEIGHT).sum())


class Handler:
    """Subclass it, fill in the declaration, and every window, view and series works for the type.

    Merging must not depend on order: merge(a, b) = merge(b, a), and fold(a + b) = merge(fold(a), fold(b)).
    """

    type: ClassVar[str]
    version: ClassVar[int] = 1
    value: ClassVar[Value] = Value.NUMBER
    parameter: ClassVar[str | None] = None
    """What a number after the type means ("seconds until it expires"); None: it takes none."""
    cells: ClassVar[Mapping[str, pl.Expr]] = {}
    measures: ClassVar[Mapping[str, Measure]]
    projection: ClassVar[Mapping[str, pl.Expr]]
    """One client's States -> the answer's columns."""
    aggregate: ClassVar[Mapping[str, pl.Expr] | None] = None
    """Many clients' States -> the answer's columns; None: as in `projection`."""
    empty: ClassVar[Mapping[str, Any]] = {}
    """The answer's columns that are not null when nothing was recorded."""
    compare: ClassVar[Compared | None] = None
    """How two groups of clients, or two times, are compared in this type; None: not at all."""

    def trim(self, states: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
        """Bound how many cells a State (rows with equal `keys`) holds. Called after each fold and merge."""
        del keys
        return states

    def upgrade(self, states: pl.DataFrame, version: int) -> pl.DataFrame:
        """States as an older `version` wrote them -> States of this version."""
        raise NotImplementedError(f"type {self.type!r} cannot read its version {version}: {states.schema}")

    def render(self, answer: Mapping[str, Any]) -> str:
        """One answer as the line that a person reads."""
        shown = ((name, answer.get(name)) for name in answer if name != "error")
        return "  ".join(f"{name} {_written(value)}" for name, value in shown if value is not None)


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, list):
        return ", ".join(_item(item) for item in value[:5]) + (" …" if len(value) > 5 else "")
    return f"{value:,}" if isinstance(value, int) else str(value)


def _item(item: object) -> str:
    if not isinstance(item, dict):
        return _written(item)
    value = _written(item.get("value"))
    counts = [_written(item[name]) for name in ("count", "clients") if name in item]
    return f"{value} ({counts[0]})" if counts else value


def json_text(text: pl.Expr) -> pl.Expr:
    """`text` as a JSON string, quoted and escaped; null becomes null."""
    encoded = pl.struct(text.alias("t")).struct.json_encode()
    return pl.when(text.is_not_null()).then(encoded.str.strip_prefix('{"t":').str.strip_suffix("}"))


def json_value(number: pl.Expr, text: pl.Expr) -> pl.Expr:
    """A number, or else a text, as JSON."""
    return pl.coalesce(number.cast(pl.String), json_text(text))


def first(items: pl.Expr, count: int) -> pl.Expr:
    """In a group: at most `count` of the items, in their order.

    Not `head`: in Polars 2.1 `sort_by(…).head(n)` of what comes from `unique()` reads beyond its memory in an `agg`.
    """
    return items.filter(pl.int_range(items.len()) < count)


def json_list(items: pl.Expr) -> pl.Expr:
    """In a group: the JSON texts `items` as one JSON list."""
    return pl.format("[{}]", items.str.join(","))
