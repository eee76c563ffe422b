"""Encoded frames that wait for their answer, oldest first, bounded in bytes.

Those that were sent may have arrived, even where no answer came. They keep their place and their bytes until they
are answered. When room is needed, the oldest of the others go, and in their place comes a tombstone that says what
they held. So a tombstone stands for frames none of which has arrived, and each number is answered exactly once.

Frames have seven eighths of the room, and tombstones the last one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import groupby, islice
from typing import NamedTuple

from taba.frame import Header, encode, parse_header, split
from taba.tombstone import MAX_NAMED, tombstone

BATCH_BYTES = 1 << 20
"""Frames that have piled up travel together, up to about this many bytes."""
TOMBSTONES_SHARE = 8
TOMBSTONE_SHARE = 32
"""One part in so many of the limit is for all tombstones, and for one."""


class Encoded(NamedTuple):
    """A frame's bytes, and what they are known by: `source` is CLIENT/EPOCH."""

    source: str
    sequence: int
    body: bytes
    is_tombstone: bool = False


class Pending:
    """A queue of frames; not safe for threads by itself."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._frames: deque[Encoded] = deque()
        self._frame_bytes = 0
        self._tombstone_bytes = 0
        self._under_way = 0
        self._tried = 0
        """How many, from the oldest on, were sent at least once: those under way, and those recalled."""

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def bytes(self) -> int:
        """The size of all that waits."""
        return self._frame_bytes + self._tombstone_bytes

    def put(self, frame: Encoded) -> list[Encoded]:
        """Append a frame; where room is wanted, the oldest become a tombstone, which may take this one in too.

        Returns the tombstones that had to go for want of room. There are none unless a program has begun a great
        many epochs while nothing was answered, since all frames of an epoch share one.
        """
        self._insert(len(self._frames), frame)
        gone = self._oldest_beyond_room()
        if not gone:
            return []
        for one in reversed(list(_buried(gone, "pending_full", self.limit // TOMBSTONE_SHARE))):
            self._insert(self._tried, one)
        return self._tombstones_beyond_room()

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
        self._tried = max(self._tried, self._under_way)
        return batch

    def settle(self) -> None:
        """What is under way has been answered and is no longer wanted."""
        for _ in range(self._under_way):
            self._take(0)
        self._tried -= self._under_way
        self._under_way = 0

    def recall(self) -> None:
        """What is under way was refused as a whole, and is to be sent otherwise."""
        self._under_way = 0

    def bury(self, reason: str) -> None:
        """The one frame under way was refused: its tombstone, to be sent next, comes in its place."""
        (buried,) = _buried([self._take(0)], reason, self.limit // TOMBSTONE_SHARE)
        self._insert(0, buried)
        self._under_way = 0

    def _oldest_beyond_room(self) -> list[Encoded]:
        """Take out the oldest that were never sent until frames keep to their room, and tombstones next to them."""
        room = self.limit - self.limit // TOMBSTONES_SHARE
        gone: list[Encoded] = []
        with suppress(IndexError):  # nothing is left but what was sent
            while self._frame_bytes > room or (gone and self._frames[self._tried].is_tombstone):
                gone.append(self._take(self._tried))
        return gone

    def _tombstones_beyond_room(self) -> list[Encoded]:
        """Take out the oldest tombstones that were never sent until all keep to their room, but never the last."""
        gone: list[Encoded] = []
        with suppress(IndexError):
            while (
                self._tombstone_bytes > self.limit // TOMBSTONES_SHARE
                and self._frames[self._tried].is_tombstone
                and self._frames[self._tried + 1].is_tombstone
            ):
                gone.append(self._take(self._tried))
        return gone

    def _insert(self, place: int, frame: Encoded) -> None:
        self._frames.insert(place, frame)
        self._weigh(frame, len(frame.body))

    def _take(self, place: int) -> Encoded:
        frame = self._frames[place]
        del self._frames[place]
        self._weigh(frame, -len(frame.body))
        return frame

    def _weigh(self, frame: Encoded, size: int) -> None:
        if frame.is_tombstone:
            self._tombstone_bytes += size
        else:
            self._frame_bytes += size


def _buried(frames: Iterable[Encoded], reason: str, size: int) -> Iterator[Encoded]:
    """The tombstones of frames and of older tombstones, in their order, each of `size` bytes if it can be so small."""
    headers = [parse_header(next(split(frame.body))[0]) for frame in frames]
    for _, epoch in groupby(headers, lambda header: (header.client, header.epoch)):
        for run in _runs(epoch):
            yield _tombstone(run, reason, size)


def _runs(headers: Iterable[Header]) -> Iterator[list[Header]]:
    """The frames of an epoch that follow one another.

    They all do, unless a signal's handler made a frame while its thread was about to put in the one before.
    """
    run: list[Header] = []
    for header in sorted(headers, key=lambda header: header.sequence):
        first = header.lowest()
        if run and first != run[-1].sequence + 1:
            yield run
            run = []
        run.append(header)
    if run:
        yield run


def _tombstone(run: list[Header], reason: str, size: int) -> Encoded:
    named = MAX_NAMED
    while True:
        header = tombstone(run, reason, named)
        body = encode(header)
        if len(body) <= size or not named:
            return Encoded(f"{header.client}/{header.epoch}", header.sequence, body, is_tombstone=True)
        named //= 8
