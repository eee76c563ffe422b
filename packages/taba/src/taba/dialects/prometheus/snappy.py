"""Snappy's block format, in which remote write is compressed: unpacked within bounds.

    block = length *element        the length of what it unpacks to, as a varint, comes first

So the memory that unpacking takes is known before any is taken.
"""

from __future__ import annotations

from taba.compression import PackedTooLargeError, PackingError, in_words

MOST_LENGTH_BYTES = 5
"""A length has at most 32 bits, of which a varint holds 7 a byte."""


def unpack(block: bytes, limit: int) -> bytes:
    """What was packed. Raises PackingError where it is no block, or says that it unpacks to more than `limit` bytes."""
    import cramjam  # here, so that an agent that is sent none needs no memory for it

    length = _length(block)
    if length > limit:
        raise PackedTooLargeError(f"the body unpacks to more than {in_words(limit)}")
    plain = bytearray(length)
    try:
        written = cramjam.snappy.decompress_raw_into(block, plain)
    except cramjam.DecompressionError as error:
        raise PackingError(f"the body is not snappy: {error}") from None
    if written != length:
        raise PackingError(f"the body is not snappy: it says {length} bytes and unpacks to {written}")
    return bytes(plain)


def _length(block: bytes) -> int:
    """The length that a block says."""
    length = 0
    for index, byte in enumerate(block[:MOST_LENGTH_BYTES]):
        length |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return length
    raise PackingError("the body is not snappy: it does not begin with a length (framed snappy is not taken)")
