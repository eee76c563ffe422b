"""A read: which key ranges a question comes to, what is kept of them, and how much was read for it."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec

from eventlog import keys
from eventlog.catalog import Catalog
from eventlog.engines import Batch, Counts, Engine, Want
from eventlog.errors import EventError, QueryError
from eventlog.expressions import (
    NOTES,
    Both,
    Compare,
    Either,
    Expression,
    Field,
    IsIn,
    IsNull,
    Not,
    StartsWith,
    checked,
)
from eventlog.keys import Range
from eventlog.near import hint
from eventlog.reading import Entry, Row, Stored, StoredRow, entry, stored_rows, whole
from eventlog.times import END, Micros, micros

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from eventlog.parts import Part


class Question(msgspec.Struct, frozen=True):
    """What is asked of a log. Plain values, so that parts of a scan can travel to other processes."""

    since: Micros = 0
    until: Micros = END
    types: tuple[str, ...] = ()  # empty: all
    columns: tuple[str, ...] | None = None  # None: all fields of the types
    where: Expression | None = None
    sample: Fraction = Fraction(1)
    users: tuple[str, ...] | None = None
    prefix: str = ""


class Reads(msgspec.Struct):
    """What a read cost, and gave. `rows_read` and `cells_read` are what the engine went over."""

    rows_read: int = 0
    cells_read: int = 0
    seeks: int = 0
    rows_returned: int = 0
    events_returned: int = 0

    def __str__(self) -> str:
        return (
            f"{self.rows_read:,} rows read, {self.rows_returned:,} returned ({self.events_returned:,} events, "
            f"{self.seeks:,} seeks)"
        )


def ask(
    catalog: Catalog,
    *,
    since: object = None,
    until: object = None,
    types: Iterable[type | str] | type | str | None = None,
    columns: Iterable[Any] | None = None,
    where: Expression | bool | None = None,
    sample: float | Fraction = 1,
    users: Iterable[str] | None = None,
    prefix: str = "",
) -> Question:
    """A question, checked against the types of the log, and as narrow as its `where` allows. Raises QueryError."""
    asked = Question(
        since=0 if since is None else _time("since", since),
        until=END if until is None else _time("until", until),
        types=_names(catalog, types),
        columns=None if columns is None else tuple(str(column) for column in columns),
        where=None if where is None else prepare(checked(where), catalog),
        sample=_fraction(sample),
        users=None if users is None else _users(users),
        prefix=_text("prefix", prefix),
    )
    keys.sampled_buckets(asked.sample)
    return narrowed(asked, catalog)


def _fraction(sample: float | Fraction) -> Fraction:
    try:
        return Fraction(sample).limit_denominator(2**32)
    except (ValueError, TypeError, OverflowError):
        raise QueryError(f"sample: {sample!r:.60} is not a number above 0 and at most 1") from None


def _users(users: Iterable[str]) -> tuple[str, ...]:
    if isinstance(users, str):
        raise QueryError(f"users: {users!r:.60} is one user; put it into a list")
    return tuple(_text("user", user) for user in users)


def _text(name: str, value: object) -> str:
    """A text of whole characters."""
    if not isinstance(value, str):
        raise QueryError(f"{name}: {value!r:.60} is not a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise QueryError(f"{name}: {value!r:.60} holds half of a surrogate pair, which is no text") from None
    return value


def _time(name: str, value: object) -> Micros:
    try:
        return micros(value)
    except EventError as error:
        raise QueryError(f"{name}: {str(error).removeprefix('time: ')}") from None


def _names(catalog: Catalog, types: Iterable[type | str] | type | str | None) -> tuple[str, ...]:
    if types is None:
        return ()
    one = isinstance(types, type | str)
    if not one and not isinstance(types, Iterable):
        raise QueryError(f"types: {types!r:.60} is no event type, and no list of them")
    asked: list[Any] = [types] if one else list(types)  # type: ignore[arg-type]
    names = tuple(kind.__name__ if isinstance(kind, type) else str(kind) for kind in asked)
    for name in names:
        if name not in catalog.names():
            there = catalog.names()
            raise QueryError(
                f"types: there is no {name!r} here; {hint(name, there)}there are {', '.join(there) or 'none yet'}"
            )
    return names


def prepare(expression: Expression, catalog: Catalog) -> Expression:
    """An expression whose fields exist, and whose times are microseconds. Raises QueryError."""
    match expression:
        case Both(left, right):
            return Both(prepare(left, catalog), prepare(right, catalog))
        case Either(left, right):
            return Either(prepare(left, catalog), prepare(right, catalog))
        case Not(inner):
            return Not(prepare(inner, catalog))
        case Compare(field, sign, value):
            _known(field, catalog)
            return Compare(field, sign, _value(field, value, catalog))
        case IsIn(field, values):
            _known(field, catalog)
            return IsIn(field, tuple(_value(field, value, catalog) for value in values))
        case StartsWith(field, _) | IsNull(field):
            _known(field, catalog)
    return expression


def _known(field: Field, catalog: Catalog) -> None:
    if field.type == NOTES:
        return
    if field.type and field.type not in catalog.names():
        there = catalog.names()
        told = hint(field.type, there)
        raise QueryError(f"{field}: there is no type {field.type!r}; {told}there are {', '.join(there)}")
    if field.name in ("user", "time", "type"):
        return
    schemas = [one for one in catalog.described().values() if field.type in ("", one.name)]
    if schemas and not any(field.name in schema.types for schema in schemas):
        fields = sorted({name for schema in schemas for name in schema.types})
        told = hint(field.name, ["user", "time", "type", *fields])
        raise QueryError(f"{field}: there is no such field; {told}there are {', '.join(fields)}")


def _value(field: Field, value: Any, catalog: Catalog) -> Any:
    if field.name != "time" or field.type == NOTES:
        return value
    schema = catalog.by_name.get(field.type)
    try:
        return micros(value, schema.time_unit if schema else "s")
    except EventError as error:
        raise QueryError(f"where: {error}") from None


def narrowed(asked: Question, catalog: Catalog) -> Question:
    """The question with users and times that its `where` demands, so that they become key ranges."""
    since, until, users, prefix = asked.since, asked.until, asked.users, asked.prefix
    for part in _demands(asked.where):
        field = part.fields()
        one = next(iter(field)) if len(field) == 1 else None
        if one is None or not _of_row(one, asked, catalog):
            continue
        match part:
            case Compare(Field(name="user"), "==", str(value)):
                users = (value,) if users is None or value in users else ()
            case IsIn(Field(name="user"), values):
                users = tuple(value for value in values if isinstance(value, str) and (users is None or value in users))
            case StartsWith(Field(name="user"), beginning) if beginning.startswith(prefix):
                prefix = beginning
            case Compare(Field(name="time"), ">" | ">=" | "==" as sign, value):
                since = max(since, value + (sign == ">"))
                until = min(until, value + 1) if sign == "==" else until
            case Compare(Field(name="time"), "<" | "<=" as sign, value):
                until = min(until, value + (sign == "<="))
    return msgspec.structs.replace(asked, since=since, until=until, users=users, prefix=prefix)


def _demands(where: Expression | None) -> Iterator[Expression]:
    """The parts that must all be true."""
    if isinstance(where, Both):
        yield from _demands(where.left)
        yield from _demands(where.right)
    elif where is not None:
        yield where


def _of_row(field: Field, asked: Question, catalog: Catalog) -> bool:
    """Whether a field is the user or the time of the row itself, and not of a child in it."""
    if field.type:
        schema = catalog.by_name.get(field.type)
        return schema is not None and schema.parent is None
    children = [one for one in catalog if one.parent is not None and (not asked.types or one.name in asked.types)]
    known = all(name in catalog.by_name for name in asked.types or catalog.names())
    return known and (not children or (field.name == "user" and not any("user" in one.types for one in children)))


def ranges(asked: Question) -> list[Range]:
    """The key ranges of a question, in order and apart."""
    if asked.users is not None:
        try:
            found = [keys.user_range(user, asked.since, asked.until) for user in set(asked.users)]
        except EventError as error:
            raise QueryError(str(error)) from None
        return sorted(one for one in found if one.start < one.stop)
    if asked.prefix:
        return keys.prefix_ranges(asked.prefix, asked.sample)
    return keys.sample_ranges(asked.sample)


class Scan:
    """A question and its answer, read anew each time that one of the methods is called. `reads` tells of the last.

    Iterating gives an Entry for each event; `rows` whole rows; `frames`, `polars`, `lazy`, `batches`, `arrow` tables.
    """

    def __init__(self, engine: Engine, catalog: Catalog, asked: Question, within: list[Range] | None = None) -> None:
        self.engine = engine
        self.catalog = catalog
        self.asked = asked
        self.within = ranges(asked) if within is None else within
        self.reads = Reads()

    def __iter__(self) -> Iterator[Entry]:
        for row, events in self.chosen(bodies=True):
            for event in events:
                yield entry(row, event, self.catalog)

    def rows(self) -> Iterator[Row]:
        """Whole rows of which at least one event of the types asked for passes `where`."""
        for row, _ in self.chosen(bodies=True, whole_rows=True):
            yield whole(row, self.catalog)

    def frames(self, *, workers: int = 1) -> "Iterator[pl.DataFrame]":
        """Tables of some thousand lines each, a line for each event; see `eventlog.tables` for their columns.

        With `workers`, the scan's parts are read by that many processes (threads, on HBase); the order is the same.
        """
        if workers != 1:
            from eventlog.parts import run

            return run(self, workers)
        from eventlog.fast import frames

        return frames(self)

    def plain_frames(self) -> "Iterator[pl.DataFrame]":
        """The same tables made event by event: slower, and what `frames` is tested against."""
        from eventlog.tables import Table

        table = Table(self.catalog, self.asked)
        for batch in self.chosen_batches(bodies=table.bodies, types=table.types):
            yield table.frame(batch)

    def polars(self, *, workers: int = 1) -> "pl.DataFrame":
        """The whole answer as one table."""
        import polars as pl

        return pl.concat([self.empty(), *self.frames(workers=workers)])

    def lazy(self, *, workers: int = 1) -> "pl.LazyFrame":
        """The answer as a Polars lazy frame: a query's columns, filters and limit are asked of the log.

        `reads` tells of the last query that was collected.
        """
        from eventlog.lazy import lazy

        return lazy(self, workers)

    def empty(self) -> "pl.DataFrame":
        """A table of the answer's columns, without a line."""
        from eventlog.tables import Table

        return Table(self.catalog, self.asked).frame([])

    def arrow(self, *, workers: int = 1) -> Any:
        """The whole answer as a pyarrow.Table."""
        return self.polars(workers=workers).to_arrow()

    def batches(self, *, workers: int = 1) -> "Iterator[pa.RecordBatch]":
        """The answer as pyarrow.RecordBatches, of some thousand lines each."""
        for frame in self.frames(workers=workers):
            yield from frame.to_arrow().to_batches()

    def parts(self, count: int) -> "list[Part]":
        """The scan as about `count` parts of about equal work, which can be pickled and run anywhere, in its order."""
        from eventlog.parts import parts

        return parts(self, count)

    def chosen(self, *, bodies: bool, whole_rows: bool = False) -> Iterator[tuple[StoredRow, list[Stored]]]:
        """The rows, each with its events that pass."""
        for batch in self.chosen_batches(bodies=bodies, whole_rows=whole_rows):
            yield from batch

    def chosen_batches(
        self, *, bodies: bool, whole_rows: bool = False, types: Callable[[Any], Any] = lambda asked: asked
    ) -> Iterator[list[tuple[StoredRow, list[Stored]]]]:
        """The same, by the engine's batches. `types` adds to the codes of the types that the engine has to give."""
        self.reads = Reads()
        counts = Counts()
        passes = Filter(self.catalog, self.asked)
        bodies = bodies or passes.needs_bodies
        want = Want(
            since=self.asked.since,
            until=self.asked.until,
            bodies=bodies,
            where=self.asked.where,
            types=None if whole_rows else types(passes.types),
            select=passes.cells if bodies and not passes.needs_bodies else None,
        )
        try:
            for batch in self.engine.read(self.within, want, counts):
                found = [(row, kept) for row in stored_rows(batch, self.catalog) if (kept := passes(row))]
                self.reads.rows_returned += len(found)
                self.reads.events_returned += sum(len(kept) for _, kept in found)
                self._count(counts)
                yield found
            self._count(counts)
        finally:
            self.catalog.metrics.read(self.reads)

    def _count(self, counts: Counts) -> None:
        self.reads.rows_read, self.reads.cells_read, self.reads.seeks = counts.rows, counts.cells, counts.seeks


