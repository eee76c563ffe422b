"""Event types as classes, and what is derived from them once: which field is what, and how an event is taken apart.

    class Impression(Event, version=2):
        user: str
        time: datetime
        advertiser_id: Column[str]             a column of its own: `where` and `columns` read it without the rest
        price: float = 0.0

    class Click(Event, child_of=Impression):
        impression: Parent                     the id of the Impression, in whose row the Click is written
        time: datetime

    @event(version=1)                          the same for a dataclass
    @dataclass
    class PageView: ...

A root needs the fields `user` and `time`; a child needs `time` and one field of type Parent. A field `id`, where there
is one, is the event's own name: writing it again is writing the same event. Without one, the whole content is.
"""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from eventlog import keys, serializers
from eventlog.errors import SchemaError
from eventlog.expressions import Field
from eventlog.times import UNITS, Micros, period

T = TypeVar("T")
_COLUMN: Final = "eventlog.column"
_PARENT: Final = "eventlog.parent"
_DECLARED: Final = "__eventlog__"
_TIMES: Final = (datetime, int, float, str)

Column = Annotated[T, _COLUMN]


class Reference(msgspec.Struct, frozen=True):
    """A root event named by what its id is made of, where the id itself is not at hand."""

    user: str
    time: datetime | float | int  # in the unit of the child's `time_unit`
    id: str | int


Parent = Annotated[str | Reference | None, _PARENT]


class Declared(msgspec.Struct, frozen=True):
    """What a class says of itself beside its fields."""

    version: int = 1
    child_of: type | None = None
    serializer: Any = "msgpack"
    time_unit: str = "s"
    ttl: str | None = None  # `90d`: reads never give an event that is older


class EventMeta(type(msgspec.Struct)):
    """Makes `Impression.price` a Field, to compare with; the price of an event is its value, as ever."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> "EventMeta":
        ours = {field: options.pop(field) for field in Declared.__struct_fields__ if field in options}
        made = super().__new__(mcs, name, bases, namespace, **options)
        type.__setattr__(made, _DECLARED, Declared(**ours))
        return made

    def __getattribute__(cls, name: str) -> Any:
        if not name.startswith("_") and name in type.__getattribute__(cls, "__struct_fields__"):
            return Field(cls.__name__, name)
        return super().__getattribute__(name)


class Event(msgspec.Struct, metaclass=EventMeta, kw_only=True):
    """The base of event types. Options beside msgspec's own are those of Declared."""


def event(
    *,
    version: int = 1,
    child_of: type | None = None,
    serializer: Any = "msgpack",
    time_unit: str = "s",
    ttl: str | None = None,
) -> Callable[[type[T]], type[T]]:
    """Makes a dataclass an event type. The options are those of Event."""

    def decorate(cls: type[T]) -> type[T]:
        if not dataclasses.is_dataclass(cls):
            raise SchemaError(f"{cls.__name__} is no dataclass: put @event above @dataclass, or derive from Event")
        setattr(cls, _DECLARED, Declared(version, child_of, serializer, time_unit, ttl))
        for field in dataclasses.fields(cls):
            setattr(cls, field.name, _ClassField(cls.__name__, field.name, cls.__dict__.get(field.name)))
        return cls

    return decorate


class _ClassField:
    """A dataclass's field seen from its class; `slot` is the descriptor that it had (of slots=True)."""

    def __init__(self, kind: str, name: str, slot: Any) -> None:
        self._field = Field(kind, name)
        self._slot = slot if hasattr(slot, "__set__") else None
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self._field
        return self._slot.__get__(instance, owner) if self._slot else instance.__dict__[self._name]

    def __set__(self, instance: Any, value: Any) -> None:
        if self._slot:
            self._slot.__set__(instance, value)
        else:
            instance.__dict__[self._name] = value


