"""What lines are added up to: a client's tab is a series, by a number from 0 on; and clients have numbers likewise.

Of both there are only so many. What has had nothing for FORGET_SECONDS may be forgotten to make room, with what a
gauge's changes start from; what finds no room is counted as lost, or comes under the client OTHERS.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from taba.dialects.statsd.columns import Integers

MOST_SERIES = 1 << 17
MOST_CLIENTS = 1000
FORGET_SECONDS = 600.0
OTHERS = "statsd@others"
KINDS = ("counter", "gauge", "percentile", "uniques", "buffer")
COUNTER, GAUGE, PERCENTILE, UNIQUES, BUFFER = range(5)


class Clients:
    """Clients by number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {OTHERS: 0}
        self.names: list[str] = [OTHERS]
        self._free: list[int] = []

    @property
    def full(self) -> bool:
        """Whether there is room for no further one."""
        return len(self._numbers) > MOST_CLIENTS

    def number(self, client: str) -> int:
        """The client's number; that of OTHERS where there are too many."""
        known = self._numbers.get(client)
        if known is not None:
            return known
        if self.full:
            return 0
        if self._free:
            number = self._free.pop()
            self.names[number] = client
        else:
            number = len(self.names)
            self.names.append(client)
        self._numbers[client] = number
        return number

    def keep(self, used: set[int]) -> None:
        """Forget the others; their numbers are given again."""
        for client, number in list(self._numbers.items()):
            if number and number not in used:
                del self._numbers[client]
                self._free.append(number)


class Series:
    """Columns by series. `level` is what a gauge's changes start from; the fractions are of events not told yet."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, str, int], int] = {}
        self.tabs: list[str] = []
        self.client: Integers = np.empty(0, np.int64)
        self.kind: NDArray[np.int8] = np.empty(0, np.int8)
        self.seen: NDArray[np.float64] = np.empty(0)
        self.level: NDArray[np.float64] = np.empty(0)
        self.fraction: NDArray[np.float64] = np.empty(0)
        self.fraction_of_ones: NDArray[np.float64] = np.empty(0)

    def __len__(self) -> int:
        return len(self.tabs)

    def number(self, client: int, tab: str, kind: int, now: float) -> int | None:
        """The number of a client's tab; None where there are too many."""
        key = (client, tab, kind)
        known = self._numbers.get(key)
        if known is not None or len(self.tabs) >= MOST_SERIES:
            return known
        number = len(self.tabs)
        if number == len(self.client):
            self._widen(max(1024, 2 * number))
        self._numbers[key] = number
        self.tabs.append(tab)
        self.client[number], self.kind[number], self.seen[number] = client, kind, now
        for column in (self.level, self.fraction, self.fraction_of_ones):
            column[number] = 0.0
        return number

    def _widen(self, size: int) -> None:
        for name in _COLUMNS:
            column = getattr(self, name)
            wider = np.zeros(size, column.dtype)
            wider[: len(column)] = column
            setattr(self, name, wider)

    def forget(self, before: float) -> set[int]:
        """Forget what had nothing since `before`; the numbers of the rest change. The clients that are left."""
        kept = np.flatnonzero(self.seen[: len(self.tabs)] >= before)
        self.tabs = [self.tabs[number] for number in kept.tolist()]
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[kept])
        clients, kinds = self.client.tolist(), self.kind.tolist()
        keys = zip(clients, self.tabs, kinds, strict=True)
        self._numbers = {key: number for number, key in enumerate(keys)}
        return set(clients)


_COLUMNS = ("client", "kind", "seen", "level", "fraction", "fraction_of_ones")
