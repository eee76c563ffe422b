"""What a client's lines have come to, as a frame takes it; and lines that say themselves when they were."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from taba.dialects.statsd.lines import Line
from taba.frame import Drops, Texts

MOST_SECONDS = 600
"""Different seconds of all clients in one flush; what has yet another is lost, and counted."""
TIMESTAMPS = "statsd_timestamps"


@dataclass(slots=True)
class Gathered:
    """Lists as in a frame's header. `second` is when it was, in seconds since 1970, None for now."""

    client: str
    second: float | None = None
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    numbers: array[float] = field(default_factory=lambda: array("d"))
    weights: array[float] = field(default_factory=lambda: array("d"))
    texts: Texts | None = None
    drops: Drops | None = None


class Timed:
    """Lines with a time of their own, by client and second."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, float], Gathered] = {}

    def add(self, client: str, line: Line) -> bool:
        """Keep a line; false where there is no room for one more second."""
        key = line.key
        assert key.time is not None
        gathered = self._seconds.get((client, key.time))
        if gathered is None:
            if len(self._seconds) >= MOST_SECONDS:
                return False
            gathered = self._seconds[client, key.time] = Gathered(client, key.time)
        if line.texts:
            texts = gathered.texts = gathered.texts or Texts()
            add_texts(texts, key.tab, key.type, line.texts)
        if line.numbers:
            weight = float(max(1, round(key.inverse)))
            part = key.inverse / weight if key.type == "counter" else 1.0
            gathered.names.append(key.tab)
            gathered.types.append(key.type)
            gathered.counts.append(len(line.numbers))
            gathered.numbers.extend(number * part for number in line.numbers)
            gathered.weights.extend([weight] * len(line.numbers))
        return True

    def flush(self) -> list[Gathered]:
        """What was kept, oldest first, and forget it."""
        seconds, self._seconds = self._seconds, {}
        found = sorted(seconds.values(), key=lambda one: one.second or 0.0)
        for one in found:
            if set(one.weights) == {1.0}:
                one.weights = array("d")
        return found


def add_texts(texts: Texts, tab: str, kind: str, values: list[str]) -> None:
    """Add a tab's texts."""
    texts.names.append(tab)
    texts.types.append(kind)
    texts.counts.append(len(values))
    texts.values.extend(values)
