"""What of a question HBase's region servers can decide, as a text in HBase's filter language. Nothing here does I/O.

    c:t               the row's time, 8 bytes big-endian, on every row
    c:CODE FIELD      a column field of the root event of type CODE, as `comparable` writes it

A filter lets through more than was asked, never less: what has no such cell passes, numbers are compared as floats with
the borders included, and what HBase can't decide is not asked. The reader looks at every row again.
"""

import struct
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from eventlog.expressions import NOTES, Both, Compare, Either, Expression, Field, IsIn, StartsWith
from eventlog.keys import type_code
from eventlog.times import END, Micros, since_epoch

TIME: Final = b"t"
NOTHING: Final = b"\x00"
_MANY: Final = 256  # values of an `is_in` that are still asked one by one
_NARROW: Final = {"==": "=", "<": "<=", "<=": "<=", ">": ">=", ">=": ">="}


def comparable(value: Any) -> bytes:
    """A column's value as bytes that sort as the values do: numbers and times as floats, texts as UTF-8."""
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        value = since_epoch(value)
    if isinstance(value, int | float):
        return b"n" + _sortable(value)
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    return b"b" + bytes(value)


def _sortable(number: float) -> bytes:
    """A number as eight bytes that sort as numbers do (the sign flipped; all bits, where it is negative)."""
    try:
        [bits] = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    except OverflowError:
        [bits] = struct.unpack(">Q", struct.pack(">d", float("inf") if number > 0 else float("-inf")))
    return (bits ^ (2**64 - 1 if bits >> 63 else 1 << 63)).to_bytes(8)


def qualifier(field: Field) -> bytes:
    """Where a root's column is kept, in family `c`."""
    return type_code(field.type) + field.name.encode()


def row_filter(where: Expression | None, since: Micros, until: Micros) -> tuple[bytes | None, list[bytes]]:
    """The filter of a question, None for none, and the qualifiers in `c` that it looks at."""
    parts: list[bytes] = []
    looked: list[bytes] = []
    if since > 0:
        parts.append(_compare(TIME, ">=", since.to_bytes(8)))
    if until < END:
        parts.append(_compare(TIME, "<", until.to_bytes(8)))
    if parts:
        looked.append(TIME)
    if where is not None and (asked := _asked(where)) is not None:
        parts.append(asked)
        looked += sorted({qualifier(field) for field in where.fields() if _kept(field)})
    return (b" AND ".join(parts) if parts else None), looked


def _kept(field: Field) -> bool:
    """Whether a field can have a cell of its own in `c`: one that is named with its type."""
    return field.type not in ("", NOTES) and field.name not in ("user", "time", "type")


def _asked(where: Expression) -> bytes | None:
    """An expression in the filter language, or None where it can't be said."""
    match where:
        case Both(left, right):
            parts = [part for part in (_asked(left), _asked(right)) if part is not None]
            return b"(" + b" AND ".join(parts) + b")" if parts else None
        case Either(left, right):
            both = (_asked(left), _asked(right))
            return None if both[0] is None or both[1] is None else b"(" + both[0] + b" OR " + both[1] + b")"
        case Compare(field, sign, value) if sign in _NARROW and _kept(field) and _comparable(value):
            return _compare(qualifier(field), _NARROW[sign], comparable(value))
        case IsIn(field, values) if _kept(field) and 0 < len(values) <= _MANY and all(map(_comparable, values)):
            return b"(" + b" OR ".join(_compare(qualifier(field), "=", comparable(value)) for value in values) + b")"
        case StartsWith(field, beginning) if _kept(field):
            return _compare(qualifier(field), "=", comparable(beginning), b"binaryprefix:")
    return None


def _comparable(value: Any) -> bool:
    """A number that is not one is equal to nothing, whatever its bytes; and only these kinds sort by their bytes."""
    return isinstance(value, str | int | float | bytes | datetime) and value == value  # noqa: PLR0124


def _compare(name: bytes, sign: str, value: bytes, how: bytes = b"binary:") -> bytes:
    arguments = [quoted(b"c"), quoted(name), sign.encode(), quoted(how + value), b"false", b"true"]
    return b"SingleColumnValueFilter(" + b", ".join(arguments) + b")"


def quoted(value: bytes) -> bytes:
    """Bytes in the filter language: between quotes, a quote written twice."""
    return b"'" + value.replace(b"'", b"''") + b"'"


def column_cells(code: bytes, columns: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """The cells in `c` of a root's columns: qualifier and value."""
    for name, value in columns.items():
        yield code + name.encode(), comparable(value)
