"""Bodies that were compressed on their way, as gzip, zlib or zstd: unpacked within bounds, and packed. No I/O."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd  # pyright: ignore[reportMissingImports]
else:
    from backports import zstd

MEMBERS = 1_000
"""Compressed files, one after another, that one body may consist of."""
PIECE = 64 << 10
"""Bytes that are unpacked at once."""
WINDOW_LOG = 23
"""What a zstd body may have its receiver keep in memory: 8 MB, as RFC 9659 bounds it for HTTP."""


class PackingError(ValueError):
    """A body that cannot be unpacked; the text says why."""


class PackedTooLargeError(PackingError):
    """A body that unpacks to more than is taken."""


def in_words(size: int) -> str:
    """A limit in bytes, for people."""
    return f"{size >> 20} MB" if size % (1 << 20) == 0 else f"{size >> 10} kB"


def pack(body: bytes, level: int) -> bytes:
    """The body as zstd."""
    return zstd.compress(body, level)


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before compression, at most `limit` bytes of it. Raises PackingError."""
    if encoding in ("", "identity"):
        return body
    unpacker = _UNPACKERS.get(encoding)
    if unpacker is None:
        raise PackingError(f"Content-Encoding {encoding!r} is not taken: send {', '.join(_UNPACKERS)}, or none")
    parts: list[bytes] = []
    at = size = 0
    for _ in range(MEMBERS):
        if at == len(body):
            return b"".join(parts)
        unpacking = unpacker()
        # In pieces: what follows a member is copied with each.
        while at < len(body) and not unpacking.eof:
            piece = body[at : at + PIECE]
            try:
                parts.append(unpacking.decompress(piece, limit + 1 - size))
            except (zlib.error, zstd.ZstdError) as error:
                raise PackingError(f"the body is not {encoding}: {error}") from None
            size += len(parts[-1])
            if size > limit:
                raise PackedTooLargeError(f"the body unpacks to more than {in_words(limit)}")
            at += len(piece) - len(unpacking.unused_data)
        if not unpacking.eof:
            raise PackingError(f"the body's {encoding} is cut off")
    raise PackingError(f"the body's {encoding} is in more than {MEMBERS} pieces")


_UNPACKERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "deflate": zlib.decompressobj,
    "zstd": lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG}),
}
"""By the names that HTTP has for them; several of a kind may follow one another in a body."""
