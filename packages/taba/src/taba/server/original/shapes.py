"""Answers as the original wrote them: JSON for each tab, or for each tab and client. All is worked out in columns.

    percentile    {"1m": {"count", "total", "average", "pct"}, "10m": …, "1h": …, "1d": …, "pct": [7 numbers]}
    counter       {"count", "total", "average"}                        of all that is kept
    gauge         {"VALUE": how many clients hold it, …}
    buffer        [[value, time], …]                                   the newest first
    others        {"1m": the answer of the type here, …}

A group's last `pct` is of the longest window. The seven are the percentiles 25, 50, 75, 90, 95, 99 and 99.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from taba.handlers.base import Handler, first, json_list, json_value
from taba.handlers.buffer import CAPACITY, SHOWN, Buffer
from taba.handlers.counter import COUNT, TOTAL
from taba.handlers.gauge import HELD, Gauge
from taba.handlers.percentile import Percentile, quantile
from taba.server import formats
from taba.states.query import Window

WINDOWS = {"1m": 60, "10m": 600, "1h": 3600, "1d": 86400}
GAUGE_SECONDS = 48 * 3600
"""For so long the original knew a value that was not set again."""
PERCENTILES = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
OLD_NAMES = {"percentile": "CounterGroup", "counter": "TotalsCounter", "gauge": "Gauge", "buffer": "Buffer"}
"""What types here are called there: a `percentile` may have come from any of three."""


class _Group(Percentile):
    """A percentile's answer of one window."""

    projection = {
        "count": COUNT,
        "total": TOTAL,
        **{f"pct {q}": quantile(q) for q in PERCENTILES},
    }
    empty = {"count": 0, "total": 0.0, **{f"pct {q}": 0.0 for q in PERCENTILES}}


_VALUE = HELD.sort().unique(maintain_order=True)
_KEY = pl.when(_VALUE.str.starts_with('"')).then(_VALUE).otherwise(pl.format('"{}"', _VALUE.str.strip_suffix(".0")))


class _Gauge(Gauge):
    """The values that are held, each with how many clients hold it."""

    projection = {
        "json": pl.format("{{{}}}", pl.format("{}: {}", _KEY, HELD.sort().unique_counts()).str.join(", ")),
    }
    aggregate = None
    empty = {"json": "{}"}


class _Buffer(Buffer):
    """The values that are kept with their times, the newest first."""

    projection = {
        "json": json_list(
            first(
                pl.format("[{}, {}]", json_value(pl.col("number"), pl.col("text")), pl.col("at"))
                .repeat_by(SHOWN)
                .explode()
                .reverse(),
                CAPACITY,
            )
        )
    }
    empty = {"json": "[]"}


INSTEAD: Mapping[str, Handler] = {"percentile": _Group(), "gauge": _Gauge(), "buffer": _Buffer()}
"""What answers in the place of a type's own handler."""


def windows_of(kind: str, now: float, future: float) -> list[Window]:
    """The windows that a type's answer is over."""
    if kind == "gauge":
        return [Window("held", now - GAUGE_SECONDS, now)]
    if kind in ("counter", "buffer"):
        return [Window("all", 0.0, now + future)]
    return [Window(name, now - seconds, now) for name, seconds in WINDOWS.items()]


def written(handler: Handler, answers: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """The keys, as text, and the `json` of each answer; there is at least one."""
    texts = [pl.col(key).cast(pl.String) for key in keys]
    match handler.type:
        case "percentile":
            return _groups(answers, keys).select(*texts, "json")
        case "counter":
            figures = pl.struct("count", "total", average=_mean()).struct.json_encode()
            return answers.select(*texts, json=figures)
        case "gauge" | "buffer":
            return answers.select(*texts, "json")
    (found,) = formats.pieces([(handler, answers)], [*keys, "window"], len(keys))
    return found.select(*texts, "json")


def _mean() -> pl.Expr:
    return pl.when(pl.col("count") > 0).then(pl.col("total") / pl.col("count")).otherwise(0.0)


def _groups(answers: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Each group's windows, the shortest first, and its percentiles over the longest."""
    percentiles = pl.concat_list([f"pct {q}" for q in PERCENTILES])
    figures = pl.struct("count", "total", average=_mean(), pct=percentiles).struct.json_encode()
    alone = pl.struct(pct=percentiles).struct.json_encode().str.strip_prefix("{").str.strip_suffix("}")
    ordered = answers.with_columns(order=pl.col("window").replace_strict(WINDOWS)).sort("order")
    lines = ordered.select(*keys, window=pl.format('"{}": {}', "window", figures), last=alone)
    joined = pl.format("{{{}, {}}}", pl.col("window").str.join(", "), pl.col("last").last())
    return lines.group_by(keys, maintain_order=True).agg(json=joined)