class Filter:
    """Which events of a row pass a question."""

    def __init__(self, catalog: Catalog, asked: Question) -> None:
        self._catalog = catalog
        self._asked = asked
        self._where = asked.where
        self._codes = frozenset(keys.type_code(name) for name in asked.types) or None
        self._in_sample: Callable[[bytes], bool] | None = self._sampled if asked.sample < 1 else None
        self.needs_bodies = self._where is not None and not all(map(self._in_head, self._where.fields()))

    @property
    def types(self) -> frozenset[bytes] | None:
        """The codes of the types that an engine has to give: those asked for, and their roots."""
        if self._codes is None:
            return None
        if not all(name in self._catalog.by_name for name in self._asked.types):
            return None
        return self._codes | {self._catalog.by_name[name].parent_code for name in self._asked.types}

    def _in_head(self, field: Field) -> bool:
        if field.type == NOTES or field.name in ("time", "type"):
            return True
        schemas = [one for one in self._catalog.described().values() if field.type in ("", one.name)]
        if field.name == "user":
            return all("user" not in one.rest for one in schemas)
        return bool(schemas) and self._catalog.in_heads(field.name, schemas)

    def _sampled(self, row: bytes) -> bool:
        return keys.share(keys.read_row(row).user) < self._asked.sample

    def __call__(self, row: StoredRow) -> list[Stored]:
        """The events of a row that pass."""
        if not self._asked.since <= row.time < self._asked.until or not self._within(row.key):
            return []
        events = row.events()
        if self._codes is not None:
            events = [event for event in events if event.code in self._codes]
        if self._where is not None:
            events = [event for event in events if self._where.holds(row.lookup(event)) is True]
        return events

    def _within(self, row: bytes) -> bool:
        return self._in_sample is None or self._in_sample(row)

    def cells(self, batch: Batch) -> Batch:
        """The cells of the rows in which an event passes, told by their heads alone."""
        keep = {row.key for row in stored_rows(batch, self._catalog) if self(row)}
        return batch if len(keep) * 2 > len(batch) else [cell for cell in batch if cell.row in keep]
