"""The log: what an application opens, writes to, and reads from."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from os import PathLike
from pathlib import Path
from time import monotonic
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventlog import erasure, forgetting, keys, receipts, retention
from eventlog.catalog import Catalog
from eventlog.cells import Cell, note_cell, take
from eventlog.engines import Counts, Engine, Want, connect
from eventlog.engines.gate import Gate
from eventlog.errors import EngineError, EventError, EventIdError
from eventlog.expressions import Expression
from eventlog.forgetting import Verdict
from eventlog.metrics import TabaMetrics
from eventlog.questions import ask, ranges
from eventlog.reading import Entry, Row, stored_rows, whole
from eventlog.receipts import Receipt
from eventlog.retention import Expired
from eventlog.scan import Scan
from eventlog.times import Micros, micros, moment, now

if TYPE_CHECKING:
    import polars as pl

    from eventlog.importing import Imported, Manifest, Progress, RolledBack

PUT_CELLS: Final = 10_000  # cells of one put
_logger = logging.getLogger("eventlog")


class Written(list[str]):
    """The ids of written events, in their order. `erased` are the numbers of those that were left out.

    Those are events of users who were forgotten after the events' time. They have an id as ever, which nothing is
    found by; so a child that names it is left out in the same way, and is no orphan.
    """

    erased: tuple[int, ...] = ()


def _quiet(*_: object) -> None:
    """Tells nobody how far it is."""


class Orphan(msgspec.Struct, frozen=True):
    """A child whose root has not come. `row` is the id that the root would have."""

    id: str
    row: str
    user: str
    time: datetime
    type: str


class Log:
    """Every event of a user in one place. Use as a context manager, or `close` it."""

    def __init__(
        self, engine: Engine, types: Iterable[type] | ModuleType = (), clock: Callable[[], Micros] = now
    ) -> None:
        self.engine = engine
        self.catalog = Catalog(engine, types, clock)
        self.gate = Gate()  # forgetting waits for the writes that are under way
        self.erased = erasure.load(engine)

    def write(self, events: Iterable[Any]) -> Written:
        """Writes events, and gives their ids in the same order. Durable when it returns.

        Takes events of the log's types, and entries as they were read (whose event may have been changed: it keeps its
        id, its unknown fields, and the newer of both versions). Writing the same event again changes nothing. All
        events are looked at before the first is written: EventError says which can't be. After any other error, write
        the same events again. Events of users who were forgotten since are left out; `erased` of what is returned
        are their numbers.
        """
        with self.catalog.metrics.watched():
            return self._write(events)

    def _write(self, events: Iterable[Any]) -> Written:
        if not isinstance(events, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise EventError(f"write takes a list of events, and {type(events).__name__} is none: put it into [ ]")
        cells: list[Cell] = []
        ids = Written()
        for index, event in enumerate(events):
            try:
                taken = self._take(event)
            except (EventError, EventIdError) as error:
                raise EventError(f"event {index}: {error}") from None
            ids.append(taken[0])
            cells.append(taken[1])
        with self.gate.shared():
            ids.erased = tuple(self._refused(cells))
            kept = _without(cells, ids.erased)
            for schema in {cell.place[-2:]: self.catalog.by_code[cell.place[-2:]] for cell in kept}.values():
                self.catalog.remember(schema)
            self.put(kept)
        self.catalog.metrics.wrote(kept, self.catalog.name, len(ids.erased))
        return ids

    def _refused(self, cells: Sequence[Cell]) -> list[int]:
        """Which cells are of users who were forgotten after the time of their row."""
        self.erased = erasure.load(self.engine, self.erased)
        return self.erased.refused(cell.row for cell in cells)

    def _take(self, event: Any) -> tuple[str, Cell]:
        if not isinstance(event, Entry):
            return take(self.catalog.schema(event), event)
        schema = self.catalog.schema(event.event)
        columns = self.catalog.columns(schema.name, event.version) if event.unknown else ()
        _, cell = take(schema, event.event, unknown=event.unknown, version=event.version, columns=columns)
        row, place = keys.read_event_id(event.id)
        here = keys.root_place(schema.code) if place == keys.ROOT else place
        if (cell.row[:-8], cell.place[:1], cell.place[-2:]) != (row[:-8], here[:1], here[-2:]):
            raise EventError(
                f"{schema.name}: user, time, parent and type are parts of an event's id, and can't be changed"
            )
        return event.id, cell._replace(row=row, place=here)

    def put(self, cells: Sequence[Cell]) -> None:
        """Writes cells in as many pieces as the engine takes them well."""
        for start in range(0, len(cells), PUT_CELLS):
            self.engine.put(cells[start : start + PUT_CELLS])

    def annotate(self, event_id: str, **notes: Any) -> bool:
        """Writes derived columns beside an event: numbers, texts, bools or datetimes; None removes one.

        All of one name are of one kind, that of the first; only whole numbers become floats, all of them, once a float
        comes. The event itself need not have come yet. False, and nothing is written, where the user was forgotten
        after the event's time.
        """
        return not self.annotate_all([(event_id, notes)])

    def annotate_all(self, notes: Iterable[tuple[str, dict[str, Any]]]) -> tuple[int, ...]:
        """The same for many events at once. Returns the numbers of those that were left out, as of forgotten users."""
        with self.catalog.metrics.watched(), self.gate.shared():
            self.erased = erasure.load(self.engine, self.erased)
            return self._annotate(notes)

    def _annotate(self, notes: Iterable[tuple[str, dict[str, Any]]]) -> tuple[int, ...]:
        cells, gone, refused = [], [], []
        kinds: dict[str, str] = {}
        for index, (event_id, named) in enumerate(notes):
            row, subject = keys.read_event_id(event_id)
            if self.erased.covers_row(row):
                refused.append(index)
                continue
            for name, value in named.items():
                place = keys.note_place(subject, name)
                if value is None:
                    gone.append((row, place))
                else:
                    cells.append(note_cell(row, subject, name, self.catalog.note_value(name, value, kinds)))
        self.catalog.remember_notes(kinds)
        if cells:
            self.put(cells)
            self.catalog.metrics.wrote(cells, self.catalog.name)
        if gone:
            self.engine.remove(gone)
        return tuple(refused)

    def annotate_frame(self, frame: "pl.DataFrame") -> int:
        """Writes the columns of a table as notes beside the events that its column `id` names; gives how many.

        A column `notes.score` is the note `score`, as tables call it. An empty value leaves the note as it is, and
        events of forgotten users are left out. All lines are looked at before the first is written: EventError says
        which can't be.
        """
        from eventlog.notes import cells_of

        with self.gate.shared():
            self.erased = erasure.load(self.engine, self.erased)
            found = [cell for cell in cells_of(frame, self.catalog) if not self.erased.covers_row(cell.row)]
            self.put(found)
        self.catalog.metrics.wrote(found, self.catalog.name)
        return len(found)

    def row(self, event_id: str) -> Row | None:
        """The whole row of an event: its root, and all children. None where there is nothing."""
        row, _ = keys.read_event_id(event_id)
        found = next(stored_rows(self.engine.get(row), self.catalog), None)
        return whole(found, self.catalog) if found and found.events() else None

    def event(self, event_id: str) -> Entry | None:
        """One event, or None."""
        row = self.row(event_id)
        return next((one for one in row.entries() if one.id == event_id), None) if row else None

    def delete(self, event_id: str) -> None:
        """Deletes an event and its notes: a root with its whole row, a child alone."""
        row, place = keys.read_event_id(event_id)
        cells = self.engine.get(row)
        if place != keys.ROOT:
            cells = [cell for cell in cells if cell.place == place or cell.place.startswith(keys.NOTE + place)]
        self.engine.remove([(cell.row, cell.place) for cell in cells])

    def forget(
        self, users: str | Iterable[str], *, now: object = None, progress: Callable[[str], None] = _quiet
    ) -> Receipt:
        """Erases every row of a user, or of many at once, and proves that their bytes are gone from the log's files.

        Events of these users up to `now` (the present) are refused from then on; later ones are new, and welcome.
        Returns the receipt, which is kept with the log. Raises EngineError where it could not be done, or not be
        proved: then there is no receipt, and it is finished by the next `forget`, or when the log is opened next.
        docs/eventlog-erasure.md tells what is promised, and what is not.
        """
        moment = self.catalog.clock() if now is None else micros(now)
        return forgetting.forget(self, [users] if isinstance(users, str) else users, moment, progress)

    def verify_forgotten(self, user: str) -> Verdict:
        """Looks for a forgotten user in the log's files once more."""
        return forgetting.verify(self, user)

    def receipts(self) -> list[Receipt]:
        """The receipts of all that was forgotten, the oldest first."""
        return list(receipts.load(self.engine))

    def expire(
        self, now: object = None, *, dry_run: bool = False, progress: Callable[[str, int, int], None] = _quiet
    ) -> Expired:
        """Removes the events that are past their time to live at `now` (the present) from the engine's files.

        Reads leave them out in any case. `dry_run` only counts. Safe to interrupt and to repeat.
        """
        return retention.expire(self, self.catalog.clock() if now is None else micros(now), dry_run, progress)

    def user(
        self,
        user: str,
        *,
        since: object = None,
        until: object = None,
        types: Iterable[type | str] | type | str | None = None,
    ) -> Scan:
        """One user's events in the order of their roots' times, a child after its root. Seeks them; reads no others."""
        return self.scan(since, until, types=types, users=[user])

    def scan(
        self,
        since: object = None,
        until: object = None,
        *,
        types: Iterable[type | str] | type | str | None = None,
        columns: Iterable[Any] | None = None,
        where: Expression | bool | None = None,
        sample: float | Fraction = 1,
        users: Iterable[str] | None = None,
        prefix: str = "",
    ) -> Scan:
        """The events of the rows whose root events are from `since` up to, and without, `until`.

        Times are datetimes, dates, ISO texts or seconds. `types` are the events that are wanted (all), `columns` the
        columns of tables, `where` an expression over fields, `sample` a part of the users (the same ones each time, and
        a smaller sample is within a larger), `users` a list of users, `prefix` what their names begin with.
        Raises QueryError on what does not exist.
        """
        asked = ask(
            self.catalog,
            since=since,
            until=until,
            types=types,
            columns=columns,
            where=where,
            sample=sample,
            users=users,
            prefix=prefix,
        )
        return Scan(self.engine, self.catalog, asked)

    def orphans(self, since: object = None, until: object = None) -> Iterator[Orphan]:
        """The children whose root has not come, in rows of the times between. Reads heads alone, no event's body."""
        asked = ask(self.catalog, since=since, until=until)
        want = Want(since=asked.since, until=asked.until, bodies=False, notes=False)
        past = self.catalog.past()
        found = 0
        for batch in self.engine.read(ranges(asked), want, Counts()):
            for row in stored_rows(batch, self.catalog):
                if row.root is not None or not asked.since <= row.time < asked.until:
                    continue
                user = keys.read_row(row.key).user
                for child in row.children:
                    if child.time <= past.get(child.code, -1):
                        continue
                    place = keys.event_id(row.key, child.cell.place)
                    found += 1
                    yield Orphan(place, keys.event_id(row.key), user, moment(child.time), child.name)
        if since is None and until is None:
            self.catalog.metrics.orphans(found)

    def import_day(
        self,
        day: str,
        files: Iterable[str | Path],
        *,
        type: str = "",  # noqa: A002  (as --type)
        format: str = "",  # noqa: A002  (as --format)
        slack: str | float = "1d",
        max_bad: str | float = "5%",
        replace: bool = False,
        add: bool = False,
        workers: int | None = None,
        progress: "Callable[[Progress], None] | None" = None,
    ) -> "Imported":
        """Imports a day's files (NDJSON, CSV, Parquet; gzip and zstd), each event once, however often it is repeated.

        `type` is the type of all lines, where they have no field `type`. The times of events lie within the day, or
        within `slack` around it. Lines that can't be read are put aside; more than `max_bad` of them (a number, or a
        part such as "5%"), and nothing is written. A day that has been imported from other files is replaced, or added
        to, only on request. `workers` are processes (one for each core; 0: this one). Killed and repeated, it goes on.
        Raises EventlogError; after one, repeat it.
        """
        from eventlog.importing import Options, import_day, max_bad_of, slack_of

        began = monotonic()
        with self.catalog.metrics.watched():
            options = Options(type, format, slack_of(slack), max_bad_of(max_bad), replace, add, workers, progress)
            done = import_day(self, day, files, options)
        if not done.repeated:
            self.catalog.metrics.imported(done.counts, monotonic() - began)
        return done

    def imports(self) -> "list[Manifest]":
        """The imports that this log has had, in the order of their numbers."""
        from eventlog.importing import all_imports

        return all_imports(self.engine)

    def rollback(self, number: int) -> "RolledBack":
        """Takes away exactly what an import wrote, wherever that lies. Can be repeated. Raises EventlogError."""
        from eventlog.importing import rollback

        return rollback(self, number)

    def close(self) -> None:
        """Closes the engine; the log can't be used after it."""
        self.engine.close()

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _without(cells: list[Cell], numbers: Sequence[int]) -> list[Cell]:
    left_out = set(numbers)
    return [cell for index, cell in enumerate(cells) if index not in left_out] if left_out else cells


