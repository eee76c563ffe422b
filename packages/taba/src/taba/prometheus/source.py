"""Series from States: what a selector fits, read once, and worked out at all times at once.

    counters      at a time: all since the begin of the period, as `/metrics` has it; over a window: the slices in it
    histograms    the same by bucket, out of the sketches
    gauges        at a time: the last value of each client, unless it has expired or is older than the lookback
    others        at a time: the answer over the window that the label `window` names

The fleet's series are kept for long, finely; those of single clients briefly. Which slices a time stands for, `windows`
says. A time that lies a little ahead of the clock is the present; after that there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from taba import durations
from taba.prometheus.asked import Asked
from taba.prometheus.gauges import gauges, together
from taba.prometheus.naming import WINDOW
from taba.prometheus.promql.labels import select
from taba.prometheus.promql.syntax import NAME, Matcher
from taba.prometheus.promql.tokens import QueryError
from taba.prometheus.promql.vectors import Integers, Vector, bounded
from taba.prometheus.rolling import DEFAULT, rolling
from taba.prometheus.series import FIGURE, LATE, TAB, TYPE, Known
from taba.prometheus.sums import sums
from taba.prometheus.totals import period
from taba.prometheus.windows import begins, windows
from taba.states.query import Query
from taba.states.tiers import CLIENTS, FLEET, Ladder, Tiers

LOOKBACK = 300.0
"""Seconds that a gauge's value is remembered unless told otherwise, and that a time may lie ahead of the present."""
SUMMED = ("total", "events", "bucket", "sum", "count")
WITH_VALUES = ("bucket", "holders", "values")
"""Figures whose labels are known from values alone."""
COUNTED = ("counter", "percentile", "top")
AHEAD = 1 << 32
"""A time after all slices."""


