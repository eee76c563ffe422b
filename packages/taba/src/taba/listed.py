"""A JSON array of texts that is counted and kept as it came, and only decoded where somebody reads the texts.

Frames carry the names and the types of hundreds of tabs, and most of those who handle a frame need their number alone.
An array is *canonical* where that can be told without decoding: it is written as encoders without white space write it,
`["a","b"]`, and no text has an escape in it. To look costs as much as to decode; but a program records under the same
names four times a second, and so do all that run beside it. So what was found is remembered by the array's bytes.

Not for the client, which has the standard library alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import msgspec

REMEMBERED = 1024
"""Arrays whose bytes are remembered."""
REMEMBERED_BYTES = 16 << 10
"""Longer ones are not, so that memory is bounded."""


class Listed:
    """The texts of a canonical array, in their order."""

    __slots__ = ("_count", "raw")

    def __init__(self, raw: bytes, count: int) -> None:
        """`raw` as `listed` has found it to be."""
        self.raw = raw
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw[2:-2].decode().split('","') if self._count else ())


def listed(raw: msgspec.Raw | bytes) -> Listed | None:
    """The texts of an array; None where it is not canonical, and then the full decoder says what it is.

    `raw` must be JSON, as what a decoder passes as `msgspec.Raw` is: it knows of everything but UTF-8 by then.
    """
    text = bytes(raw)
    return _remembered(text) if len(text) <= REMEMBERED_BYTES else _found(text)


def _found(text: bytes) -> Listed | None:
    if text == b"[]":
        return Listed(text, 0)
    if text[:2] != b'["' or text[-2:] != b'"]' or b"\\" in text or not _is_utf8(text):
        return None
    # Behind the quote that opens the first text, each `","` closes a text and opens another. Where these take up all
    # quotes up to the last, nothing but a comma lies between any two texts, whatever the texts hold.
    count = text.count(b'","', 2, -2) + 1
    return Listed(text, count) if text.count(b'"') == 2 * count else None


_remembered = lru_cache(REMEMBERED)(_found)


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
