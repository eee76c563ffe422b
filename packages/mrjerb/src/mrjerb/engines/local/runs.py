"""Sorted runs on disk: what a worker gathered, partition by partition, until a reduce reads it.

    run       = partition*                        one file; where each partition lies is told beside it
    partition = block*                            its chunks, sorted by their bytes
    block     = length (4 bytes, big-endian), zstd(pickle((keys, lists of values)))

A block holds about 128 KB before it is compressed, so that a merge of many runs holds little. A key with many values
has many chunks, in blocks that follow one another.
"""

import os
import pickle
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
FIRST: Final = 256  # values of the first block, whose size tells how many the next may have
MOST: Final = 16_384  # values of a block
_length = struct.Struct(">I")


class Segment(msgspec.Struct, frozen=True):
    """One partition's part of a run: bytes `start` to `end` of a file. `values` is how many values are in it."""

    path: str
    partition: int
    start: int
    end: int
    values: int


@dataclass
class _Sizes:
    """How many values fit a block, learnt from the block before."""

    values: int = FIRST

    def learn(self, values: int, size: int) -> None:
        fitting = values * BLOCK // max(size, 1)
        self.values = max(1, min(MOST, fitting, self.values * 4))


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
        start, values = self.size, 0
        with disk_errors(self.path):
            for keys, lists, count in _blocks(chunks, self._sizes):
                data = _pickled(keys, lists)
                self._sizes.learn(count, len(data))
                packed = zstd.compress(data, 1)
                self._file.write(_length.pack(len(packed)))
                self._file.write(packed)
                self.size += len(packed) + _length.size
                values += count
        if self.size > start:
            self.segments.append(Segment(self.path, number, start, self.size, values))

    def close(self) -> list[Segment]:
        """Everything is with the operating system when this returns."""
        with disk_errors(self.path):
            self._file.close()
        return self.segments


def _blocks(chunks: Iterable[Chunk], sizes: _Sizes) -> Iterator[tuple[list[bytes], list[list[Any]], int]]:
    """Chunks as keys, lists and their number of values, about a block's worth each; long lists are cut."""
    keys: list[bytes] = []
    lists: list[list[Any]] = []
    count = 0
    for key, values in chunks:
        at = 0
        while at < len(values):
            some = values[at : at + sizes.values] if at or len(values) > sizes.values else values
            at += len(some)
            keys.append(key)
            lists.append(some)
            count += len(some)
            if count >= sizes.values:
                yield keys, lists, count
                keys, lists, count = [], [], 0
    if keys:
        yield keys, lists, count


def _pickled(keys: list[bytes], lists: list[list[Any]]) -> bytes:
    """Keys and their values as bytes. Raises JobError where a value can't be."""
    try:
        return pickle.dumps((keys, lists), 5)
    except Exception as error:
        raise stuck((value for values in lists for value in values), error) from None


def read_segment(segment: Segment, read: Callable[[int], None] | None = None) -> Iterator[Block]:
    """The blocks of a segment. `read(bytes)` hears of each."""
    with disk_errors(segment.path), Path(segment.path).open("rb", buffering=1 << 16) as file:
        file.seek(segment.start)
        at = segment.start
        while at < segment.end:
            length = _length.unpack(file.read(_length.size))[0]
            keys, lists = pickle.loads(zstd.decompress(file.read(length)))  # noqa: S301 - written by this run itself
            at += length + _length.size
            if read is not None:
                read(length + _length.size)
            yield list(zip(keys, lists, strict=True))


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
