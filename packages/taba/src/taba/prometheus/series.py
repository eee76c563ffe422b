"""Which series there are: the tabs of a catalogue under their names and labels in Prometheus.

A table of series has a row for each sample of each tab, with the columns of its labels and these, whose names no label
has:

    TAB, SHARD, TYPE      as in the catalogue
    NAMED                 the tab's name
    FIGURE                what the sample shows: total, events, bucket, sum, count, or a column of the type's answer
    MULTIPLY, DIVIDE      how its values are converted to the family's unit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from taba.prometheus.naming import COUNTER, GAUGE, HISTOGRAM, LE, VALUE, WINDOW, Family, Naming, labels
from taba.prometheus.promql.labels import select
from taba.prometheus.promql.syntax import CLIENT, NAME, Matcher
from taba.prometheus.promql.vectors import ExecutionError

TAB, SHARD, TYPE, NAMED, FIGURE, MULTIPLY, DIVIDE = (
    f"\0{name}" for name in ("tab", "shard", "type", "name", "figure", "multiply", "divide")
)
LATE = (LE, VALUE, WINDOW, CLIENT)
"""Labels that come with the values, and not with the tab's tags."""
MAX_TABS = 200_000
"""Tabs that one selector may fit before its other labels are looked at."""

_FIGURES = {"_total": None, "_bucket": "bucket", "_sum": "sum", "_count": "count", "": None}
"""What a sample with a suffix shows; None: what its family shows."""
_SCHEMA = {
    NAME: pl.String,
    NAMED: pl.String,
    FIGURE: pl.String,
    MULTIPLY: pl.Float64,
    DIVIDE: pl.Float64,
}


class Known:
    """The metrics of the tabs in a catalogue's table."""

    def __init__(self, naming: Naming, tabs: pl.DataFrame) -> None:
        """`tabs` as `Catalogue.frame`."""
        self.naming = naming
        self._tabs = tabs.filter(pl.col("written") == pl.col("tab"))
        rows = [
            (sample, name, figure, family.unit.multiply, family.unit.divide)
            for name, found in naming.families.items()
            for family in found
            for sample, figure in samples(family)
        ]
        self.samples = pl.DataFrame(rows, schema=_SCHEMA, orient="row")

    def metadata(self) -> Mapping[str, Sequence[Mapping[str, str]]]:
        """Of each metric its type, help and unit."""
        return {
            family.classic: [{"type": family.kind, "help": family.help, "unit": family.unit.name}]
            for found in self.naming.families.values()
            for family in found
        }

    def select(self, matchers: Sequence[Matcher]) -> pl.DataFrame:
        """The series that fit by their name and their tags' labels."""
        named = select(self.samples, [matcher for matcher in matchers if matcher.label == NAME])
        tabs = self._tabs.filter(pl.col("name").is_in(named[NAMED].unique().implode()))
        if tabs.height > MAX_TABS:
            raise ExecutionError(
                f"the selector fits {tabs.height:,} tabs by their name, and at most {MAX_TABS:,} are looked at: "
                "name the metric"
            )
        tagged = [matcher for matcher in matchers if matcher.label not in (NAME, *LATE)]
        return select(_labelled(tabs), tagged).join(named, on=NAMED, how="inner", maintain_order="left_right")

    def names(self, matchers: Sequence[Matcher] = ()) -> list[str]:
        """The names of the metrics that any series which fits has."""
        if all(matcher.label == NAME for matcher in matchers):
            return sorted(select(self.samples, matchers)[NAME].unique())
        return sorted(self.select(matchers)[NAME].unique())


def samples(family: Family) -> list[tuple[str, str]]:
    """(name, figure) of the samples that a family has."""
    suffixes = {COUNTER: ("_total",), GAUGE: ("",), HISTOGRAM: ("_bucket", "_sum", "_count")}[family.kind]
    return [(family.name + suffix, _FIGURES[suffix] or family.shows) for suffix in suffixes]


def tag_labels(series: pl.DataFrame) -> list[str]:
    """The columns of a table of series that are labels."""
    return [name for name in series.columns if not name.startswith("\0")]


def _labelled(tabs: pl.DataFrame) -> pl.DataFrame:
    """The tabs with a column for each label that any of them has."""
    mine = tabs.select(pl.col("tab").alias(TAB), pl.col("shard").alias(SHARD), pl.col("type").alias(TYPE))
    found = [labels(tab) for tab in tabs["tab"]]
    keys = sorted({key for _, tags in found for key in tags})
    columns = {key: [tags.get(key) for _, tags in found] for key in keys}
    schema = dict.fromkeys(keys, pl.String)
    return mine.with_columns(
        tabs["name"].alias(NAMED), *(pl.Series(key, values, dtype=schema[key]) for key, values in columns.items())
    )


def late_labels(series: pl.DataFrame) -> set[str]:
    """The labels that come with the values of series, beside the client's."""
    found: set[str] = set()
    for kind, figure in series.select(TYPE, FIGURE).unique().iter_rows():
        if figure == "bucket":
            found.add(LE)
        elif figure in ("holders", "values"):
            found.add(VALUE)
        if kind not in ("counter", "percentile", "gauge") and figure != "events":
            found.add(WINDOW)
    return found
