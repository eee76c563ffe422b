"""Where the shared engine suite finds engines to test, and what it fills them with.

To add an engine: write a `Places` for it, and add one line to PLACES.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import happybase
import msgspec
from hbase_process import require_hbase, shared_hbase

from eventlog import keys
from eventlog.cells import Cell
from eventlog.engines import Counts, Engine, Want, connect
from eventlog.keys import Range
from eventlog.times import Micros, micros

DAY = micros("2011-02-16")
SHOWN = keys.type_code("Shown")
CLICKED = keys.type_code("Clicked")


class Places(Protocol):
    """Places of one kind of engine. Made once for all tests; making it may be slow, `empty` has to be cheap."""

    def empty(self) -> str:
        """The URL of a place that holds nothing. The one given before is not used any more, and may be emptied."""
        ...

    def close(self) -> None: ...


class RocksPlaces:
    """A new folder for each test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def empty(self) -> str:
        self._made += 1
        return str(self._folder / f"log{self._made}")

    def close(self) -> None:
        pass


class HBasePlaces:
    """One log in a real HBase, emptied for each test: making a table takes it a second."""

    def __init__(self, _folder: Path) -> None:
        require_hbase()
        self._url = f"hbase://{shared_hbase().host}:{shared_hbase().port}/suite"
        connect(self._url).close()

    def empty(self) -> str:
        address = urlsplit(self._url)
        with contextlib.closing(happybase.Connection(address.hostname, address.port)) as connection:
            for name in (address.path[1:], f"{address.path[1:]}.meta"):
                table = connection.table(name)
                with table.batch() as batch:
                    for row, _ in table.scan():
                        batch.delete(row)
        time.sleep(0.002)  # what is written in the millisecond of a removal is hidden by it
        return self._url

    def close(self) -> None:
        pass


PLACES: dict[str, Callable[[Path], Places]] = {
    "rocksdb": RocksPlaces,
    "hbase": HBasePlaces,
}


class Place:
    """One place with the engine that is open there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: Engine = connect(url)

    def reopen(self) -> Engine:
        """Closes the engine and opens it again."""
        self.engine.close()
        self.engine = connect(self.url)
        return self.engine


def head(version: int = 1, batch: int = 0, **columns: Any) -> bytes:
    """An event's head."""
    return msgspec.msgpack.encode((version, 0, batch, columns))


def distinct(number: int) -> bytes:
    return number.to_bytes(8)


def shown(user: str, time: Micros, number: int = 0, *, body: bytes = b"body", **columns: Any) -> Cell:
    """A root event."""
    return Cell(keys.row(user, time, distinct(number)), keys.root_place(SHOWN), head(**columns), body)


def clicked(root: Cell, time: Micros, number: int = 0, *, body: bytes = b"click", **columns: Any) -> Cell:
    """A child in the row of a root event."""
    return Cell(root.row, keys.child_place(time, distinct(number), CLICKED), head(**columns), body)


def noted(of: Cell, name: str, value: Any) -> Cell:
    """A note about a root or a child."""
    subject = of.place if of.place[:1] == keys.CHILD else keys.ROOT
    return Cell(of.row, keys.note_place(subject, name), msgspec.msgpack.encode((0, 0, 0, value)), b"")


def ordered(cells: list[Cell]) -> list[Cell]:
    """Cells in the order in which they are kept; of several at one place the last."""
    kept = {(cell.row, cell.place): cell for cell in cells}
    return [kept[key] for key in sorted(kept)]


def found(engine: Engine, *ranges: Range, counts: Counts | None = None, **want: Any) -> list[Cell]:
    """The cells that a read gives, sorted (days may come one after the other)."""
    batches = engine.read(ranges or [keys.EVERYTHING], Want(**want), counts or Counts())
    return sorted(cell for batch in batches for cell in batch)


def population(users: int, days: int = 3) -> list[Cell]:
    """Rows of many users over some days, with a click and notes in some."""
    cells: list[Cell] = []
    for user in range(users):
        for day in range(days):
            root = shown(f"u{user}", DAY + day * 86_400_000_000 + user, body=b"%d" % user, number=user)
            cells.append(root)
            if user % 3 == 0:
                click = clicked(root, DAY + 10**12, number=user)
                cells += [click, noted(click, "late", True), noted(root, "score", 0.5)]
    return cells