def open_log(
    url: str | PathLike[str],
    types: Iterable[type] | ModuleType = (),
    *,
    read_only: bool = False,
    clock: Callable[[], Micros] = now,
    metrics: bool = False,
) -> Log:
    """Opens the log at a folder or at `hbase://HOST:PORT/TABLE`, with the event types that are written and read.

    `types` are classes, or the module that holds them. Without a type's class its events are read as dicts.
    `clock` gives the present in microseconds since 1970. A forgetting that was interrupted is finished first. With
    `metrics`, the log records what it does with Taba's client, as `eventlog.metrics` tells.
    """
    if not isinstance(url, str | PathLike) or not str(url):
        raise EngineError(f"{url!r:.60} is no place of a log; give a folder, or hbase://HOST:9090/TABLE")
    engine = connect(str(url), read_only=read_only)
    try:
        log = Log(engine, types, clock)
        if metrics:
            log.catalog.metrics = TabaMetrics()
        if not read_only:
            _finish_forgetting(log)
        return log
    except BaseException:
        engine.close()
        raise


def _finish_forgetting(log: Log) -> None:
    """Finishes what a kill interrupted. Where that can't be done now, the log is of use all the same."""
    try:
        forgetting.resume(log, _quiet, opening=True)
    except EngineError as error:
        _logger.warning(
            "a forgetting that was interrupted could not be finished, and is tried again next time: %s", error
        )
