"""Reading RocksDB cell by cell: heads in batches of whole rows, and the bodies that are wanted of them."""

from collections.abc import Callable, Iterator
from typing import Final

from rocksdict import RdictIter, Snapshot

from eventlog import keys
from eventlog.cells import Cell
from eventlog.engines import Batch, Counts
from eventlog.engines.rocks_store import BODIES, HEADS
from eventlog.errors import EngineError

BATCH_CELLS: Final = 4096
NEAR: Final = 8  # bodies closer than this are stepped to, others sought


def rows(heads: Iterator[tuple[bytes, bytes]], counts: Counts) -> Iterator[Batch]:
    """Heads gathered into batches of whole rows."""
    batch: Batch = []
    row = b""
    begins = b"?"
    for key, head in heads:
        if not key.startswith(begins):
            if len(batch) >= BATCH_CELLS:
                counts.cells += len(batch)
                yield batch
                batch = []
            row = key[1 : keys.row_end(key[1:]) + 1]
            begins = HEADS + row
            counts.rows += 1
        batch.append(Cell(row, key[len(begins) :], head, b""))
    if batch:
        counts.cells += len(batch)
        yield batch


class Bodies:
    """Reads the bodies of cells that come in the order of their keys."""

    def __init__(self, moment: Snapshot, counts: Counts, told: Callable[[Exception, str], EngineError]) -> None:
        self._iter: RdictIter = moment.iter()
        self._told = told
        self._counts = counts
        self._sought = False

    def fill(self, cells: Batch) -> Batch:
        """The cells with their bodies; those without one keep an empty body."""
        return [cell if cell.place[:1] == keys.NOTE else cell._replace(body=self._body(cell)) for cell in cells]

    def _body(self, cell: Cell) -> bytes:
        wanted = BODIES + cell.row + cell.place
        at = self._iter
        if self._sought:
            for _ in range(NEAR):
                if not at.valid() or at.key() >= wanted:
                    break
                at.next()
        if not self._sought or (at.valid() and at.key() < wanted):
            self._counts.seeks += 1
            at.seek(wanted)
            self._sought = True
        if at.valid():
            return at.value() if at.key() == wanted else b""
        self._check()
        return b""

    def _check(self) -> None:
        """An iterator ends at a damaged block as it does at the end: only its status tells them apart."""
        try:
            self._iter.status()
        except Exception as error:
            raise self._told(error, "read") from None
