"""Events as cells, many at a time: the same cells that `cells.take` makes of them, at a fraction of its cost.

A file's lines are decoded into a `Line`: a plain Struct of the type's fields under their names in files. Since decoding
has checked every value, what is left is to read fields and to encode them, by encoders that are made once for a type:

    told       the fields that tell events apart, in the order of their names, without those that have their default
    columns    the columns, for the head
    rest       the other fields, for the body

What a Line can't hold (fields that the class does not know; a class with a `__post_init__` of its own; fields whose
name in files is the one that says the type) goes through `cells.take` itself.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec

from eventlog import keys, serializers
from eventlog.cells import BODY_BYTES, Cell, parent_row, take
from eventlog.erasure import Erased
from eventlog.errors import EventError, EventlogError
from eventlog.schema import Schema
from eventlog.times import DAY, END, UNITS, Micros, day_start, micros, moment

TYPE: Final = "type"  # the field that says which type a line is
USERS: Final = 2**17  # whose prefixes are remembered: about 20 MB

Cells = list[tuple[bytes, bytes, bytes]]  # key (row and place in one), head, body

LEAST: Final = -(2**63)
MOST: Final = 2**63 - 1

_Bounded = Annotated[int, msgspec.Meta(ge=LEAST, le=MOST)]
_BOUNDED: Final[dict[Any, Any]] = {int: _Bounded, int | None: _Bounded | None}  # pyright: ignore[reportOperatorIssue]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = moment(1) - moment(0)
_prefix_of = keys.user_prefix.__wrapped__  # what is kept here is more, and costs less to look up
_tail = struct.Struct(">q8s").pack
_content = msgspec.msgpack.Encoder(order="deterministic").encode
_encode = msgspec.msgpack.Encoder().encode
_PAIR: Final = b"\x92"  # msgpack: two things follow
_ID: Final = b"#"  # as `cells.own_id` writes it
_NOTHING: Final = b"\x80"  # msgpack: an empty map


class Limits(msgspec.Struct, frozen=True):
    """The times that the events of a day's files may have: from `since` up to, and without, `until`."""

    since: Micros
    until: Micros
    day: str

    @classmethod
    def of(cls, day: str, slack: Micros) -> "Limits":
        start = day_start(day)
        return cls(start - slack, start + DAY + slack, day)

    @property
    def first(self) -> Micros:
        """The first moment of the day itself."""
        return day_start(self.day)

    def check(self, time: Micros) -> None:
        """Raises EventError where a time is not of the day."""
        if not self.since <= time < self.until:
            raise EventError(
                f"time: {moment(time):%Y-%m-%dT%H:%M:%SZ} is not of {self.day}, nor within the slack around it"
            )


class Made(msgspec.Struct):
    """Cells, and what no cell was made of: indexes of events with the reason, and how many are of erased users.

    `here` are cells whose rows are known to be of the import's day; of `cells` this is not known.
    """

    cells: Cells
    bad: list[tuple[int, str]]
    erased: int = 0
    here: Cells = []

    def done(self) -> int:
        """How many events came to something."""
        return len(self.cells) + len(self.here) + self.erased


