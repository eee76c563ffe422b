"""Rows and entries, from cells. Nothing here does I/O."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from eventlog import keys
from eventlog.catalog import Catalog
from eventlog.cells import EXPIRED, Cell, Head, decode_body, read_head
from eventlog.engines import Batch
from eventlog.expressions import NOTES, Field
from eventlog.keys import Place
from eventlog.times import Micros, as_declared, moment


class Entry(msgspec.Struct):
    """One event as it was read.

    `event` is of its class, or a dict where the log was opened without it. `row` is the id of the root. `notes` are the
    derived columns. `unknown` are fields that the class does not know; writing the entry writes them again.
    """

    id: str
    row: str
    user: str
    time: datetime
    type: str
    version: int
    event: Any
    notes: dict[str, Any] = {}
    unknown: dict[str, Any] = {}


class Row(msgspec.Struct):
    """One root event with its children in the order of their times.

    `root` is None while only children have come, and, with `expired`, when it came and is past its time to live.
    """

    id: str
    user: str
    time: datetime
    root: Entry | None
    children: list[Entry] = []
    expired: bool = False

    def entries(self) -> list[Entry]:
        """The root, then its children."""
        return [self.root, *self.children] if self.root else self.children


class Stored:
    """One event of a row, its fields decoded when they are asked for."""

    __slots__ = ("_catalog", "_rest", "cell", "code", "head", "notes")

    def __init__(self, cell: Cell, catalog: Catalog) -> None:
        self.cell = cell
        self.head: Head = read_head(cell.head)
        self.code = cell.place[-2:]
        self.notes: dict[str, Any] = {}
        self._catalog = catalog
        self._rest: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        return self._catalog.name(self.code)

    @property
    def time(self) -> Micros:
        """The event's own time."""
        return keys.place_time(self.cell.place) if self.cell.place[:1] == keys.CHILD else keys.row_time(self.cell.row)

    def rest(self) -> Mapping[str, Any]:
        """The fields that are no columns."""
        if self._rest is None:
            self._rest = decode_body(self.head, self.cell.body, self._catalog.serializers)
        return self._rest

    def value(self, name: str) -> Any:
        """A field by name, or None."""
        if name in self.head.columns:
            return self.head.columns[name]
        return self.rest().get(name)

    def declared(self, name: str) -> Any:
        """The same, a time or bytes as such where they lie as a text."""
        found = self.value(name)
        return self._catalog.declared(self.code, name, found) if type(found) is str else found


class StoredRow:
    """The cells of one row, by what they are."""

    __slots__ = ("_named", "children", "expired", "key", "root")

    def __init__(self, key: bytes) -> None:
        self.expired = False  # the root came, and is past its time to live
        self.key = key
        self.root: Stored | None = None
        self.children: list[Stored] = []
        self._named: tuple[str, str] | None = None

    def named(self) -> tuple[str, str]:
        """The id of the root, and the user: read once for all entries of the row."""
        if self._named is None:
            self._named = keys.event_id(self.key), keys.row_user(self.key).decode()
        return self._named

    @property
    def time(self) -> Micros:
        return keys.row_time(self.key)

    def events(self) -> list[Stored]:
        return [self.root, *self.children] if self.root else self.children

    def lookup(self, event: Stored) -> Callable[[Field], Any]:
        """How `where` finds the values of one event: its own, those of its root, and the notes of both.

        Times are microseconds. What is not there is None.
        """
        root = self.root

        def find(field: Field) -> Any:
            if field.type == NOTES:
                own = event.notes.get(field.name)
                return root.notes.get(field.name) if own is None and root is not None else own
            if field.type and field.type != event.name:
                return self._value(root, field.name) if root is not None and field.type == root.name else None
            own = self._value(event, field.name)
            if own is None and not field.type and root is not None and root is not event:
                return self._value(root, field.name)
            return own

        return find

    def _value(self, event: Stored, name: str) -> Any:
        if name == "time":
            return event.time
        if name == "type":
            return event.name
        if name == "user":
            return (event.value("user") if event is not self.root else None) or self.named()[1]
        return event.declared(name)


def stored_rows(batch: Batch, catalog: Catalog) -> Iterator[StoredRow]:
    """A batch's cells by rows. Left out: events past their time to live, and notes about events that are not there."""
    past = catalog.past()
    row: StoredRow | None = None
    by_place: dict[Place, Stored] = {}
    for cell in batch:
        if row is None or cell.row != row.key:
            if row is not None:
                yield row
            row, by_place = StoredRow(cell.row), {}
        kind = cell.place[:1]
        if kind == keys.NOTE:
            subject, name = keys.read_note_place(cell.place)
            if subject in by_place:
                by_place[subject].notes[name] = catalog.noted(name, read_head(cell.head).columns)
            continue
        event = Stored(cell, catalog)
        if event.head.version == EXPIRED or (past and event.time <= past.get(event.code, -1)):
            row.expired = row.expired or kind == keys.ROOT
        elif kind == keys.ROOT:
            row.root = by_place[keys.ROOT] = event
        else:
            row.children.append(event)
            by_place[cell.place] = event
    if row is not None:
        yield row


def entry(row: StoredRow, event: Stored, catalog: Catalog) -> Entry:
    """A stored event as its class. Raises SchemaError where that can't take what is stored."""
    schema = catalog.by_code.get(event.code)
    place, time = event.cell.place, event.time
    root, user = row.named()
    made: Any = {**event.rest(), **event.head.columns}
    unknown: dict[str, Any] = {}
    if schema is not None:
        made["time"] = as_declared(time, schema.time_type, schema.time_unit)
        if schema.parent_field is None:
            made["user"] = user
        else:
            made[schema.parent_field] = None if row.key[-16:] == place[1:17] else root  # its row is its own
        made, unknown = schema.make(made, event.head.version)
    return Entry(
        root if event is row.root else keys.event_id(row.key, place),
        root,
        user,
        moment(time),
        event.name,
        event.head.version,
        made,
        event.notes,
        unknown,
    )


def whole(row: StoredRow, catalog: Catalog) -> Row:
    """A stored row with every event as its class."""
    name, user = row.named()
    return Row(
        name,
        user,
        moment(row.time),
        entry(row, row.root, catalog) if row.root else None,
        [entry(row, child, catalog) for child in row.children],
        row.expired,
    )
