"""The distributed engine: an HBase table, through HBase's Thrift server (version 1), with happybase.

    hbase://HOST:9090/TABLE?pool=8&timeout=60&transport=buffered&protocol=binary&files=FOLDER

`files` is HBase's root folder where this machine sees it; only erasing looks there (hbase_erase).

    table TABLE        row = row        h:PLACE = head    b:PLACE = body    c:… = what filters look at (hbase_filters)
    table TABLE.meta   row = name       m:v = value

Heads lie apart from bodies, as in the embedded engine, so that a scan of columns reads no body. The region server
decides what of `where` and of the times it can. HBase gives every cell its time of writing, and a removal hides what is
written in the same millisecond: so nothing is removed by a put, and a removal lets two milliseconds pass.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from eventlog import keys
from eventlog.cells import Cell, read_head
from eventlog.engines import Batch, Counts, Only, Proof, Want, hbase_erase
from eventlog.engines.hbase_filters import TIME, column_cells, row_filter
from eventlog.errors import EngineError
from eventlog.keys import Place, Range, Row
from eventlog.times import END, Micros

try:
    import happybase
    from Hbase_thrift import (  # pyright: ignore[reportMissingImports]  (happybase makes it when it is imported)
        AlreadyExists,
        IllegalArgument,
    )
    from Hbase_thrift import IOError as ThriftIOError  # pyright: ignore[reportMissingImports]
    from thriftpy2.thrift import TException
except ImportError:
    raise EngineError("HBase needs the package happybase: install eventlog[hbase]") from None

HEADS: Final = b"h:"
BODIES: Final = b"b:"
COLUMNS: Final = b"c:"
META: Final = b"m:v"
PUT_ROWS: Final = 1000  # rows of one call
PUT_BYTES: Final = 4 * 2**20  # about, of one call
SCAN_ROWS: Final = 1000  # rows of one answer
BATCH_CELLS: Final = 4096
TRIES: Final = 6
FIRST_PAUSE: Final = 0.2  # seconds; doubled each time: 6 s in all
PATIENCE: Final = 90.0  # seconds, after which a call that takes long is not tried again
AFTER_REMOVAL: Final = 0.002
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
        self._where = f"{address.hostname or '127.0.0.1'}:{address.port or 9090}"
        options = OPTIONS | given
        self.files = options["files"]
        try:
            self._pool = happybase.ConnectionPool(
                int(_number(url, options, "pool")),
                host=address.hostname or "127.0.0.1",
                port=address.port or 9090,
                timeout=int(_number(url, options, "timeout") * 1000),
                transport=options["transport"],
                protocol=options["protocol"],
            )
        except (OSError, TException) as error:
            raise self._told(error) from None
        except (ValueError, TypeError) as error:
            raise EngineError(f"{url}: {error}") from None
        self._make()

    def _make(self) -> None:
        """Makes the tables where there are none."""
        wanted = {
            self._table: {"h": FAMILY, "b": FAMILY, "c": FAMILY},
            f"{self._table}.meta": {"m": {"max_versions": 1}},
        }
        there = {name.decode() for name in self._call(lambda connection: connection.tables())}
        missing = {name: families for name, families in wanted.items() if name not in there}
        if missing and self.read_only:
            raise EngineError(f"{self.url}: there is no such log; the first write makes it, or check the table's name")
        for name, families in missing.items():
            with contextlib.suppress(AlreadyExists):  # another process was faster
                self._call(lambda connection, name=name, families=families: connection.create_table(name, families))

    def _call(self, call: Callable[[Any], T]) -> T:
        """One call on a pooled connection, tried again while the server does not answer. Calls may be repeated."""
        pause, began = FIRST_PAUSE, time.monotonic()
        for attempt in range(TRIES):
            try:
                with self._pool.connection() as connection:
                    return call(connection)
            except AlreadyExists:
                raise
            except (OSError, EOFError, TException) as error:
                if attempt == TRIES - 1 or time.monotonic() - began > PATIENCE or _final(error):
                    raise self._told(error) from None
            time.sleep(pause)
            pause *= 2
        raise AssertionError

    def _told(self, error: BaseException) -> EngineError:
        """An error of Thrift's or HBase's as ours; HBase's come with the whole stack of its own."""
        if isinstance(error, ThriftIOError | IllegalArgument):
            first = _message(error).partition("\n")[0][:300]
            return EngineError(f"HBase at {self._where} could not serve {self._table}: {first}")
        return EngineError(
            f"HBase's Thrift server at {self._where} does not answer ({error or type(error).__name__}): "
            f"start it, or check the address"
        )

    def put(self, cells: Sequence[Cell]) -> None:
        self._may_write()
        rows: dict[Row, dict[bytes, bytes]] = {}
        for cell in cells:
            rows.setdefault(cell.row, {}).update(_columns(cell))
        for some in _light(rows.items()):
            self._mutate([(row, columns, []) for row, columns in some])

    def remove(self, places: Sequence[tuple[Row, Place]]) -> None:
        self._may_write()
        roots = [row for row, place in places if place[:1] == keys.ROOT]
        kept = {row: list(columns) for some in _pieces(roots, PUT_ROWS) for row, columns in self._rows(some, [b"c"])}
        rows: dict[Row, list[bytes]] = {}
        for row, place in places:
            gone = rows.setdefault(row, [])
            gone += [HEADS + place, BODIES + place]
            if place[:1] == keys.ROOT:
                gone += [name for name in kept.get(row, []) if name.startswith(COLUMNS + place[1:])]
        for some in _pieces(list(rows.items()), PUT_ROWS):
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
        return _cells(*found[0], bodies=True) if found else []

    def read(self, ranges: Sequence[Range], want: Want, counts: Counts) -> Iterator[Batch]:
        for one in ranges:
            if one.stop and one.start >= one.stop:
                continue  # to HBase this is the one row
            counts.seeks += 1
            for batch in self._batches(one, want, counts):
                chosen = batch if want.select is None else want.select(batch)
                if chosen:
                    yield self._with_bodies(chosen) if want.select is not None and want.bodies else chosen

    def _batches(self, one: Range, want: Want, counts: Counts) -> Iterator[Batch]:
        bodies = want.bodies and want.select is None
        batch: Batch = []
        for row, columns in self._scan(one, want, [b"h", b"b"] if bodies else [b"h"]):
            cells = _cells(row, columns, bodies=bodies)
            if not cells:
                continue
            counts.rows += 1
            counts.cells += len(cells)
            batch += cells
            if len(batch) >= BATCH_CELLS:
                yield batch
                batch = []
        if batch:
            yield batch

    def _scan(self, one: Range, want: Want, families: list[bytes]) -> Iterator[tuple[Row, dict[bytes, bytes]]]:
        """The rows of a range. A scanner whose connection breaks is opened again behind the last row."""
        asked, looked = row_filter(want.where, want.since, want.until)
        columns = families + [COLUMNS + name for name in looked]
        start, tries, pause = one.start, 0, FIRST_PAUSE
        while True:
            try:
                with self._pool.connection() as connection:
                    for row, found in connection.table(self._table).scan(
                        row_start=start or None,
                        row_stop=one.stop or None,
                        columns=columns,
                        filter=asked,
                        batch_size=SCAN_ROWS,
                    ):
                        yield row, found
                        start, tries, pause = row + b"\x00", 0, FIRST_PAUSE
                return
            except (OSError, EOFError, TException) as error:
                tries += 1
                if tries == TRIES or _final(error):
                    raise self._told(error) from None
            time.sleep(pause)
            pause *= 2

    def _with_bodies(self, cells: Batch) -> Batch:
        rows = list(dict.fromkeys(cell.row for cell in cells))
        found = {row: columns for some in _pieces(rows, SCAN_ROWS) for row, columns in self._rows(some, [b"b"])}
        return [cell._replace(body=found.get(cell.row, {}).get(BODIES + cell.place, b"")) for cell in cells]

    def split(self, one: Range, parts: int) -> list[Range]:
        """At the borders of regions; more parts than there are regions within them."""
        regions = self._call(lambda connection: connection.table(self._table).regions())
        starts = sorted({region["start_key"] for region in regions})
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
        """Writes what lies in memory into files, by closing the table for a moment: Thrift has no other way."""

        def close_and_open(connection: Any) -> None:
            if connection.is_table_enabled(self._table):
                connection.disable_table(self._table)
            connection.enable_table(self._table)

        self._call(close_and_open)

    def spans(self) -> list[tuple[Micros, Micros]]:
        return [(0, END)]

    def drop(self, since: Micros, until: Micros) -> None:
        for batch in self.read([keys.EVERYTHING], Want(since=since, until=until, bodies=False), Counts()):
            self.remove([(cell.row, cell.place) for cell in batch])
        self.compact(since, until)

    def compact(self, since: Micros, until: Micros) -> None:
        self._call(lambda connection: connection.compact_table(self._table, major=True))

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
        """Gives the connections back; each is closed as it is let go of."""
        with contextlib.suppress(AttributeError):
            del self._pool


