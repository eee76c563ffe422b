"""The process's one client: hands out tabs, starts and stops, and begins anew in a forked child."""

from __future__ import annotations

import atexit
import os
import sys
from threading import RLock
from typing import TYPE_CHECKING, Any

from taba.client.settings import FLUSH_LIMIT, PENDING_BYTES, is_disabled, resolve
from taba.client.tabs import TAB_LIMIT, Handle, Registry
from taba.client.timer import Timer

if TYPE_CHECKING:
    from taba.client.engine import Engine


def seconds(expiry: float) -> float:
    """`expiry`, if it is a time that a gauge may have; raises ValueError."""
    if isinstance(expiry, int | float) and 0 < expiry < float("inf"):
        return expiry
    raise ValueError(f"a gauge's expiry is a number of seconds, more than 0, and not {expiry!r}")


class Recorder:
    """What `import taba` offers, as methods. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._disabled = False
        self._registry: Registry | None = None
        self._engine: Engine | None = None
        os.register_at_fork(
            before=self._before_fork,
            after_in_parent=self._after_fork,
            after_in_child=self._after_fork_in_child,
        )

    def counter(self, name: str, /, **tags: Any) -> Handle:
        """The handle of a counter: `record(1)`, or whatever is to be added up. ValueError for a bad name."""
        return self._handle(name, "counter", tags)

    def percentile(self, name: str, /, **tags: Any) -> Handle:
        """The handle of a distribution of numbers: count, mean and percentiles. ValueError for a bad name."""
        return self._handle(name, "percentile", tags)

    def gauge(self, name: str, /, expiry: float | None = None, **tags: Any) -> Handle:
        """The handle of a last value, number or text, that counts for `expiry` seconds, or for ever."""
        return self._handle(name, "gauge" if expiry is None else f"gauge({seconds(expiry):.15g})", tags)

    def uniques(self, name: str, /, **tags: Any) -> Handle:
        """The handle of a set of values, text or numbers, of which the distinct ones are counted."""
        return self._handle(name, "uniques", tags)

    def top(self, name: str, /, **tags: Any) -> Handle:
        """The handle of values, text or numbers, of which the most frequent are asked for."""
        return self._handle(name, "top", tags)

    def buffer(self, name: str, /, **tags: Any) -> Handle:
        """The handle of values, numbers or text, of which the last ones are kept."""
        return self._handle(name, "buffer", tags)

    def timer(self, name: str, /, **tags: Any) -> Timer:
        """Records milliseconds into a percentile: `with taba.timer("load"): …`, or as a decorator."""
        return Timer(self._handle(name, "percentile", tags).record)

    def record(self, name: str, value: Any, /, type: str = "counter", **tags: Any) -> None:  # noqa: A002
        """Record one value of a tab of any type. Where it is done often, keep the tab's `record` instead."""
        self._handle(name, type, tags).record(value)

    def start(
        self,
        client: str | None = None,
        *,
        server: str | None = None,
        agent: str | None = None,
        token: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        pending_bytes: int = PENDING_BYTES,
        flush_limit: int = FLUSH_LIMIT,
        tab_limit: int = TAB_LIMIT,
    ) -> None:
        """Start the client, or set up anew the one that runs. The first tab does it too, with the defaults.

        `client` is its id, with {host} and {pid} filled in. `agent` or `server` is where frames go, as
        http://HOST:PORT or unix:///PATH; `token` is what it asks for, `ca` a file of the certificates that are trusted
        with https, `cert` and `key` files of the client's own certificate. `pending_bytes` bounds the frames that
        wait for an answer, `flush_limit` a tab's values in a quarter second, `tab_limit` the tabs; what exceeds
        them is dropped and counted. Raises ValueError for an id or an address that cannot be one.
        """
        given = {"token": token, "ca": ca, "cert": cert, "key": key}
        settings = resolve(
            client, server, agent, pending_bytes=pending_bytes, flush_limit=flush_limit, credentials=given
        )
        registry = self._opened()
        registry.limit = tab_limit
        if self._disabled:
            return
        with self._lock:
            # Imported under the lock, which a fork waits for, and not by the client's threads: a module that
            # another thread is importing during a fork stays locked in the child for ever. For the same reason
            # nothing that is imported here may take a lock that a fork holds, as logging does.
            from taba.client.engine import Engine

            if self._engine is None:
                self._engine = Engine(registry, settings)
                self._leave_with_process()
            else:
                self._engine.configure(settings)

    def flush(self, deadline: float = 2.0) -> bool:
        """Send what was recorded so far; wait up to `deadline` seconds; return whether all was answered."""
        return self._engine is None or self._engine.flush(deadline)

    def stop(self, deadline: float = 2.0) -> bool:
        """Flush for the last time; wait up to `deadline` seconds; return whether all was answered.

        What is recorded from then on is dropped, until `start` is called. Runs by itself when the interpreter
        exits. Where the server was out of reach before, it is tried once more and not waited for.
        """
        return self._engine is None or self._engine.stop(deadline)

    def _handle(self, name: str, kind: str, tags: dict[str, Any]) -> Handle:
        handle = (self._registry or self._opened()).handle(name, kind, tags)
        if self._engine is None and not self._disabled:
            self.start()
        return handle

    def _opened(self) -> Registry:
        with self._lock:
            if self._registry is None:
                self._disabled = is_disabled()
                self._registry = Registry(keep=not self._disabled)
            return self._registry

    def _leave_with_process(self) -> None:
        """Stop when the process ends; multiprocessing's workers end without atexit and have their own way."""
        atexit.register(self.stop)
        workers = sys.modules.get("multiprocessing.util")
        if workers is not None and sys.modules["multiprocessing.process"].parent_process() is not None:
            workers.Finalize(None, self.stop, exitpriority=0)

    def _before_fork(self) -> None:
        self._lock.acquire()
        if self._registry is not None:
            self._registry.lock.acquire()

    def _after_fork(self) -> None:
        if self._registry is not None:
            self._registry.lock.release()
        self._lock.release()

    def _after_fork_in_child(self) -> None:
        """Begin a new epoch: what the parent recorded is the parent's to send, and threads stay behind."""
        self._after_fork()
        if self._registry is not None:
            self._registry.clear()
        if self._engine is not None:
            self._engine = self._engine.renewed()
            workers = sys.modules.get("multiprocessing.util")
            if workers is not None:  # as a worker starts, it forgets what it should do when it ends
                workers.register_after_fork(self, Recorder._leave_with_worker)

    def _leave_with_worker(self) -> None:
        sys.modules["multiprocessing.util"].Finalize(None, self.stop, exitpriority=0)
