"""What gauges, uniques, tops, buffers and own types show of a window: States -> values by what they show. Pure.

Values are tables as `taba.prometheus.text` takes them; each comes with the column of the answer that it shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from taba.handlers import gauge, top
from taba.handlers.base import EVENT_SCHEMA, Handler
from taba.prometheus.naming import VALUE
from taba.prometheus.text import quoted, window_label
from taba.states.fold import fold, merge, project
from taba.states.query import Window

Shown = Iterator[tuple[str, pl.DataFrame]]
"""(what is shown, a table of values)"""
GAUGE_COLUMNS = ("sum", "mean", "min", "max", "clients")


def shown(handler: Handler, states: pl.DataFrame, window: Window, columns: Sequence[str]) -> Shown:
    """All that a type shows of a window's States (many clients'), by tab. `columns` are the type's `numbers`."""
    merged = merge(handler, states, ["tab"])
    length = window.stop - window.start
    wanted = GAUGE_COLUMNS if handler.type == "gauge" else columns
    answers = project(handler, merged, ["tab"], seconds=length, until=window.stop, fleet=True, only=wanted)
    if handler.type == "gauge":
        yield from _gauges(answers, merged, window)
        return
    label = pl.lit(window_label(window.name))
    if handler.type == "top":
        yield (
            "values",
            _most_frequent(merged).select(
                "tab",
                value="count",
                rank="rank",
                extra=pl.concat_str(quoted(VALUE, pl.col("label")), pl.lit(","), label),
            ),
        )
    for column in columns:
        yield column, answers.select("tab", value=column, extra=label)


def _gauges(answers: pl.DataFrame, merged: pl.DataFrame, window: Window) -> Shown:
    """The statistics over clients' values: those of numbers where there are numbers."""
    yield "sum", answers.filter(pl.col("mean").is_not_null()).select("tab", value="sum")
    for column in ("mean", "min", "max"):
        yield column, answers.select("tab", value=column)
    yield "clients", answers.filter(pl.col("clients") > 0).select("tab", value="clients")
    until = merged.with_columns(until=pl.lit(window.stop))
    held = until.filter(gauge_live() & pl.col("text").is_not_null()).group_by("tab", "text").agg(count=pl.len())
    yield (
        "holders",
        _first(held, "text", gauge.SHOWN_VALUES).select(
            "tab", value="count", rank="rank", extra=quoted(VALUE, pl.col("text"))
        ),
    )


def gauge_live() -> pl.Expr:
    """Whether a gauge's State, in a table with the column `until`, has not expired."""
    return pl.col("expires").is_null() | (pl.col("expires") > pl.col("until"))


def _most_frequent(merged: pl.DataFrame) -> pl.DataFrame:
    return _first(merged.filter(top.TRACKED), "label", top.SHOWN)


def _first(counted: pl.DataFrame, value: str, most: int) -> pl.DataFrame:
    """Of each tab the values with the greatest counts, with their `rank`; equal ones by alphabet."""
    ranked = counted.sort("count", value, descending=[True, False]).with_columns(
        rank=pl.int_range(pl.len()).over("tab")
    )
    return ranked.filter(pl.col("rank") < most)


def numbers(handler: Handler) -> list[str]:
    """The columns of a type's answer for the fleet that are numbers and say something of the window."""
    named = {"top": ["bound"], "buffer": ["count"], "uniques": ["uniques"]}
    if handler.type in named:
        return named[handler.type]
    states = fold(handler, pl.DataFrame(schema=EVENT_SCHEMA))
    answers = project(handler, states, ["tab"], seconds=60.0, until=0.0, fleet=True)
    return [name for name, kind in answers.schema.items() if name != "tab" and kind.is_numeric()]
