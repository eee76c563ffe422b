"""Hubs of gevent. gevent is imported here, and only by who watches one.

gevent does not tell another thread which greenlet runs. So greenlets are noted as they are spawned, which costs a
fraction of a microsecond each, and the one that runs is looked for when the loop stalls: it alone has begun, is not
over, and has no frame that waits. A tracer would know it at once, but costs something for each switch.
"""

from __future__ import annotations

import weakref
from typing import Any

import gevent
from gevent.hub import Hub

from taba.loops.watching import ENDED, RUNS, THRESHOLD, Watch

LEAST_SWEEP = 1024
"""Greenlets noted before those that are gone are forgotten, for the first time."""

_watched: weakref.WeakKeyDictionary[Any, weakref.ref[Watch]] = weakref.WeakKeyDictionary()


class Greenlets:
    """The greenlets that were spawned since it began, as long as they live."""

    def __init__(self) -> None:
        self._noted: dict[int, weakref.ref[Any]] = {}
        self._sweep_at = LEAST_SWEEP

    def note(self, greenlet: Any) -> None:
        """A greenlet is spawned."""
        ref = self._noted[id(greenlet)] = weakref.ref(greenlet)
        hash(ref)  # which is not possible any more once the greenlet is gone
        if len(self._noted) > self._sweep_at:
            self._noted = {key: ref for key, ref in list(self._noted.items()) if _lives(ref())}
            self._sweep_at = max(LEAST_SWEEP, 2 * len(self._noted))

    def running(self, hub: Any) -> weakref.ref[Any] | None:
        """The one that runs on this hub."""
        for ref in list(self._noted.values()):
            greenlet = ref()
            if greenlet and greenlet.gr_frame is None and greenlet.parent is hub:
                return ref
        return None


class GeventLoop:
    """The hub of a thread. What a `taba.loops.watching.Loop` does."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._greenlets = Greenlets()
        self._timer: Any = None

    def begin(self, watch: Watch) -> None:
        """Beat from now on; the timer does not keep a program alive."""
        gevent.Greenlet.add_spawn_callback(self._greenlets.note)
        timer = self._timer = self._hub.loop.timer(watch.period, watch.period, ref=False)

        def fire() -> None:
            watch.beat()
            timer.again(fire, update=True)

        timer.start(fire, update=True)

    def end(self) -> None:
        """Beat no more."""
        gevent.Greenlet.remove_spawn_callback(self._greenlets.note)
        if self._hub.loop is not None:
            self._hub.loop.run_callback_threadsafe(self._timer.close)

    def state(self) -> str:
        """A hub runs until it is destroyed."""
        return ENDED if self._hub.loop is None or self._hub.dead else RUNS

    def running(self) -> tuple[object, str]:
        """The greenlet, and the name that the program gave it."""
        ref = self._greenlets.running(self._hub)
        greenlet = None if ref is None else ref()
        name = None if greenlet is None else vars(greenlet).get("name")
        return ref, f"greenlet {name}" if name else ""


def watch_gevent(*, threshold: float = THRESHOLD, name: str | None = None, log: bool = False) -> Watch:
    """Watch this thread's hub: its lag, and what stalls it for `threshold` seconds or more.

    The rest is as with `taba.loops.watch`. What is done before the hub first runs is no stall. With `log` a stack goes
    to standard error where threads are patched: logging's locks are greenlets' then.
    """
    hub: Hub = gevent.get_hub()
    known = _watched.get(hub)
    found = known and known()  # the hub's timer keeps it
    if found is None or found.is_stopped:
        found = Watch(GeventLoop(hub), threshold, name, log)
        _watched[hub] = weakref.ref(found)
    return found


def _lives(greenlet: Any) -> bool:
    return greenlet is not None and not greenlet.dead
