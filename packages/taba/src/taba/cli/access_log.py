r"""A web server's access log: one line is one request. Pure.

    line      = address " " identity " " user " [" time "] " quoted " " status " " bytes
                [ " " quoted " " quoted ] [ " " anything ] [ " " seconds ]
    quoted    = <"> request, referrer or user agent, where \ stands before a quote <">
    request   = method " " target " " protocol

That is the combined format of nginx and Apache, and the common one; `seconds` has a decimal point, as nginx's
$request_time. A request that makes no sense, as port scanners send them, is one all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from taba.names import MAX_TEXT

MOST_BYTES = 65_536
"""A longer line is no request."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"})
OTHER = "other"
"""Stands for methods that are none, so that nobody can make up tabs from afar."""

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_LINE = re.compile(
    rf'(\S+) \S+ [^\[]*\[[^\]]*\] "((?:[^"\\]|\\.)*)" ([1-5]\d\d) (\d+|-)(?: {_QUOTED} {_QUOTED})?(.*)',
    re.ASCII | re.DOTALL,
)
_SECONDS = re.compile(r"(?:.* )?(\d+\.\d+)", re.ASCII | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` has no query, and is None where the request has none; so is `seconds`."""

    address: str
    method: str
    path: str | None
    status: int
    bytes: int
    seconds: float | None


def parse(raw: bytes) -> Request | None:
    """The request that a line tells of; None where it is no such line."""
    if len(raw) > MOST_BYTES:
        return None
    match = _LINE.fullmatch(raw.decode("utf-8", "replace").rstrip("\r\n"))
    if match is None:
        return None
    address, request, status, size, rest = match.groups()
    method, path = _split(request)
    seconds = _SECONDS.fullmatch(rest)
    return Request(
        address,
        method,
        path,
        int(status),
        0 if size == "-" else int(size),
        float(seconds[1]) if seconds else None,
    )


def _split(request: str) -> tuple[str, str | None]:
    parts = request.split(" ")
    if len(parts) not in (2, 3) or not parts[1]:
        return OTHER, None
    method, target = parts[:2]
    if not target.startswith("/"):
        try:
            target = urlsplit(target).path or target
        except ValueError:
            return (method if method in METHODS else OTHER), None
    path = target.partition("?")[0][:MAX_TEXT]
    return (method if method in METHODS else OTHER), path or None
