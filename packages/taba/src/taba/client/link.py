"""One persistent HTTP connection to an agent or a server, over TCP, TLS or a unix socket."""

from __future__ import annotations

import codecs
import http.client
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from taba.frame import CONTENT_TYPE
from taba.locks.outgoing import Credentials

codecs.lookup("idna")  # else the first connection imports it in a thread: see Recorder.start

TIMEOUT = 10.0
"""Seconds of silence after which a request counts as failed."""
MAX_ANSWER = 1 << 20
NONE = Credentials()


@dataclass(frozen=True, slots=True)
class Address:
    """Where frames go: `scheme` is http, https or unix; for unix, `path` is the socket's."""

    scheme: str
    host: str
    port: int
    path: str
    written: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `wait` is the Retry-After in seconds, where there is one."""

    status: int
    wait: float | None
    text: str


def parse_address(written: str, origin: str) -> Address:
    """An address from `http://HOST:PORT[/PREFIX]`, the same with https, or `unix:///PATH`.

    Raises ValueError that names `origin`, where the text was given.
    """
    # A name and a password in it are not sent, and are for no log.
    shown = f"…{written[written.rindex('@') :]}" if isinstance(written, str) and "@" in written else written
    problem = f"{origin}: {shown!r} is not an address: write it as http://127.0.0.1:8300 or unix:///run/taba.sock"
    try:
        parts = urlsplit(written)
        port = parts.port
    except (ValueError, AttributeError, TypeError):
        raise ValueError(problem) from None
    if parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1:
        return Address("unix", "localhost", 0, parts.path, written)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(problem)
    port = port or {"http": 80, "https": 443}[parts.scheme]
    return Address(parts.scheme, parts.hostname, port, parts.path.rstrip("/"), shown)


class Connection(http.client.HTTPConnection):
    """HTTP over TCP or a unix socket that `opened` gives."""

    opened: Callable[[], socket.socket]

    def connect(self) -> None:
        """Take a new socket."""
        self.sock = self.opened()


class TlsConnection(http.client.HTTPSConnection, Connection):
    """HTTP over TLS over such a socket."""


class Link:
    """Posts frames over one connection, which it opens when needed and keeps. For one thread at a time."""

    def __init__(self, address: Address, timeout: float = TIMEOUT, credentials: Credentials = NONE) -> None:
        self.address = address
        self._credentials = credentials
        self._timeout = timeout
        self._patience = timeout
        self._connection: http.client.HTTPConnection | None = None
        # As they are now: gevent may replace them in the module later, when a true thread runs this.
        self._socket = socket.socket
        self._look_up = socket.getaddrinfo

    def move(self, address: Address, credentials: Credentials = NONE) -> None:
        """Post to `address` from now on."""
        if address != self.address or credentials != self._credentials:
            self.close()
            self.address, self._credentials = address, credentials

    def post(self, body: bytes, headers: Mapping[str, str], timeout: float | None = None) -> Answer:
        """Send `body`, which is frames, and wait for the answer; raises whatever goes wrong, of any type.

        `headers` go with it, besides Content-Type. `timeout` takes the place of the link's for this request:
        seconds of silence, in connecting, in sending or before the answer.

        A kept connection may have been closed by the other side, which is no failure: then it is opened anew
        and the same bytes are sent again, as a repetition that the receiver knows by the frames' own numbers.
        """
        self._patience = self._timeout if timeout is None else timeout
        kept = self._connection is not None
        try:
            return self._exchange(body, {"Content-Type": CONTENT_TYPE, **headers})
        except Exception as error:
            self.close()
            if not kept or isinstance(error, TimeoutError):
                raise
        try:
            return self._exchange(body, {"Content-Type": CONTENT_TYPE, **headers})
        except Exception:
            self.close()
            raise

    def ping(self, timeout: float) -> Answer:
        """Ask whether the other side is well, over a connection of its own; raises whatever goes wrong."""
        self.close()
        self._patience = timeout
        try:
            return self._exchange(None, {}, "GET", "/ping")
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(
        self, body: bytes | None, headers: Mapping[str, str], method: str = "POST", path: str = "/v1/events"
    ) -> Answer:
        if self._connection is None:
            self._connection = self._opened()
        elif self._connection.sock is not None:
            self._connection.sock.settimeout(self._patience)
        prefix = "" if self.address.scheme == "unix" else self.address.path
        self._connection.request(method, f"{prefix}{path}", body, {**headers, **self._credentials.headers()})
        response = self._connection.getresponse()
        text = response.read(MAX_ANSWER)
        if not response.isclosed():  # more than any answer has: leave the rest unread
            self.close()
        wait = _seconds(response.getheader("Retry-After"))
        return Answer(response.status, wait, text.decode("utf-8", "replace"))

    def _opened(self) -> http.client.HTTPConnection:
        address = self.address
        if address.scheme == "https":
            connection = TlsConnection(address.host, address.port, context=self._credentials.context())
        else:
            connection = Connection(address.host, address.port or None)
        connection.opened = self._open_unix if address.scheme == "unix" else self._open_tcp
        return connection

    def _open_unix(self) -> socket.socket:
        path = self.address.path
        try:
            return self._connected(socket.AF_UNIX, 0, path)
        except FileNotFoundError:
            problem = f"there is no socket {path}: start the agent, or correct the path"
            raise FileNotFoundError(problem) from None

    def _open_tcp(self) -> socket.socket:
        """A connection to the first of the host's addresses that takes one."""
        error: OSError | None = None
        for family, _, protocol, _, place in self._look_up(self.address.host, self.address.port, 0, socket.SOCK_STREAM):
            try:
                connected = self._connected(family, protocol, place)
            except OSError as one:
                error = one
            else:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connected
        raise error or OSError(f"{self.address.host} has no address")

    def _connected(self, family: int, protocol: int, place: Any) -> socket.socket:
        opened = self._socket(family, socket.SOCK_STREAM, protocol)
        try:
            opened.settimeout(self._patience)
            opened.connect(place)
        except BaseException:
            opened.close()
            raise
        return opened


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After's seconds; a date in it is passed over, and the client's own pause holds."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None
