"""Values by tab -> the lines of Prometheus' two text formats, by columns. Pure.

    classic       https://prometheus.io/docs/instrumenting/exposition_formats/
    openmetrics   https://github.com/OpenObservability/OpenMetrics (version 1.0)

Both have the same samples; they differ in what comes before a family's samples, and in the end of the text.

A table of values has (tab, value), perhaps `extra` (labels beyond the tab's, as written) and `rank` (the order of a
tab's samples). Lines are (family, place, rank, text).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from taba.handlers.base import count_sum, count_sums
from taba.prometheus.buckets import BOUNDS
from taba.prometheus.index import Index
from taba.prometheus.naming import LE, WINDOW, escaped
from taba.prometheus.totals import steady

OPENMETRICS, CLASSIC = "openmetrics", "classic"
END = {OPENMETRICS: b"# EOF\n", CLASSIC: b""}
ZERO, TOP = BOUNDS.index(0.0), len(BOUNDS)
"""The rungs of zero and of infinity."""
_LINES: dict[str, pl.DataType | type[pl.DataType]] = {
    "family": pl.Int32,
    "place": pl.Int32,
    "rank": pl.Int32,
    "text": pl.String,
}


def number(value: pl.Expr) -> pl.Expr:
    """A number as it is written: as short as reads back the same."""
    return value.cast(pl.String).str.strip_suffix(".0").replace({"inf": "+Inf", "-inf": "-Inf"})


def quoted(label: str, text: pl.Expr) -> pl.Expr:
    """A label with each of the texts as its value."""
    value = text
    for character, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        value = value.str.replace_all(character, escape, literal=True)
    return pl.concat_str(pl.lit(f'{label}="'), value, pl.lit('"'))


def window_label(window: str) -> str:
    """The label that names a window, as written."""
    return f'{WINDOW}="{escaped(window)}"'


def bound_text(bound: float) -> str:
    """A bound as the label `le` has it: as Go writes it, with `.0` where it is whole, as OpenMetrics asks for."""
    if bound == float("inf"):
        return "+Inf"
    text = repr(bound)
    point = text.find(".") - (bound < 0)
    if "e" in text or point <= 6:
        return text
    digits = text.lstrip("-").replace(".", "").rstrip("0")
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{'-' if bound < 0 else ''}{mantissa}e+{point - 1:02d}"


def lines(values: pl.DataFrame, index: Index, kind: str, shows: str, suffix: str = "") -> pl.DataFrame:
    """The lines of one family of each tab; tabs that are not in the index, and nulls, are left out."""
    heads = index.heads.get((kind, shows))
    if heads is None:
        return pl.DataFrame(schema=_LINES)
    joined = values.filter(pl.col("value").is_not_null()).join(heads, on="tab")
    value = pl.col("value")
    if joined["value"].dtype.is_float() and _converts(heads):
        value = value * pl.col("multiply") / pl.col("divide")
    series = pl.concat_str("series", pl.lit(suffix)) if suffix else pl.col("series")
    parts = ["closed", pl.lit(" ")] if "extra" not in values.columns else [pl.lit("{"), "lead", "extra", pl.lit("} ")]
    rank = pl.col("rank").cast(pl.Int32) if "rank" in values.columns else pl.lit(0, dtype=pl.Int32)
    return joined.select("family", "place", rank.alias("rank"), text=pl.concat_str(series, *parts, number(value)))


def _converts(heads: pl.DataFrame) -> bool:
    return bool(heads.select(((pl.col("multiply") != 1) | (pl.col("divide") != 1)).any()).item())


def written(found: Sequence[pl.DataFrame], index: Index, form: str) -> bytes:
    """All lines, each family's together and below its header."""
    samples = pl.concat([pl.DataFrame(schema=_LINES), *found])
    if samples.is_empty():
        return b""
    headers = samples.select("family").unique().join(index.headers, on="family")
    first = headers.select(
        "family", place=pl.lit(-1, dtype=pl.Int32), rank=pl.lit(0, dtype=pl.Int32), text=pl.col(form)
    )
    ordered = pl.concat([first, samples]).sort("family", "place", "rank")
    return ordered["text"].str.join("\n").item().encode() + b"\n"


