"""Frames that were just written and are in memory too, so that a lane can send them without reading the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from taba.agent.segment import Segment


@dataclass(slots=True)
class Part:
    """Bytes [start, stop) of a segment."""

    segment: Segment
    start: int
    stop: int


@dataclass(slots=True)
class Bundle:
    """Frames that travel as one request: their bytes, where they lie, when the first of them came (monotonic)."""

    body: bytes
    parts: list[Part]
    since: float


class Fresh:
    """A queue of them, oldest first; not safe for threads by itself. Those in it count as taken."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Part, bytes, float]] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, part: Part, body: bytes, since: float) -> None:
        """Append what was written."""
        part.segment.taken.add(part.start, part.stop)
        self._waiting.append((part, body, since))
        self._bytes += len(body)

    def expire(self, oldest: float, memory: int) -> None:
        """Leave to the disk alone what came before `oldest`, and what is beyond `memory` bytes."""
        while self._waiting and (self._waiting[0][2] < oldest or self._bytes > memory):
            part, _, _ = self._next()
            part.segment.taken.remove(part.start, part.stop)

    def take(self, most: int) -> Bundle | None:
        """The oldest, about `most` bytes of them; None where there are none."""
        taken = list(self._up_to(most))
        if not taken:
            return None
        return Bundle(b"".join(body for _, body, _ in taken), [part for part, _, _ in taken], taken[0][2])

    def _up_to(self, most: int) -> Iterator[tuple[Part, bytes, float]]:
        size = 0
        while self._waiting and (not size or size + len(self._waiting[0][1]) <= most):
            size += len(self._waiting[0][1])
            yield self._next()

    def _next(self) -> tuple[Part, bytes, float]:
        first = self._waiting.popleft()
        self._bytes -= len(first[1])
        return first
