"""HTTP/1.1 on one connection: requests in, answers out in their order. It knows nothing of what is asked.

An ASGI server makes a task and some messages for each request, which cost twice as much as all that an agent does
with a frame; and an agent shares its machine with those that it serves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Protocol, cast

import httptools

log = logging.getLogger(__name__)

MOST_WAITING = 100
"""Requests of one connection that may be under way; beyond that nothing more is read until one is answered."""
MOST_HEADERS = 100
MOST_HEAD_BYTES = 64 << 10
REASONS = {
    200: b"OK",
    204: b"No Content",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}
SAFE = b"x-content-type-options: nosniff\r\ncross-origin-resource-policy: same-origin\r\n"
BYTES_A_SECOND = 16 << 10
"""A body may take a second longer for each so many bytes of it."""


@dataclass(slots=True)
class Request:
    """What was asked. `body` is whole; header names are in lower case. `too_large` has no body.

    `charge` is to be told how many events were in it, on the event loop: they are its token's to pay.
    """

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes = b""
    too_large: bool = False
    query: bytes = b""
    charge: Callable[[int], None] = lambda _: None


JSON = b"application/json"
Fields = Sequence[tuple[bytes, bytes]]
"""Headers of an answer beyond those that each has, by name."""


class Respond(Protocol):
    """To be called once, on the event loop, with a status and a body.

    `wait` is how many seconds to stay away, after a 429 or 503; `fields` are further headers.
    """

    def __call__(
        self, status: int, body: bytes, content_type: bytes = JSON, fields: Fields = (), *, wait: float = 0.0
    ) -> None: ...


Handle = Callable[[Request, Respond], None]


@dataclass(slots=True)
class _Slot:
    """The place of an answer among a connection's."""

    keeps: bool
    bare: bool = False
    """Whether it is without its body, as HEAD asks for."""
    answer: bytes = b""


@dataclass(slots=True)
class Listener:
    """What the connections of a server share. `limit` bounds a body's bytes; `most` how many connections there are.

    `handled` is called when all that has come is handled, and tells for how many seconds more may come before anything
    is read, where several wait for their answers: to wake for a request costs more than all that is done with it. One
    that sends alone is answered at once.
    """

    handle: Handle
    limit: Callable[[], int]
    handled: Callable[[], float]
    most: int
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    """How long a request's head may take to come, and its body."""
    connections: set[Connection] = field(default_factory=set)
    closing: bool = False
    waiting: int = 0
    """Requests that are not answered yet."""
    _begun: float | None = None
    """When the first of what is handled now came; None where nothing is."""
    _grown: bool = False
    """Whether a connection was made meanwhile."""

    def __call__(self) -> Connection:
        """A protocol for a new connection."""
        self._grown = True
        return Connection(self)

    def note(self) -> None:
        """A request is here."""
        self.waiting += 1
        if self._begun is None:
            self._begun = time.monotonic()
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._rest)  # answers are sent at the end of a turn of the loop

    def _rest(self) -> None:
        """Nothing else is to be done: let requests gather, and answers."""
        begun, self._begun = self._begun, None
        grown, self._grown = self._grown, False
        seconds = self.handled()
        # The loop makes one connection in a turn, and there may be many who wait for theirs.
        if begun is not None and self.waiting > 1 and not grown and not self.closing:
            time.sleep(max(begun + seconds - time.monotonic(), 0.0))

    def finish(self) -> None:
        """Take no more requests; connections end once what was asked is answered."""
        self.closing = True
        for connection in list(self.connections):
            connection.finish()

    def sweep(self, seconds: float) -> None:
        """End the connections on which nothing was asked or answered for so long, or on which a request comes slowly:
        who sends a byte now and then would have them for ever."""
        now = asyncio.get_running_loop().time()
        for connection in [one for one in self.connections if one.active < now - seconds or one.is_slow(now)]:
            connection.abandon()


