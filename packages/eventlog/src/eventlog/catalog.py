"""The event types that a log is opened with, beside what the log remembers of the types and notes that it holds.

    meta "type/NAME"   {"name", "versions": {version: what the class was like}, "ttl"}     since its first event
    meta "note/NAME"   the kind of its values: "int", "float", "str", "bool", "datetime"

The kind of a note is that of its first value; only "int" can become "float" later, and never anything else. So values
that were written as whole numbers may lie in a note of floats: `noted` gives them as floats, to every reader.
A class that changed and kept its version is refused before anything is written.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from types import ModuleType
from typing import Any, Final

import msgspec

from eventlog import serializers
from eventlog.engines import Engine
from eventlog.errors import EventError, SchemaError
from eventlog.keys import type_code
from eventlog.metrics import Metrics
from eventlog.schema import Event, EventMeta, Schema, plain_type
from eventlog.times import Micros, now, zoned

KINDS: Final = {"int": int, "float": float, "str": str, "bool": bool, "datetime": datetime}


class Known(msgspec.Struct):
    """What a log remembers of a type."""

    name: str
    versions: dict[str, dict[str, Any]] = {}
    ttl: Micros | None = None


class Remembered(msgspec.Struct, frozen=True):
    """A type as the log remembers it, where its class is not at hand: what tables need of a Schema."""

    name: str
    code: bytes
    columns: tuple[str, ...]
    rest: tuple[str, ...]
    types: dict[str, Any]


_HINTS: Final[dict[str, Any]] = KINDS | {"bytes": bytes}


def _remembered(known: Known) -> Remembered:
    """The newest version's fields, and those that only older versions had. What is no plain type becomes a text."""
    fields: dict[str, str] = {}
    columns: dict[str, None] = {}
    parent = None
    for _, told in sorted(known.versions.items(), key=lambda one: int(one[0])):
        fields |= told["fields"]
        columns |= dict.fromkeys(told["columns"])
        parent = told["parent"]
    keyed = {"time"} | ({"user"} if parent is None else {name for name, told in fields.items() if "Reference" in told})
    hints = {name: _HINTS.get(told.replace(" | None", ""), str) for name, told in fields.items() if name not in keyed}
    rest = tuple(name for name in hints if name not in columns)
    return Remembered(known.name, type_code(known.name), tuple(columns), rest, hints)


