"""Sorted runs: what one piece of the input comes to, on disk. Written by one process, read again by others.

    file   = chunk* index footer
    chunk  = msgpack [keys, heads, bodies], in the order of the keys: the cells of one day and one bucket
    index  = msgpack [lines, bad, erased, events by type, {day: [offset of each of its 257 buckets' edges]}]
    footer = length of index (8 bytes, big-endian) "eventrun"

A file is written under another name and then renamed: one that is there, and whole to its footer, is finished.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

import msgspec

from eventlog import keys
from eventlog.cells import Cells

SUFFIX: Final = ".run"
_MAGIC: Final = b"eventrun"
_FOOTER: Final = 8 + len(_MAGIC)
_EDGES: Final = [bytes([bucket]) for bucket in range(1, keys.BUCKETS)]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cells).decode


class Bad(msgspec.Struct, array_like=True):
    """A line that no event could be made of. `line` counts from 1 within its piece."""

    line: int
    reason: str
    text: str


class Index(msgspec.Struct, array_like=True):
    """What a run holds: the lines that were read for it, and where each bucket of each day lies."""

    lines: int
    events: int
    erased: int
    bad: int
    days: dict[int, list[int]]  # by days since 1970: 257 offsets, of the edges between the buckets


def write(path: Path, cells_by_day: Mapping[int, Cells], lines: int, erased: int, bad: Sequence[Bad]) -> Index:
    """Writes a run, sorting each day's cells, and beside it its bad lines."""
    side = path.with_suffix(".bad")
    if bad:
        side.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in bad))
    index = Index(lines, sum(map(len, cells_by_day.values())), erased, len(bad), {})
    temporary = path.with_suffix(f".{os.getpid()}.part")
    with temporary.open("wb") as file:
        at = 0
        for day, cells in cells_by_day.items():
            chunks = [_encode(chunk) if chunk else b"" for chunk in _buckets(cells)]
            index.days[day] = list(accumulate(map(len, chunks), initial=at))
            at = index.days[day][-1]
            file.writelines(chunks)
        written = msgspec.msgpack.encode(index)
        file.write(written + len(written).to_bytes(8) + _MAGIC)
    temporary.replace(path)
    return index


def _buckets(cells: Cells) -> Iterable[Cells]:
    """Cells in order, bucket by bucket: what lies together is then read and encoded together."""
    order = cells.order()
    edges = [0, *(bisect_left(order, edge, key=cells.keys.__getitem__) for edge in _EDGES), len(order)]
    return (cells.picked(order[start:stop]) for start, stop in pairwise(edges))


def read_index(path: Path) -> Index | None:
    """The index of a finished run; None where there is none, or not a whole one."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _FOOTER))
            footer = file.read()
            length = int.from_bytes(footer[:8])
            if footer[8:] != _MAGIC or length > size - _FOOTER:
                return None
            file.seek(size - _FOOTER - length)
            return msgspec.msgpack.decode(file.read(length), type=Index)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def read_bad(path: Path) -> list[Bad]:
    """The bad lines of a run."""
    side = path.with_suffix(".bad")
    return [msgspec.json.decode(line, type=Bad) for line in side.read_bytes().splitlines()] if side.exists() else []


def read_buckets(path: Path, offsets: Sequence[int]) -> Iterable[Cells]:
    """The cells of adjoining buckets, of which `offsets` are the edges; each bucket in order."""
    with path.open("rb") as file:
        file.seek(offsets[0])
        held = memoryview(file.read(offsets[-1] - offsets[0]))
    for start, stop in pairwise(offsets):
        if start < stop:
            yield _decode(held[start - offsets[0] : stop - offsets[0]])


def adjoining(edges: Sequence[Sequence[int]], most: int) -> Iterator[tuple[int, int]]:
    """Groups of adjoining buckets, each of about `most` bytes or of one bucket: the first and the last of each.

    `edges` are the offsets of the buckets' edges in each run.
    """
    buckets = len(edges[0]) - 1 if edges else 0
    first, size = 0, 0
    for bucket in range(buckets):
        size += sum(offsets[bucket + 1] - offsets[bucket] for offsets in edges)
        if size >= most or (bucket == buckets - 1 and size):
            yield first, bucket
            first, size = bucket + 1, 0


def of_buckets(sources: Iterable[tuple[str, Sequence[int]]], first: int, last: int) -> list[tuple[str, list[int]]]:
    """The runs that hold something in some adjoining buckets, with the offsets of these buckets' edges."""
    return [(path, list(offsets[first : last + 2])) for path, offsets in sources if offsets[first] < offsets[last + 1]]


def gathered(sources: Sequence[tuple[str, Sequence[int]]], within: tuple[bytes | None, bytes | None] | None) -> Cells:
    """All cells of adjoining buckets of many runs, as they come; of the keys from one up to, and without, another."""
    cells = Cells()
    for path, offsets in sources:
        for chunk in read_buckets(Path(path), offsets):
            cells.add(chunk if within is None else _cut(chunk, *within))
    return cells


def _cut(chunk: Cells, low: bytes | None, high: bytes | None) -> Cells:
    start = 0 if low is None else bisect_left(chunk.keys, low)
    stop = len(chunk) if high is None else bisect_left(chunk.keys, high)
    return chunk.part(start, stop)
