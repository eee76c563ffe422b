"""To how many tabs each client records, so that one client cannot have all the tabs there may be.

A million pairs of a client and a tab are no table to look into for every event. Each pair is a bit, at a place that its
hash gives; only a pair whose bit is not set is looked at closely, counted, and its bit set. Two pairs may share a
place: then the second is not counted, so a client may have slightly more tabs than the limit, and never fewer. After
an hour it begins anew. Each server process counts what it sees itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

BITS = 1 << 27
"""Places: 16 MB, of which only what is used is taken. Of three million pairs, one in 45 finds its place taken."""
SECONDS = 3600.0
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: multiplied by it, the numbers of tabs and clients spread (Knuth, 6.4)."""


class ClientTabs:
    """Pairs of a client and a tab as they come. For one thread at a time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds that only rise."""
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self._begun = self._clock()
        self._bits = np.zeros(BITS // 8, dtype=np.uint8)
        self._counts = np.zeros(0, dtype=np.int64)

    def beyond(self, tabs: pl.Series, clients: pl.Series, limit: int) -> pl.Series | None:
        """Which events are to tabs beyond the limit of their clients; None where all are within it.

        `tabs` and `clients` are parallel categories without nulls. The others' tabs count from now on.
        """
        if self._clock() - self._begun > SECONDS:
            self._begin()
        places = _places(tabs, clients)
        unseen = (self._bits[places >> 3] >> (places & 7).astype(np.uint8)) & 1 == 0
        if not unseen.any():
            return None
        rows = pl.DataFrame({"place": places, "client": clients.to_physical()}).filter(unseen)
        pairs = rows.unique("place", keep="first", maintain_order=True)
        number = pl.int_range(1, pl.len() + 1).over("client")
        pairs = pairs.with_columns(within=number + pl.Series(self._count(pairs["client"])) <= limit)
        self._note(pairs.filter("within"))
        refused = pairs.filter(~pl.col("within"))["place"]
        if refused.is_empty():
            return None
        return pl.Series(places).is_in(refused.implode()) & pl.Series(unseen)

    def _count(self, clients: pl.Series) -> np.ndarray:
        """How many tabs the clients, given by their categories' numbers, have so far."""
        greatest = clients.max()
        if isinstance(greatest, int) and greatest >= len(self._counts):
            more = np.zeros(greatest + 1024 - len(self._counts), dtype=np.int64)
            self._counts = np.concatenate([self._counts, more])
        return self._counts[clients.to_numpy()]

    def _note(self, pairs: pl.DataFrame) -> None:
        places = pairs["place"].to_numpy()
        np.bitwise_or.at(self._bits, places >> 3, np.uint8(1) << (places & 7).astype(np.uint8))
        np.add.at(self._counts, pairs["client"].to_numpy(), 1)


def _places(tabs: pl.Series, clients: pl.Series) -> np.ndarray:
    """The bit of each pair."""
    mixed = tabs.to_physical().to_numpy().astype(np.uint64) * _ODD
    mixed ^= clients.to_physical().to_numpy().astype(np.uint64) + (mixed >> np.uint64(29))
    mixed *= _ODD
    return (mixed >> np.uint64(64 - 27)).astype(np.int64)
