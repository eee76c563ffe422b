"""Sorted runs: what one piece of the input comes to, on disk. Written by one process, read again by others.

    file   = chunk* index footer
    chunk  = msgpack list of [key, head, body], in order: the cells of one day and one bucket
    index  = msgpack [lines, bad, erased, events by type, {day: [offset of each of its 257 buckets' edges]}]
    footer = length of index (8 bytes, big-endian) "eventrun"

A file is written under another name and then renamed: one that is there, and whole to its footer, is finished.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

import msgspec

from eventlog import keys
from eventlog.times import DAY

SUFFIX: Final = ".run"
_MAGIC: Final = b"eventrun"
_FOOTER: Final = 8 + len(_MAGIC)
_EDGES: Final = [bytes([bucket]) for bucket in range(1, keys.BUCKETS)]

Sorted = list[tuple[bytes, bytes, bytes]]  # key, head, body

encode_cells = msgspec.msgpack.Encoder().encode
decode_cells = msgspec.msgpack.Decoder(Sorted).decode


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


def write(path: Path, cells_by_day: Mapping[int, Sorted], lines: int, erased: int, bad: Sequence[Bad]) -> Index:
    """Writes a run, sorting each day's cells, and beside it its bad lines."""
    side = path.with_suffix(".bad")
    if bad:
        side.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in bad))
    index = Index(lines, sum(map(len, cells_by_day.values())), erased, len(bad), {})
    temporary = path.with_suffix(f".{os.getpid()}.part")
    with temporary.open("wb") as file:
        at = 0
        for day, cells in cells_by_day.items():
            cells.sort()
            chunks = [encode_cells(chunk) if chunk else b"" for chunk in _buckets(cells)]
            index.days[day] = list(accumulate(map(len, chunks), initial=at))
            at = index.days[day][-1]
            file.writelines(chunks)
        written = msgspec.msgpack.encode(index)
        file.write(written + len(written).to_bytes(8) + _MAGIC)
    temporary.replace(path)
    return index


def _buckets(cells: Sorted) -> Iterable[Sorted]:
    edges = [0, *(bisect_left(cells, (edge,)) for edge in _EDGES), len(cells)]  # type: ignore[arg-type]
    return (cells[start:stop] for start, stop in pairwise(edges))


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


def read_buckets(path: Path, offsets: Sequence[int]) -> Iterable[Sorted]:
    """The cells of adjoining buckets, of which `offsets` are the edges; each bucket in order."""
    with path.open("rb") as file:
        file.seek(offsets[0])
        held = memoryview(file.read(offsets[-1] - offsets[0]))
    for start, stop in pairwise(offsets):
        if start < stop:
            yield decode_cells(held[start - offsets[0] : stop - offsets[0]])


def by_day(cells: Sorted, day: int, here: Sorted) -> dict[int, Sorted]:
    """Cells by the day of their rows; `here` are those that are known to be of `day`."""
    start, stop = (day * DAY).to_bytes(8), ((day + 1) * DAY).to_bytes(8)
    parts: dict[int, Sorted] = {}
    for cell in cells:
        key = cell[0]
        end = key.index(b"\0", 1)  # the end of the user, unless it holds a zero
        if key[end + 1 : end + 2] == b"\xff":
            end = keys.row_end(key) - 17
        if start <= key[end + 1 : end + 9] < stop:
            here.append(cell)
        else:
            parts.setdefault(int.from_bytes(key[end + 1 : end + 9]) // DAY, []).append(cell)
    if here:
        parts[day] = here
    return parts


def merged(sources: Sequence[tuple[str, Sequence[int]]], within: tuple[bytes | None, bytes | None] | None) -> Sorted:
    """All cells of adjoining buckets of many runs, in order; of the keys from one up to, and without, another."""
    cells: Sorted = []
    for path, offsets in sources:
        for chunk in read_buckets(Path(path), offsets):
            cells += chunk if within is None else _cut(chunk, *within)
    cells.sort()  # Python's sort finds the runs, and merges them
    return cells


def _cut(chunk: Sorted, low: bytes | None, high: bytes | None) -> Sorted:
    start = 0 if low is None else bisect_left(chunk, (low,))  # type: ignore[arg-type]
    stop = len(chunk) if high is None else bisect_left(chunk, (high,))  # type: ignore[arg-type]
    return chunk[start:stop]
