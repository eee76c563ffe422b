"""Watchers of live answers, many in one process that does as little as it can with what it gets.

Each has a connection of its own. Of an update they look for the probe's figure alone, so that what they cost is mostly
the system's: reading is what a browser or a program would do too, elsewhere.
"""

from __future__ import annotations

import re
import resource
import selectors
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

PROBE = re.compile(rb'"probe\.seen":\{"[^"]*":\{[^{}]*"max":([0-9.]+)')
END = b"\n\n\r\n"
"""What an event of a chunked stream ends with: its blank line, and the chunk's own end."""
STALLED_BUFFER = 4096
WAIT_SECONDS = 0.05


@dataclass(slots=True)
class Watched:
    """What a group of watchers saw of one phase. `seen` has, by watcher, (time, the probe's figure), ascending."""

    seen: list[list[tuple[float, float]]] = field(default_factory=list)
    updates: int = 0
    bytes: int = 0
    largest: int = 0
    missed: int = 0
    """Updates that came with `missed`."""
    cpu: float = 0.0


class Watcher:
    """One connection, and what has come of an event that is not whole."""

    def __init__(self, address: tuple[str, int], path: str, *, stalled: bool = False) -> None:
        self.socket = socket.socket()
        if stalled:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STALLED_BUFFER)
        self.socket.connect(address)
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: live\r\n\r\n".encode())
        self.socket.setblocking(False)
        self.seen: list[tuple[float, float]] = []
        self._parts: list[bytes] = []

    def take(self, told: Watched) -> bool:
        """Read what is there; whether the stream goes on."""
        try:
            part = self.socket.recv(1 << 20)
        except BlockingIOError:
            return True
        self._parts.append(part)
        if part.endswith(END):
            event = b"".join(self._parts)
            self._parts = []
            self._look(event, told)
        return bool(part)

    def _look(self, event: bytes, told: Watched) -> None:
        told.updates += 1
        told.bytes += len(event)
        told.largest = max(told.largest, len(event))
        told.missed += b'"missed":' in event
        found = PROBE.findall(event)
        if found:
            self.seen.append((time.time(), float(found[-1])))


def _watch(address: tuple[str, int], path: str, count: int, stalled: int, orders: Connection) -> Watched:
    """Have so many watchers until told otherwise."""
    told = Watched()
    watchers = [Watcher(address, path) for _ in range(count)]
    asleep = [Watcher(address, path, stalled=True) for _ in range(stalled)]
    with selectors.DefaultSelector() as selector:
        for one in watchers:
            selector.register(one.socket, selectors.EVENT_READ, one)
        orders.send("watching")
        used = _used()
        while not orders.poll():
            for key, _ in selector.select(WAIT_SECONDS):
                if not key.data.take(told):
                    raise RuntimeError("the server ended a stream")
        orders.recv()
        told.cpu = _used() - used
    told.seen = [one.seen for one in watchers]
    for one in (*watchers, *asleep):
        one.socket.close()
    return told


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def watchers(address: tuple[str, int], orders: Connection) -> None:
    """The watchers' process: takes (path, count, stalled), and, when told that a phase is over, gives what was seen."""
    while (order := orders.recv()) is not None:
        path, count, stalled = order
        orders.send(_watch(address, path, count, stalled, orders))


def lags(told: Watched, recorded: Mapping[float, float], start: float, stop: float) -> list[float]:
    """Seconds from each figure that was recorded in [start, stop) until each watcher had it, or one above it."""
    found = []
    for seen in told.seen:
        place = 0
        for figure, moment in sorted(recorded.items()):
            while place < len(seen) and seen[place][1] < figure:
                place += 1
            if start <= moment < stop and place < len(seen):
                found.append(seen[place][0] - moment)
    return found
