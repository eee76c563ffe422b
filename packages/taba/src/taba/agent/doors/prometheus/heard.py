"""What a request or a page comes to, for each client and second, as an outlet takes it; and what of it is lost."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from taba.agent.outlet import Heard
from taba.frame import Drops

MOMENT = 1
"""The least time that a frame spans, in milliseconds."""


@dataclass(slots=True)
class _Tab:
    """What was recorded to one tab."""

    kind: str
    numbers: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    error: float = 0.0


@dataclass(slots=True)
class _Second:
    """What one client recorded in one second; times are in milliseconds."""

    start: int
    stop: int
    tabs: dict[str, _Tab] = field(default_factory=dict)
    drops: Counter[tuple[str, str]] = field(default_factory=Counter)


class Gathered:
    """Numbers and losses, put in the order in which frames have them."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, int], _Second] = {}

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
        """Numbers of a tab, at a time in milliseconds since 1970; without weights each is one event."""
        told = self._second(client, time).tabs.setdefault(tab, _Tab(kind))
        told.numbers += numbers
        told.weights += weights or [1.0] * len(numbers)
        told.error = max(told.error, error)

    def drop(self, client: str, time: int, tab: str, reason: str) -> None:
        """A sample that is not taken."""
        self._second(client, time).drops[tab, reason] += 1

    def _second(self, client: str, time: int) -> _Second:
        key = client, time // 1000
        second = self._seconds.get(key)
        if second is None:
            second = self._seconds[key] = _Second(time, time)
        second.start, second.stop = min(second.start, time), max(second.stop, time)
        return second

    def heard(self) -> list[Heard]:
        """All of it, by client and time."""
        return [_heard(client, self._seconds[client, at]) for client, at in sorted(self._seconds)]


def _heard(client: str, second: _Second) -> Heard:
    tabs = second.tabs
    weighed = any(weight != 1 for one in tabs.values() for weight in one.weights)
    inexact = any(one.error for one in tabs.values())
    return Heard(
        client,
        second.start / 1000,
        (second.stop + MOMENT) / 1000,
        list(tabs),
        [one.kind for one in tabs.values()],
        [len(one.numbers) for one in tabs.values()],
        array("d", _chained(one.numbers for one in tabs.values())),
        array("d", _chained(one.weights for one in tabs.values()) if weighed else ()),
        [one.error for one in tabs.values()] if inexact else None,
        drops=_drops(second.drops) if second.drops else None,
    )


def _chained(lists: Iterator[list[float]]) -> list[float]:
    return [number for one in lists for number in one]


def _drops(counted: Counter[tuple[str, str]]) -> Drops:
    return Drops([tab for tab, _ in counted], [reason for _, reason in counted], list(counted.values()))
