"""Tables without an object for each event: filtered as columns, each field decoded only for the events that pass.

    block -> cells -> rows within the times and the sample -> events of the types -> `where` -> the table's columns

The meaning is that of `scan.Filter` and `tables.Table`, which stay the plain way: for small answers, and for every
block that holds what columns can't (see `vectors.Plain`).
"""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from eventlog import keys
from eventlog.catalog import Catalog
from eventlog.engines import Counts, Want
from eventlog.engines.blocks import Block, batch_of, blocks
from eventlog.expressions import NOTES, Field
from eventlog.questions import Question
from eventlog.reading import stored_rows
from eventlog.scan import Filter, Reads, Scan
from eventlog.tables import ALWAYS, TIME, Table, turned
from eventlog.vectors import (
    Fields,
    Plain,
    cells,
    ends,
    events,
    ids,
    in_sample,
    kinds_of,
    note_values,
    row_ids,
    series,
    users,
)
from eventlog.wheres import DTYPES, column, vectorised

LEAST: Final = 4096  # cells of one table at least, where there are as many
SMALL: Final = 256  # cells below which columns cost more than objects
_KINDS: Final = {str(dtype): kind for kind, dtype in DTYPES.items()}


def frames(scan: Scan) -> Iterator[pl.DataFrame]:
    """The tables of a scan, none of them empty; counts its reads."""
    table = Table(scan.catalog, scan.asked)
    passes = Filter(scan.catalog, scan.asked)
    bodies = table.bodies or passes.needs_bodies
    want = Want(
        since=scan.asked.since,
        until=scan.asked.until,
        bodies=bodies,
        where=passes.pushed,
        types=table.types(passes.types),
        select=passes.cells if bodies and not passes.needs_bodies else None,
    )
    counts, reads = Counts(), Reads()
    scan.reads = reads
    try:
        for block in blocks(scan.engine, scan.within, want, counts, LEAST):
            frame = _frame(block, scan, table, passes, reads)
            reads.seeks = counts.seeks
            reads.events_returned += frame.height
            if frame.height:
                yield frame
        reads.seeks = counts.seeks
    finally:
        scan.catalog.metrics.read(reads)


def _frame(block: Block, scan: Scan, table: Table, passes: Filter, reads: Reads) -> pl.DataFrame:
    stops = ends(block)
    if len(block.keys) >= SMALL:
        try:
            taken = Columns(block, stops, scan.catalog, scan.asked, table, passes)
            frame = taken.frame()
        except Plain:
            pass
        else:
            _count(reads, taken.rows_read, len(block.keys), taken.rows_returned)
            return frame
    batch = batch_of(block, bodies=table.bodies or passes.needs_bodies, ends=stops)
    rows = list(stored_rows(batch, scan.catalog))
    found = [(row, kept) for row in rows if (kept := passes(row))]
    _count(reads, len(rows), len(batch), len(found))
    return table.frame(found)


def _count(reads: Reads, rows: int, read: int, returned: int) -> None:
    reads.rows_read += rows
    reads.cells_read += read
    reads.rows_returned += returned


