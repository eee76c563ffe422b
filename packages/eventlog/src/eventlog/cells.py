"""Events as cells, and cells as events. A cell is what engines keep: a place in a row, a head, and a body.

    head = msgpack [version, serializer, batch, columns]    of an event; columns is a map by field
         | msgpack [0, 0, batch, value]                     of a note
         | msgpack [0, 0, batch, nil]                       where a root was that is past its time to live
    body = the other fields, as the event's serializer wrote them; empty for a note

`batch` is the number of the import that wrote the cell, 0 for all other writes. Nothing here does I/O.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from eventlog import keys, serializers
from eventlog.errors import EventError, SchemaError
from eventlog.keys import Place, Row
from eventlog.schema import Reference, Schema
from eventlog.times import Micros, micros, zoned

NOBODY: Final = "?"  # the user of a child that names neither parent nor user
EXPIRED: Final = 0  # the version of what is left of a root that is past its time to live while its children live
BODY_BYTES: Final = 8 * 2**20  # at most, of one event; HBase takes 10 MiB unless told otherwise

_content = msgspec.msgpack.Encoder(order="deterministic").encode
_encode = msgspec.msgpack.Encoder().encode


class Cell(NamedTuple):
    """What is stored at one place of one row."""

    row: Row
    place: Place
    head: bytes
    body: bytes


class Cells(msgspec.Struct, array_like=True):
    """Many cells, as three lists of the same length: these are made, sorted and read faster than a tuple for each."""

    keys: list[bytes] = []  # row and place in one
    heads: list[bytes] = []
    bodies: list[bytes] = []

    @classmethod
    def of(cls, cells: Iterable[tuple[bytes, bytes, bytes]]) -> "Cells":
        """Of tuples of key, head and body."""
        made = cls()
        for key, head, body in cells:
            made.keys.append(key)
            made.heads.append(head)
            made.bodies.append(body)
        return made

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        return zip(self.keys, self.heads, self.bodies, strict=True)

    def add(self, more: "Cells") -> None:
        self.keys += more.keys
        self.heads += more.heads
        self.bodies += more.bodies

    def part(self, start: int, stop: int) -> "Cells":
        return Cells(self.keys[start:stop], self.heads[start:stop], self.bodies[start:stop])

    def picked(self, indexes: Sequence[int]) -> "Cells":
        """Those at some indexes, in the order of these."""
        return Cells(*([some[index] for index in indexes] for some in (self.keys, self.heads, self.bodies)))

    def order(self) -> list[int]:
        """The indexes in the order of the keys; those of equal keys as they come."""
        return sorted(range(len(self.keys)), key=self.keys.__getitem__)


class Head(msgspec.Struct, array_like=True, frozen=True):
    """A cell's head, read. `columns` is a note's value, or a map."""

    version: int
    serializer: int
    batch: int
    columns: Any


read_head = msgspec.msgpack.Decoder(Head).decode


class Taken(NamedTuple):
    """An event taken apart: its id and its cell."""

    id: str
    cell: Cell


def take(
    schema: Schema,
    event: Any,
    *,
    batch: int = 0,
    unknown: Mapping[str, Any] | None = None,
    version: int = 0,
    columns: Collection[str] = (),
    occurrence: int = 0,
) -> Taken:
    """An event as a cell. Raises EventError on what can't be stored, with the field.

    `unknown` are fields that the class does not know and the event was read with; `version` the version that it was
    read with, and `columns` those of its fields that are columns. `occurrence` tells events of the very same content
    apart: the second is 1.
    """
    values = valid(schema, event)
    time = micros(values["time"], schema.time_unit)
    distinct = distinction(schema, values, unknown, occurrence)
    if schema.parent_field is None:
        row, place = keys.row(values["user"], time, distinct), keys.root_place(schema.code)
    else:
        row = parent_row(schema, values, time, distinct)
        place = keys.child_place(time, distinct, schema.code)
    more = dict(unknown or {})
    held = {name: values[name] for name in schema.columns} | {name: more.pop(name) for name in columns if name in more}
    rest = {name: values[name] for name in schema.rest}
    head = _limited(schema.name, _encode((max(schema.version, version), schema.serializer.number, batch, held)))
    return Taken(keys.event_id(row, place), Cell(row, place, head, encode_body(schema, rest | more)))


def valid(schema: Schema, event: Any) -> dict[str, Any]:
    """The fields of an event, each of its declared type. Raises EventError with the field that is not."""
    try:
        checked = msgspec.convert(
            {schema.encoded[name]: getattr(event, name) for name in schema.types}, schema.cls, from_attributes=True
        )
    except AttributeError as error:
        raise EventError(f"{schema.name}: {error}") from None
    except msgspec.ValidationError as error:
        raise EventError(f"{schema.name}: {error}") from None
    values = {name: zoned(getattr(checked, name)) for name in schema.types}
    for name, value in values.items():
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise EventError(f"{schema.name}.{name}: a number of more than 64 bits can't be stored")
    return values


def distinction(
    schema: Schema, values: Mapping[str, Any], unknown: Mapping[str, Any] | None = None, occurrence: int = 0
) -> bytes:
    """What tells an event from others of its user and moment: its `id`, or all else that it holds.

    A field that has its default does not count, so that a new field with a default makes no event another. The second
    event of the very same content is told by a hash of the first one's: who meets it need not have the content.
    """
    if schema.id_field is not None and values["id"] not in ("", None):
        return own_id(schema.code, values["id"])
    told = {name: values[name] for name in (*schema.columns, *schema.rest)}
    told = {
        name: value for name, value in told.items() if name not in schema.defaults or value != schema.defaults[name]
    }
    try:
        first = keys.unique(schema.code, _told(told, dict(unknown or {})))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise EventError(f"{schema.name}: {error}") from None
    return repeated(schema.code, first, occurrence)


def _told(*fields: dict[str, Any]) -> bytes:
    """A content as bytes, the same for the same content; keys of a field that are no texts are told as such."""
    try:
        return _content(fields)
    except TypeError:
        return _content(msgspec.to_builtins(fields, str_keys=True, builtin_types=(bytes,), order="deterministic"))


def repeated(code: bytes, first: bytes, occurrence: int) -> bytes:
    """What tells a further event of the very same content: the second has `occurrence` 1."""
    return keys.unique(code, first + occurrence.to_bytes(4)) if occurrence else first


def own_id(code: bytes, name: object) -> bytes:
    """What an event's own `id` comes to in a key. 7 and "7" are the same."""
    return keys.unique(code, b"#" + str(name).encode("utf-8", "surrogatepass"))


