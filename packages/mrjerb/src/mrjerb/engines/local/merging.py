"""A partition's segments, however many, as one sorted stream: merged in several turns where there are too many."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from mrjerb.engines.local.merge import merged
from mrjerb.engines.local.runs import BLOCK, Chunk, RunWriter, Segment, read_segment

HELD: Final = 8 * BLOCK
"""What a segment being merged holds: a block as Python's objects, before and after it is sorted among others."""
LEAST: Final = 2
"""Segments that are merged at once, at least, however large their values are."""
FILES: Final = 256
"""Files that a merge has open, at most: a process may often have no more than 1024."""


def sorted_chunks(
    segments: Sequence[Segment], folder: Path, prefix: str, memory: int, read: Callable[[int], None]
) -> Iterator[Chunk]:
    """The chunks of all segments in the order of their bytes, within `memory` bytes. `read(bytes)` hears how far it is.

    Where there are more segments than that many blocks fit, some are merged into a file of their own first.
    """
    waiting, turn = list(segments), 0
    while (number := _at_once(waiting, memory // 2)) < len(waiting):  # the other half is for what its pairs go to
        few = waiting[:number]
        writer = RunWriter(folder / f"{prefix}-{turn}.run")
        turn += 1
        writer.partition(0, merged(read_segment(segment) for segment in few))
        waiting = [*waiting[number:], *writer.close()]
        _remove(few, prefix)
    yield from merged(read_segment(segment, read) for segment in waiting)
    _remove(waiting, prefix)


def _at_once(segments: Sequence[Segment], room: int) -> int:
    """How many of the first segments can be merged at once, two at least."""
    held = 0
    for number, segment in enumerate(segments[:FILES]):
        held += max(HELD, 2 * segment.largest)
        if held > room and number >= LEAST:
            return number
    return min(len(segments), FILES)


def _remove(segments: Sequence[Segment], prefix: str) -> None:
    """Remove the files among them that a merge has made."""
    for segment in segments:
        if Path(segment.path).name.startswith(prefix):
            Path(segment.path).unlink()
