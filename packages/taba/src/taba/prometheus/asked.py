"""What one kind of series is worked out from: the series, the times, and a way to their States."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from taba.handlers.base import Handler
from taba.prometheus.promql.syntax import NAME, Matcher
from taba.prometheus.promql.vectors import Bools, Floats, Integers, Vector
from taba.prometheus.series import DIVIDE, FIGURE, MULTIPLY, SHARD, TAB, TYPE, tag_labels
from taba.states.query import Query, Selection
from taba.states.tiers import Ladder

ROW = "\0row"


@dataclass(frozen=True, slots=True)
class Asked:
    """Series of one type and figure whose tabs follow one ladder, and the times, in milliseconds, ascending.

    `by_client`: the series of each client, and not the fleet's. `matchers`: all of the selector's, for what labels come
    with the values. `notes` gathers what is to be said of the answer.
    """

    query: Query
    series: pl.DataFrame
    matchers: Sequence[Matcher]
    times: Integers
    now: float
    ladder: Ladder
    by_client: bool
    notes: set[str]

    @property
    def figure(self) -> str:
        """What the series show."""
        return self.series[FIGURE][0]

    def states(self, start: float, stop: float, *, per_client: bool) -> Iterator[tuple[Handler, pl.DataFrame]]:
        """The States of the tabs in slices that begin in [start, stop), in parts that have whole tabs."""
        tabs = self.series.select(tab=TAB, shard=SHARD, type=TYPE).unique("tab")
        for handler, parts in self.query.chosen(tabs, Selection((), per_client=per_client), max(start, 0), stop):
            for states in parts:
                yield handler, states

    def kept(self, starts: Integers) -> Bools:
        """Which windows that begin at these times (seconds) have all that was recorded: none older is kept."""
        oldest = self.now - self.ladder[-1].keep
        whole = starts >= oldest
        if not whole.all():
            since = datetime.fromtimestamp(max(oldest, 0), UTC).isoformat(timespec="seconds")
            self.notes.add(f"there are no values of windows that begin before {since}: nothing older is kept")
        return whole

    def joined(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The series of each row: its tab's, and further labels that the rows have beside `tab`. In the rows' order."""
        texts = rows.with_columns(pl.col(pl.Categorical).cast(pl.String)).rename({"tab": TAB})
        return texts.join(self.series, on=TAB, how="left", maintain_order="left")

    def vector(self, series: pl.DataFrame, values: Floats, present: Bools) -> Vector:
        """The vector of series as `joined` gives them."""
        return Vector(series.select(NAME, *(name for name in tag_labels(series) if name != NAME)), values, present)


def converted(series: pl.DataFrame, values: Floats) -> Floats:
    """Values (series x times) in the units of their families."""
    multiply, divide = (series[name].to_numpy()[:, None] for name in (MULTIPLY, DIVIDE))
    # The same operations in the same order as for `/metrics`, so that the numbers are the same.
    return values * multiply / divide


def numbered(rows: pl.DataFrame, keys: Sequence[str], found: pl.DataFrame) -> Integers:
    """For each row of `found` the number of the row of `rows` with the same keys; -1 where there is none."""
    counted = rows.select(*keys, pl.int_range(pl.len()).alias(ROW))
    joined = found.select(keys).join(counted, on=list(keys), how="left", maintain_order="left")
    return joined[ROW].fill_null(-1).to_numpy().astype(np.int64)
