"""A partition's segments, however many, as one sorted stream: merged in several turns where there are too many."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from mrjerb.engines.local.merge import merged
from mrjerb.engines.local.runs import BLOCK, Chunk, RunWriter, Segment, read_segment

HELD: Final = 8 * BLOCK
"""What a segment being merged holds: a block as Python's objects, before and after it is sorted among others."""


def sorted_chunks(
    segments: Sequence[Segment], folder: Path, prefix: str, memory: int, read: Callable[[int], None]
) -> Iterator[Chunk]:
    """The chunks of all segments in the order of their bytes, within `memory` bytes. `read(bytes)` hears how far it is.

    Where there are more segments than that many blocks fit, some are merged into a file of their own first.
    """
    at_once = max(4, memory // (2 * HELD))  # the other half is for the table that its pairs may go to
    waiting, turn = list(segments), 0
    while len(waiting) > at_once:
        few = waiting[:at_once]
        path = folder / f"{prefix}-{turn}.run"
        turn += 1
        writer = RunWriter(path)
        writer.partition(0, merged(read_segment(segment) for segment in few))
        waiting = [*waiting[at_once:], *writer.close()]
        for segment in few:
            if Path(segment.path).name.startswith(prefix):
                Path(segment.path).unlink()
    yield from merged(read_segment(segment, read) for segment in waiting)