class Maker:
    """Makes cells of the events of one type.

    `batch` is the number of the import. `erased` is asked of every event before a cell is made.
    """

    def __init__(self, schema: Schema, batch: int, limits: Limits, erased: Erased = Erased()) -> None:  # noqa: B008  (frozen)
        self.schema = schema
        self.line = line_type(schema)
        self.plain = plain_type(schema)
        self.fast = self.line is not None and not hasattr(schema.cls, "__post_init__")
        self._batch = batch
        self._limits = limits
        self._erased = erased
        self._time = _reader_of_times(schema)
        self._root = keys.root_place(schema.code)
        self._told = _told(schema)
        self._head = _head(schema, batch)
        self._body = _body(schema)
        self._key = self._root_key if schema.parent_field is None else self._child_key
        self._prefixes: dict[str, bytes] = {}
        self._plain_root = schema.parent_field is None and not erased

    def make(self, events: Sequence[Any]) -> Made:
        """The cells of Lines, in their order; their indexes are those of `events`."""
        made = Made([], [])
        start = 0
        while start < len(events):  # again behind each bad one: entering a `try` for each event costs more
            done = made.done()
            try:
                if self._plain_root:
                    self._make_roots(events, start, made)
                else:
                    self._make_others(events, start, made)
                break
            except (EventlogError, ValueError, TypeError, OverflowError, RecursionError) as error:
                start += made.done() - done
                made.bad.append((start, told(error, self.schema)))
                start += 1
        return made

    def _make_roots(self, events: Sequence[Any], start: int, made: Made) -> None:
        """The shortest way, of root events, where no user was erased. Everything is at hand: this is run most."""
        add, prefixes, root = made.here.append, self._prefixes, self._root
        first, last = self._limits.first, self._limits.first + DAY
        read_time, told, head, body = self._time, self._told, self._head, self._body
        since, until = self._limits.since, self._limits.until
        for event in islice(events, start, None):
            user = event.user
            time = read_time(event.time)
            if not since <= time < until:
                self._limits.check(time)
            prefix = prefixes.get(user) or self._prefix(user)
            cell = (prefix + _tail(time, told(event)) + root, head(event), body(event))
            if first <= time < last:
                add(cell)
            else:
                made.cells.append(cell)

    def _make_others(self, events: Sequence[Any], start: int, made: Made) -> None:
        for event in islice(events, start, None):
            key = self._key(event)
            if key is None:
                made.erased += 1
            else:
                made.cells.append((key, self._head(event), self._body(event)))

    def _root_key(self, event: Any) -> bytes | None:
        user = event.user
        time = self._time(event.time)
        self._limits.check(time)
        if self._erased.covers(user, time):
            return None
        prefix = self._prefixes.get(user) or self._prefix(user)
        return prefix + _tail(time, self._told(event)) + self._root

    def _child_key(self, event: Any) -> bytes | None:
        time = self._time(event.time)
        self._limits.check(time)
        distinct = self._told(event)
        names = {self.schema.parent_field: getattr(event, self.schema.parent_field or ""), "user": self._user(event)}
        row = parent_row(self.schema, names, time, distinct)
        if self._erased.covers_row(row):
            return None
        return row + keys.child_place(time, distinct, self.schema.code)

    def _user(self, event: Any) -> Any:
        return event.user if "user" in self.schema.types else None

    def _prefix(self, user: str) -> bytes:
        if len(self._prefixes) >= USERS:
            self._prefixes.clear()
        found = self._prefixes[user] = _prefix_of(user)
        return found

    def make_one(self, event: Any, unknown: dict[str, Any]) -> tuple[bytes, bytes, bytes] | None:
        """The cell of an event in the plain way; None where its user was erased. Raises EventlogError."""
        cell = take(self.schema, event, batch=self._batch, unknown=unknown).cell
        key = keys.read_row(cell.row)
        time = keys.place_time(cell.place) if cell.place[:1] == keys.CHILD else key.time
        self._limits.check(time)
        if self._erased.covers_row(cell.row):
            return None
        return sortable(cell)


def sortable(cell: Cell) -> tuple[bytes, bytes, bytes]:
    """A cell as it is sorted: row and place in one."""
    return cell.row + cell.place, cell.head, cell.body


def told(error: Exception, schema: Schema) -> str:
    """An error as the reason that stands beside a bad line."""
    text = str(error)
    return text if isinstance(error, EventlogError) else f"{schema.name}: can't be written: {text}"


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