def parent_row(schema: Schema, values: Mapping[str, Any], time: Micros, distinct: bytes) -> Row:
    """The row that a child goes to: its parent's, or one of its own, for ever an orphan, if it names none."""
    parent = values[schema.parent_field or ""]
    if parent is None or parent == "":
        user = values.get("user")
        return keys.row(user if isinstance(user, str) and user else NOBODY, time, distinct)
    if isinstance(parent, Reference):
        return keys.row(parent.user, micros(parent.time, schema.time_unit), own_id(schema.parent_code, parent.id))
    row, place = keys.read_event_id(parent)
    if place != keys.ROOT:
        raise EventError(f"{schema.name}.{schema.parent_field}: names a child; name the root event itself")
    return row


def encode_body(schema: Schema, fields: Mapping[str, Any]) -> bytes:
    """The fields that are no columns, as bytes. Raises EventError."""
    if not fields:
        return b""
    try:
        body = schema.serializer.encode(fields)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise EventError(f"{schema.name}: can't be written: {error}") from None
    return _limited(schema.name, body)


def _limited(what: str, raw: bytes) -> bytes:
    if len(raw) > BODY_BYTES:
        raise EventError(f"{what}: takes {len(raw):,} bytes; at most {BODY_BYTES:,} can be stored")
    return raw


def note_cell(row: Row, subject: Place, name: str, value: Any, batch: int = 0) -> Cell:
    """A derived column as a cell. Raises EventError on a value that is not a number, a text, a bool or a time."""
    try:
        return Cell(row, keys.note_place(subject, name), _limited(f"note {name}", _encode((0, 0, batch, value))), b"")
    except (TypeError, ValueError, OverflowError) as error:
        raise EventError(f"note {name}: {error}") from None


def expired_cell(root: Cell) -> Cell:
    """What is left of a root that is past its time to live, so that its children are no orphans."""
    return Cell(root.row, root.place, _encode((EXPIRED, 0, read_head(root.head).batch, None)), b"")


def decode_body(head: Head, body: bytes, by_number: Mapping[int, serializers.Serializer]) -> dict[str, Any]:
    """A body by the serializer that wrote it. Raises SchemaError where that is not there, or can't read it."""
    if not body:
        return {}
    serializer = by_number.get(head.serializer)
    if serializer is None:
        raise SchemaError(f"an event was written by serializer {head.serializer}, which none of the event types has")
    try:
        return serializer.decode(body)
    except (ValueError, TypeError, KeyError, EOFError) as error:
        raise SchemaError(f"a stored event can't be read by serializer {head.serializer}: {error}") from None