class Schema:
    """One event type, as the log uses it.

    `columns` and `rest` are the names of the fields that are stored as columns and in the body; `user`, `time` and
    the parent lie in the key.
    """

    def __init__(self, cls: type) -> None:
        if not isinstance(cls, type):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SchemaError(f"{cls!r:.60} is no event type: give classes")
        declared = cls.__dict__.get(_DECLARED) or (isinstance(cls, EventMeta) and type.__getattribute__(cls, _DECLARED))
        if not isinstance(declared, Declared):
            raise SchemaError(
                f"{cls!r} is no event type: derive it from eventlog.Event, or put @eventlog.event above it"
            )
        self.cls = cls
        self.name = cls.__name__
        self.code = keys.type_code(self.name)
        self.version = declared.version
        self.time_unit = declared.time_unit
        self.ttl = _ttl(self.name, declared.ttl)
        self.parent = declared.child_of
        self.serializer = serializers.named(declared.serializer)
        hints = get_type_hints(cls, include_extras=True)
        found = _fields(cls)
        self.types: Mapping[str, Any] = {name: hints[name] for name in found}
        self.encoded: Mapping[str, str] = _encoded(cls)
        self._names = frozenset(self.types)
        self._renames = any(name != encoded for name, encoded in self.encoded.items())
        self.defaults = {name: default for name, default in found.items() if default is not msgspec.NODEFAULT}
        self._roles(hints)
        self._check(declared)
        self._upgrade = type.__getattribute__(cls, "upgrade") if hasattr(cls, "upgrade") else None

    def _roles(self, hints: Mapping[str, Any]) -> None:
        marks = {name: _marks(hint) for name, hint in hints.items() if name in self.types}
        parents = [name for name, mark in marks.items() if _PARENT in mark]
        if (self.parent is None) != (not parents) or len(parents) > 1:
            raise SchemaError(
                f"{self.name}: a child says child_of=TYPE and has one field of type Parent; here are "
                f"child_of={getattr(self.parent, '__name__', None)} and {parents or 'no such field'}"
            )
        self.parent_field = parents[0] if parents else None
        self.id_field = "id" if "id" in self.types else None
        in_key = {"time", self.parent_field} if parents else {"user", "time"}
        missing = {"time"} if parents else {"user", "time"}
        if missing - set(self.types):
            raise SchemaError(f"{self.name}: has no field {' and no '.join(sorted(missing - set(self.types)))}")
        self.columns = tuple(name for name in self.types if _COLUMN in marks[name] and name not in in_key)
        self.rest = tuple(name for name in self.types if name not in in_key and name not in self.columns)
        self.time_type: Any = plain_type(self.types["time"])

    def _check(self, declared: Declared) -> None:
        if type(declared.version) is not int or not 1 <= declared.version < 2**31:
            raise SchemaError(f"{self.name}: version is {declared.version!r}; use 1, 2, 3 …")
        if declared.time_unit not in UNITS:
            raise SchemaError(f"{self.name}: time_unit is {declared.time_unit!r}; use one of {', '.join(UNITS)}")
        if self.time_type not in _TIMES:
            raise SchemaError(f"{self.name}.time: declare it as datetime, int, float or str")
        if self.parent_field is None and plain_type(self.types["user"]) is not str:
            raise SchemaError(f"{self.name}.user: declare it as str")
        for name in self.columns:
            if plain_type(self.types[name]) not in (str, int, float, bool, bytes, datetime):
                raise SchemaError(
                    f"{self.name}.{name}: a column is a str, int, float, bool, bytes or datetime, or None"
                )
        if not getattr(self.serializer, "nulls", True):
            self._check_nulls()

    def _check_nulls(self) -> None:
        """With a serializer that leaves None out, what is left out has to be read as None."""
        for name in self.rest:
            if _takes_none(self.types[name]) and self.defaults.get(name, ...) is not None:
                raise SchemaError(f"{self.name}.{name}: may be None, which its serializer leaves out; give it `= None`")

    @property
    def parent_code(self) -> bytes:
        """The type code of the root that a child names."""
        return keys.type_code(self.parent.__name__) if self.parent else self.code

    def fingerprint(self) -> dict[str, Any]:
        """What may not change without a new version: fields with their types, in the order of their names."""
        told = {name: _told(hint) for name, hint in sorted(self.types.items())}
        return {"fields": told, "columns": sorted(self.columns), "parent": getattr(self.parent, "__name__", None)}

    def values(self, event: Any) -> dict[str, Any]:
        """The fields of an event by name."""
        return {name: getattr(event, name) for name in self.types}

    def make(self, fields: dict[str, Any], version: int) -> tuple[Any, dict[str, Any]]:
        """An event from stored fields, and the fields that its class does not know.

        Fields of an older version go through the class's own `upgrade(fields, version)` first, if it has one.
        Raises SchemaError where the class can't take what is stored.
        """
        if version < self.version and self._upgrade is not None:
            fields = self._upgrade(fields, version)
        known, unknown = fields, dict[str, Any]()
        if self._renames or not fields.keys() <= self._names:
            unknown = {name: value for name, value in fields.items() if name not in self.types}
            known = {self.encoded[name]: value for name, value in fields.items() if name in self.types}
        try:
            return msgspec.convert(known, self.cls, str_keys=True), unknown
        except msgspec.ValidationError as error:
            raise SchemaError(
                f"{self.name} version {version} as stored does not fit the class of version {self.version}: {error}; "
                f"give a new field a default, or the class an upgrade(fields, version)"
            ) from None


def _ttl(name: str, declared: object) -> Micros | None:
    """A time to live in microseconds; None: for ever."""
    if declared is None:
        return None
    try:
        return period(declared)
    except ValueError as error:
        raise SchemaError(f"{name}: ttl: {error}") from None


def _fields(cls: type) -> dict[str, Any]:
    """The fields of a class and their defaults (NODEFAULT where there is none, or where one is made anew each time)."""
    if dataclasses.is_dataclass(cls):
        return {
            field.name: msgspec.NODEFAULT if field.default is dataclasses.MISSING else field.default
            for field in dataclasses.fields(cls)
        }
    return {field.name: field.default for field in msgspec.structs.fields(cls)}


def _encoded(cls: type) -> dict[str, str]:
    """Each field's name in files, where the class renames it there (msgspec's `rename` and `field(name=…)`)."""
    if dataclasses.is_dataclass(cls):
        return {field.name: field.name for field in dataclasses.fields(cls)}
    return {field.name: field.encode_name for field in msgspec.structs.fields(cls)}


def _marks(hint: Any) -> tuple[Any, ...]:
    return hint.__metadata__ if get_origin(hint) is Annotated else ()


def plain_type(hint: Any) -> Any:
    """A type without its marks, and without None."""
    if get_origin(hint) is Annotated:
        return plain_type(get_args(hint)[0])
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return plain_type(kinds[0]) if len(kinds) == 1 and type(None) in get_args(hint) else hint


def _takes_none(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _takes_none(get_args(hint)[0])
    return hint is None or type(None) in get_args(hint)


def _told(hint: Any) -> str:
    """A type as a text that is the same in every process."""
    if get_origin(hint) is Annotated:
        return _told(get_args(hint)[0])
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