class Columns:
    """The answer of one block."""

    def __init__(
        self, block: Block, stops: list[int], catalog: Catalog, asked: Question, table: Table, passes: Filter
    ) -> None:
        self._block = block
        self._catalog = catalog
        self._asked = asked
        self._table = table
        self._bodies = passes.needs_bodies
        found = cells(block, stops)
        self.rows_read = found["number"][-1] + 1
        found = self._alive(found)
        self._notes = found.filter(pl.col("kind") == 2)
        self._all = events(found, block.heads, catalog.past())
        self._events = self._all
        self._fields: Fields | None = None
        self.rows_returned = 0

    def _alive(self, found: pl.DataFrame) -> pl.DataFrame:
        """The cells of rows within the times and the sample."""
        time = pl.col("row_time")
        found = found.filter((time >= self._asked.since) & (time < self._asked.until))
        return found.filter(in_sample(found, self._asked.sample)) if self._asked.sample < 1 else found

    def frame(self) -> pl.DataFrame:
        where = self._asked.where
        lines = pl.Series([True]).new_from_index(0, self._all.height)
        if self._asked.types:
            lines = self._all["code"].is_in([_code(name) for name in self._asked.types])
        if where is not None:
            fields = sorted(where.fields(), key=lambda one: one.key)
            names = [one.name for one in fields if one.type != NOTES]
            lines = self._keep(lines, roots=True)
            self._decode(names, bodies=self._bodies)
            lines = lines & self._passing(fields)
        dotted = any("." in name for name in self._table.columns)
        lines = self._keep(lines, roots=dotted)
        plain = [name.rpartition(".")[2] for name in self._table.columns if name not in ALWAYS]
        self._decode(plain, bodies=self._table.bodies)
        made = pl.DataFrame({name: self._column(name) for name in self._table.columns}, height=self._events.height)
        self.rows_returned = self._events.filter(lines)["number"].n_unique()
        return made if lines.all() else made.filter(lines)

    def _keep(self, lines: pl.Series, *, roots: bool) -> pl.Series:
        """Leaves the events of `lines`, and their roots where these matter; gives the lines among what is left."""
        keep = lines.clone()
        if roots:
            keep = keep.scatter(self._events["root"].filter(lines).drop_nulls(), True)
        if keep.all():
            return lines
        at = (keep.cast(pl.UInt32).cum_sum() - 1).alias("root")
        root = self._events["root"]
        moved = self._events.with_columns(root=at.gather(root).zip_with(keep.gather(root).fill_null(False), _nulls(at)))
        self._events = moved.filter(keep)
        return lines.filter(keep)

    def _decode(self, names: list[str], *, bodies: bool) -> None:
        names = [name for name in names if name not in ("time", "type")]
        if not names:
            self._fields = None
            return
        at = self._events["index"].to_list()
        heads = [self._block.heads[index] for index in at]
        filled = self._block.bodies(at) if bodies else None
        self._fields = Fields(names, heads, filled, self._catalog.serializers)

    def _passing(self, fields: list[Field]) -> pl.Series:
        """Which events pass `where`."""
        assert self._asked.where is not None
        found = {field.key: self._looked_up(field) for field in fields}
        kinds = {key: None if one is None else _KINDS.get(str(one.dtype)) for key, one in found.items()}
        told = vectorised(self._asked.where, kinds)
        if told is None:
            raise Plain
        height = self._events.height
        frame = pl.DataFrame(
            {
                column(key): pl.Series([None]).new_from_index(0, height) if one is None else one
                for key, one in found.items()
            }
        )
        return frame.with_columns(told.fill_null(False).alias("told"))["told"]

    def _looked_up(self, field: Field) -> pl.Series | None:
        """A field as `where` finds it (see StoredRow.lookup); None where no event has a value."""
        if field.type == NOTES:
            return self._note(field.name)
        own = self._where_own(field)
        if own is None:
            return None
        if field.type:
            return self._of_type(own, field.type)
        return own.zip_with(own.is_not_null(), self._from_root(own))

    def _where_own(self, field: Field) -> pl.Series | None:
        if field.name == "time":
            return self._events["time"]
        if field.name == "type":
            return self._names()
        if field.name == "user":
            if any(self._values("user", field.type)):
                raise Plain  # a child that names a user of its own
            return users(self._events)
        values = self._values(field.name, field.type)
        kinds = kinds_of(values)
        if not kinds:
            return None
        kind = kinds.pop()
        if kinds or kind not in DTYPES or (kind is str and self._catalog.no_text(field.name)):
            raise Plain
        return series(values, kind)

    def _values(self, name: str, kind: str = "") -> list[Any]:
        """The values of a field, of events of one type alone where that is named."""
        assert self._fields is not None
        values = self._fields.values(name)
        if not kind:
            return values
        own = self._is(kind)
        if own.all():
            return values
        return [value if here else None for value, here in zip(values, own.to_list(), strict=True)]

    def _is(self, kind: str) -> pl.Series:
        return self._events["code"] == _code(kind)

    def _names(self) -> pl.Series:
        """The names of the events' types."""
        codes = self._events["code"]
        names = {code: self._catalog.name(code.to_bytes(2)) for code in codes.unique().to_list()}
        return codes.replace_strict(list(names), list(names.values()), return_dtype=pl.String)

    def _from_root(self, own: pl.Series) -> pl.Series:
        return own.gather(self._events["root"])

    def _of_type(self, own: pl.Series, kind: str) -> pl.Series:
        """The values of the event itself if it is of a type, else those of its root, if that is."""
        here = self._is(kind)
        own = own.zip_with(here, _nulls(own))
        return own.zip_with(here, self._from_root(own))

    def _note(self, name: str) -> pl.Series | None:
        """A note of each event, or else of its root."""
        place = pl.col("place")
        of_root = place.bin.get(1) == 0
        raw = pl.lit(name.encode())
        found = self._notes.filter(pl.when(of_root).then(place.bin.slice(2)).otherwise(place.bin.slice(20)) == raw)
        if not found.height:
            return None
        values = note_values([self._block.heads[index] for index in found["index"].to_list()])
        kinds = kinds_of(values)
        if int in kinds and self._catalog.notes.get(name) == "float":
            values = [self._catalog.noted(name, value) for value in values]
            kinds = kinds_of(values)
        if len(kinds) != 1:
            raise Plain
        subject = pl.when(of_root).then(place.bin.slice(1, 1)).otherwise(place.bin.slice(1, keys.CHILD_LENGTH))
        held = found.select("number", subject=subject).with_columns(value=series(values, kinds.pop()))
        asked = self._events.select(
            "number", subject=pl.when(pl.col("kind") == 1).then(place).otherwise(pl.lit(keys.ROOT))
        )
        own = asked.join(held, on=["number", "subject"], how="left", maintain_order="left")["value"]
        return own.zip_with(own.is_not_null(), self._from_root(own))

    def _column(self, name: str) -> pl.Series:
        """A column of the table."""
        if name in ALWAYS:
            return self._always(name)
        kind, _, field = name.rpartition(".")
        dtype = self._table.dtypes[name]
        if kind == NOTES:
            found = self._note(field)
            if found is None:
                return _nulls(self._events["number"], dtype)
            if found.dtype != dtype:
                raise Plain
            return found
        if field == "count":
            return self._children(kind)
        if field == "time" and kind:
            return self._of_type(self._events["time"].cast(TIME), kind)
        held = self._in_key(kind, field)
        own = turned(self._values(field, kind), dtype) if held is None else held
        return self._of_type(own, kind) if kind else own

    def _in_key(self, kind: str, field: str) -> pl.Series | None:
        """A field that lies in the key: the user of a root, the parent of a child."""
        schema = self._catalog.by_name.get(kind)
        if schema is not None and schema.parent is None and field == "user":
            return users(self._events)
        codes = [_code(one.name) for one in self._catalog if one.parent_field == field and kind in ("", one.name)]
        if not codes:
            return None
        if not kind and any(field in (*one.columns, *one.rest) for one in self._catalog):
            raise Plain  # a parent here, and a field there
        row, place, code = pl.col("row"), pl.col("place"), pl.col("code")
        names = code.is_in(codes) & (row.bin.tail(16) != place.bin.slice(1, 16))
        told = self._events.select(names=names)["names"]
        return row_ids(self._events).zip_with(told, _nulls(self._events["number"], pl.String))

    def _always(self, name: str) -> pl.Series:
        match name:
            case "id":
                return ids(self._events)
            case "row":
                return row_ids(self._events)
            case "user":
                return users(self._events)
            case "time":
                return self._events["time"].cast(TIME)
        return self._names()

    def _children(self, kind: str) -> pl.Series:
        """How many children of a type each event's row has."""
        of_kind = (pl.col("kind") == 1) & (pl.col("code") == _code(kind))
        counted = self._all.filter(of_kind).group_by("number").len("found")
        joined = self._events.select("number").join(counted, on="number", how="left", maintain_order="left")
        return joined["found"].fill_null(0).cast(pl.Int64)


def _code(name: str) -> int:
    """A type's code as the number that it is in a column."""
    return int.from_bytes(keys.type_code(name))


def _nulls(like: pl.Series, dtype: Any = None) -> pl.Series:
    return pl.Series([None], dtype=dtype or like.dtype).new_from_index(0, len(like))
