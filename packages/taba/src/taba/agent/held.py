"""Which frames of which clients the agent has taken, so that a repeated one is answered and not kept twice.

It is a saving, and no promise: a frame that is kept twice is counted once, because servers count by its number.
So what is beyond the bound may be forgotten.
"""

from __future__ import annotations

from taba.frame import Header
from taba.sequences import Seen

SOURCES = 20_000
"""Epochs of clients that are remembered."""
GAPS = 100
"""An epoch with so many gaps is forgotten: it comes on several ways, and what has not come must not count as here."""


class Held:
    """The sequences taken, by client and epoch; those heard longest ago are forgotten first."""

    def __init__(self, limit: int = SOURCES) -> None:
        self._limit = limit
        self._sources: dict[tuple[str, str], Seen] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, header: Header) -> bool:
        return header.sequence in self._sources.get((header.client, header.epoch), _NOTHING)

    def knows(self, header: Header) -> bool:
        """Whether any frame of the epoch was taken."""
        return (header.client, header.epoch) in self._sources

    def add(self, header: Header) -> None:
        """The frame is on the disk."""
        source = (header.client, header.epoch)
        seen = self._sources.pop(source, _NOTHING).add((header.sequence,))
        if len(seen.gaps) < GAPS:
            self._sources[source] = seen
        if len(self._sources) > self._limit:
            del self._sources[next(iter(self._sources))]


_NOTHING = Seen()
