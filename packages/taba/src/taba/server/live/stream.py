"""A watcher of `GET /v1/live`, as a bare ASGI application: what it is sent, and when it is let go.

How much a watcher may hold up in memory is bounded: by the socket's buffer, the server's above that, and one update.
Whoever reads nothing for `limits.live_stall_s` is cut off, and may come back to where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from taba.server import parameters
from taba.server.answering import Answering
from taba.server.live import moments, question
from taba.server.live.topics import Hub, Topic
from taba.server.service import Service

log = logging.getLogger(__name__)

PATH = "/v1/live"
TRANSPORT = "taba.transport"
"""Under this name a request's extensions have its connection's asyncio transport, where the server gives it."""
RETRY = b"retry: 1000\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
KEEP_ALIVE_SECONDS = 10.0
SEND_BUFFER = 128 << 10
"""Bytes that the system holds of what a watcher has not read (twice as many, with its own). Left to itself it takes
megabytes: minutes of old answers."""
LEAVE_SECONDS = 1.0
"""How long a stream that ends may take to be read, while the server stops."""
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
DROPPED = "taba.server.live.dropped"
"""Own tab: watchers that were cut off because they read nothing."""


def routes(service: Service, answering: Answering) -> list[BaseRoute]:
    """The route of live answers."""
    return [Route(PATH, Live(service, answering), methods=["GET"])]


class Live:
    """Answers `GET /v1/live`."""

    def __init__(self, service: Service, answering: Answering) -> None:
        self._service = service
        self._hub = Hub(service, answering)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. What it can be refused with is raised before anything is sent."""
        request = Request(scope)
        asked = question.read(request.query_params, self._service)
        told = parameters.one(request.query_params, question.RESUME)
        last = request.headers.get("last-event-id", told or "")
        with self._hub.watching(asked) as topic:
            await topic.ready()
            if topic.failure is not None:
                raise topic.failure
            stream = _Stream(scope, send, topic, last, self._service.settings.limits.live_stall_s)
            await stream.run(receive)
        if stream.stalled:
            self._service.intake.note(DROPPED, "counter", 1)
            log.info("a watcher of %s read nothing and was cut off", asked)


class _Stream:
    """One answer that goes on."""

    def __init__(self, scope: Scope, send: Send, topic: Topic, last: str, patience: float) -> None:
        self.stalled = False
        self._bare = scope["method"] == "HEAD"
        self._transport: Any = scope.get("extensions", {}).get(TRANSPORT)
        self._send = send
        self._topic = topic
        self._seen = topic.seen(last)
        self._patience = patience

    async def run(self, receive: Receive) -> None:
        """Send until the watcher goes, stalls, or the topic ends."""
        self._narrow()
        await self._send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        if self._bare:
            await self._send({"type": "http.response.body"})
            return
        async with anyio.create_task_group() as group:
            group.start_soon(_until_gone, receive, group.cancel_scope)
            try:
                await self._sent(RETRY)
                async for part in self._parts():
                    await self._sent(part)
                await self._finished()
            except TimeoutError:
                self.stalled = not self._topic.ended
                self._cut()
            group.cancel_scope.cancel()

    async def _parts(self) -> AsyncIterator[bytes]:
        """What there is to tell, each when it is there and the one before has been taken."""
        topic, troubled = self._topic, False
        while not topic.ended:
            moment = topic.moment
            if topic.failure is not None:
                break
            if topic.trouble and not troubled:
                troubled = True
                yield moments.failure("trouble", topic.trouble)
            elif moment is not None and not topic.trouble and moment.number != self._seen:
                troubled = False
                self._seen, frame = await topic.frame(self._seen)
                yield frame
            else:
                try:
                    async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                        await topic.moved()
                except TimeoutError:
                    yield KEEP_ALIVE
        if topic.failure is not None:
            yield moments.failure("error", topic.trouble)

    async def _sent(self, part: bytes, *, more: bool = True) -> None:
        """Hand on bytes, which is done once the watcher has taken most of those before.

        Raises TimeoutError where it takes none; one that is slow and goes on may take its time.
        """
        clock = asyncio.get_running_loop().time
        held, since = self._held(), clock()
        while True:
            try:
                # Not for all its patience at once: a server that stops does not wait for who does not read.
                async with asyncio.timeout(min(self._patience, LEAVE_SECONDS)):
                    # What is given up while it waits has written nothing, and can be done again.
                    await self._send({"type": "http.response.body", "body": part, "more_body": more})
                return
            except TimeoutError:
                left = self._held()
                if left < held:
                    held, since = left, clock()
                if self._topic.ended or clock() - since >= self._patience:
                    raise

    def _held(self) -> int:
        """Bytes that the server holds and the system has no room for."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def _finished(self) -> None:
        """End the stream in order; for one that does not read, there is no time where the server stops."""
        self._patience = min(self._patience, LEAVE_SECONDS)
        await self._sent(b"", more=False)
        if self._transport is not None and self._topic.ended:
            asyncio.get_running_loop().call_later(LEAVE_SECONDS, self._cut)

    def _narrow(self) -> None:
        """Have the system hold less than it would."""
        kept = self._transport and self._transport.get_extra_info("socket")
        if kept is not None:
            # One that has closed meanwhile is no file any more, which uvloop says with a ValueError.
            with contextlib.suppress(OSError, ValueError):
                kept.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def _cut(self) -> None:
        """Close the connection, whatever is on its way."""
        if self._transport is not None:
            self._transport.abort()


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