def counters(totals: pl.DataFrame, index: Index) -> list[pl.DataFrame]:
    """The lines of counters."""
    total = totals.select("tab", value=steady(pl.col("total")))
    return [lines(total, index, "counter", "total"), events(totals, index, "counter")]


def events(totals: pl.DataFrame, index: Index, kind: str) -> pl.DataFrame:
    """The lines that say how many events there were."""
    return lines(totals.select("tab", value="count"), index, kind, "events")


def histograms(totals: pl.DataFrame, index: Index) -> list[pl.DataFrame]:
    """The lines of percentiles: their buckets, sum and count. A family with values below zero has buckets alone.

    A sum of such values may fall; OpenMetrics forbids it beside bounds below zero, and a count without a sum.
    `totals` are by tab and rung.
    """
    heads = index.heads.get(("percentile", "distribution"))
    if heads is None or totals.is_empty():
        return []
    known = totals.join(heads.select("tab", "family"), on="tab")
    buckets = _buckets(known).join(heads.select("tab", "multiply", "divide"), on="tab").pipe(_with_bounds)
    whole = known.group_by("tab", "family").agg(
        count_sum(pl.col("count")), total=steady(pl.col("total").sort_by("rung").sum()), least=pl.col("min").min()
    )
    rising = whole.filter(pl.col("least").min().over("family") >= 0)
    sums = rising.select("tab", value="total", rank=TOP + 1)
    counts = rising.select("tab", value="count", rank=TOP + 2)
    return [
        lines(values, index, "percentile", "distribution", suffix)
        for values, suffix in ((buckets, "_bucket"), (sums, "_sum"), (counts, "_count"))
    ]


def _buckets(totals: pl.DataFrame) -> pl.DataFrame:
    """How many values each tab has up to each of its family's bounds: (tab, rung, value)."""
    grid = totals.select("tab", "family").unique().join(_reached(totals), on="family")
    counted = grid.join(totals.select("tab", "rung", "count"), on=["tab", "rung"], how="left")
    ordered = counted.with_columns(pl.col("count").fill_null(0), order=pl.col("tab").to_physical()).sort(
        "order", "rung"
    )
    return ordered.select("tab", "rung", value=count_sums(pl.col("count")).over("order"))


def _reached(totals: pl.DataFrame) -> pl.DataFrame:
    """The bounds that each family's values reach: (family, rung)."""
    rungs = totals.group_by("family").agg(
        least=pl.col("rung").filter(pl.col("rung") > ZERO).min(),
        greatest=pl.col("rung").filter(pl.col("rung") > ZERO).max(),
        least_below=pl.col("rung").filter(pl.col("rung") < ZERO).min(),
        greatest_below=pl.col("rung").filter(pl.col("rung") < ZERO).max(),
        zero=(pl.col("rung") <= ZERO).any(),
    )
    above = _spanned(rungs, "least", "greatest")
    below = _spanned(rungs, "least_below", "greatest_below")
    zero = rungs.filter("zero").select("family", rung=pl.lit(ZERO, dtype=pl.UInt16))
    top = rungs.select("family", rung=pl.lit(TOP, dtype=pl.UInt16))
    return pl.concat([above, below, zero, top]).unique()


def _spanned(rungs: pl.DataFrame, least: str, greatest: str) -> pl.DataFrame:
    """(family, rung) of the rungs from the one below `least` to `greatest`, where there are any."""
    some = rungs.drop_nulls(least)
    # One more below, so that the lowest bucket has a lower end: without it a quantile would be drawn towards zero.
    first = (pl.col(least).cast(pl.Int32) - 1).clip(lower_bound=0)
    spans = pl.int_ranges(first, pl.col(greatest).cast(pl.Int32) + 1, dtype=pl.UInt16)
    return some.select("family", rung=spans).explode("rung")


def _with_bounds(buckets: pl.DataFrame) -> pl.DataFrame:
    """Buckets with their bound as a label, in the unit of their family; sorted by it."""
    known = buckets.select("rung", "multiply", "divide").unique()
    texts = [
        f'{LE}="{bound_text((*BOUNDS, float("inf"))[rung] * multiply / divide)}"'
        for rung, multiply, divide in known.iter_rows()
    ]
    named = known.with_columns(extra=pl.Series(texts, dtype=pl.String))
    return buckets.join(named, on=["rung", "multiply", "divide"]).select("tab", "value", "extra", rank="rung")
