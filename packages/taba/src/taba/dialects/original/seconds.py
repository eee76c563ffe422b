"""What a body of the original's protocol told, by client and second: one frame each. Pure.

A frame's values are spread evenly over its time, so an event keeps its second, and its order within a tab. Of a gauge
whose values in one second are not all of one type (numbers and text, or expiring after other times) only the last is
kept, for a frame says nothing of the order between them; the others are counted as `superseded`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from taba.dialects.heard import Heard
from taba.dialects.original.reading import Block, Read
from taba.frame import Drops, Texts

SUPERSEDED = "superseded"


@dataclass(slots=True)
class _Part:
    """A tab's events of one second: (time, line) of each, so that the last can be told."""

    name: str
    type: str
    times: list[float]
    values: list[float] | list[str]
    last: tuple[float, int]


@dataclass(slots=True)
class _Second:
    """A client's events of one second."""

    parts: list[_Part] = field(default_factory=list)
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Events lost, by (tab, reason)."""

    def settle(self) -> None:
        """Keep the last value of each gauge that has several parts."""
        by_name: defaultdict[str, list[_Part]] = defaultdict(list)
        for part in self.parts:
            if part.type.startswith("gauge"):
                by_name[part.name].append(part)
        for name, parts in by_name.items():
            if len(parts) < 2:
                continue
            last = max(parts, key=lambda part: part.last)
            count = sum(len(part.times) for part in parts)
            last.times, last.values = last.times[-1:], last.values[-1:]
            self.parts = [part for part in self.parts if part is last or part not in parts]
            self.lost[name, SUPERSEDED] += count - 1


def heard(found: Read, now: float) -> list[Heard]:
    """What each client recorded in each second, and what was refused of it: with the last of its seconds, or now."""
    seconds: defaultdict[tuple[str, float], _Second] = defaultdict(_Second)
    latest: dict[str, float] = {}
    for block in found.blocks:
        for second, part in _by_second(block):
            seconds[block.client, second].parts.append(part)
            latest[block.client] = max(second, latest.get(block.client, second))
    for (client, name, reason), count in found.lost.items():
        seconds[client, latest.get(client, now)].lost[name, reason] += count
    return [_heard(client, at, second) for (client, at), second in seconds.items()]


def _by_second(block: Block) -> Iterator[tuple[float, _Part]]:
    """A block's events, second by second."""
    if min(block.times) // 1 == max(block.times) // 1:
        last = max(zip(block.times, block.lines, strict=True))
        yield block.times[0] // 1, _Part(block.name, block.type, block.times, block.values, last)
        return
    ordered = sorted(zip(block.times, block.lines, block.values, strict=True), key=lambda event: event[:2])
    for second, events in groupby(ordered, key=lambda event: event[0] // 1):
        times, lines, values = zip(*events, strict=True)
        yield second, _Part(block.name, block.type, list(times), list(values), (times[-1], lines[-1]))


def _heard(client: str, at: float, second: _Second) -> Heard:
    second.settle()
    times = [time for part in second.parts for time in part.times]
    one = Heard(client, min(times, default=at), max(times, default=at))
    texts = Texts()
    for part in second.parts:
        into = texts if isinstance(part.values[0], str) else one
        into.names.append(part.name)
        into.types.append(part.type)
        into.counts.append(len(part.values))
        if isinstance(part.values[0], str):
            texts.values += part.values  # type: ignore[arg-type]
        else:
            one.numbers.extend(part.values)  # type: ignore[arg-type]
    if texts.names:
        one.texts = texts
    if second.lost:
        names, reasons = zip(*second.lost, strict=True)
        one.drops = Drops(list(names), list(reasons), list(second.lost.values()))
    return one
