"""Sorted runs on disk: what a worker gathered, partition by partition, until a reduce reads it.

    run       = partition*                        one file; where each partition lies is told beside it
    partition = block*                            its chunks, sorted by their bytes
    block     = length (4 bytes, big-endian), zstd(pickle((keys, how many values each has or None, values)))

A block holds about 128 KB before it is compressed, so that a merge of many runs holds little. A key with many values
has many chunks, in blocks that follow one another.
"""

import os
import pickle
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from mrjerb.errors import EngineError
from mrjerb.running import stuck

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Chunk = tuple[bytes, list[Any]]
Block = list[Chunk]

BLOCK: Final = 128 * 1024
FIRST: Final = 16  # values of the first block, whose size tells how many the next may have
MOST: Final = 16_384  # values of a block
PIECE: Final = 64  # chunks that are taken at once, at most: each of them may be a block's worth
_length = struct.Struct(">I")
_values = itemgetter(1)


class Segment(msgspec.Struct, frozen=True):
    """One partition's part of a run: bytes `start` to `end` of a file. `values` is how many values are in it, `largest`
    the bytes of its largest block, before it was compressed."""

    path: str
    partition: int
    start: int
    end: int
    values: int
    largest: int = 0


@dataclass
class _Sizes:
    """How many values fit a block, learnt from the block before."""

    values: int = FIRST

    def learn(self, values: int, size: int) -> None:
        fitting = values * BLOCK // max(size, 1)
        self.values = max(1, min(MOST, fitting, self.values * 4))

    def sample(self, value: Any) -> None:
        """A value of those to come: where it is much larger than those before, a block has few."""
        if type(value) is int or type(value) is float:
            return
        with suppress(Exception):  # what can't be pickled is said when all are
            fitting = max(1, BLOCK // len(pickle.dumps(value, 5)))
            if 4 * fitting < self.values:
                self.values = fitting


class RunWriter:
    """Writes one run. Raises EngineError where the disk is full; `close` gives its segments."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.segments: list[Segment] = []
        self.size = 0
        self._sizes = _Sizes()
        with disk_errors(self.path):
            self._file: BinaryIO = Path(path).open("wb", buffering=1 << 18)  # noqa: SIM115 - `close` is

    def partition(self, number: int, chunks: Iterable[Chunk]) -> None:
        """Write a partition's sorted chunks. Partitions come in the order of their numbers."""
        start, values, largest = self.size, 0, 0
        with disk_errors(self.path):
            for block in _blocks(chunks, self._sizes):
                data, count = _packed(block)
                self._sizes.learn(count, len(data))
                packed = zstd.compress(data, 1)
                self._file.write(_length.pack(len(packed)))
                self._file.write(packed)
                self.size += len(packed) + _length.size
                values += count
                largest = max(largest, len(data))
        if self.size > start:
            self.segments.append(Segment(self.path, number, start, self.size, values, largest))

    def close(self) -> list[Segment]:
        """Everything is with the operating system when this returns."""
        with disk_errors(self.path):
            self._file.close()
        return self.segments


def _blocks(chunks: Iterable[Chunk], sizes: _Sizes) -> Iterator[Block]:
    """Chunks in blocks of about `sizes.values` values. Most keys have few, and go through without a loop."""
    source = iter(chunks)
    block: Block = []
    held, length = 0, 1
    while piece := list(islice(source, length)):
        count = sum(map(len, map(_values, piece)))
        block += piece
        held += count
        if length > 1:
            sizes.sample(piece[-1][1][-1])
        if held > 2 * sizes.values:
            yield from _cut(block, sizes)
            block, held = [], 0
        elif held >= sizes.values:
            yield block
            block, held = [], 0
        length = max(1, min(PIECE, 4 * length, sizes.values * length // max(count, 1)))
    if block:
        yield block


def _cut(chunks: Block, sizes: _Sizes) -> Iterator[Block]:
    """Blocks of chunks with many values: long lists are cut into several chunks of the same key."""
    block: Block = []
    count = 0
    for key, values in chunks:
        at = 0
        while at < len(values):
            some = values[at : at + sizes.values]
            at += len(some)
            block.append((key, some))
            count += len(some)
            if count >= sizes.values:
                yield block
                block, count = [], 0
    if block:
        yield block


def _packed(block: Block) -> tuple[bytes, int]:
    """A block as bytes, and its number of values. Raises JobError where a value can't be pickled."""
    keys, lists = zip(*block, strict=True)
    values = list(chain.from_iterable(lists))
    counts = None if len(values) == len(lists) and all(map(len, lists)) else list(map(len, lists))
    try:
        return pickle.dumps((keys, counts, values), 5), len(values)
    except Exception as error:
        raise stuck(values, error) from None


def _unpacked(data: bytes) -> Block:
    keys, counts, values = pickle.loads(data)  # noqa: S301 - written by this run itself
    if counts is None:
        return [(key, [value]) for key, value in zip(keys, values, strict=True)]
    source = iter(values)
    return [(key, list(islice(source, count))) for key, count in zip(keys, counts, strict=True)]


def read_segment(segment: Segment, read: Callable[[int], None] | None = None) -> Iterator[Block]:
    """The blocks of a segment. `read(bytes)` hears of each."""
    with disk_errors(segment.path), Path(segment.path).open("rb", buffering=1 << 16) as file:
        file.seek(segment.start)
        at = segment.start
        while at < segment.end:
            length = _length.unpack(file.read(_length.size))[0]
            block = _unpacked(zstd.decompress(file.read(length)))
            at += length + _length.size
            if read is not None:
                read(length + _length.size)
            yield block


class disk_errors:  # noqa: N801 - reads as a statement
    """Errors of temporary files, in words that say where and what to do."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            folder = os.path.dirname(self.path)  # noqa: PTH120 - a text all along
            raise EngineError(
                f"temporary file {self.path}: {error.strerror or error}; make room in {folder}, "
                "or name another folder with --tmp"
            ) from error
