"""The distributed engine: an HBase table, through HBase's Thrift server (version 1), with happybase.

    hbase://HOST:9090/TABLE?pool=8&timeout=60&transport=buffered&protocol=binary&files=FOLDER

`pool` is how many calls are made at once, `timeout` the seconds that one may take. `files` is HBase's root folder where
this machine sees it; only erasing looks there (hbase_erase).

    table TABLE        row = row        h:PLACE = head    b:PLACE = body    c:… = what filters look at (hbase_filters)
    table TABLE.meta   row = name       m:v = value

Heads lie apart from bodies, as in the embedded engine, so that a scan of columns reads no body. The region server
decides what of `where` and of the times it can. HBase gives every cell its time of writing, and a removal hides what is
written in the same millisecond: so nothing is removed by a put, and a removal lets two milliseconds pass.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from eventlog import keys
from eventlog.cells import Cell
from eventlog.engines import Batch, Counts, Only, Proof, Want, hbase_erase, hbase_errors
from eventlog.engines.hbase_connections import (
    ANSWERED,
    FAILED,
    AlreadyExists,
    Connections,
    IllegalArgument,
    Patience,
    Scanner,
    ThriftIOError,
    TScan,
)
from eventlog.engines.hbase_filters import row_filter
from eventlog.engines.hbase_rows import (
    BODIES,
    COLUMNS,
    HEADS,
    PUT_ROWS,
    batches_of,
    cells_of,
    columns_of,
    families_of,
    light,
    pieces,
    sought,
)
from eventlog.errors import EngineError
from eventlog.keys import Place, Range, Row
from eventlog.times import END, Micros

META: Final = b"m:v"
SCAN_ROWS: Final = 1000  # rows of one answer
CLOSED: Final = "hbase/closed"  # the small value that stands while `flush` has the table closed
AFTER_REMOVAL: Final = 0.002
MOST: Final = 100_000  # of an option that is a number
SPLITS: Final = 10  # looks at the regions, while one that is asked for is gone
AFTER_SPLIT: Final = 1.0  # seconds between these looks
OPTIONS: Final = {"pool": "8", "timeout": "60", "transport": "buffered", "protocol": "binary", "files": ""}

T = TypeVar("T")


class HBase:
    """An Engine in an HBase table."""

    name = "hbase"

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.url = url
        self.read_only = read_only
        self.folder = None
        address = urlsplit(url)
        given = {name: values[-1] for name, values in parse_qs(address.query).items()}
        if unknown := set(given) - set(OPTIONS):
            raise EngineError(f"{url}: there is no option {', '.join(sorted(unknown))}; there are {', '.join(OPTIONS)}")
        self._table = address.path.strip("/")
        if not self._table:
            raise EngineError(f"{url} names no table; write hbase://HOST:9090/TABLE")
        try:
            host, port = address.hostname or "127.0.0.1", address.port or 9090
        except ValueError as error:
            raise EngineError(f"{url}: {error}") from None
        self._where = f"{host}:{port}"
        options = OPTIONS | given
        self.files = options["files"]
        try:
            self._named = {
                "host": host,
                "port": port,
                "timeout": max(1, int(_number(url, options, "timeout") * 1000)),  # 0 is for ever
                "transport": options["transport"],
                "protocol": options["protocol"],
            }
            self._connections = Connections(int(_number(url, options, "pool")), **self._named)
            with self._connections.one():
                pass
        except FAILED as error:
            raise self._told(error) from None
        except (ValueError, TypeError) as error:
            raise EngineError(f"{url}: {error}") from None
        self._made = False
        self._make()
        self._made = True

    def _make(self) -> None:
        """Makes the tables where there are none, and sees that those which are there are a log's."""
        there = {name.decode() for name in self._call(lambda connection: connection.tables())}
        for name, families in self._tables.items():
            if name not in there:
                continue
            if (told := self._call(partial(hbase_errors.lacking, table=name, families=families))) is not None:
                raise EngineError(f"{self.url}: {told}")
        missing = {name: families for name, families in self._tables.items() if name not in there}
        if missing and self.read_only:
            raise EngineError(f"{self.url}: there is no such log; the first write makes it, or check the table's name")
        for name, families in missing.items():
            with contextlib.suppress(AlreadyExists):  # another process was faster
                self._call(lambda connection, name=name, families=families: connection.create_table(name, families))
        if not self.read_only and self.get_meta(CLOSED) is not None:
            self.flush()  # a process was killed while it had the table closed

    @property
    def _tables(self) -> dict[str, dict[str, Any]]:
        """The log's tables, with their column families."""
        return {
            self._table: {"h": FAMILY, "b": FAMILY, "c": FAMILY},
            f"{self._table}.meta": {"m": {"max_versions": 1}},
        }

    def _call(self, call: Callable[[Any], T]) -> T:
        """One call on a connection, tried again while the server does not answer. Calls may be repeated."""
        patience = Patience()
        while True:
            try:
                with self._connections.one() as connection:
                    return call(connection)
            except AlreadyExists:
                raise
            except FAILED as error:
                self._judge(error, patience)
            patience.wait()

    def _judge(self, error: BaseException, patience: Patience) -> None:
        """Raises EngineError where trying again is in vain, or was tried enough."""
        spent = patience.spent()
        if self._made and isinstance(error, (*ANSWERED, TimeoutError)):
            mark = (f"{self._table}.meta", CLOSED.encode())
            if (wrong := hbase_errors.look(self._named, self._tables, mark)) is not None:
                raise EngineError(f"{self.url}: {wrong}") from None
        if spent or hbase_errors.final(error):
            raise self._told(error) from None

    def _told(self, error: BaseException) -> EngineError:
        return hbase_errors.told(error, self._where, self._table)

    def put(self, cells: Sequence[Cell]) -> None:
        self._may_write()
        rows: dict[Row, dict[bytes, bytes]] = {}
        for cell in cells:
            rows.setdefault(cell.row, {}).update(columns_of(cell))
        for some in light(rows.items()):
            self._mutate([(row, columns, []) for row, columns in some])

    def remove(self, places: Sequence[tuple[Row, Place]]) -> None:
        self._may_write()
        roots = [row for row, place in places if place[:1] == keys.ROOT]
        kept = {row: list(columns) for some in pieces(roots, PUT_ROWS) for row, columns in self._rows(some, [b"c"])}
        rows: dict[Row, list[bytes]] = {}
        for row, place in places:
            gone = rows.setdefault(row, [])
            gone += [HEADS + place, BODIES + place]
            if place[:1] == keys.ROOT:
                gone += [name for name in kept.get(row, []) if name.startswith(COLUMNS + place[1:])]
        for some in pieces(list(rows.items()), PUT_ROWS):
            self._mutate([(row, {}, gone) for row, gone in some])
        time.sleep(AFTER_REMOVAL)

    def _mutate(self, rows: list[tuple[Row, dict[bytes, bytes], list[bytes]]]) -> None:
        def send(connection: Any) -> None:
            batch = connection.table(self._table).batch()
            for row, columns, gone in rows:
                if columns:
                    batch.put(row, columns)
                if gone:
                    batch.delete(row, gone)
            batch.send()

        self._call(send)

    def _may_write(self) -> None:
        if self.read_only:
            raise EngineError(f"{self.url} is open for reading only")

    def _rows(self, rows: Sequence[Row], columns: list[bytes]) -> list[tuple[Row, dict[bytes, bytes]]]:
        return self._call(lambda connection: connection.table(self._table).rows(list(rows), columns))

    def get(self, row: Row) -> Batch:
        found = self._rows([row], [b"h", b"b"])
        return cells_of(*found[0], bodies=True) if found else []

    def read(self, ranges: Sequence[Range], want: Want, counts: Counts) -> Iterator[Batch]:
        for rows, one in sought(ranges):
            counts.seeks += len(rows) or 1
            found = self._rows_of(rows, want) if one is None else self._scan(one, want, families_of(want))
            for batch in batches_of(found, want, counts):
                chosen = batch if want.select is None else want.select(batch)
                if chosen:
                    yield self._with_bodies(chosen) if want.select is not None and want.bodies else chosen

    def _rows_of(self, rows: Sequence[Row], want: Want) -> Iterator[tuple[Row, dict[bytes, bytes]]]:
        """Single rows, many in one call: a scanner for each would cost it four."""
        for some in pieces(list(rows), SCAN_ROWS):
            yield from self._rows(some, families_of(want))

    def _scan(self, one: Range, want: Want, families: list[bytes]) -> Iterator[tuple[Row, dict[bytes, bytes]]]:
        """The rows of a range. A scanner that breaks, or is forgotten, is opened again behind the last row."""
        asked, looked = row_filter(want.where, want.since, want.until)
        columns = families + [COLUMNS + name for name in looked]
        start, patience = one.start, Patience()
        while True:
            scan = TScan(
                startRow=start, stopRow=one.stop or None, columns=columns, caching=SCAN_ROWS, filterString=asked
            )
            scanner = Scanner(self._connections, self._table.encode(), scan)
            try:
                while found := scanner.rows(SCAN_ROWS):
                    for each in found:
                        yield each.row, {name: cell.value for name, cell in each.columns.items()}
                    start, patience = found[-1].row + b"\x00", Patience()
                return
            except FAILED as error:
                forgotten = isinstance(error, IllegalArgument) and start != one.start
                self._judge(ConnectionError(str(error)) if forgotten else error, patience)
            finally:
                scanner.close()
            patience.wait()

    def _with_bodies(self, cells: Batch) -> Batch:
        rows = list(dict.fromkeys(cell.row for cell in cells))
        found = {row: columns for some in pieces(rows, SCAN_ROWS) for row, columns in self._rows(some, [b"b"])}
        return [cell._replace(body=found.get(cell.row, {}).get(BODIES + cell.place, b"")) for cell in cells]

    def split(self, one: Range, parts: int) -> list[Range]:
        """At the borders of regions; more parts than there are regions within them."""
        starts = sorted({start for _, start, _ in self.regions()})
        inside = [key for key in starts if key > one.start and (not one.stop or key < one.stop)]
        pieces = [Range(start, stop) for start, stop in pairwise([one.start, *inside, one.stop])]
        return [part for piece in pieces for part in keys.split(piece, max(1, -(-parts // len(pieces))))]

    def erase(self, ranges: Sequence[Range], only: Only | None = None) -> Proof:
        self._may_write()
        return hbase_erase.erase(self, ranges, only)

    def prove(self, ranges: Sequence[Range], only: Only | None = None) -> Proof:
        return hbase_erase.prove(self, ranges, only)

    def delete_rows(self, rows: Sequence[Row]) -> None:
        """Deletes whole rows."""

        def send(connection: Any) -> None:
            batch = connection.table(self._table).batch()
            for row in rows:
                batch.delete(row)
            batch.send()

        self._call(send)
        time.sleep(AFTER_REMOVAL)

    def flush(self) -> None:
        """Writes what lies in memory into files, by closing the table for a moment: Thrift has no other way.

        A process that is killed meanwhile leaves the table closed, and a mark by which the next one opens it.
        """

        def close_and_open(connection: Any) -> None:
            if connection.is_table_enabled(self._table):
                connection.disable_table(self._table)
            connection.enable_table(self._table)

        self.put_meta(CLOSED, b"1")
        self._call(close_and_open)
        self.put_meta(CLOSED, None)

    def spans(self) -> list[tuple[Micros, Micros]]:
        return [(0, END)]

    def drop(self, since: Micros, until: Micros) -> None:
        for batch in self.read([keys.EVERYTHING], Want(since=since, until=until, bodies=False), Counts()):
            self.remove([(cell.row, cell.place) for cell in batch])
        self.compact(since, until)

    def compact(self, since: Micros, until: Micros) -> None:
        self._call(lambda connection: connection.compact_table(self._table, major=True))

    def regions(self) -> list[tuple[str, Row, Row]]:
        """The regions of the table: what HBase calls them, the first row, and the first of the next (empty: none)."""
        found = self._call(lambda connection: connection.table(self._table).regions())
        return [(_region(one["name"]), one["start_key"], one["end_key"]) for one in found]

    def regions_of(self, ranges: Sequence[Range]) -> list[tuple[str, Row]]:
        """The regions that hold rows of these ranges, each with its first row."""
        return [
            (name, start)
            for name, start, stop in self.regions()
            if any((not stop or one.start < stop) and (not one.stop or start < one.stop) for one in ranges)
        ]

    def compact_regions(self, ranges: Sequence[Range]) -> None:
        """Asks for a compaction of the regions that hold rows of these ranges, even if HBase splits them meanwhile."""
        for _ in range(SPLITS):
            asked = [self._compact(name) for name, _ in self.regions_of(ranges)]
            if all(asked):
                return
            time.sleep(AFTER_SPLIT)

    def _compact(self, region: str) -> bool:
        """Asks for a compaction of a region; whether it is there."""

        def ask(connection: Any) -> bool:
            try:
                connection.compact_table(region, major=True)
            except ThriftIOError as error:
                if hbase_errors.gone(error):
                    return False
                raise
            return True

        return self._call(ask)

    def get_meta(self, name: str) -> bytes | None:
        found = self._call(lambda connection: connection.table(f"{self._table}.meta").row(name.encode(), [META]))
        return found.get(META)

    def put_meta(self, name: str, value: bytes | None) -> None:
        self._may_write()

        def write(connection: Any) -> None:
            table = connection.table(f"{self._table}.meta")
            if value is None:
                table.delete(name.encode())
            else:
                table.put(name.encode(), {META: value})

        self._call(write)
        if value is None:
            time.sleep(AFTER_REMOVAL)

    def list_meta(self, beginning: str) -> dict[str, bytes]:
        start = beginning.encode()
        asked = {"row_prefix": start} if start else {}
        found = self._call(
            lambda connection: list(connection.table(f"{self._table}.meta").scan(columns=[META], **asked))
        )
        return {row.decode(): columns[META] for row, columns in found}

    def stats(self) -> dict[str, int | str]:
        regions = self._call(lambda connection: connection.table(self._table).regions())
        return {
            "table": self._table,
            "regions": len(regions),
            "servers": len({region["server_name"] for region in regions}),
            "thrift": self._where,
        }

    def close(self) -> None:
        """Closes the connections; those of scans that are not at their end, with them."""
        self._connections.close()


FAMILY: Final = {"max_versions": 1, "bloom_filter_type": "ROW"}


def _number(url: str, options: Mapping[str, str], name: str) -> float:
    try:
        found = float(options[name])
    except ValueError:
        raise EngineError(f"{url}: {name} is {options[name]!r}, and no number") from None
    if not 0 < found < MOST:
        raise EngineError(f"{url}: {name} is {options[name]!r}; it is above 0 and below {MOST:,}")
    return found


def _region(name: bytes) -> str:
    """The hash at the end of a region's full name, which is `table,first row,number.HASH.`."""
    return name.rstrip(b".").rpartition(b".")[2].decode()
