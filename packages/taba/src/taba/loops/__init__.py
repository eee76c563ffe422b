"""Event loops: how late their timers are, what blocks them, and how long a request runs and waits on one.

    watch          watch the asyncio loop that runs, also uvloop's
    watch_gevent   watch this thread's gevent hub
    span           time a piece of work: how long it ran, how long it waited
    spans          the same for each request of an ASGI or WSGI application

One line inside a running loop does it:

    taba.loops.watch()

The standard library is all that is needed; gevent is imported only by `watch_gevent` and by spans on greenlets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taba.loops import spans
    from taba.loops.on_asyncio import watch
    from taba.loops.on_gevent import watch_gevent
    from taba.loops.spans import span

__all__ = ["span", "spans", "watch", "watch_gevent"]

_PLACES = {"watch": "on_asyncio", "watch_gevent": "on_gevent", "span": "spans", "spans": "spans"}


def __getattr__(name: str) -> Any:
    """Neither asyncio nor gevent is imported before it is used."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"taba.loops.{_PLACES[name]}")
    return module if name == "spans" else getattr(module, name)
