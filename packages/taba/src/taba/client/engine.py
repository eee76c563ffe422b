"""What runs once a client is started: two threads, one that flushes on the quarter second and one that sends.

They are apart so that a frame is cut in time whatever the receiver does.
"""

from __future__ import annotations

import threading
import time

from taba.client.drain import Drain
from taba.client.flusher import Flusher
from taba.client.link import parse_address
from taba.client.log import warn
from taba.client.sender import Sender
from taba.client.settings import Settings, fill_in
from taba.client.spans import until_boundary
from taba.client.tabs import Registry


class Engine:
    """A running client. Its threads end with the process."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        """Start both threads; raises ValueError for an address that cannot be one."""
        self._registry = registry
        self._settings = settings
        address = parse_address(settings.address, settings.origin)
        self._sender = Sender(address, settings.pending_bytes, settings.credentials)
        self._drain = Drain(settings.flush_limit)
        self._flusher = self._new_epoch()
        self._sleep = time.sleep  # as the thread is now, true or gevent's: see Sender
        self._sender.start()
        threading.Thread(target=self._run, name="taba-flush", daemon=True).start()

    def configure(self, settings: Settings) -> None:
        """Take other settings, or go on after a stop. Another client id begins another epoch."""
        address = parse_address(settings.address, settings.origin)
        self._sender.configure(address, settings.pending_bytes, settings.credentials)
        self._drain.flush_limit = settings.flush_limit
        self._settings = settings
        if self._flusher.client != fill_in(settings.client) and self._flusher.sequence > 0:
            self._flusher.flush(closing=True)
        if self._flusher.client != fill_in(settings.client) or self._flusher.closed:
            self._flusher = self._new_epoch()

    def flush(self, deadline: float) -> bool:
        """Make a frame of what was recorded; wait until all are answered, and return whether they are."""
        self._flusher.flush()
        return self._sender.finish(deadline, patient=True)

    def stop(self, deadline: float) -> bool:
        """End the epoch with a closing frame; wait as `flush` does, but not for a receiver out of reach."""
        self._flusher.flush(closing=True)
        return self._sender.finish(deadline, patient=False)

    def renewed(self) -> Engine:
        """The engine of a forked child, stopped if this one is."""
        child = Engine(self._registry, self._settings)
        child._flusher.closed = self._flusher.closed
        return child

    def _new_epoch(self) -> Flusher:
        return Flusher(fill_in(self._settings.client), self._registry, self._sender, self._drain)

    def _run(self) -> None:
        """Flush at each quarter second, also when stopped: then what is recorded is dropped."""
        told = False
        while True:
            self._sleep(until_boundary(time.time()))
            try:
                self._flusher.tick()
            except Exception as error:  # the client must outlive one bad moment, such as a MemoryError
                if not told:
                    warn(f"a flush failed, which is told once: {error!r}")
                told = True