class Catalog:
    """Types by class, by name and by code; notes by name."""

    def __init__(self, engine: Engine, types: Iterable[type] | ModuleType, clock: Callable[[], Micros] = now) -> None:
        self._engine = engine
        self.clock = clock
        self.metrics = Metrics()
        if isinstance(types, type) or not isinstance(types, Iterable | ModuleType):
            raise SchemaError(f"types: {types!r:.60} is no list of event types: put it into [ ]")
        self.schemas = [Schema(cls) for cls in (_declared(types) if isinstance(types, ModuleType) else types)]
        self.by_name = {schema.name: schema for schema in self.schemas}
        self.by_code = {schema.code: schema for schema in self.schemas}
        self._by_class = {schema.cls: schema for schema in self.schemas}
        if len(self.by_code) < len(self.schemas):
            raise SchemaError(
                f"two event types share a name or its hash: {', '.join(one.name for one in self.schemas)}"
            )
        for schema in self.schemas:
            if schema.parent is not None and schema.parent not in self._by_class:
                raise SchemaError(f"{schema.name} is a child of {schema.parent.__name__}, which is not among the types")
        self.serializers = _by_number(self.schemas)
        self._known: dict[str, Known] = {}
        self._names: dict[bytes, str] = {schema.code: schema.name for schema in self.schemas}
        self.notes: dict[str, str] = {}
        self._ttl: dict[bytes, Micros] = {}
        self._no_texts: dict[tuple[bytes, str], Any] = {}
        self.refresh()

    def refresh(self) -> None:
        """Learns what others have written meanwhile."""
        for key, value in self._engine.list_meta("type/").items():
            name = key.removeprefix("type/")
            known = self._known[name] = msgspec.json.decode(value, type=Known)
            self._names[type_code(name)] = name
            if known.ttl is not None and name not in self.by_name:
                self._ttl[type_code(name)] = known.ttl
        self._ttl |= {schema.code: schema.ttl for schema in self.schemas if schema.ttl is not None}
        for key, kind in self._engine.list_meta("note/").items():
            self.notes[key.removeprefix("note/")] = kind.decode()
        self._no_texts = {
            (one.code, name): kind
            for one in self.described().values()
            for name, hint in one.types.items()
            if (kind := plain_type(hint)) in (datetime, bytes)
        }

    def declared(self, code: bytes, field: str, text: str) -> Any:
        """A stored text as the time or the bytes that its field holds: some serializers write these as texts."""
        kind = self._no_texts.get((code, field))
        try:
            return text if kind is None else msgspec.convert(text, kind)
        except msgspec.ValidationError:
            return text

    def no_text(self, field: str) -> bool:
        """Whether a field of that name holds times or bytes in some type, whatever its serializer makes of them."""
        return any(name == field for _, name in self._no_texts)

    def schema(self, event: Any) -> Schema:
        """The schema of an event. Raises SchemaError where its class is not among the types."""
        found = self._by_class.get(type(event))
        if found is None:
            names = ", ".join(self.by_name) or "none"
            raise SchemaError(
                f"{type(event).__name__} is not among the event types of this log ({names}): open it with them"
            )
        return found

    def name(self, code: bytes) -> str:
        """A type's name; of one that neither a class nor the log knows, its code."""
        found = self._names.get(code)
        if found is None:
            self.refresh()
            found = self._names.setdefault(code, f"type-{code.hex()}")
        return found

    def in_heads(self, field: str, schemas: "Iterable[Schema | Remembered]") -> bool:
        """Whether no event of these types keeps a field in its body: neither now, nor in a version that is stored."""
        for schema in schemas:
            stored = self._known[schema.name].versions.values() if schema.name in self._known else ()
            if field in schema.rest or any(field in then["fields"] and field not in then["columns"] for then in stored):
                return False
        return True

    def told_types(self, field: str) -> set[str]:
        """The types, as texts, that a field has in all event types, now and in the versions that are stored."""
        now = [schema.fingerprint() for schema in self.schemas]
        then = [version for known in self._known.values() for version in known.versions.values()]
        return {one["fields"][field] for one in (*now, *then) if field in one["fields"]}

    def names(self) -> list[str]:
        """The names of all types, of the classes and of what is stored."""
        return sorted({*self.by_name, *self._known})

    def versions(self, name: str) -> dict[str, dict[str, Any]]:
        """What the log remembers of a type's versions: their fields with types, columns and parent."""
        return self._known[name].versions if name in self._known else {}

    def columns(self, name: str, version: int) -> list[str]:
        """The columns of a type in a version that is stored."""
        if str(version) not in self.versions(name):
            self.refresh()  # a newer program has written meanwhile
        return self.versions(name).get(str(version), {}).get("columns", [])

    def parent(self, name: str) -> str | None:
        """The name of the type that a type's events are children of, by its class or as remembered; None of a root."""
        if name in self.by_name:
            return getattr(self.by_name[name].parent, "__name__", None)
        versions = self.versions(name)
        return versions[max(versions, key=int)]["parent"] if versions else None

    def described(self) -> "dict[str, Schema | Remembered]":
        """All types by name: by their classes, or else as the log remembers them."""
        stored = {name: _remembered(known) for name, known in self._known.items() if name not in self.by_name}
        return {**self.by_name, **stored}

    def past(self, at: Micros | None = None) -> dict[bytes, Micros]:
        """By type code: events of that time or an earlier one are past their time to live. Types without one lack."""
        if not self._ttl:
            return {}
        time = self.clock() if at is None else at
        return {code: time - ttl for code, ttl in self._ttl.items()}

    def remember(self, schema: Schema) -> None:
        """Notes that a type is about to be written. Raises SchemaError where it contradicts what was written."""
        known = self._known.get(schema.name)
        told = schema.fingerprint()
        if known is None or str(schema.version) not in known.versions or known.ttl != schema.ttl:
            stored = self._engine.get_meta(f"type/{schema.name}")
            known = msgspec.json.decode(stored, type=Known) if stored else Known(schema.name)
        then = known.versions.setdefault(str(schema.version), told)
        if then == told and (then is told or known.ttl != schema.ttl):
            known.ttl = schema.ttl
            self._engine.put_meta(f"type/{schema.name}", msgspec.json.encode(known))
        elif then != told:
            raise SchemaError(
                f"{schema.name} version {schema.version} was written with other fields ({_difference(then, told)}); "
                f"give the changed class version={max(map(int, known.versions)) + 1}"
            )
        self._known[schema.name] = known

    def note_value(self, name: str, value: Any, kinds: dict[str, str]) -> Any:
        """A value about to be written as a note, as its kind. `kinds` takes up what `remember_notes` has to keep.

        Raises EventError where notes of that name are of another kind: a whole number beside floats becomes one, and
        a float beside whole numbers makes the note one of floats; all else stays what it was first.
        """
        value = zoned(value)
        kind = next((told for told, cls in KINDS.items() if type(value) is cls), None)
        if kind is None:
            raise EventError(f"note {name}: {value!r} is not a number, a text, a bool or a datetime")
        if kind == "int" and not -(2**63) <= value < 2**63:
            raise EventError(f"note {name}: {value} takes more than 64 bits")
        held = kinds.get(name) or self.notes.get(name)
        if name not in kinds and _may_become(held, kind):
            held = self._note_kind(name)
        if _may_become(held, kind):
            kinds[name] = held = kind
        if held == "float" and kind == "int":
            if int(float(value)) != value:
                raise EventError(f"note {name}: holds floats, and {value} is none exactly; use another name")
            return float(value)
        if held != kind:
            raise EventError(f"note {name}: holds {held} since its first value, not {kind}; use another name")
        return value

    def _note_kind(self, name: str) -> str | None:
        """The kind of a note as it is stored now: another writer may have made it, or made it one of floats."""
        if stored := self._engine.get_meta(f"note/{name}"):
            self.notes[name] = stored.decode()
        return self.notes.get(name)

    def remember_notes(self, kinds: dict[str, str]) -> None:
        """Keeps the kinds of notes that are about to be written, where they are new."""
        for name, kind in kinds.items():
            if self.notes.get(name) != kind:
                self._engine.put_meta(f"note/{name}", kind.encode())
                self.notes[name] = kind

    def noted(self, name: str, value: Any) -> Any:
        """A note's value as it was stored, as its kind is now."""
        return float(value) if type(value) is int and self.notes.get(name) == "float" else value

    def __iter__(self) -> Iterator[Schema]:
        return iter(self.schemas)


