"""Blocks: the cells of many whole rows as two lists, which is how tables are read without an object for each cell."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, runtime_checkable

from eventlog.cells import Cell
from eventlog.engines import Batch, Counts, Engine, Want
from eventlog.keys import Range

BLOCK_CELLS: Final = 32768


class Block:
    """Cells of whole rows in the order of their keys.

    A key is row and place, after `skip` bytes that are the engine's own. `bodies` gives the bodies of the cells at some
    indexes in rising order; an engine reads them only when they are asked for.
    """

    __slots__ = ("bodies", "heads", "keys", "skip")

    def __init__(
        self, keys: list[bytes], heads: list[bytes], skip: int, bodies: Callable[[Sequence[int]], list[bytes]]
    ) -> None:
        self.keys = keys
        self.heads = heads
        self.skip = skip
        self.bodies = bodies


@runtime_checkable
class BlockEngine(Protocol):
    """An engine that gives blocks itself."""

    def blocks(self, ranges: Sequence[Range], want: Want, counts: Counts) -> Iterator[Block]:
        """The cells of whole rows, in the order of `read`. Adds to `counts` what it seeks; the reader counts cells."""
        ...


def blocks(engine: Engine, ranges: Sequence[Range], want: Want, counts: Counts, least: int) -> Iterator[Block]:
    """A read as blocks of at least `least` cells each, save the last."""
    if isinstance(engine, BlockEngine):
        yield from _joined(engine.blocks(ranges, want, counts), least)
        return
    quiet = Counts()  # the reader of blocks counts rows and cells itself
    for batch in engine.read(ranges, want, quiet):
        counts.seeks, quiet.seeks = counts.seeks + quiet.seeks, 0
        yield block_of(batch)


def block_of(batch: Batch) -> Block:
    """A batch of cells as a block."""
    bodies = [cell.body for cell in batch]
    return Block(
        [cell.row + cell.place for cell in batch],
        [cell.head for cell in batch],
        0,
        lambda indexes: bodies if len(indexes) == len(bodies) else [bodies[index] for index in indexes],
    )


def batch_of(block: Block, *, bodies: bool, ends: Sequence[int]) -> Batch:
    """A block as a batch of cells; `ends` are where each key's row ends."""
    filled = block.bodies(range(len(block.keys))) if bodies else [b""] * len(block.keys)
    return [
        Cell(key[block.skip : end], key[end:], head, body)
        for key, end, head, body in zip(block.keys, ends, block.heads, filled, strict=True)
    ]


def _joined(found: Iterator[Block], least: int) -> Iterator[Block]:
    """Small blocks, as the days of one user are, joined to larger ones."""
    held: list[Block] = []
    cells = 0
    for block in found:
        held.append(block)
        cells += len(block.keys)
        if cells >= least:
            yield _join(held)
            held, cells = [], 0
    if held:
        yield _join(held)


def _join(held: list[Block]) -> Block:
    if len(held) == 1:
        return held[0]
    keys = [key for block in held for key in block.keys]
    heads = [head for block in held for head in block.heads]

    def bodies(indexes: Sequence[int]) -> list[bytes]:
        found: list[bytes] = []
        start = at = 0
        for block in held:
            stop = start + len(block.keys)
            upto = at
            while upto < len(indexes) and indexes[upto] < stop:
                upto += 1
            found += block.bodies([index - start for index in indexes[at:upto]]) if upto > at else []
            start, at = stop, upto
        return found

    return Block(keys, heads, held[0].skip, bodies)
