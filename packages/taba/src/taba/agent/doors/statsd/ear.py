"""The thread that listens for StatsD: it receives, rests so that more comes together, reads, and flushes.

A flush is at each quarter of a second, as a client's. Until the first packet the thread waits, and what reads lines is
not even imported.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from taba.agent.doors.statsd.sockets import Bound

if TYPE_CHECKING:
    from taba.agent.doors.statsd.intake import Intake
    from taba.dialects.statsd.gathered import Gathered

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.25
REST_SECONDS = 0.05
"""After so long a rest it is looked whether to rest on: what comes is best read all at once, just before a flush."""
FILLED = 1 / 8
"""Rests no longer where so much is taken of the room that the kernel has for a socket, or of MOST_HELD."""
ROOM_PER_SECOND = 1 << 30
"""What the kernel may have to keep while nobody reads: a million small datagrams a second, by its own count."""
QUIET_SECONDS = 10.0
"""After so long without a packet, and two flushes more, the thread waits again, and flushes nothing."""
MOST_HELD = 8 << 20
"""Bytes from connections that may wait to be read; beyond that, nothing more is read from them."""

Flushed = Callable[[Sequence["Gathered"], float, float, dict[str, int]], None]
"""What is told at a flush: what clients recorded, from when to when, and what was counted meanwhile."""


class Ear:
    """Listens to datagram sockets, and takes lines that came on connections."""

    def __init__(self, sockets: Sequence[Bound], make: Callable[[], Intake], flushed: Flushed) -> None:
        """`make` makes what reads, at the first packet; `flushed` is called in this thread."""
        self._sockets = {one.socket.fileno(): one for one in sockets}
        self._make = make
        self._flushed = flushed
        self._intake: Intake | None = None
        self._came: deque[tuple[bytes, str]] = deque()
        self._held = 0
        self._lock = threading.Lock()
        self._relieved: list[Callable[[], None]] = []
        self._ending = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._unix = [descriptor for descriptor, one in self._sockets.items() if one.address.path is not None]
        self._stop = 0.0
        self._last = -math.inf
        self._thread = threading.Thread(target=self._run, name="taba-statsd", daemon=True)

    @property
    def intake(self) -> Intake | None:
        """What reads; None until the first packet."""
        return self._intake

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Receive what waits, flush, and end."""
        self._ending = True
        self._wake()
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def take(self, lines: bytes, client: str) -> bool:
        """Take whole lines that came on a connection, from any thread; false where no more should be read for now.

        Lines that were too long to be kept come as no lines at all, each.
        """
        with self._lock:
            self._came.append((lines, client))
            self._held += len(lines)
            full = self._held > MOST_HELD
        if len(self._came) == 1 or full:
            self._wake()
        return not full

    def when_relieved(self, call: Callable[[], None]) -> None:
        """Have something called, in this ear's thread, once more may be read from connections."""
        with self._lock:
            self._relieved.append(call)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"\0")

    def _run(self) -> None:
        poller = _poller([*self._sockets, self._wake_read])
        while True:
            ending = self._ending
            ready = {descriptor for descriptor, _ in poller.poll(self._patience())}
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
            try:
                self._turn([one for descriptor, one in self._sockets.items() if descriptor in ready], ending)
            except Exception:  # the thread must outlive what nobody thought of
                log.exception("StatsD failed; what was received meanwhile is lost")
            if ending:
                return

    def _patience(self) -> float | None:
        """Milliseconds to wait for something at most; None for any time."""
        if self._ending:
            return 0
        if time.monotonic() - self._last > QUIET_SECONDS + 2 * FLUSH_SECONDS:
            return None
        return max(self._due() - time.time(), 0.0) * 1000

    def _due(self) -> float:
        """When the next flush is, in seconds since 1970."""
        return (math.floor(self._stop / FLUSH_SECONDS + 1e-6) + 1) * FLUSH_SECONDS

    def _turn(self, ready: Sequence[Bound], ending: bool) -> None:
        now = time.time()
        if (ready or self._came) and self._intake is None:
            self._intake = self._make()
        if self._intake is None:
            return
        if ready or self._came:
            if time.monotonic() - self._last > QUIET_SECONDS:
                self._stop = now
            self._last = time.monotonic()
        self._receive(self._intake, ready)
        if ending or self._intake.gatherer.full or time.time() >= self._due() or self._stop > now + FLUSH_SECONDS:
            self._flush(self._intake, time.time())
        elif time.monotonic() - self._last < FLUSH_SECONDS:
            self._rest()

    def _rest(self) -> None:
        """Let more come together, until a flush is due, some room is getting scarce, or a unix socket has something."""
        sockets = self._sockets.values()
        longest = min([REST_SECONDS, *(one.room / ROOM_PER_SECOND for one in sockets if one.address.path is None)])
        while not self._ending and self._held < FILLED * MOST_HELD:
            left = self._due() - time.time()
            if not 0 < left <= FLUSH_SECONDS:
                return
            if self._paused(min(longest, left)):
                return
            if any(one.held() > FILLED * one.room for one in sockets if one.address.path is None):
                return

    def _paused(self, seconds: float) -> bool:
        """Wait; whether something came on a unix socket, whose sender waits where few datagrams do."""
        if not self._unix:
            time.sleep(seconds)
            return False
        return bool(_poller(self._unix).poll(seconds * 1000))

    def _receive(self, intake: Intake, ready: Sequence[Bound]) -> None:
        """Receive what waits, though not for longer than until a flush is due."""
        more = list(ready)
        while more:
            more = [one for one in more if intake.receive(one, time.monotonic())]
            if time.time() >= self._due() or intake.gatherer.full:
                break
        with self._lock:
            came, self._came = self._came, deque()
            self._held = 0
            relieved, self._relieved = self._relieved, []
        for lines, client in came:
            if lines:
                intake.lines(lines, client, time.monotonic())
            else:
                intake.unreadable(client, 1)
        for call in relieved:
            call()

    def _flush(self, intake: Intake, now: float) -> None:
        gathered = intake.flush(self._sockets, time.monotonic())
        counts, intake.counts = dict(intake.counts), type(intake.counts)()
        due = self._due()
        # A frame lies within one second. Who comes late to a flush tells of the time up to when it was due.
        stop = due + FLUSH_SECONDS * math.floor((now - due) / FLUSH_SECONDS) if now >= due else now
        start = max(self._stop, math.ceil(stop) - 1.0)
        self._stop = stop
        self._flushed(gathered, min(start, stop), stop, counts)


def _poller(descriptors: Iterable[int]) -> select.poll:
    """What waits until one of them can be read."""
    made = select.poll()
    for descriptor in descriptors:
        made.register(descriptor, select.POLLIN)
    return made
