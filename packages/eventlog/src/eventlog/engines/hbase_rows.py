"""Cells as rows of HBase's and back, and in what pieces they travel. Nothing here does I/O."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from eventlog import keys
from eventlog.cells import Cell, read_head
from eventlog.engines import Batch, Counts, Want
from eventlog.engines.hbase_filters import TIME, column_cells
from eventlog.keys import Range, Row

HEADS: Final = b"h:"
BODIES: Final = b"b:"
COLUMNS: Final = b"c:"
PUT_ROWS: Final = 1000  # rows of one call
PUT_BYTES: Final = 4 * 2**20  # about, of one call
BATCH_CELLS: Final = 4096

T = TypeVar("T")


def pieces(items: list[T], size: int) -> Iterator[list[T]]:
    """A list in pieces of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def light(rows: Iterable[tuple[Row, dict[bytes, bytes]]]) -> Iterator[list[tuple[Row, dict[bytes, bytes]]]]:
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


def columns_of(cell: Cell) -> dict[bytes, bytes]:
    """A cell as HBase's columns. An empty body is written too: it may stand over one that is not."""
    made = {HEADS + cell.place: cell.head, COLUMNS + TIME: cell.row[-16:-8]}
    if cell.place[:1] != keys.NOTE:
        made[BODIES + cell.place] = cell.body
    if cell.place[:1] == keys.ROOT:
        made |= {COLUMNS + name: value for name, value in column_cells(cell.place[1:], read_head(cell.head).columns)}
    return made


def cells_of(row: Row, columns: dict[bytes, bytes], *, bodies: bool) -> Batch:
    """HBase's columns as cells, in the order of their places."""
    places = sorted(name[2:] for name in columns if name.startswith(HEADS))
    body = (lambda place: columns.get(BODIES + place, b"")) if bodies else (lambda _place: b"")
    return [Cell(row, place, columns[HEADS + place], body(place)) for place in places]


def families_of(want: Want) -> list[bytes]:
    """The column families that a read asks for."""
    return [b"h", b"b"] if want.bodies and want.select is None else [b"h"]


def sought(ranges: Sequence[Range]) -> Iterator[tuple[list[Row], Range | None]]:
    """The ranges in their order: those of one row each that follow each other at once, others alone."""
    rows: list[Row] = []
    for one in ranges:
        if one.stop and one.start >= one.stop:
            continue  # to HBase this is the one row
        if _is_row(one):
            rows.append(one.start)
            continue
        if rows:
            yield rows, None
            rows = []
        yield [], one
    if rows:
        yield rows, None


def _is_row(one: Range) -> bool:
    """Whether a range is that of one row."""
    if one.stop not in (keys.after(one.start), one.start + b"\0"):
        return False
    try:
        return keys.row_end(one.start) == len(one.start)
    except ValueError:
        return False


def batches_of(found: Iterable[tuple[Row, dict[bytes, bytes]]], want: Want, counts: Counts) -> Iterator[Batch]:
    """Rows as batches of cells, none empty; counts what it goes over."""
    bodies = want.bodies and want.select is None
    batch: Batch = []
    for row, columns in found:
        cells = cells_of(row, columns, bodies=bodies)
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
