"""Encoded frames that wait for their answer, oldest first, bounded in bytes.

Those under way may have arrived, even where no answer came. They keep their place and their bytes until they
are answered; when room is needed, the oldest of the others goes.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import NamedTuple

BATCH_BYTES = 1 << 20
"""Frames that have piled up travel together, up to about this many bytes."""


class Encoded(NamedTuple):
    """A frame's bytes, and what they are known by: `source` is CLIENT/EPOCH."""

    source: str
    sequence: int
    body: bytes


class Pending:
    """A queue of frames; not safe for threads by itself."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._frames: deque[Encoded] = deque()
        self._under_way = 0

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: Encoded) -> list[Encoded]:
        """Append a frame; return those that had to go for it, which may be itself."""
        self._frames.append(frame)
        self.bytes += len(frame.body)
        evicted: list[Encoded] = []
        while self.bytes > self.limit and len(self._frames) > self._under_way:
            oldest = self._frames[self._under_way]
            del self._frames[self._under_way]
            self.bytes -= len(oldest.body)
            evicted.append(oldest)
        return evicted

    def send(self, most: int | None = None) -> list[Encoded]:
        """The oldest frames of one source, at most `most`, to be sent as one; they are then under way."""
        batch: list[Encoded] = []
        size = 0
        for frame in islice(self._frames, most):
            size += len(frame.body)
            if batch and (size > BATCH_BYTES or frame.source != batch[0].source):
                break
            batch.append(frame)
        self._under_way = len(batch)
        return batch

    def settle(self) -> None:
        """What is under way has been answered and is no longer wanted."""
        for _ in range(self._under_way):
            self.bytes -= len(self._frames.popleft().body)
        self._under_way = 0

    def recall(self) -> None:
        """What is under way was refused as a whole: nothing of it arrived, and it may be sent otherwise."""
        self._under_way = 0
