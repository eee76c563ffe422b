"""RocksDB's sorted files, read without RocksDB: what a proof of erasure reads back, hidden versions included.

    file     = block* filter? range_del? properties? metaindex index footer
    footer   = checksum-kind(1) handle(metaindex) handle(index) padding version(4) magic(8)      53 bytes
    handle   = varint offset, varint size                   a block is followed by its compression (1) and checksum (4)
    block    = entry* restart(4)* restarts(4)
    entry    = varint shared, varint unshared, varint size, key[shared:], value
    index    = entries without `size`, whose value is the handle of a block: of shared = 0 whole, else the size's change
    key      = user key, sequence and kind(8): kind 0 and 7 are deletions, and they hold the key as well

https://github.com/facebook/rocksdb/wiki/Rocksdb-BlockBasedTable-Format. RocksDB itself shows neither the deletions nor
the versions that lie below them; these files are read so that nothing in them can hide.
"""

import mmap
import struct
import time
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from eventlog.errors import EngineError
from eventlog.keys import Range

MAGIC: Final = 0x88E241B785F4CFF7
VERSIONS: Final = range(2, 6)
PATIENCE: Final = 10.0  # seconds that a file is waited for which is not at its end
_FOOTER: Final = 53
_TRAILER: Final = 8  # sequence and kind, after each user key
_PLAIN, _SNAPPY, _ZLIB, _LZ4, _LZ4HC, _ZSTD = 0, 1, 2, 4, 5, 7


class Block(NamedTuple):
    """A block of the file, and a key that is not below its last one."""

    bound: bytes
    offset: int
    size: int


class SortedFile:
    """One sorted file. Raises EngineError where it can't be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            if path.stat().st_size < _FOOTER:
                raise self._odd("it is too short")
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        footer = self._data[-_FOOTER:]
        version, magic = struct.unpack("<IQ", footer[-12:])
        if magic != MAGIC or version not in VERSIONS:
            raise self._odd(f"it is of format {version}, magic {magic:x}")
        at = 1
        meta_offset, at = _varint(footer, at)
        meta_size, at = _varint(footer, at)
        index_offset, at = _varint(footer, at)
        index_size, _ = _varint(footer, at)
        self.meta = dict(_entries(self._block(meta_offset, meta_size)))
        self.properties = self._properties()
        self.blocks = self._index(index_offset, index_size)
        self._bounds = [block.bound for block in self.blocks]

    def _odd(self, why: str) -> EngineError:
        return EngineError(f"{self.path}: can't be read back as a sorted file: {why}")

    def _block(self, offset: int, size: int) -> bytes:
        """A block's content, decompressed."""
        raw = self._data[offset : offset + size]
        kind = self._data[offset + size]
        if kind == _PLAIN:
            return raw
        import pyarrow as pa  # large, and needed by erasure alone

        try:
            if kind == _SNAPPY:
                length, _ = _varint(raw, 0)
                return pa.Codec("snappy").decompress(raw, length, asbytes=True)
            length, at = _varint(raw, 0)
            if kind in (_LZ4, _LZ4HC):
                return pa.Codec("lz4_raw").decompress(raw[at:], length, asbytes=True)
            if kind == _ZSTD:
                return pa.Codec("zstd").decompress(raw[at:], length, asbytes=True)
            if kind == _ZLIB:
                return zlib.decompress(raw[at:], -zlib.MAX_WBITS)
        except (OSError, ValueError, zlib.error) as error:
            raise self._odd(f"a block is damaged: {error}") from None
        raise self._odd(f"it is compressed in a way ({kind}) that is not known here")

    def _properties(self) -> dict[bytes, bytes]:
        handle = self.meta.get(b"rocksdb.properties")
        if handle is None:
            raise self._odd("it has no properties")
        offset, at = _varint(handle, 0)
        return dict(_entries(self._block(offset, _varint(handle, at)[0])))

    def _number(self, name: str) -> int:
        found = self.properties.get(name.encode(), b"\0")
        return int.from_bytes(found, "little") if len(found) in (4, 8) else _varint(found, 0)[0]

    def _index(self, offset: int, size: int) -> list[Block]:
        if self._number("rocksdb.block.based.table.index.type"):
            raise self._odd("its index is of another kind")
        short = bool(self._number("rocksdb.index.value.is.delta.encoded"))
        data = self._block(offset, size)
        blocks: list[Block] = []
        at, end, key = 0, _end(data), b""
        while at < end:
            shared, at = _varint(data, at)
            unshared, at = _varint(data, at)
            if not short:
                _, at = _varint(data, at)
            key, at = key[:shared] + data[at : at + unshared], at + unshared
            if short and shared:
                change, at = _varint(data, at)
                last = blocks[-1]
                one = Block(key, last.offset + last.size + 5, last.size + ((change >> 1) ^ -(change & 1)))
            else:
                start, at = _varint(data, at)
                length, at = _varint(data, at)
                one = Block(key, start, length)
            blocks.append(one)
        return blocks

    @property
    def family(self) -> str:
        """The column family that the file was written for; empty where that is not told."""
        return self.properties.get(b"rocksdb.column.family.name", b"").decode("utf-8", "replace")

    def all_keys(self) -> Iterator[bytes]:
        """Every key of the file: of values, of deletions, and of what lies below them."""
        for block in self.blocks:
            for key, _ in _entries(self._block(block.offset, block.size)):
                yield key[:-_TRAILER]

    def within(self, ranges: Sequence[Range]) -> Iterator[bytes]:
        """The keys in sorted ranges that lie apart, by the index; then where range deletions begin that touch them."""
        number, cached = -1, []
        for start, stop in ranges:
            at = bisect_left(self._bounds, start)
            while at < len(self.blocks):
                if at != number:
                    block = self.blocks[at]
                    number, cached = at, [key[:-_TRAILER] for key, _ in _entries(self._block(block.offset, block.size))]
                low = bisect_left(cached, start)
                high = bisect_left(cached, stop) if stop else len(cached)
                yield from cached[low:high]
                if high < len(cached):
                    break
                at += 1
        yield from (
            begin
            for begin, end in self.range_deletions()
            if any(begin < (one.stop or begin + b"\0") and end > one.start for one in ranges)
        )

    def range_deletions(self) -> list[tuple[bytes, bytes]]:
        """Ranges whose keys are deleted: from, and up to."""
        handle = self.meta.get(b"rocksdb.range_del")
        if handle is None:
            return []
        offset, at = _varint(handle, 0)
        return [(key[:-_TRAILER], end) for key, end in _entries(self._block(offset, _varint(handle, at)[0]))]


def read_back(path: Path, patience: float = PATIENCE) -> SortedFile | None:
    """A sorted file, waited for where RocksDB is at work on it; None where it is gone. Raises EngineError."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return SortedFile(path)
        except FileNotFoundError:
            return None
        except EngineError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _end(block: bytes) -> int:
    """Where the entries of a block end."""
    restarts = int.from_bytes(block[-4:], "little")
    if restarts >> 31:
        raise EngineError("a block with an index of hashes can't be read back")
    return len(block) - 4 - 4 * restarts


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, end, key = 0, _end(block), b""
    while at < end:
        shared, at = _varint(block, at)
        unshared, at = _varint(block, at)
        size, at = _varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, least first, and where it ends."""
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    number, shift = byte & 127, 7
    while True:
        at += 1
        byte = data[at]
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at + 1
        shift += 7
