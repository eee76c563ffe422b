"""Tables: a line for each event, as Polars frames.

    id, row, user, time, type      of the event; `row` is the id of its root, `time` its own
    FIELD                          a field of the event itself; empty where its type has none
    TYPE.FIELD                     a field of the root event, on the line of a child too
    TYPE.count                     how many children of that type the row has
    notes.NAME                     a derived column of the event, or else of its root

Without `columns`, a table has the fields of all types asked for, and all notes.
"""

import types
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import chain
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec
import polars as pl

from eventlog import keys
from eventlog.catalog import Catalog, Remembered
from eventlog.errors import QueryError
from eventlog.near import hint
from eventlog.questions import Question
from eventlog.reading import Stored, StoredRow
from eventlog.schema import Schema
from eventlog.times import Micros
from eventlog.vectors import Plain, kinds_of, series

TIME: Final = pl.Datetime("us", "UTC")
ALWAYS: Final[Mapping[str, Any]] = {
    "id": pl.String,
    "row": pl.String,
    "user": pl.String,
    "time": TIME,
    "type": pl.String,
}
_PLAIN: Final[Mapping[Any, Any]] = {
    str: pl.String, int: pl.Int64, float: pl.Float64, bool: pl.Boolean, bytes: pl.Binary, datetime: TIME,
}  # fmt: skip
_EXACT: Final = {str(kind): plain for plain, kind in _PLAIN.items()}
_NOTES: Final = {"int": pl.Int64, "float": pl.Float64, "str": pl.String, "bool": pl.Boolean, "datetime": TIME}

WIDENED: Final = "holds floats now, and held whole numbers when this was asked: ask again"

Getter = Callable[[StoredRow, Stored], Any]


class Table:
    """The columns of a question's answer, and how to fill them."""

    def __init__(self, catalog: Catalog, asked: Question) -> None:
        self._catalog = catalog
        self._asked = asked
        self._described = catalog.described()
        self._schemas = [one for one in self._described.values() if not asked.types or one.name in asked.types]
        self.columns = list(asked.columns) if asked.columns is not None else self._all()
        self.dtypes: dict[str, Any] = {name: self._dtype(name) for name in self.columns}
        self.getters: dict[str, Getter] = {name: self._getter(name) for name in self.columns}
        self.bodies = any(self._in_body(name) for name in self.columns)

    def _all(self) -> list[str]:
        fields = dict.fromkeys(name for schema in self._schemas for name in (*schema.columns, *schema.rest))
        notes = [f"notes.{name}" for name in sorted(self._catalog.notes)]
        return [*ALWAYS, *(name for name in fields if name not in ALWAYS), *notes]

    def _qualified(self) -> list[str]:
        """The columns that name their type, and the notes."""
        fields = [f"{name}.{field}" for name, schema in self._described.items() for field in (*schema.types, "count")]
        return [*fields, *(f"notes.{name}" for name in self._catalog.notes)]

    def _owners(self, name: str) -> list[Schema | Remembered]:
        """The types that have a field, of those asked for, or the one named."""
        kind, _, field = name.rpartition(".")
        schemas = [self._described[kind]] if kind in self._described else [] if kind else self._schemas
        return [schema for schema in schemas if field in schema.types]

    def _dtype(self, name: str) -> Any:
        kind, _, field = name.rpartition(".")
        if name in ALWAYS:
            return ALWAYS[name]
        if kind == "notes":
            return _NOTES[self._catalog.notes[field]] if field in self._catalog.notes else pl.Null
        if field == "count" and kind in self._described:
            return pl.Int64
        if field == "time" and kind in self._described:
            return TIME
        owners = self._owners(name)
        if not owners:
            known = dict.fromkeys([*ALWAYS, *(field for schema in self._schemas for field in schema.types)])
            raise QueryError(
                f"columns: there is no {name!r}; {hint(name, [*known, *self._qualified()])}"
                f"there are {', '.join(known)}, and TYPE.FIELD, notes.NAME"
            )
        found = {str(dtype(schema.types[field])): dtype(schema.types[field]) for schema in owners}
        return next(iter(found.values())) if len(found) == 1 else pl.String

    def _in_body(self, name: str) -> bool:
        kind, _, field = name.rpartition(".")
        if name in ALWAYS or kind == "notes" or (kind and field in ("time", "count")):
            return False
        schemas = [self._described[kind]] if kind in self._described else self._schemas
        key = {getattr(schema, "parent_field", None) or "user" for schema in schemas}
        return field not in key and not self._catalog.in_heads(field, schemas)

    def types(self, asked: frozenset[bytes] | None) -> frozenset[bytes] | None:
        """The types that an engine has to give: those asked for (None: all), and those that a column names."""
        named = {name.rpartition(".")[0] for name in self.columns} & set(self._described)
        return None if asked is None else asked | {keys.type_code(name) for name in named}

    def _getter(self, name: str) -> Getter:
        kind, _, field = name.rpartition(".")
        if name in ALWAYS:
            return _ALWAYS[name]
        if kind == "notes":
            return lambda row, event: event.notes.get(field, row.root.notes.get(field) if row.root else None)
        if field == "count":
            code = keys.type_code(kind)
            return lambda row, _event: sum(child.code == code for child in row.children)
        turn = _turn(self.dtypes[name])
        value = self._value(field)
        if not kind:
            return lambda row, event: turn(value(row, event))
        code = keys.type_code(kind)
        if field == "time":
            return lambda row, event: own.time if (own := _of_type(row, event, code)) else None
        return lambda row, event: turn(value(row, own)) if (own := _of_type(row, event, code)) else None

    def _value(self, field: str) -> Getter:
        """A field of an event itself; the user of a root and the parent of a child lie in the key."""
        by_code = self._catalog.by_code

        def value(row: StoredRow, event: Stored) -> Any:
            schema = by_code.get(event.code)
            if schema is not None and field == schema.parent_field:
                return None if row.key[-16:] == event.cell.place[1:17] else keys.event_id(row.key)
            if field == "user" and schema is not None and schema.parent is None:
                return keys.read_row(row.key).user
            return event.value(field)

        return value

    def _widened(self, name: str) -> None:
        """Raises QueryError where a note has become one of floats since this table was asked for."""
        self._catalog.refresh()
        if name.startswith("notes.") and self._dtype(name) != self.dtypes[name]:
            raise QueryError(f"columns: {name} {WIDENED}")

    def frame(self, found: list[tuple[StoredRow, list[Stored]]]) -> pl.DataFrame:
        """A batch as a table."""
        lines = [(row, event) for row, events in found for event in events]
        made = {}
        for name, getter in self.getters.items():
            kind = self.dtypes[name]
            values = [getter(row, event) for row, event in lines]
            try:
                made[name] = pl.Series(name, values, dtype=pl.Int64 if kind == TIME and _raw(name) else kind).cast(kind)
            except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
                self._widened(name)
                raise QueryError(f"columns: {name} holds what is not {kind} ({error}); leave that column out") from None
        return pl.DataFrame(made)


