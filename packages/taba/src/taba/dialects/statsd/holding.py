"""What is held of lines from one flush to the next, and what it comes to at the flush."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taba.dialects.statsd import adding
from taba.dialects.statsd.adding import Floats, Rows
from taba.dialects.statsd.columns import Integers
from taba.dialects.statsd.gathered import Gathered, Timed, add_texts
from taba.dialects.statsd.series import KINDS, Clients, Series
from taba.frame import MAX_WEIGHT, Drops, Texts

MOST_ROWS = 1 << 19
"""Numbers that are held at most; `full` tells that it is time for a flush."""
MOST_TEXTS = 1 << 16
DROPPED = "statsd"
"""The name under which lines are counted that were not taken."""


@dataclass(frozen=True, slots=True)
class Ones:
    """How often lines with the value 1 came, by series; `inverses` is for how many events each of them stands."""

    series: Integers
    counts: Integers
    inverses: Floats


class Holding:
    """Rows, texts, and what was lost, until they are taken out."""

    def __init__(self) -> None:
        self._blocks: list[Rows] = []
        self._rows = 0
        self._member_series: list[int] = []
        self._members: list[str] = []
        self._events: dict[int, list[str]] = {}
        self._text_count = 0
        self.timed = Timed()
        self.drops: Counter[tuple[int, str]] = Counter()
        """By client and reason."""

    @property
    def full(self) -> bool:
        """Whether it is time for a flush."""
        return self._rows >= MOST_ROWS or self._text_count >= MOST_TEXTS

    def add(self, rows: Rows) -> None:
        """Hold numbers."""
        self._blocks.append(rows)
        self._rows += len(rows.series)

    def add_members(self, series: Sequence[int], values: Sequence[str]) -> None:
        """Hold sets' values, parallel to their series."""
        self._member_series.extend(series)
        self._members.extend(values)
        self._text_count += len(values)

    def add_events(self, series: int, values: Sequence[str]) -> None:
        """Hold texts of events."""
        self._events.setdefault(series, []).extend(values)
        self._text_count += len(values)

    def add_ones(self, ones: Ones, series: Series) -> None:
        """Hold the lines with the value 1: a series' all together are one number and a weight."""
        events = np.bincount(ones.series, ones.counts * ones.inverses, len(series))
        at = np.flatnonzero(events)
        due = events[at] + series.fraction_of_ones[at]
        whole = np.clip(np.floor(due + adding.ALMOST), 1.0, MAX_WEIGHT)
        series.fraction_of_ones[at] = np.clip(due - whole, 0.0, 1.0)
        self.add(Rows(at, events[at] / whole, whole, np.zeros(len(at), np.bool_)))

    def taken_out(self, series: Series, clients: Clients, now: float) -> list[Gathered]:
        """What each client recorded, what has a time of its own first."""
        found: dict[int, Gathered] = {}

        def of(client: int) -> Gathered:
            if client not in found:
                found[client] = Gathered(clients.names[client])
            return found[client]

        if self._rows:
            self._add_numbers(series, clients, found, now)
        for number, values in self._all_texts():
            series.seen[number] = now
            gathered = of(int(series.client[number]))
            texts = gathered.texts = gathered.texts or Texts()
            add_texts(texts, series.tabs[number], KINDS[series.kind[number]], values)
        for (client, reason), count in self.drops.items():
            gathered = of(client)
            drops = gathered.drops = gathered.drops or Drops()
            drops.names.append(DROPPED)
            drops.reasons.append(reason)
            drops.counts.append(count)
        return [*self.timed.flush(), *found.values()]

    def _all_texts(self) -> list[tuple[int, list[str]]]:
        """The texts of each series: a set's values once each."""
        if not self._members:
            return [*self._events.items()]
        of = np.array(self._member_series)
        order = np.argsort(of, kind="stable")
        members = [self._members[at] for at in order.tolist()]
        begin = adding.starts(of[order])
        bounds = [*begin.tolist(), len(members)]
        numbers = of[order][begin].tolist()
        sets = [
            (number, list(dict.fromkeys(members[bounds[row] : bounds[row + 1]]))) for row, number in enumerate(numbers)
        ]
        return [*sets, *self._events.items()]

    def _add_numbers(self, series: Series, clients: Clients, found: dict[int, Gathered], now: float) -> None:
        rows = adding.levelled(adding.by_client(adding.joined(self._blocks), series), series)
        numbers, weights = adding.weighed(rows, series)
        begin = adding.starts(rows.series)
        of = rows.series[begin]
        series.seen[of] = now
        counts = np.diff(begin, append=len(numbers))
        bounds = adding.starts(series.client[of])
        for first, stop in zip(bounds.tolist(), [*bounds[1:].tolist(), len(of)], strict=True):
            some = of[first:stop]
            tabs, kinds = series.tabs, series.kind[some].tolist()
            gathered = Gathered(clients.names[int(series.client[some[0]])])
            gathered.names = [tabs[number] for number in some.tolist()]
            gathered.types = [KINDS[kind] for kind in kinds]
            gathered.counts = counts[first:stop].tolist()
            span = slice(int(begin[first]), int(begin[stop]) if stop < len(begin) else len(numbers))
            gathered.numbers = _array(numbers[span])
            if (weights[span] != 1.0).any():
                gathered.weights = _array(weights[span])
            found[int(series.client[some[0]])] = gathered


def _array(column: Floats) -> array[float]:
    packed = array("d")
    packed.frombytes(column.tobytes())
    return packed
