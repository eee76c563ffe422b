"""Group commit: what comes within a few milliseconds is written and synced together, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from taba.agent.segment import FULL_DISK
from taba.agent.spool import Spool, SpoolFullError

log = logging.getLogger(__name__)

DOUBT_SECONDS = 5.0
"""After a failure, how long smaller commits that go through do not show that it is over."""
COMMIT_BYTES = 8 << 20
"""About what one commit writes at most."""


class BusyError(Exception):
    """More waits to be written than may wait."""


class WriteError(Exception):
    """The spool takes nothing now; the text says why."""


Done = Callable[[Exception | None], None]
"""Called once frames are on the disk, or cannot be: then with the reason."""


@dataclass(slots=True)
class _Item:
    body: bytes
    done: Done
    loop: asyncio.AbstractEventLoop | None
    """Where `done` is to be called; None for the writer's own thread."""


class Writer:
    """Writes to a spool for everybody. `committed` is told the seconds that each commit took."""

    def __init__(
        self, spool: Spool, gather: float, limit: int, committed: Callable[[float], None] = lambda seconds: None
    ) -> None:
        """`gather` in seconds, from when frames are handed over; `limit` in bytes that may wait."""
        self.gather = gather
        self.limit = limit
        self.failure: str | None = None
        """Why the last commit failed; None while all is well."""
        self._failed_size = 0
        self._failed_at = 0.0
        self._spool = spool
        self._committed = committed
        self._items: list[_Item] = []
        self._bytes = 0
        self._ended = False
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="taba-spool", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, and end."""
        with self._arrived:
            self._ended = True
            self._arrived.notify()
        if self._thread.is_alive():
            self._thread.join()

    def write(self, body: bytes) -> None:
        """Return once the frames are on the disk; for threads. Raises BusyError, WriteError."""
        waiting: Future[None] = Future()

        def done(error: Exception | None) -> None:
            if error is None:
                waiting.set_result(None)
            else:
                waiting.set_exception(error)

        self._put(_Item(body, done, None))
        self.hand_over()
        waiting.result()

    def submit(self, body: bytes, done: Done) -> None:
        """Have the frames written once they are handed over; `done` is called on this thread's event loop.

        Raises BusyError, WriteError.
        """
        self._put(_Item(body, done, asyncio.get_running_loop()))

    def hand_over(self) -> None:
        """Write what was submitted so far: a thread that wakes for each frame costs more than the frame."""
        with self._arrived:
            if self._items:
                self._arrived.notify()

    def _put(self, item: _Item) -> None:
        with self._arrived:
            if self._ended:
                raise WriteError("the agent is stopping")
            if self._bytes + len(item.body) > self.limit and self._items:
                raise BusyError("more frames wait to be written than may wait (agent.pending_mb)")
            self._items.append(item)
            self._bytes += len(item.body)

    def _run(self) -> None:
        while items := self._next():
            error = self._commit([item.body for item in items])
            _tell(items, error)

    def _next(self) -> list[_Item]:
        """What is to be committed next; nothing once all is written and the writer is to end."""
        with self._arrived:
            while not self._items:
                if self._ended:
                    return []
                self._arrived.wait()
        if self.gather > 0:
            time.sleep(self.gather)
        with self._arrived:
            size = count = 0
            most = min(COMMIT_BYTES, self._spool.largest())  # together they must fit, as each alone does
            while count < len(self._items) and (not count or size + len(self._items[count].body) <= most):
                size += len(self._items[count].body)
                count += 1
            items, self._items = self._items[:count], self._items[count:]
            self._bytes -= size
            return items

    def _commit(self, bodies: Sequence[bytes]) -> Exception | None:
        begun, size = time.perf_counter(), sum(map(len, bodies))
        try:
            self._append(bodies)
        except SpoolFullError as error:
            return self._failed(str(error), size)
        except OSError as error:
            return self._failed(f"the spool {self._spool.folder} cannot be written: {_in_words(error)}", size)
        except Exception as error:  # the thread must outlive what nobody thought of
            log.exception("the spool failed")
            return self._failed(f"the spool failed: {error!r}", size)
        self._well(size)
        self._committed(time.perf_counter() - begun)
        return None

    def _well(self, size: int) -> None:
        """A commit went through. That all is well, one only shows that is as large as what failed, or time."""
        if self.failure is None or (size < self._failed_size and time.monotonic() - self._failed_at < DOUBT_SECONDS):
            return
        log.info("the spool takes frames again")
        self.failure = None

    def _append(self, bodies: Sequence[bytes]) -> None:
        try:
            self._spool.append(bodies)
        except OSError as error:
            if error.errno not in FULL_DISK or not self._spool.make_room_on_disk():
                raise
            self._spool.append(bodies)

    def _failed(self, why: str, size: int) -> WriteError:
        if self.failure is None:
            log.error("%s: clients are told to come back", why)
        self.failure = why
        self._failed_size, self._failed_at = size, time.monotonic()
        return WriteError(why)


def _in_words(error: OSError) -> str:
    told = {
        errno.ENOSPC: "its disk is full: make room on it",
        errno.EDQUOT: "its quota is used up: make room, or raise it",
        errno.EROFS: "its disk is mounted read-only: mount it for writing",
        errno.EIO: "its disk failed: check its health",
    }
    return told.get(error.errno or 0, error.strerror or str(error))


def _tell(items: Sequence[_Item], error: Exception | None) -> None:
    """Let those who wait go on; those of an event loop with one call."""
    on_loop = [item for item in items if item.loop is not None]
    if on_loop and on_loop[0].loop is not None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            on_loop[0].loop.call_soon_threadsafe(_call, [item.done for item in on_loop], error)
    _call([item.done for item in items if item.loop is None], error)


def _call(those: Sequence[Done], error: Exception | None) -> None:
    for done in those:
        done(error)