@dataclass(frozen=True, slots=True)
class Source:
    """The series of a server's States at the time `now`; `notes` gathers what is to be said of the answer.

    No window ends after `settled`, so that the newest point of a rate does not lack what is still on its way.
    """

    query: Query
    known: Known
    tiers: Tiers
    now: float
    settled: float
    lookback: float = LOOKBACK
    notes: set[str] = field(default_factory=set)

    def instant(self, matchers: tuple[Matcher, ...], times: Integers, *, by_client: bool) -> Vector:
        """The series that fit, as they are at the times."""
        return self._assembled(matchers, times, by_client=by_client, work=self._at)

    def risen(
        self, matchers: tuple[Matcher, ...], times: Integers, length: int, *, per_second: bool, by_client: bool
    ) -> Vector:
        """How much counters rose within `length` milliseconds before each time; raises QueryError for gauges alone."""

        def work(asked: Asked) -> Vector:
            return self._risen(asked, length, per_second=per_second)

        return self._assembled(matchers, times, by_client=by_client, work=work, counted=True)

    def listed(self, matchers: tuple[Matcher, ...], start: int, stop: int, *, by_client: bool) -> pl.DataFrame:
        """The labels of the series that fit; those that come with values as they were from start to stop (ms)."""
        plain, found = [], []
        times = np.array([stop], dtype=np.int64)
        for asked in self._asked(matchers, np.minimum(times, int(self.now * 1000)), by_client=by_client, counted=False):
            if by_client or asked.figure in WITH_VALUES:
                found.append(self._fitting(self._seen(asked, stop - start), matchers).labels)
            else:
                plain.append(self._plain(asked, matchers))
        return pl.concat([pl.DataFrame(schema={NAME: pl.String}), *plain, *found], how="diagonal")

    def _seen(self, asked: Asked, length: int) -> Vector:
        return self._risen(asked, max(length, 1), per_second=False) if _is_summed(asked) else self._at(asked)

    def _plain(self, asked: Asked, matchers: Sequence[Matcher]) -> pl.DataFrame:
        """Series whose labels are those of their tags, and of the window."""
        windowed = not _is_summed(asked) and asked.series[TYPE][0] != "gauge"
        labels = asked.vector(asked.series, np.empty((0, 0)), np.empty((0, 0), dtype=np.bool_)).labels
        labels = labels.with_columns(pl.lit(DEFAULT).alias(WINDOW)) if windowed else labels
        return select(labels, [matcher for matcher in matchers if matcher.label in LATE])

    def _assembled(
        self,
        matchers: tuple[Matcher, ...],
        times: Integers,
        *,
        by_client: bool,
        work: Callable[[Asked], Vector],
        counted: bool = False,
    ) -> Vector:
        """What `work` gives for each kind of series, together, with the labels that come with the values."""
        present = int(self.now * 1000)
        found: list[Vector] = []
        for asked in self._asked(matchers, np.minimum(times, present), by_client=by_client, counted=counted):
            found.append(self._fitting(work(asked), matchers))
            bounded(sum(vector.series for vector in found), len(times), "a selector")
        vector = _sorted(together(found, len(times)))
        return replace(vector, present=vector.present & (times <= present + LOOKBACK * 1000))

    def _asked(
        self, matchers: tuple[Matcher, ...], times: Integers, *, by_client: bool, counted: bool
    ) -> Iterator[Asked]:
        chosen = self.known.select(matchers)
        if counted:
            summed = chosen.filter(pl.col(FIGURE).is_in(SUMMED) & pl.col(TYPE).is_in(COUNTED))
            if summed.is_empty() and not chosen.is_empty():
                raise QueryError(
                    f"rate(…) and increase(…) take counters and histograms, and {chosen[NAME][0]} is a gauge: its "
                    "change is name - name offset 5m"
                )
            chosen = summed
        bounded(chosen.height, len(times), "a selector")
        for _, some in chosen.group_by(TYPE, FIGURE, maintain_order=True):
            # Not beside their labels, one of which may be called `tab` or `policy`.
            for policy, tabs in self.tiers.by_policy(some.select(tab=TAB)):
                whole = tabs.height == some.height
                series = some if whole else some.filter(pl.col(TAB).is_in(tabs["tab"].implode()))
                per_client = by_client and some[TYPE][0] != "gauge"
                ladder = self.tiers.of(CLIENTS if per_client else FLEET, policy)
                self._say_how_fine(ladder, times)
                yield Asked(self.query, series, matchers, times, self.now, ladder, by_client, self.notes)

    def _at(self, asked: Asked) -> Vector:
        if asked.series[TYPE][0] == "gauge":
            return gauges(asked, self.lookback)
        if not _is_summed(asked):
            return rolling(asked)
        seconds = asked.times // 1000
        whole = period(asked.ladder)
        starts = np.zeros_like(seconds) if asked.by_client else seconds // whole * whole
        ends = begins(asked.ladder, asked.times, asked.now)
        # The present has all that is there, as `/metrics` has.
        vector = sums(asked, starts, np.where(seconds >= int(asked.now), AHEAD, ends), risen=False)
        return vector if asked.by_client else replace(vector, present=vector.present & asked.kept(starts))

    def _risen(self, asked: Asked, length: int, *, per_second: bool) -> Vector:
        times = np.minimum(asked.times, int(self.settled * 1000))
        starts, ends = windows(asked.ladder, times, length, asked.now)
        vector = sums(asked, starts, ends, risen=True)
        seconds = (ends - starts).astype(np.float64)
        if (seconds * 1000 != length).any():
            self.notes.add(
                f"a window is of whole slices: {durations.write(int(seconds.max()))} at most, where "
                f"{durations.write(length / 1000)} was asked for"
            )
        # A window that is as long as was asked for gives its sum itself, and no product that is near it.
        values = vector.values / seconds if per_second else vector.values * (length / 1000 / seconds)
        return Vector(vector.labels, values, vector.present & asked.kept(starts))

    def _fitting(self, vector: Vector, matchers: Sequence[Matcher]) -> Vector:
        """The series that fit by the labels that came with the values, too."""
        late = [matcher for matcher in matchers if matcher.label in LATE]
        if not late:
            return vector
        numbered = vector.labels.with_row_index("\0")
        return vector.take(select(numbered, late)["\0"].to_numpy().astype(np.int64))

    def _say_how_fine(self, ladder: Ladder, times: Integers) -> None:
        """Where points are closer together than slices, say so."""
        if len(times) < 2:
            return
        oldest = begins(ladder, times[:1], self.now)[0]
        width = next((tier.width for tier in ladder if tier.cutoff(self.now) <= oldest), ladder[-1].width)
        step = int(np.diff(times).max())
        if step < width * 1000:
            self.notes.add(
                f"what was recorded is kept in slices of {durations.write(width)} at the begin of this range: points "
                f"that are closer together repeat each other"
            )


def _sorted(vector: Vector) -> Vector:
    """The series by their labels: an answer's order does not hang on how they were found."""
    labels = sorted(vector.labels.columns)
    order = vector.labels.with_row_index("\0").sort(labels, nulls_last=False)["\0"]
    return vector.take(order.to_numpy().astype(np.int64))


def _is_summed(asked: Asked) -> bool:
    return asked.figure in SUMMED and asked.series[TYPE][0] in COUNTED
