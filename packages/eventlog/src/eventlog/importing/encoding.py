"""Events into the bytes of their cells, many at a time: a list for each part of a cell, and no Python between.

A type's encoders are made once. Decoding has checked every value, so what is left is to read fields and to write them:

    times      microseconds since 1970
    told       a hash of the fields that tell events apart, in the order of their names, without those that have their
               default; or of the event's own id
    heads      the columns
    bodies     the other fields

Each is what `cells` makes of one event, and a test holds it to that.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import repeat, starmap
from operator import add, attrgetter
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from eventlog import serializers
from eventlog.cells import BODY_BYTES
from eventlog.errors import EventError
from eventlog.keys import digests
from eventlog.schema import Schema
from eventlog.times import END, UNITS, Micros, micros, moment

TYPE: Final = "type"  # the field that says which type a line is
LEAST: Final = -(2**63)
MOST: Final = 2**63 - 1

Encoder = Callable[[Sequence[Any]], list[bytes]]  # of the events of one type, of which there is at least one
Reader = Callable[[Sequence[Any]], Iterable[Sequence[Any]]]

_Bounded = Annotated[int, msgspec.Meta(ge=LEAST, le=MOST)]
_BOUNDED: Final[dict[Any, Any]] = {int: _Bounded, int | None: _Bounded | None}  # pyright: ignore[reportOperatorIssue]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = moment(1) - moment(0)
_content = msgspec.msgpack.Encoder(order="deterministic").encode
_encode = msgspec.msgpack.Encoder().encode
_PAIR: Final = b"\x92"  # msgpack: two things follow
_ID: Final = b"#"  # as `cells.own_id` writes it
_NOTHING: Final = b"\x80"  # msgpack: an empty map


def line_type(schema: Schema) -> type[msgspec.Struct] | None:
    """The Struct that lines of a type are decoded into; None where no field can say the type beside the others."""
    if TYPE in schema.encoded.values():
        return None
    return _struct(schema, bounded=True, tag=schema.name, tag_field=TYPE, forbid_unknown_fields=True)


def plain_type(schema: Schema) -> type[msgspec.Struct]:
    """The same for fields whose type is known otherwise."""
    return _struct(schema)


def _struct(schema: Schema, *, bounded: bool = False, **options: Any) -> type[msgspec.Struct]:
    renamed = dict(schema.encoded)
    fields = line_fields(schema)
    if bounded:  # decoding refuses wider numbers, so that nothing has to look at each
        fields = [(name, _BOUNDED.get(_plain(hint), hint), default) for name, hint, default in fields]
    return msgspec.defstruct(schema.name, fields, rename=renamed, kw_only=True, gc=False, **options)


def line_fields(schema: Schema) -> list[tuple[str, Any, Any]]:
    """The fields of a type as `defstruct` takes them, with the defaults of its class."""
    made = []
    for field in msgspec.inspect.type_info(schema.cls).fields:  # type: ignore[attr-defined]
        default = msgspec.field()
        if field.default is not msgspec.NODEFAULT:
            default = msgspec.field(default=field.default)
        elif field.default_factory is not msgspec.NODEFAULT:
            default = msgspec.field(default_factory=field.default_factory)
        made.append((field.name, schema.types[field.name], default))
    return made


def times_of(schema: Schema) -> Callable[[Sequence[Any]], list[Micros]]:
    """Reads the times of events as `times.micros` gives them."""
    unit = schema.time_unit
    scale, end = UNITS[unit], END // UNITS[unit]

    def whole(events: Sequence[Any]) -> list[Micros]:
        values = [event.time for event in events]
        if min(values) >= 0 and max(values) < end:
            return [value * scale for value in values]
        return [micros(value, unit) for value in values]

    def zoned(events: Sequence[Any]) -> list[Micros]:
        values = [event.time for event in events]
        return [(value - _EPOCH) // _MICROSECOND if value.tzinfo is UTC else micros(value) for value in values]

    def other(events: Sequence[Any]) -> list[Micros]:
        return [micros(event.time, unit) for event in events]

    return whole if schema.time_type is int else zoned if schema.time_type is datetime else other


def _may_lack_zone(hint: Any) -> bool:
    """Whether a field may hold a datetime without a zone, which is stored as of UTC."""
    return "datetime" in str(hint) or hint is Any


def _may_be_wide(hint: Any) -> bool:
    """Whether a Line's field may be a whole number of more than 64 bits, which can't be stored."""
    plain = _plain(hint)
    union = get_origin(plain) in (Union, UnionType)
    return plain not in _BOUNDED and (plain is Any or (union and int in get_args(plain)))


def _plain(hint: Any) -> Any:
    """A type without its mark as a column."""
    return _plain(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def _values(schema: Schema, names: Sequence[str], *, check: bool = True) -> Reader:
    """Reads fields as `cells.valid` gives them; without `check`, without its limit of whole numbers."""
    zones = [index for index, name in enumerate(names) if _may_lack_zone(schema.types[name])]
    wide = [(index, name) for index, name in enumerate(names) if check and _may_be_wide(schema.types[name])]
    get = _getter(names)
    if not zones and not wide:
        return get

    def checked(values: Sequence[Any]) -> Sequence[Any]:
        for index, name in wide:
            if isinstance(values[index], int) and not LEAST <= values[index] <= MOST:
                raise EventError(f"{schema.name}.{name}: a number of more than 64 bits can't be stored")
        return _zoned(values, zones) if zones else values

    return lambda events: map(checked, get(events))


def _getter(names: Sequence[str]) -> Reader:
    """Reads fields as tuples, in C."""
    if not names:
        return lambda events: repeat((), len(events))
    get = attrgetter(*names)
    if len(names) == 1:
        return lambda events: zip(map(get, events), strict=True)
    return lambda events: map(get, events)


def _zoned(values: Sequence[Any], zones: Sequence[int]) -> Sequence[Any]:
    made = list(values)
    for index in zones:
        value = made[index]
        if isinstance(value, datetime) and value.tzinfo is None:
            made[index] = value.replace(tzinfo=UTC)
    return made


def _packed(names: Sequence[str]) -> Callable[..., Any]:
    """Makes what is encoded as a map by name; a value UNSET is left out."""
    return msgspec.defstruct("Packed", [(name, Any) for name in names], gc=False)


def _named(names: Sequence[str]) -> Callable[..., Any]:
    """The same for a serializer that takes nothing but dicts."""
    return lambda *values: dict(zip(names, values, strict=True))


def told_of(schema: Schema) -> Encoder:
    """What `cells.distinction` gives."""
    by_content = _told_by_content(schema)
    if schema.id_field is None:
        return by_content
    named = schema.code + _ID
    if schema.types["id"] is int:
        form = named.replace(b"%", b"%%") + b"%d"
        return lambda events: digests([form % event.id for event in events])

    def tell(events: Sequence[Any]) -> list[bytes]:
        names = [event.id for event in events]
        made = digests([named + str(name).encode("utf-8", "surrogatepass") for name in names])
        nameless = [index for index, name in enumerate(names) if name == "" or name is None]
        if nameless:
            for index, one in zip(nameless, by_content([events[index] for index in nameless]), strict=True):
                made[index] = one
        return made

    return tell


def _told_by_content(schema: Schema) -> Encoder:
    names = sorted((*schema.columns, *schema.rest))
    values, packed = _values(schema, names, check=False), _packed(names)
    defaults = [(index, schema.defaults[name]) for index, name in enumerate(names) if name in schema.defaults]
    code = schema.code + _PAIR

    def without_defaults(found: Sequence[Any]) -> Sequence[Any]:
        left = list(found)
        for index, default in defaults:
            if left[index] == default:
                left[index] = msgspec.UNSET
        return left

    def tell(events: Sequence[Any]) -> list[bytes]:
        found = map(without_defaults, values(events)) if defaults else values(events)
        contents = map(_content, starmap(packed, found))
        return digests([code + content + _NOTHING for content in contents])

    return tell


def heads_of(schema: Schema, batch: int) -> Encoder:
    """The heads that `cells.take` makes."""
    begin = _encode((schema.version, schema.serializer.number, batch, {}))[:-1]
    if not schema.columns:
        return lambda events: [begin + _NOTHING] * len(events)
    values, packed = _values(schema, schema.columns), _packed(schema.columns)

    def heads(events: Sequence[Any]) -> list[bytes]:
        return _limited(schema, list(map(add, repeat(begin), map(_encode, starmap(packed, values(events))))))

    return heads


def bodies_of(schema: Schema) -> Encoder:
    """What `cells.encode_body` gives."""
    if not schema.rest:
        return lambda events: [b""] * len(events)
    values, encode = _values(schema, schema.rest), schema.serializer.encode
    builtin = isinstance(schema.serializer, serializers.MessagePack | serializers.Json)
    packed: Callable[..., Any] = _packed(schema.rest) if builtin else _named(schema.rest)

    def bodies(events: Sequence[Any]) -> list[bytes]:
        return _limited(schema, list(map(encode, starmap(packed, values(events)))))

    return bodies


def _limited(schema: Schema, made: list[bytes]) -> list[bytes]:
    largest = max(map(len, made))
    if largest > BODY_BYTES:
        raise EventError(f"{schema.name}: takes {largest:,} bytes; at most {BODY_BYTES:,} can be stored")
    return made
