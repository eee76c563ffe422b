"""Gauges that must be read: a thread records them once a second, where they have changed, and now and then anyway.

So a gauge is right also while nothing happens, as when all requests hang, and it costs nothing when much does. What a
process set last is forgotten EXPIRY seconds after it has died.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import taba
from taba.client.settings import is_disabled
from taba.frameworks import tell_once

EXPIRY = 15.0
"""Seconds for which a value counts."""
EVERY = 1.0
AGAIN = 5.0
"""Seconds after which a value that has not changed is recorded again."""


class Gauge:
    """A gauge's name and how it is read."""

    def __init__(self, name: str, read: Callable[[], float]) -> None:
        self._name = name
        self._read = read
        self._last: float | None = None
        self._recorded = 0.0

    def sample(self, now: float) -> None:
        """Record the value, unless it is known already; `now` is in seconds of a clock that nobody sets."""
        value = self._read()
        if value != self._last or now - self._recorded >= AGAIN:
            taba.gauge(self._name, expiry=EXPIRY).record(value)
            self._last, self._recorded = value, now


_gauges: dict[str, Gauge] = {}
_lock = threading.Lock()
_running = False


def sample(name: str, read: Callable[[], float]) -> None:
    """Have `read()` recorded to the gauge `name` from now on, in this process."""
    global _running  # noqa: PLW0603 - there is one thread in a process
    if is_disabled():
        return
    with _lock:
        _gauges.setdefault(name, Gauge(name, read))
        if not _running:
            _running = True
            # Taken now, as the thread is: both true ones or both gevent's.
            threading.Thread(target=_run, args=(time.sleep,), name="taba-sample", daemon=True).start()


def _run(sleep: Callable[[float], None]) -> None:
    while True:
        for gauge in list(_gauges.values()):
            try:
                gauge.sample(time.monotonic())
            except Exception as error:  # the thread must outlive one bad moment
                tell_once("recording a gauge", error)
        sleep(EVERY)


def _forget_in_child() -> None:
    """A forked child has no thread yet, and what its parent was doing is not the child's."""
    global _running, _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _running = False
    _gauges.clear()


os.register_at_fork(after_in_child=_forget_in_child)