FAMILY: Final = {"max_versions": 1, "bloom_filter_type": "ROW"}


def _number(url: str, options: Mapping[str, str], name: str) -> float:
    try:
        return float(options[name])
    except ValueError:
        raise EngineError(f"{url}: {name} is {options[name]!r}, and no number") from None


def _pieces(items: list[T], size: int) -> Iterator[list[T]]:
    """A list in pieces of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _light(rows: Iterable[tuple[Row, dict[bytes, bytes]]]) -> Iterator[list[tuple[Row, dict[bytes, bytes]]]]:
    """Rows in pieces that one call takes well: not many, and not heavy."""
    piece: list[tuple[Row, dict[bytes, bytes]]] = []
    weight = 0
    for row, columns in rows:
        piece.append((row, columns))
        weight += sum(map(len, columns.values()))
        if len(piece) == PUT_ROWS or weight >= PUT_BYTES:
            yield piece
            piece, weight = [], 0
    if piece:
        yield piece


def _columns(cell: Cell) -> dict[bytes, bytes]:
    """A cell as HBase's columns. An empty body is written too: it may stand over one that is not."""
    made = {HEADS + cell.place: cell.head, COLUMNS + TIME: cell.row[-16:-8]}
    if cell.place[:1] != keys.NOTE:
        made[BODIES + cell.place] = cell.body
    if cell.place[:1] == keys.ROOT:
        made |= {COLUMNS + name: value for name, value in column_cells(cell.place[1:], read_head(cell.head).columns)}
    return made


def _cells(row: Row, columns: dict[bytes, bytes], *, bodies: bool) -> Batch:
    """HBase's columns as cells, in the order of their places."""
    places = sorted(name[2:] for name in columns if name.startswith(HEADS))
    body = (lambda place: columns.get(BODIES + place, b"")) if bodies else (lambda _place: b"")
    return [Cell(row, place, columns[HEADS + place], body(place)) for place in places]


def _final(error: BaseException) -> bool:
    """Whether trying again is in vain: what HBase refused, and not what broke on the way."""
    refusals = ("NotFound", "NoSuchColumnFamily", "Illegal")
    if isinstance(error, ThriftIOError):
        return any(word in _message(error) for word in refusals)
    return isinstance(error, IllegalArgument)


def _message(error: BaseException) -> str:
    """What HBase says: the class of its exception, a text, and the stack of its own."""
    told = getattr(error, "message", error)
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
