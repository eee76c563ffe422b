"""Sorted runs become one sorted stream of chunks, holding one block of each.

Not a heap, which would cost Python some steps for each chunk: from the blocks at hand all chunks up to the least of the
blocks' last keys are taken at once and sorted. They are slices that are sorted already, which Timsort merges in C. What
comes later is never less, because that least last key has nothing before it in its own run.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter

from mrjerb.engines.local.runs import Block, Chunk

_key = itemgetter(0)


def merged(runs: Iterable[Iterator[Block]]) -> Iterator[Chunk]:
    """The chunks of all runs in the order of their bytes. Chunks of one key follow each other, the first run's first
    where they were at hand together."""
    heads = [head for head in map(_Head, runs) if head.block]
    while len(heads) > 1:
        bound = min(head.block[-1][0] for head in heads)
        taken: Block = []
        for head in heads:
            taken += head.up_to(bound)
        taken.sort(key=_key)
        yield from taken
        heads = [head for head in heads if head.block]
    for head in heads:
        yield from head.rest()


class _Head:
    """A run, and what is left of the block that was read of it; an empty one where the run has ended."""

    def __init__(self, run: Iterator[Block]) -> None:
        self._run = run
        self.block: Block = next(run, [])

    def up_to(self, bound: bytes) -> Block:
        """The block's chunks up to a key, which leave it. Where it is empty after that, the next one is read."""
        at = bisect_right(self.block, bound, key=_key)
        found = self.block[:at]
        self.block = self.block[at:] if at < len(self.block) else next(self._run, [])
        return found

    def rest(self) -> Iterator[Chunk]:
        yield from self.block
        for block in self._run:
            yield from block
