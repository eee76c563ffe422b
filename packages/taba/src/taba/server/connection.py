"""HTTP on the server's connections, with bounds that uvicorn has not: on how many there are, on how many bytes and
fields a request's head has, and on how long a head and a body may take.

Who sends a byte now and then keeps a connection for as long as it likes (slow loris), and a few hundred of these would
be all that a server can have. So a head must be whole `head_s` after its first byte, or after the connection was made;
a body `body_s` after its head, and a second later for each BYTES_A_SECOND of it. The bounds are looked at every
SWEEP_SECONDS, for all connections, so that a request costs next to nothing.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from taba.config import Limits
from taba.server.live.stream import TRANSPORT

SWEEP_SECONDS = 0.5
BYTES_A_SECOND = 16 << 10
MOST_HEAD_BYTES = 64 << 10
MOST_HEADERS = 100
SPARE_FILES = 100
"""Of the files that a process may have open, connections leave so many to others."""
REASONS = {
    408: b"408 Request Timeout",
    431: b"431 Request Header Fields Too Large",
    503: b"503 Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What connections share: the limits as they are now, and what is told of a connection that is ended."""

    limits: Callable[[], Limits]
    ended: Callable[[str], None]

    def most(self) -> int:
        """How many connections there may be."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = self.limits().connections if files == resource.RLIM_INFINITY else files - SPARE_FILES
        return min(self.limits().connections, max(room, 1))


def protocol(bounds: Bounds) -> type[Connection]:
    """The class of a server's connections, for uvicorn, which makes them."""
    return type("BoundConnection", (Connection,), {"bounds": bounds})


class Connection(HttpToolsProtocol):
    """One connection; who answers a request may have the transport itself, to cut off who does not read."""

    bounds: Bounds

    _head_since: float | None = None
    _body_since: float | None = None
    _body_bytes = 0
    _head_bytes = 0
    """What came since the last piece of a body: of the head, or of the trailers that may follow a body."""

    def connection_made(self, transport: Any) -> None:
        """Take the connection, or say that there are too many."""
        super().connection_made(transport)
        self._head_since = self.loop.time()
        if len(self.connections) > self.bounds.most():
            self._end(503, "connections", "there are more connections than this server takes (limits.connections)")

    def data_received(self, data: bytes) -> None:
        """Parse what came, as long as it can be a request."""
        if self.transport.is_closing():
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._end(431, "head_bytes", f"a request's head has more than {MOST_HEAD_BYTES >> 10} KB")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._head_since = self.loop.time()
        extensions: dict[str, Any] = {TRANSPORT: self.transport}
        self.scope["extensions"] = extensions

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field."""
        if len(self.headers) >= MOST_HEADERS:
            raise httptools.HttpParserError("more headers than are taken")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; a body may follow."""
        self._head_since, self._body_since, self._body_bytes = None, self.loop.time(), 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._head_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._head_bytes = 0
        self._body_since = None
        super().on_message_complete()

    def sweep(self, now: float, elapsed: float) -> None:
        """End the connection where a request takes too long; `elapsed` seconds after the last look."""
        limits = self.bounds.limits()
        if self._head_since is not None:
            if now - self._head_since > limits.head_s:
                self._end(408, "head_s", f"a request's head took more than {limits.head_s:g} s (limits.head_s)")
        elif self._body_since is not None:
            if self.flow.read_paused:
                # It is we who do not read.
                self._body_since += elapsed
            elif now - self._body_since > limits.body_s + self._body_bytes / BYTES_A_SECOND:
                self._end(408, "body_s", f"a request's body came too slowly (limits.body_s is {limits.body_s:g})")

    def _end(self, status: int, cause: str, why: str) -> None:
        """Say why, where no answer is under way, and end the connection."""
        self._head_since = self._body_since = None
        self.bounds.ended(cause)
        under_way = self.cycle and self.cycle.response_started and not self.cycle.response_complete
        if not under_way:
            body = b'{"error":"%s"}' % why.encode()
            fields = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
            self.transport.write(b"HTTP/1.1 %b\r\n%b\r\n%b" % (REASONS[status], fields, body))
        self.transport.close()