def same_kinds(frame: pl.DataFrame, schema: pl.Schema) -> None:
    """Raises QueryError where a table, made elsewhere or later, has a note of floats that was one of whole numbers."""
    for name, kind in schema.items():
        if kind == pl.Int64 and frame.schema.get(name) == pl.Float64:
            raise QueryError(f"columns: {name} {WIDENED}, with a log that is opened anew")


def _raw(name: str) -> bool:
    """Whether a column's values are microseconds, and not datetimes."""
    return name.rpartition(".")[2] == "time"


def _of_type(row: StoredRow, event: Stored, code: bytes) -> Stored | None:
    if event.code == code:
        return event
    return row.root if row.root is not None and row.root.code == code else None


def _time(_row: StoredRow, event: Stored) -> Micros:
    return event.time


_ALWAYS: Final[Mapping[str, Getter]] = {
    "id": lambda row, event: keys.event_id(row.key, event.cell.place),
    "row": lambda row, _event: keys.event_id(row.key),
    "user": lambda row, _event: keys.read_row(row.key).user,
    "time": _time,
    "type": lambda _row, event: event.name,
}


def dtype(hint: Any) -> Any:
    """The Polars type of a field; what has no plain one becomes JSON text."""
    if get_origin(hint) is Annotated:
        return dtype(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return dtype(kinds[0]) if len(kinds) == 1 else pl.String
    if get_origin(hint) in (list, set, frozenset) and get_args(hint):
        inner = dtype(get_args(hint)[0])
        return pl.List(inner) if inner in _PLAIN.values() and inner is not pl.Binary else pl.String
    return _PLAIN.get(hint, pl.String)


def turned(values: list[Any], kind: Any) -> pl.Series:
    """The values of a field as a column. Raises vectors.Plain where they don't fit it."""
    exact = _EXACT.get(str(kind))
    if exact is not None and kinds_of(values) <= {exact}:
        return series(values, exact)
    if isinstance(kind, pl.List) and (arrow := _lists(values, _EXACT.get(str(kind.inner)))) is not None:
        return pl.Series(arrow).cast(kind)
    turn = _turn(kind)
    try:
        return pl.Series([turn(value) for value in values], dtype=kind).cast(kind)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        raise Plain from None


def _lists(values: list[Any], exact: type | None) -> Any:
    """Values that are lists of one type, or None, as an Arrow array, which takes a thirtieth of Polars' own time.

    None where they are anything else.
    """
    if exact not in (int, float, str, bool) or not kinds_of(values) <= {list}:
        return None
    if not kinds_of(chain.from_iterable(value for value in values if value is not None)) <= {exact}:
        return None
    import pyarrow as pa  # large, and not every program has lists

    kinds = {int: pa.int64(), float: pa.float64(), str: pa.large_string(), bool: pa.bool_()}
    try:
        return pa.array(values, pa.large_list(kinds[exact]))
    except (pa.ArrowException, OverflowError):
        return None


def _turn(kind: Any) -> Callable[[Any], Any]:
    """How a stored value becomes one of a column."""
    if kind == pl.String:
        return lambda value: value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
    if kind == pl.Float64:
        return lambda value: None if value is None else float(value)
    if kind in (TIME, pl.Binary):
        held = datetime if kind == TIME else bytes
        return lambda value: msgspec.convert(value, held) if isinstance(value, str) else value
    if kind == pl.List(TIME):
        return lambda value: None if value is None else msgspec.convert(value, list[datetime])
    return lambda value: value