def _may_become(held: str | None, kind: str) -> bool:
    """Whether a value of another kind changes what a note holds, and is not refused."""
    return held is None or (held == "int" and kind == "float")


def _by_number(schemas: list[Schema]) -> dict[int, serializers.Serializer]:
    """The serializers of all types, and the built-in ones. Raises SchemaError where two share a number."""
    found = {one.number: one for one in serializers.BUILT_IN.values()}
    for schema in schemas:
        if found.setdefault(schema.serializer.number, schema.serializer) is not schema.serializer:
            raise SchemaError(
                f"{schema.name}: serializer has number {schema.serializer.number}, as another has: give each its own"
            )
    return found


def _declared(module: ModuleType) -> list[type]:
    """The event types of a module, in the order in which they stand there."""
    return [
        cls
        for cls in vars(module).values()
        if isinstance(cls, type) and cls is not Event and (isinstance(cls, EventMeta) or "__eventlog__" in cls.__dict__)
    ]


def _difference(then: dict[str, Any], now: dict[str, Any]) -> str:
    old, new = then["fields"], now["fields"]
    told = [f"{name}: {old[name]} then, {new[name]} now" for name in old if name in new and old[name] != new[name]]
    told += [f"{name} is gone" for name in old if name not in new] + [
        f"{name} is new" for name in new if name not in old
    ]
    if then["columns"] != now["columns"]:
        told.append(f"columns {then['columns']} then, {now['columns']} now")
    if then["parent"] != now["parent"]:
        told.append(f"child of {then['parent']} then, of {now['parent']} now")
    return "; ".join(told)
