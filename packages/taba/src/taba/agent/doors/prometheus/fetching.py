"""One page, fetched within bounds of time and size."""

from __future__ import annotations

import http.client
import ssl
import time
from contextlib import closing
from functools import cache
from typing import NamedTuple

from taba import __version__
from taba.compression import PackingError, in_words, unpack
from taba.dialects.prometheus.targets import Target
from taba.dialects.prometheus.text import ACCEPT

PIECE = 64 << 10
LONGEST = 500
"""Characters of an error."""
SHOWN = 200
"""Characters of an answer's reason that an error shows."""


class FetchError(Exception):
    """Why there is no page; the text says so to a person, and holds nothing that a terminal would obey."""

    def __init__(self, why: str) -> None:
        super().__init__("".join(one if one.isprintable() else "?" for one in why[:LONGEST]))


class Fetched(NamedTuple):
    """A page as it came, unpacked."""

    body: bytes
    content_type: str


def fetch(target: Target, seconds: float, limit: int) -> Fetched:
    """The page, of `limit` bytes at most, unpacked too, within so many seconds. Raises FetchError."""
    end = time.monotonic() + seconds
    try:
        with closing(_connection(target, seconds)) as connection:
            headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip", "User-Agent": f"taba/{__version__}"}
            headers["X-Prometheus-Scrape-Timeout-Seconds"] = f"{seconds:g}"
            connection.request("GET", target.request, headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise FetchError(f"it answered {answer.status} {answer.reason[:SHOWN]}")
            packed = _read(connection, answer, end, limit)
    except TimeoutError:
        raise FetchError(f"it did not answer within {seconds:g} s") from None
    except http.client.IncompleteRead:
        raise FetchError("the page is cut off") from None
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(getattr(error, "strerror", None) or str(error) or type(error).__name__) from None
    try:
        body = unpack(packed, answer.headers.get("Content-Encoding", "").strip().lower(), limit)
    except PackingError as error:
        raise FetchError(str(error)) from None
    return Fetched(body, answer.headers.get("Content-Type", ""))


def _connection(target: Target, seconds: float) -> http.client.HTTPConnection:
    if target.scheme == "https":
        return http.client.HTTPSConnection(target.host, target.port, timeout=seconds, context=_context())
    return http.client.HTTPConnection(target.host, target.port, timeout=seconds)


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _read(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, end: float, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if connection.sock is not None:
            connection.sock.settimeout(left)
        piece = answer.read1(PIECE)
        if not piece:
            break
        size += len(piece)
        if size > limit:
            raise FetchError(f"the page has more than {in_words(limit)} (agent.body_mb)")
        pieces.append(piece)
    if answer.length:
        raise FetchError("the page is cut off")
    return b"".join(pieces)
