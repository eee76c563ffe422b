"""One WebSocket on its way through an app.

    PREFIX.websocket.opened      counter      route               connections that were accepted
    PREFIX.websocket.refused     counter      route               those that were not
    PREFIX.websocket.ms          percentile   route               from the accepted handshake to the end
    PREFIX.websocket.messages    counter      route, direction    messages, `in` from the client or `out` to it
    PREFIX.websocket.active      gauge                            connections that are open in this process

What an app raises on a WebSocket is counted in PREFIX.exceptions. Routes are bounded as those of requests.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import taba
from taba.frameworks import tell_once
from taba.frameworks.http import OTHER, ROUTES, HttpTabs, Record
from taba.frameworks.routes import UNMATCHED, written
from taba.frameworks.sampling import sample

GONE = frozenset({"WebSocketDisconnect", "ClientDisconnected", "CancelledError"})
"""What apps and servers raise when the other side leaves, which is how a WebSocket ends."""


class SocketTabs:
    """What is recorded of one route's WebSockets."""

    def __init__(self, prefix: str, route: str) -> None:
        self.opened = taba.counter(f"{prefix}.websocket.opened", route=route).record
        self.ms = taba.percentile(f"{prefix}.websocket.ms", route=route).record
        name = f"{prefix}.websocket.messages"
        self.messages: dict[str, Record] = {
            way: taba.counter(name, route=route, direction=way).record for way in ("in", "out")
        }


def _tabs_of(tabs: HttpTabs, route: str) -> SocketTabs:
    found = tabs.sockets.get(route)
    if found is None:
        route = route if len(tabs.sockets) < ROUTES else OTHER
        found = tabs.sockets[route] = tabs.sockets.get(route) or SocketTabs(tabs.prefix, written(route))
    return found


class Socket:
    """A WebSocket from its handshake to its end. Nothing in it raises."""

    def __init__(self, tabs: HttpTabs, route: Callable[[Any], str | None], scope: Any) -> None:
        self._tabs = tabs
        self._route = route
        self._scope = scope
        self._own: SocketTabs | None = None
        self._accepted = 0.0

    def accept(self) -> None:
        """The handshake is answered: from here on the connection is open."""
        self._accepted = perf_counter()
        try:
            sample(f"{self._tabs.prefix}.websocket.active", lambda: len(self._tabs.open_sockets))
            self._tabs.open_sockets.add(self)
            self._own = _tabs_of(self._tabs, self._route(self._scope) or UNMATCHED)
            self._own.opened(1)
        except Exception as error:
            tell_once("recording a WebSocket", error)

    def message(self, direction: str) -> None:
        """One message has gone `in` or `out`."""
        if self._own is not None:
            self._own.messages[direction](1)

    def fail(self, error: BaseException) -> None:
        """End with what the app raised."""
        if type(error).__name__ not in GONE:
            try:
                self._tabs.exceptions(error)
            except Exception as trouble:
                tell_once("recording a WebSocket", trouble)
        self.end()

    def end(self) -> None:
        """The app has returned."""
        self._tabs.open_sockets.discard(self)
        try:
            if self._own is not None:
                self._own.ms((perf_counter() - self._accepted) * 1000)
            elif not self._accepted:
                route = self._route(self._scope) or UNMATCHED
                known = route in self._tabs.sockets or len(self._tabs.sockets) < ROUTES
                name = f"{self._tabs.prefix}.websocket.refused"
                taba.counter(name, route=written(route) if known else OTHER).record(1)
        except Exception as error:
            tell_once("recording a WebSocket", error)
