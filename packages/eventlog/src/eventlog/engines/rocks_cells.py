"""Reading RocksDB cell by cell: heads in batches of whole rows, and the bodies that are wanted of them."""

from collections.abc import Iterator
from typing import Final

from rocksdict import Snapshot

from eventlog import keys
from eventlog.cells import Cell
from eventlog.engines import Batch, Counts
from eventlog.engines.rocks_blocks import bodies
from eventlog.engines.rocks_store import BODIES, HEADS

BATCH_CELLS: Final = 4096


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


def filled(chosen: Batch, among: int, moment: Snapshot, counts: Counts) -> Batch:
    """Cells that come in the order of their keys, of so many that were read, with their bodies.

    Those without one keep an empty body. Raises rocksdict's bare Exception where RocksDB can't read on.
    """
    wanted = [HEADS + row + place for row, place, _, _ in chosen if place[:1] != keys.NOTE]
    found = iter(bodies(wanted, among, moment, BODIES, counts))
    return [cell if cell[1][:1] == keys.NOTE else Cell(cell[0], cell[1], cell[2], next(found)) for cell in chosen]
