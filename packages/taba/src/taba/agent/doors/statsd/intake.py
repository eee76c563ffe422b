"""What was received and not read yet, and the reading: lines into what clients recorded.

All of it needs numpy, and is imported when the first packet comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from taba.agent.doors.statsd.datagrams import Received, Receiver, receiver
from taba.agent.doors.statsd.names import LOCAL, client_of
from taba.agent.doors.statsd.sockets import Bound
from taba.dialects.statsd.gathered import Gathered
from taba.dialects.statsd.gathering import Gatherer, Sources
from taba.dialects.statsd.lines import UNREADABLE, Reader

TAKE_BYTES = 320 << 10
"""So much is read together: columns of more do not fit into a processor's cache."""
LOST = "statsd_kernel"
"""The reason for datagrams that the kernel threw away."""


class Intake:
    """Receives and reads. For one thread."""

    def __init__(self, reader: Reader) -> None:
        self.gatherer = Gatherer(reader)
        self.counts: Counter[str] = Counter()
        """Of packets, bytes and lines, since they were last taken."""
        self._receivers: dict[int, Receiver] = {}
        self._lost: dict[int, int] = {}
        self._parts: list[bytes] = []
        self._sources: list[Sources] = []
        self._size = 0

    def receive(self, bound: Bound, now: float) -> bool:
        """Receive what waits, as far as there is room; whether more may wait. Raises OSError."""
        descriptor = bound.socket.fileno()
        if descriptor not in self._receivers:
            self._receivers[descriptor] = receiver(bound)
            self._lost[descriptor] = 0
        received = self._receivers[descriptor].receive()
        if received is None:
            return False
        self.counts[f"packets{{way={bound.address.scheme}}}"] += received.count
        if received.cut:
            self.gatherer.drop(self.gatherer.clients.number(LOCAL), UNREADABLE, received.cut)
        self._add(received.lines, self._sources_of(received), now)
        return received.full

    def lines(self, lines: bytes, client: str, now: float) -> None:
        """Take whole lines that came from a client on a connection."""
        self._add(lines, self.gatherer.clients.number(client), now)

    def unreadable(self, client: str, count: int) -> None:
        """Count lines of a client that were too long to be kept."""
        self.gatherer.drop(self.gatherer.clients.number(client), UNREADABLE, count)

    def _sources_of(self, received: Received) -> Sources:
        clients = self.gatherer.clients
        if received.of is None or received.begins is None:
            return clients.number(LOCAL)
        numbers = np.array([clients.number(client_of(peer)) for peer in received.peers])
        return int(numbers[0]) if len(numbers) == 1 else (received.begins, numbers[received.of])

    def _add(self, lines: bytes, sources: Sources, now: float) -> None:
        self.counts["bytes"] += len(lines)
        self._parts.append(lines)
        self._sources.append(sources)
        self._size += len(lines)
        if self._size >= TAKE_BYTES:
            self.read(now)

    def read(self, now: float) -> None:
        """Read what was received."""
        if not self._parts:
            return
        parts, sources = self._parts, self._sources
        self._parts, self._sources, self._size = [], [], 0
        self.counts["lines"] += self.gatherer.take(b"".join(parts), _together(parts, sources), now)

    def flush(self, sockets: Mapping[int, Bound], now: float) -> list[Gathered]:
        """What the clients recorded since the last flush."""
        for descriptor, before in self._lost.items():
            lost = (sockets[descriptor].lost() - before) % (1 << 32)
            if lost:
                self._lost[descriptor] += lost
                self.counts["drops{cause=kernel}"] += lost
                self.gatherer.drop(self.gatherer.clients.number(LOCAL), LOST, lost)
        self.read(now)
        gathered = self.gatherer.flush(now)
        for one in gathered:
            if one.drops is not None:
                self.counts["drops{cause=lines}"] += sum(
                    count for reason, count in zip(one.drops.reasons, one.drops.counts, strict=True) if reason != LOST
                )
        return gathered


def _together(parts: list[bytes], sources: list[Sources]) -> Sources:
    """Who sent which lines of several parts together."""
    first = sources[0]
    if isinstance(first, int) and all(isinstance(one, int) and one == first for one in sources):
        return first
    begins, numbers, at = [], [], 0
    for part, source in zip(parts, sources, strict=True):
        if isinstance(source, int):
            begins.append(np.array([at]))
            numbers.append(np.array([source]))
        else:
            begins.append(source[0] + at)
            numbers.append(source[1])
        at += len(part)
    return np.concatenate(begins), np.concatenate(numbers)
