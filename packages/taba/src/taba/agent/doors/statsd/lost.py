"""What found no room in the spool, by client, until it can be told of. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from taba.agent.doors.statsd.names import LOCAL
from taba.dialects.heard import Heard
from taba.frame import Drops

BUSY = "statsd_busy"
"""The reason for what found no room in the spool."""
MOST = 1 << 16
"""Tabs, with their clients and reasons, that are told apart."""
UNNAMED = "statsd"
"""In the place of further tabs."""


class Lost:
    """Events lost, by client, tab and reason."""

    def __init__(self) -> None:
        self._of: dict[str, Counter[tuple[str, str]]] = {}
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._of)

    @property
    def clients(self) -> list[str]:
        """Whose events were lost."""
        return list(self._of)

    @property
    def events(self) -> int:
        """How many events were lost and are not told yet."""
        return sum(map(Counter.total, self._of.values()))

    def add(self, heard: Heard) -> int:
        """All that a client would have told is lost; how many events that costs, beside those that were lost before."""
        for name, reason, count in _told(heard):
            self._add(heard.client, name, reason, count)
        return sum(heard.counts) + (sum(heard.texts.counts) if heard.texts else 0)

    def _add(self, client: str, name: str, reason: str, count: int) -> None:
        of = self._of.get(client)
        if self._size >= MOST and (of is None or (name, reason) not in of):
            client, name = LOCAL if of is None else client, UNNAMED
        of = self._of.setdefault(client, Counter())
        self._size += (name, reason) not in of
        of[name, reason] += count

    def tell(self, heard: Heard) -> None:
        """Add what was lost of a client to what it says; it is told then."""
        lost = self._of.pop(heard.client, None)
        if lost:
            self._size -= len(lost)
            _add_drops(heard, lost)


def _told(heard: Heard) -> Iterator[tuple[str, str, int]]:
    for part in (heard, heard.texts):
        if part is not None:
            yield from ((name, BUSY, count) for name, count in zip(part.names, part.counts, strict=True))
    if heard.drops is not None:
        yield from zip(heard.drops.names, heard.drops.reasons, heard.drops.counts, strict=True)


def _add_drops(heard: Heard, lost: Mapping[tuple[str, str], int]) -> None:
    drops = heard.drops = heard.drops or Drops()
    for (name, reason), count in lost.items():
        drops.names.append(name)
        drops.reasons.append(reason)
        drops.counts.append(count)
