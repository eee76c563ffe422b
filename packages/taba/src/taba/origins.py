"""Pages of other sites that may record: which origins are listed, and what a browser is told. Pure.

A page in a browser may send a few kinds of request anywhere without asking, but hears an answer from another origin
only where that says so (https://fetch.spec.whatwg.org, "CORS protocol"). The client for browsers sends frames as
text/plain, which is among these kinds, because what is sent while a page is being left cannot wait for a question to
be answered. So text/plain is read as frames from listed origins alone; from all others it is no kind that is taken.
"""

from __future__ import annotations

from collections.abc import Iterable

ANY = "*"
PLAIN = "text/plain"
"""The Content-Type by which a listed origin's page sends frames."""
PREFLIGHT_SECONDS = 86_400
"""For how long a browser need not ask again."""


def is_listed(origin: str, origins: Iterable[str]) -> bool:
    """Whether the field Origin names one of `origins`, as `https://shop.example`."""
    asked = origin.strip().lower()
    return bool(asked) and any(one == ANY or one.rstrip("/").lower() == asked for one in origins)


def is_plain(content_type: str) -> bool:
    """Whether it is text/plain, with any parameters."""
    return content_type.partition(";")[0].strip().lower() == PLAIN


def allowing(origin: str) -> dict[str, str]:
    """What every answer to a listed origin's page says, so that the page hears it."""
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "retry-after",
        "vary": "origin",
    }


def preflight(origin: str) -> dict[str, str]:
    """What a browser is told that asks before it sends, as it does for a token or another Content-Type."""
    return allowing(origin) | {
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "authorization, content-type, content-encoding, taba-source, taba-sequence",
        "access-control-max-age": str(PREFLIGHT_SECONDS),
    }
