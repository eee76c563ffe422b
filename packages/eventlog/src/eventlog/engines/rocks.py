"""The embedded engine: RocksDB in one folder. One process writes; any number read beside it.

    column family "meta"         name -> value
    column family "2011-02-16"   the rows whose root events are of that UTC day:
        key   = family row place         family = "c" heads, "e" bodies
        value = head | body
        key   = "i" number               number of an import whose files were taken in (see rocks_bulk)

A day is a column family of its own: a day's report reads that day alone, and an imported day is laid beside the others
as sorted files, without any of theirs being written again, so that imports stay as fast as they were on the first day.
Heads lie apart from bodies, so that a scan of columns never reads a body.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from rocksdict import (
    AccessType,
    ColumnFamily,
    Rdict,
    ReadOptions,
    Snapshot,
    WriteBatch,
    WriteOptions,
)

from eventlog import keys
from eventlog.cells import Cell
from eventlog.engines import Batch, Counts, Only, Proof, Want, rocks_erase
from eventlog.engines.blocks import Block
from eventlog.engines.gate import Gate, through_gate
from eventlog.engines.rocks_blocks import block, pairs, whole_rows
from eventlog.engines.rocks_cells import filled, rows
from eventlog.engines.rocks_store import (
    BODIES,
    HEADS,
    META,
    UNHARMED,
    beside,
    forced,
    opened_beside,
    options,
    told,
)
from eventlog.errors import EngineError
from eventlog.keys import Place, Range, Row
from eventlog.times import DAY, Micros, day_of, day_start

if TYPE_CHECKING:
    from eventlog.engines.rocks_bulk import SortedFiles

T = TypeVar("T")


class Rocks:
    """An Engine in a folder."""

    name = "rocksdb"
    apart = True  # other processes can open it for reading beside this one

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self.path = Path(path).expanduser().absolute()
        self.url = str(self.path)
        self.folder = self.path
        self.read_only = read_only
        self.gate = Gate()  # erasing opens the store anew, alone
        self._lock = RLock()
        self._options = options(self.path / "store" if read_only else None)
        self._durable = WriteOptions()
        self._durable.sync = True
        self._db, self._days = self._open()
        self._handles: dict[str, Rdict] = {}

    def _open(self) -> tuple[Rdict, list[str]]:
        """The store, and the days that it was opened with."""
        store = self.path / "store"
        if self.read_only and not store.exists():
            raise EngineError(f"{self.path} holds no event log; the first write makes one, or check the path")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return beside(self._opened) if self.read_only else self._opened()
        except EngineError:
            raise
        except Exception as error:
            raise self._told(error, "opened") from None

    def _opened(self) -> tuple[Rdict, list[str]]:
        store = str(self.path / "store")
        there = Rdict.list_cf(store, self._options) if (self.path / "store" / "CURRENT").exists() else []
        families = dict.fromkeys([META, *there], self._options)
        if self.read_only:
            opened = opened_beside(store, self._options, families)
        else:
            opened = Rdict(store, self._options, column_families=families, access_type=AccessType.read_write())
        return opened, sorted(families.keys() - {META, "default"})

    def _told(self, error: Exception, what: str) -> EngineError:
        return told(self.path, error, what)

    def _try(self, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except EngineError:
            raise
        except Exception as error:
            raise self._told(error, what) from None

    def _family(self, name: str) -> Rdict:
        """The column family of a day, or of meta. Each open handle keeps the store open: `close` drops them."""
        with self._lock:
            handle = self._handles.get(name)
            if handle is None:
                handle = self._handles[name] = self._try("read", lambda: self._db.get_column_family(name))
            return handle

    def _inside(self, name: str) -> Any:
        """A column family as a batch of writes names it."""
        return self._try("written", lambda: self._db.get_column_family_handle(name))

    @through_gate
    def made_day(self, name: str) -> Rdict:
        """The column family of a day, made where there is none."""
        with self._lock:
            if name not in self._days:
                self._try("written", lambda: self._db.create_column_family(name, self._options))
                self._days = sorted([*self._days, name])
            return self._family(name)

    def days(self, want: Want) -> list[str]:
        """The days that hold rows within the times wanted, in order."""
        first, last = day_of(want.since), day_of(want.until - 1) if want.until > want.since else ""
        return [day for day in self._days if first <= day <= last]

    @through_gate
    def day_sizes(self, since: int, until: int) -> list[tuple[str, int]]:
        """The days that hold rows within these times, each with about how many keys it holds."""
        days = self.days(Want(since=since, until=until))
        return [(day, self._family(day).property_int_value("rocksdb.estimate-num-keys") or 1) for day in days]

    @through_gate
    def put(self, cells: Sequence[Cell]) -> None:
        batch = WriteBatch(raw_mode=True)
        handles = {day: self.made_day(day) for day in {day_of(keys.row_time(cell.row)) for cell in cells}}
        inside = {day: self._inside(day) for day in handles}
        for row, place, head, body in cells:
            family = inside[day_of(keys.row_time(row))]
            batch.put(HEADS + row + place, head, family)
            if body:
                batch.put(BODIES + row + place, body, family)
            else:
                batch.delete(BODIES + row + place, family)
        self._write(batch)

    @through_gate
    def remove(self, places: Sequence[tuple[Row, Place]]) -> None:
        batch = WriteBatch(raw_mode=True)
        for row, place in places:
            day = day_of(keys.row_time(row))
            if day in self._days:
                family = self._inside(day)
                batch.delete(HEADS + row + place, family)
                batch.delete(BODIES + row + place, family)
        self._write(batch)

    def _write(self, batch: WriteBatch) -> None:
        if self.read_only:
            raise EngineError(f"{self.path} is open for reading only")
        self._try("written", lambda: self._db.write(batch, self._durable))

    def get(self, row: Row) -> Batch:
        moment = self._moment(day_of(keys.row_time(row)))
        if moment is None:
            return []
        found = self._read_range(moment, Range(row, keys.after(row)), Want(), Counts())
        return [cell for batch in found for cell in batch]

    def read(self, ranges: Sequence[Range], want: Want, counts: Counts) -> Iterator[Batch]:
        for day in self.days(want):
            moment = self._moment(day)  # heads and bodies of one moment, whatever is written meanwhile
            if moment is None:
                continue
            for one in ranges:
                yield from self._read_range(moment, one, want, counts)

    def _read_range(self, moment: Snapshot, one: Range, want: Want, counts: Counts) -> Iterator[Batch]:
        for batch in rows(self._heads(moment, one, counts), counts):
            chosen = batch if want.select is None else want.select(batch)
            if chosen and want.bodies:
                among = len(batch)
                chosen = self._try("read", lambda some=chosen, among=among: filled(some, among, moment, counts))
            if chosen:
                yield chosen

    def blocks(self, ranges: Sequence[Range], want: Want, counts: Counts) -> Iterator[Block]:
        """The same rows as `read` gives, for tables: heads in blocks, bodies when they are asked for."""
        for day in self.days(want):
            moment = self._moment(day)
            if moment is None:
                continue
            for one in ranges:
                bound = HEADS + one.stop if one.stop else keys.after(HEADS)
                found = whole_rows(pairs(moment, HEADS + one.start, bound, counts))
                while some := self._try("read", lambda found=found: next(found, None)):
                    yield self._block(some, moment, counts)

    def _block(self, found: list[tuple[bytes, bytes]], moment: Snapshot, counts: Counts) -> Block:
        made = block(found, moment, BODIES, counts)
        read = made.bodies
        made.bodies = lambda indexes: self._try("read", lambda: read(indexes))
        return made

    @through_gate
    def _moment(self, day: str) -> Snapshot | None:
        """What a day holds now; None where there is none, or none any more."""
        return self._family(day).snapshot() if day in self._days else None

    def _heads(self, moment: Snapshot, one: Range, counts: Counts) -> Iterator[tuple[bytes, bytes]]:
        """The heads of a range."""
        bound = HEADS + one.stop if one.stop else keys.after(HEADS)
        try:
            for some in pairs(moment, HEADS + one.start, bound, counts):
                yield from some
        except Exception as error:
            raise self._told(error, "read") from None

    def split(self, one: Range, parts: int) -> list[Range]:
        return keys.split(one, parts)

    def erase(self, ranges: Sequence[Range], only: Only | None = None) -> Proof:
        return self._try("erased", lambda: rocks_erase.erase(self, ranges, only))

    def prove(self, ranges: Sequence[Range], only: Only | None = None) -> Proof:
        return self._try("read back", lambda: rocks_erase.prove(self, ranges, only))

    def spans(self) -> list[tuple[Micros, Micros]]:
        return [day_range(day) for day in self._days]

    def drop(self, since: Micros, until: Micros) -> None:
        with self.gate.alone():
            for day in [day for day in self._days if since <= day_range(day)[0] and day_range(day)[1] <= until]:
                self._handles.pop(day, None)
                self._try("dropped", lambda day=day: self._db.drop_column_family(day))
                self._days = [one for one in self._days if one != day]  # others may be going over the list

    @through_gate
    def compact(self, since: Micros, until: Micros) -> None:
        for day in self.days(Want(since=since, until=until)):
            self.compact_day(day)

    def day(self, name: str) -> tuple[Rdict, ColumnFamily]:
        """A day to read, and to name in a batch."""
        return self._family(name), self._db.get_column_family_handle(name)

    def commit(self, batch: WriteBatch) -> None:
        """Writes a batch, whole and durably."""
        self._write(batch)

    def compact_day(self, day: str, ranges: Sequence[Range] | None = None) -> None:
        """Writes the files of a day anew, or those that hold keys (with their family) of the ranges."""
        family = self._family(day)
        for start, stop in ranges or [Range(b"", b"")]:
            self._try("compacted", lambda a=start, z=stop: family.compact_range(a or None, z or None, forced()))

    def flush(self) -> None:
        """Writes what lies in memory into sorted files, so that the log of writes holds nothing."""
        for name in [META, *self._days]:
            self._try("written", self._family(name).flush)

    def live_files(self) -> set[Path]:
        """The sorted files that hold what is stored now."""
        return {self.path / "store" / file["name"].lstrip("/") for file in self._db.live_files()}

    def snapshots(self) -> int:
        """How many reads of this process are under way."""
        return self._db.property_int_value("rocksdb.num-snapshots") or 0

    def reopen(self) -> None:
        """Closes the store and opens it: MANIFEST is written anew, and the logs of writes before it go."""
        with self.gate.alone(), self._lock:
            self._handles.clear()
            self._try("closed", self._db.close)
            self._db, self._days = self._open()

    def files(self) -> "SortedFiles":
        from eventlog.engines.rocks_bulk import SortedFiles

        return SortedFiles(str(self.path / "store"))

    @through_gate
    def sequence(self) -> int:
        return self._try("read", self._db.latest_sequence_number)

    @through_gate
    def lay(self, day: str, files: Sequence[str], number: int) -> None:
        from eventlog.engines.rocks_bulk import lay

        family = self.made_day(day)
        self._try("loaded", lambda: lay(family, files, number))

    @through_gate
    def laid(self, day: str, number: int) -> bool:
        from eventlog.engines.rocks_bulk import mark_key

        return day in self._days and self._try("read", lambda: self._family(day).get(mark_key(number))) is not None

    @through_gate
    def get_meta(self, name: str) -> bytes | None:
        return self._try("read", lambda: self._family(META).get(name.encode()))

    @through_gate
    def put_meta(self, name: str, value: bytes | None) -> None:
        batch = WriteBatch(raw_mode=True)
        family = self._inside(META)
        if value is None:
            batch.delete(name.encode(), family)
        else:
            batch.put(name.encode(), value, family)
        self._write(batch)

    @through_gate
    def list_meta(self, beginning: str) -> dict[str, bytes]:
        bounded = ReadOptions()
        if beginning:
            bounded.set_iterate_upper_bound(keys.after(beginning.encode()))
        start = beginning.encode()
        found: Any = self._try("read", lambda: list(self._family(META).items(from_key=start, read_opt=bounded)))
        return {key.decode(): value for key, value in found}

    def stats(self) -> dict[str, int | str]:
        files = [file for file in (self.path / "store").rglob("*") if file.is_file()]
        return {
            "days": len(self._days),
            "first_day": self._days[0] if self._days else "",
            "last_day": self._days[-1] if self._days else "",
            "bytes_on_disk": sum(file.stat().st_size for file in files),
        }

    def close(self) -> None:
        with self._lock:
            self._handles.clear()
            try:
                self._db.close()
            except Exception as error:
                if not any(text in str(error) for text in UNHARMED):
                    raise self._told(error, "closed") from None


def day_range(day: str) -> tuple[int, int]:
    """The times of a day: since, until."""
    start = day_start(day)
    return start, start + DAY
