"""Gathers what one message says of many clients and times into what is recorded: a `Heard` for each client and second.

Of a gauge that is told several times in a second the latest stays. Pure.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from taba.dialects.heard import Heard
from taba.frame import Drops

SECOND = 1_000_000_000
HEARD_BYTES = 4 << 20
"""About what one frame's header may hold."""


class SameTabError(ValueError):
    """Two gauges are told for one tab."""


@dataclass(slots=True)
class _Group:
    """What is gathered for one client and second; times in nanoseconds since 1970."""

    first: int
    last: int
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    numbers: array[float] = field(default_factory=lambda: array("d"))
    weights: array[float] = field(default_factory=lambda: array("d"))
    drops: Counter[tuple[str, str]] = field(default_factory=Counter)
    gauges: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    """By tab: the series that is recorded in it, its time, and the place of its number."""
    size: int = 0


class Gathering:
    """What is recorded, while it is put together."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, int], _Group] = {}
        self._full: list[tuple[str, _Group]] = []

    def add(
        self,
        client: str,
        time: int,
        tab: str,
        kind: str,
        numbers: Sequence[float],
        weights: Sequence[float] = (),
        error: float = 0.0,
    ) -> None:
        """Record numbers of a tab; a weight is 1 where there are none."""
        group = self._group(client, time, len(tab) + 60)
        group.names.append(tab)
        group.types.append(kind)
        group.counts.append(len(numbers))
        group.errors.append(error)
        group.numbers.extend(numbers)
        group.weights.extend(weights or [1.0] * len(numbers))

    def gauge(self, client: str, time: int, tab: str, number: float, series: str) -> None:
        """Record a gauge, of which `series` tells from others of the same tab. Raises SameTabError."""
        group = self._group(client, time, len(tab) + 60)
        other, then, place = group.gauges.get(tab, (series, 0, -1))
        if other != series:
            raise SameTabError
        if place < 0:
            group.gauges[tab] = (series, time, len(group.numbers))
            self.add(client, time, tab, "gauge", (number,))
        elif time >= then:
            group.gauges[tab] = (series, time, place)
            group.numbers[place] = number

    def drop(self, client: str, time: int, tab: str, reason: str) -> None:
        """Record that an event was lost."""
        self._group(client, time, 0).drops[tab, reason] += 1

    def _group(self, client: str, time: int, size: int) -> _Group:
        key = (client, time // SECOND)
        group = self._groups.get(key)
        if group is not None and group.size > HEARD_BYTES:
            self._full.append((client, self._groups.pop(key)))
            group = None
        if group is None:
            group = self._groups[key] = _Group(time, time)
        group.first, group.last = min(group.first, time), max(group.last, time)
        group.size += size
        return group

    def heard(self) -> list[Heard]:
        """All that is gathered, each client's by time."""
        groups = [*self._full, *((client, group) for (client, _), group in self._groups.items())]
        return [_heard(client, group) for client, group in sorted(groups, key=lambda one: (one[0], one[1].first))]


def _heard(client: str, group: _Group) -> Heard:
    drops = None
    if group.drops:
        tabs, reasons = zip(*group.drops, strict=True)
        drops = Drops(list(tabs), list(reasons), list(group.drops.values()))
    return Heard(
        client,
        group.first / SECOND,
        group.last / SECOND,
        group.names,
        group.types,
        group.counts,
        group.numbers,
        array("d") if all(weight == 1 for weight in group.weights) else group.weights,
        group.errors if any(group.errors) else None,
        drops=drops,
    )
