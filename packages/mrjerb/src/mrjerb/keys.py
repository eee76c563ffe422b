"""Keys as bytes that sort as the keys do: one order, one equality and one partition on every engine.

    key     = none | false | true | number | text | bytes | tuple
    none    = 01        false = 02        true = 03
    number  = 04, the nearest float64 (8 bytes that sort), then what tells numbers with the same nearest float apart
    text    = 05, UTF-8 with 00 as 00 FF, 00
    bytes   = 06, the bytes with 00 as 00 FF, 00
    tuple   = 07, each element as a key, 00

Bytes are compared as unsigned. So None < False < True < numbers by value < texts by code point < bytes < tuples by
their elements. 1, 1.0 and True are three keys. A list is taken as the tuple of its elements. Where one key's bytes
begin another's, the other goes on with FF, which no encoding begins with: so what is behind a key, by which its values
are sorted, never moves it among the keys (see `composite`).

The idea of an encoding that sorts is FoundationDB's tuple layer (its design/tuple.md).
"""

import math
import numbers
import struct
from collections.abc import Callable
from typing import Any, Final
from zlib import crc32

from mrjerb.errors import JobError

NONE, FALSE, TRUE, NUMBER, TEXT, BYTES, TUPLE, END = (
    b"\x01",
    b"\x02",
    b"\x03",
    b"\x04",
    b"\x05",
    b"\x06",
    b"\x07",
    b"\0",
)
SIGN: Final = 1 << 63
ALL: Final = (1 << 64) - 1
PLAIN_INT: Final = 0x80  # an int that its float is exactly; below and above: ints beside their nearest float
PLAIN_FLOAT: Final = 0x81
LARGEST: Final = 1 << 1023

_double = struct.Struct(">d")
_word = struct.Struct(">Q")
_length = struct.Struct(">I")


def encode(key: Any) -> bytes:
    """A key as bytes that sort as keys do. Raises JobError for a type that has no place in the order."""
    kind = type(key)
    if kind is str:
        return _text(key)
    encoder = _ENCODERS.get(kind)
    return encoder(key) if encoder else _other(key)


def decode(data: bytes) -> Any:
    """The key of its bytes."""
    if data[0] == TEXT[0] and data.find(END, 1) == len(data) - 1:  # a text without zeros, as nearly all keys are
        return data[1:-1].decode("utf-8", "surrogatepass")
    return _decode(data, 0)[0]


def composite(key: Any, order: Any) -> bytes:
    """A key and, behind it, what its values are sorted by; the key's length in four bytes ends it (see `key_part`)."""
    encoded = encode(key)
    return encoded + encode(order) + _length.pack(len(encoded))


def key_part(data: bytes) -> bytes:
    """The key of a `composite`, encoded."""
    return data[: _length.unpack_from(data, len(data) - 4)[0]]


def partition_of(encoded: bytes, partitions: int) -> int:
    """Which of so many partitions a key belongs to: the same in every process, on every engine."""
    return crc32(encoded) % partitions


def _text(key: str) -> bytes:
    try:
        return f"\x05{key}\0".encode() if "\0" not in key else TEXT + key.encode().replace(b"\0", b"\0\xff") + END
    except UnicodeEncodeError:  # half a surrogate pair, as JSON may hold
        return TEXT + key.encode("utf-8", "surrogatepass").replace(b"\0", b"\0\xff") + END


def _bytes(key: bytes) -> bytes:
    return BYTES + key.replace(b"\0", b"\0\xff") + END


def _float(number: float) -> bytes:
    return NUMBER + _sortable(number) + bytes((PLAIN_FLOAT,))


def _int(number: int) -> bytes:
    if not -LARGEST < number < LARGEST:
        raise JobError("a key holds a whole number beyond 2^1023; yield its text in its place")
    nearest = float(number)
    beside = number - int(nearest)
    return NUMBER + _sortable(nearest) + _beside(beside)


def _beside(beside: int) -> bytes:
    """What tells an int from its nearest float: less as bytes where it is less."""
    if not beside:
        return bytes((PLAIN_INT,))
    length = (abs(beside).bit_length() + 7) // 8
    if beside < 0:
        return bytes((PLAIN_INT - length,)) + (beside + (1 << 8 * length)).to_bytes(length, "big")
    return bytes((PLAIN_FLOAT + length,)) + beside.to_bytes(length, "big")


def _sortable(number: float) -> bytes:
    if math.isnan(number):
        number = math.nan  # whichever it was: one key, behind all numbers
    bits = _word.unpack(_double.pack(number or 0.0))[0]  # -0.0 is 0.0
    return _word.pack(bits ^ (ALL if bits & SIGN else SIGN))


def _tuple(key: tuple[Any, ...] | list[Any]) -> bytes:
    return TUPLE + b"".join(map(encode, key)) + END


def _other(key: Any) -> bytes:
    """Keys of types that are like the known ones: an enum of texts, numpy's numbers, a named tuple."""
    for like, make in _LIKE:
        if isinstance(key, like):
            return encode(make(key))
    raise JobError(
        f"{type(key).__name__} can't be a key: keys are None, bool, int, float, str, bytes, and tuples of these. "
        f"Yield one of them in its place, such as key.isoformat() of a date. It was {key!r:.100}"
    )


def _exactly(number: Any) -> float:
    """A number of another type as a float, where it is one: two fractions must not become one key."""
    found = float(number)
    if found != number and not math.isnan(found):
        raise JobError(
            f"{number!r:.100} as a key would not be exact as a float; yield its text or a tuple in its place"
        )
    return found


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: NONE,
    bool: lambda key: TRUE if key else FALSE,
    int: _int,
    float: _float,
    bytes: _bytes,
    tuple: _tuple,
    list: _tuple,
}
_LIKE: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),
    (numbers.Integral, int),
    (numbers.Real, _exactly),
    ((bytes, bytearray), bytes),
    ((tuple, list), tuple),
)


def _decode(data: bytes, at: int) -> tuple[Any, int]:
    """The key at a place, and where it ends."""
    kind = data[at : at + 1]
    at += 1
    if kind in (TEXT, BYTES):
        return _decode_text(data, at, kind)
    if kind == NUMBER:
        return _decode_number(data, at)
    if kind == TUPLE:
        elements = []
        while data[at : at + 1] != END:
            element, at = _decode(data, at)
            elements.append(element)
        return tuple(elements), at + 1
    return {NONE: None, FALSE: False, TRUE: True}[kind], at


def _decode_text(data: bytes, at: int, kind: bytes) -> tuple[str | bytes, int]:
    end = data.index(END, at)
    while data[end + 1 : end + 2] == b"\xff":  # 00 FF: a zero of the text's own
        end = data.index(END, end + 2)
    found = data[at:end].replace(b"\0\xff", b"\0")
    return found if kind == BYTES else found.decode("utf-8", "surrogatepass"), end + 1


def _decode_number(data: bytes, at: int) -> tuple[int | float, int]:
    bits = _word.unpack_from(data, at)[0]
    nearest = _double.unpack(_word.pack(bits ^ (SIGN if bits & SIGN else ALL)))[0]
    kind, at = data[at + 8], at + 9
    if kind == PLAIN_FLOAT:
        return nearest, at
    if kind == PLAIN_INT:
        return int(nearest), at
    length = PLAIN_INT - kind if kind < PLAIN_INT else kind - PLAIN_FLOAT
    beside = int.from_bytes(data[at : at + length], "big")
    return int(nearest) + (beside - (1 << 8 * length) if kind < PLAIN_INT else beside), at + length