class Connection(asyncio.Protocol):
    """One connection."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._slots: deque[_Slot] = deque()
        self._loop = asyncio.get_running_loop()
        self._reads = True
        self._choked = self._failed = False
        self._begin()
        self.active = self._loop.time()

    def _begin(self) -> None:
        self._begun: float | None = None
        """When the request began that is not whole yet; None between two."""
        self._has_head = False
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._too_large = False
        self._head_bytes = 0
        """What came since the last piece of a body: of the head, or of the trailers that may follow a body."""

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or say that there are too many."""
        self._transport = transport = cast(asyncio.Transport, transport)
        if len(self._listener.connections) >= self._listener.most or self._listener.closing:
            transport.write(_head(503, 0, False))
            transport.close()
        self._listener.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for an answer any more."""
        del exc
        self._transport = None
        self._listener.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Parse; whole requests are handled as they end."""
        self.active = self._loop.time()
        if self._failed:
            return
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("this is no place to upgrade to another protocol")
        except httptools.HttpParserError as error:
            self._fail(f"this is not HTTP/1.1: {error}")
        if self._head_bytes > MOST_HEAD_BYTES and not self._failed:
            self._fail("the request's headers have more bytes than are taken")

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begin()
        self._begun = self._loop.time()

    def on_url(self, url: bytes) -> None:
        """The path, in parts where it is long."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; of those that come twice the first counts, as for servers and proxies."""
        if len(self._headers) >= MOST_HEADERS:
            raise httptools.HttpParserError("more headers than are taken")
        self._headers.setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        """A body may follow, if the other side thinks that it is welcome."""
        self._has_head = True
        if self._headers.get(b"expect", b"").lower() == b"100-continue" and self._transport and not self._slots:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body; what is beyond the limit is read and forgotten."""
        self._head_bytes = 0
        self._size += len(body)
        self._too_large = self._size > self._listener.limit()
        if self._too_large:
            self._parts.clear()
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """A request is whole; the next one's head may begin."""
        self._begun = None
        self._head_bytes = 0
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []  # a connection and its parser hold each other: it may outlive its end for long
        raw_path, _, query = self._url.partition(b"?")
        method, path = self._parser.get_method().decode("latin-1"), raw_path.decode("latin-1")
        request = Request(method, path, self._headers, body, self._too_large, query)
        slot = _Slot(self._parser.should_keep_alive() and not self._listener.closing, request.method == "HEAD")
        self._slots.append(slot)
        if len(self._slots) >= MOST_WAITING:
            self._pace()
        self._listener.note()
        try:
            self._listener.handle(request, partial(self._respond, slot))
        except Exception:
            log.exception("a request to %s failed", path)
            self._respond(slot, 500, b'{"error":"the agent failed at this; its log says how"}')

    # Answers.

    def _respond(
        self,
        slot: _Slot,
        status: int,
        body: bytes,
        content_type: bytes = JSON,
        fields: Fields = (),
        *,
        wait: float = 0.0,
    ) -> None:
        head = _head(status, len(body), slot.keeps, content_type, fields, wait)
        slot.answer = head + (b"" if slot.bare else body)
        self._listener.waiting -= 1
        self.active = self._loop.time()
        ready = []
        keeps = True
        while self._slots and self._slots[0].answer and keeps:
            first = self._slots.popleft()
            ready.append(first.answer)
            keeps = first.keeps
        transport = self._transport
        if transport is None or not ready:
            return
        transport.write(b"".join(ready))
        if not keeps or (self._listener.closing and not self._slots):
            transport.close()
        if not self._reads:
            self._pace()

    def _fail(self, why: str) -> None:
        """What came is no request: say so, and end the connection behind the answers that are due."""
        slot = _Slot(keeps=False)
        self._slots.append(slot)
        self._listener.waiting += 1
        self._failed = True
        self._pace()
        self._respond(slot, 400, b'{"error":"%s"}' % why.replace('"', "'").encode("ascii", "replace"))

    def pause_writing(self) -> None:
        """The other side does not read: then neither do we."""
        self._choked = True
        self._pace()

    def resume_writing(self) -> None:
        """It reads again."""
        self._choked = False
        self._pace()

    def _pace(self) -> None:
        """Read, or do not, as things stand."""
        reads = not (self._failed or self._choked or len(self._slots) >= MOST_WAITING)
        if self._transport and reads != self._reads and not self._transport.is_closing():
            self._reads = reads
            (self._transport.resume_reading if reads else self._transport.pause_reading)()

    def is_slow(self, now: float) -> bool:
        """Whether the request that is coming takes too long; what we do not read meanwhile is no fault of its own."""
        if self._begun is None or not self._reads:
            return False
        shared = self._listener
        allowed = shared.head_seconds
        if self._has_head:
            allowed += shared.body_seconds + self._size / BYTES_A_SECOND
        return now - self._begun > allowed

    def finish(self) -> None:
        """End once all that was asked is answered."""
        if self._transport and not self._slots:
            self._transport.close()

    def abandon(self) -> None:
        """End now."""
        if self._transport:
            self._transport.abort()


def _head(
    status: int, length: int, keeps: bool, content_type: bytes = JSON, fields: Fields = (), wait: float = 0.0
) -> bytes:
    retry = b"retry-after: %d\r\n" % max(ceil(wait), 1) if status in (429, 503) else b""
    retry += b'www-authenticate: Bearer realm="taba"\r\n' if status == 401 else b""
    connection = b"" if keeps else b"connection: close\r\n"
    # An answer without content says nothing of it (RFC 9110, 8.6).
    content = b"" if status == 204 else b"content-type: %b\r\ncontent-length: %d\r\n" % (content_type, length)
    others = b"".join(b"%b: %b\r\n" % field for field in fields)
    return b"HTTP/1.1 %d %b\r\n%b%b%b%b%b\r\n" % (status, REASONS[status], content, retry, connection, others, SAFE)
