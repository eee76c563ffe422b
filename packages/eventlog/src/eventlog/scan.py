"""A read: what is kept of a question's key ranges, in which forms it is given, and how much was read for it."""

from collections.abc import Callable, Iterator
from functools import reduce
from typing import TYPE_CHECKING, Any

import msgspec

from eventlog import keys
from eventlog.catalog import Catalog
from eventlog.engines import Batch, Counts, Engine, Want
from eventlog.expressions import NOTES, Both, Expression, Field
from eventlog.keys import Range
from eventlog.questions import Question, conjuncts, ranges
from eventlog.reading import Entry, Row, Stored, StoredRow, entry, stored_rows, whole
from eventlog.times import END

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from eventlog.parts import Part


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
            where=passes.pushed,
            types=None if whole_rows else types(passes.types),
            select=passes.cells if bodies and passes.by_heads else None,
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
        # What an engine may decide by its own copies of columns: a field that some version keeps in the body may have
        # an older copy there.
        parts = [part for part in conjuncts(self._where) if all(map(self._in_head, part.fields()))]
        self.pushed: Expression | None = reduce(Both, parts) if parts else None
        # Whether heads tell of some cells that their bodies need not be read; a user's ranges hold the times already.
        times = asked.users is None and (asked.since > 0 or asked.until < END)
        some = times or bool(self._codes) or self._where is not None or self._in_sample is not None
        self.by_heads = some and not self.needs_bodies

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