def _reader_of_times(schema: Schema) -> Callable[[Any], Micros]:
    if schema.time_type is int:
        scale, end, unit = UNITS[schema.time_unit], END // UNITS[schema.time_unit], schema.time_unit
        return lambda value: value * scale if 0 <= value < end else micros(value, unit)
    if schema.time_type is not datetime:
        return lambda value: micros(value, schema.time_unit)

    def read(value: datetime) -> Micros:
        if value.tzinfo is not UTC:
            return micros(value)
        return (value - _EPOCH) // _MICROSECOND

    return read


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Reads fields as a tuple, in C."""
    if len(names) > 1:
        return attrgetter(*names)
    if names:
        one = attrgetter(names[0])
        return lambda event: (one(event),)
    return lambda _event: ()


def _may_lack_zone(hint: Any) -> bool:
    """Whether a field may hold a datetime without a zone, which is stored as of UTC."""
    return "datetime" in str(hint) or hint is Any


def _may_be_wide(hint: Any) -> bool:
    """Whether a Line's field may be a whole number of more than 64 bits, which can't be stored."""
    plain = _plain(hint)
    return plain not in _BOUNDED and (plain is Any or int in get_args(plain))


def _plain(hint: Any) -> Any:
    """A type without its mark as a column."""
    return _plain(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def _values(schema: Schema, names: Sequence[str], *, check: bool = True) -> Callable[[Any], Sequence[Any]]:
    """Reads fields as `cells.valid` gives them; without `check`, without its limit of whole numbers."""
    get = _getter(names)
    zones = [index for index, name in enumerate(names) if _may_lack_zone(schema.types[name])]
    wide = [(index, name) for index, name in enumerate(names) if check and _may_be_wide(schema.types[name])]
    if not zones and not wide:
        return get

    def read(event: Any) -> Sequence[Any]:
        values = get(event)
        for index, name in wide:
            if isinstance(values[index], int) and not LEAST <= values[index] <= MOST:
                raise EventError(f"{schema.name}.{name}: a number of more than 64 bits can't be stored")
        return _zoned(values, zones) if zones else values

    return read


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


def _told(schema: Schema) -> Callable[[Any], bytes]:
    """What `cells.distinction` gives."""
    names = sorted((*schema.columns, *schema.rest))
    values = _values(schema, names, check=False)
    packed = _packed(names)
    defaults = [(index, schema.defaults[name]) for index, name in enumerate(names) if name in schema.defaults]
    code = schema.code + _PAIR
    hashed = hashlib.blake2b

    def tell(event: Any) -> bytes:
        found = values(event)
        if defaults:
            found = list(found)
            for index, default in defaults:
                if found[index] == default:
                    found[index] = msgspec.UNSET
        return hashed(code + _content(packed(*found)) + _NOTHING, digest_size=8).digest()

    if schema.id_field is None:
        return tell

    named = schema.code + _ID

    def tell_by_id(event: Any) -> bytes:
        name = event.id
        if name == "" or name is None:
            return tell(event)
        return hashed(named + str(name).encode("utf-8", "surrogatepass"), digest_size=8).digest()

    return tell_by_id


def _head(schema: Schema, batch: int) -> Callable[[Any], bytes]:
    begin = _encode((schema.version, schema.serializer.number, batch, {}))[:-1]
    if not schema.columns:
        whole = begin + _NOTHING
        return lambda _event: whole
    values = _values(schema, schema.columns)
    packed = _packed(schema.columns)

    def head(event: Any) -> bytes:
        made = begin + _encode(packed(*values(event)))
        if len(made) > BODY_BYTES:
            raise _too_large(schema, made)
        return made

    return head


def _too_large(schema: Schema, made: bytes) -> EventError:
    return EventError(f"{schema.name}: takes {len(made):,} bytes; at most {BODY_BYTES:,} can be stored")


def _body(schema: Schema) -> Callable[[Any], bytes]:
    """What `cells.encode_body` gives."""
    if not schema.rest:
        return lambda _event: b""
    values, encode = _values(schema, schema.rest), schema.serializer.encode
    builtin = isinstance(schema.serializer, serializers.MessagePack | serializers.Json)
    packed: Callable[..., Any] = _packed(schema.rest) if builtin else _named(schema.rest)

    def body(event: Any) -> bytes:
        made = encode(packed(*values(event)))
        if len(made) > BODY_BYTES:
            raise _too_large(schema, made)
        return made

    return body
