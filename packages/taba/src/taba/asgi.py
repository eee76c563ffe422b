"""ASGI apps: Starlette, FastAPI, Litestar, Quart, Django and any other, recorded by one line.

    app = taba.asgi.Middleware(app)
    app.add_middleware(taba.asgi.Middleware)        # Starlette and FastAPI

Requests by route, method and status, their latency, bytes and disconnections, requests in flight, WebSockets; which
tabs there are is said in `taba.frameworks.http` and `taba.frameworks.sockets`. Latency ends with the last byte that is
handed to the server: what runs afterwards, as background tasks do, is not in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import taba
from taba.frameworks import tell_once
from taba.frameworks.http import PREFIX, Exchange, tabs_under
from taba.frameworks.routes import Finder, asgi_finder
from taba.frameworks.sockets import Socket

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

BODIES = frozenset({"http.response.body", "http.response.zerocopysend", "http.response.pathsend"})
SHUT_DOWN = frozenset({"lifespan.shutdown.complete", "lifespan.shutdown.failed"})
FLUSH_SECONDS = 2.0
"""The most that a shutdown waits for what was recorded to be taken."""


class Middleware:
    """An ASGI app around another that records what passes through. All else is passed on as it is.

    `prefix` is what the tabs' names begin with. `route(scope)` gives the template of a request's route, for frameworks
    that are not known here; it is asked when the response has been sent, and its texts should be few. Raises
    ValueError for a prefix that cannot begin a name.
    """

    def __init__(self, app: App, *, prefix: str = PREFIX, route: Finder | None = None) -> None:
        self.app = app
        self._tabs = tabs_under(prefix)
        self._given = route
        self._found: Finder | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection: an HTTP request, a WebSocket, or the lifespan of the server."""
        kind = scope["type"]
        if kind == "http":
            await self._answer(scope, receive, send)
        elif kind == "websocket":
            await self._converse(scope, receive, send)
        elif kind == "lifespan":
            await _live(self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._tabs.opened(scope["method"], self._route, scope)

        async def heard() -> Message:
            message = await receive()
            kind = message["type"]
            if kind == "http.request":
                exchange.received += len(message.get("body") or b"")
            elif kind == "http.disconnect" and not exchange.ended:
                exchange.left = True
            return message

        async def said(message: Message) -> None:
            try:
                await send(message)
            except OSError:  # how a server tells of a client that has gone
                exchange.left = exchange.left or not exchange.ended
                raise
            kind = message["type"]
            if kind in BODIES:
                _note_body(exchange, message)
            elif kind == "http.response.start":
                exchange.status = message["status"]
                exchange.announced = message.get("headers") or ()

        try:
            await self.app(scope, heard, said)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and not exchange.ended:
                exchange.left = True
            exchange.fail(error)
            raise
        exchange.end()

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = Socket(self._tabs, self._route, scope)

        async def heard() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                socket.message("in")
            return message

        async def said(message: Message) -> None:
            await send(message)
            kind = message["type"]
            if kind == "websocket.send":
                socket.message("out")
            elif kind == "websocket.accept":
                socket.accept()

        try:
            await self.app(scope, heard, said)
        except BaseException as error:
            socket.fail(error)
            raise
        socket.end()

    def _route(self, scope: Scope) -> str | None:
        try:
            if self._given is not None:
                return self._given(scope)
            if self._found is None:
                self._found = asgi_finder(self.app)
            return self._found(scope)
        except Exception as error:  # somebody's `route`, or a framework that is not as it was
            tell_once("finding a request's route", error)
            return None


async def _live(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """The server's lifespan: before the server hears that the app has shut down, what was recorded is sent.

    A server may end by the signal that stopped it, and then nothing else of this process runs. So the lifespan of an
    app that knows of none, as Django's, is lived here.
    """
    asked = False

    async def heard() -> Message:
        nonlocal asked
        asked = True
        return await receive()

    async def said(message: Message) -> None:
        if message["type"] in SHUT_DOWN:
            await _flush()
        await send(message)

    try:
        await app(scope, heard, said)
    except Exception:
        if asked:
            raise
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await said({"type": "lifespan.shutdown.complete"})


async def _flush() -> None:
    try:
        await asyncio.to_thread(taba.flush, FLUSH_SECONDS)
    except Exception as error:  # another kind of loop
        tell_once("a last flush", error)


def _note_body(exchange: Exchange, message: Message) -> None:
    """A part of the response has been handed over; with the last one the exchange ends."""
    if message["type"] == "http.response.body":
        exchange.sent += len(message.get("body") or b"")
    elif message["type"] == "http.response.zerocopysend":
        exchange.sent += message.get("count") or 0
    else:
        exchange.send_announced()
    if not message.get("more_body", False):
        exchange.end()
