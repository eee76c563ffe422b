"""What every known tab's series begin with, as tables that join with values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from taba.prometheus.naming import COUNTER, Family, Naming, labels, written

HEAD_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "name": pl.String,
    "kind": pl.String,
    "shows": pl.String,
    "family": pl.Int32,
    "series": pl.String,
    "multiply": pl.Float64,
    "divide": pl.Float64,
}


class Index:
    """The families and labels of a catalogue's tabs.

    heads       (type, what a family shows) -> a table with a row for each tab:
                tab, name, family (its number), place (the tab's, sorted), series (the sample's name), closed (its
                labels in braces, or nothing), lead (its labels, with a comma behind), multiply, divide
    headers     family -> openmetrics, classic: the lines before a family's samples
    """

    def __init__(
        self,
        tabs: pl.DataFrame,
        columns: Mapping[str, Sequence[str]],
        falling: Iterable[str],
        labelled: dict[str, str],
    ) -> None:
        """`tabs` are (tab, name, type). `labelled` remembers each tab's labels from one index to the next."""
        names = dict(tabs.select("name", "type").unique("name").rows())
        self.naming = Naming(names, columns, falling)
        placed = tabs.sort("tab").with_columns(place=pl.int_range(pl.len(), dtype=pl.Int32))
        inside = pl.Series("inside", [_labels(tab, labelled) for tab in placed["tab"]], dtype=pl.String)
        bare = inside == ""
        placed = placed.with_columns(
            pl.col("tab").cast(pl.Categorical),
            closed=pl.when(bare).then(pl.lit("")).otherwise("{" + inside + "}"),
            lead=pl.when(bare).then(pl.lit("")).otherwise(inside + ","),
        )
        rows, headers = [], []
        for name, families in self.naming.families.items():
            for family in families:
                unit = family.unit
                series = family.classic if family.kind == COUNTER else family.name
                rows.append((name, names[name], family.shows, len(headers), series, unit.multiply, unit.divide))
                headers.append((len(headers), header(family), header(family, classic=True)))
        self.headers = pl.DataFrame(
            headers, schema={"family": pl.Int32, "openmetrics": pl.String, "classic": pl.String}, orient="row"
        )
        families_table = pl.DataFrame(rows, schema=HEAD_SCHEMA, orient="row")
        self.heads: dict[tuple[str, str], pl.DataFrame] = {
            (str(kind), str(shows)): placed.drop("type").join(some, on="name")
            for (kind, shows), some in families_table.partition_by(
                "kind", "shows", as_dict=True, include_key=False
            ).items()
        }


def header(family: Family, *, classic: bool = False) -> str:
    """The lines that come before a family's samples."""
    name = family.classic if classic else family.name
    lines = [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}"]
    if family.unit.name and not classic:
        lines.append(f"# UNIT {name} {family.unit.name}")
    return "\n".join(lines)


def _labels(tab: str, labelled: dict[str, str]) -> str:
    found = labelled.get(tab)
    if found is None:
        found = labelled[tab] = written(labels(tab)[1])
    return found
