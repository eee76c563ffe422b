"""A whole store as one file, which can be written and read as a stream.

    file     = header body digest
    header   = JSON object, on one line, LF    "taba-backup": 1, "from", "taken", "shards", "parts", "whole"
    body     = one zstd stream of
               *( *chunk part ) tabs *books end    parts and books in their order
    digest   = SHA-256 of all before it        32 bytes; as `head -c -32 FILE | sha256sum` has it

    record   = length content                  4 bytes, little-endian; so many bytes of MessagePack:

    chunk    = ["chunk", [id, shard, type, version, view, policy, width, start, stop, rows, checksum, created], bytes]
    part     = ["part", [[shard, id], …], marks]      the chunks of one part, all of which are before it, at one moment
    tabs     = ["tabs", [[tab, name, type], …]]
    books    = ["books", [account, …], marks]         of each part; accounts as in `taba.store.accounts`, marks of what
                                                      came without frames
    end      = ["end", chunks]                        how many chunks the parts have in all
    marks    = [[source, last, [[first, last], …], heard], …]

`whole` says whether the store has one part, SQLite, or one for each shard. A part may not have all of the chunks that
are before it: on an engine that is in use, chunks are replaced while they are read.

An engine's accounts are read before its parts, though they stand behind them. So what an account has is in all shards
that it concerns; and a frame that is written meanwhile is counted in a shard once, because a shard's receipts are of
the moment of its chunks.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from taba.compression import zstd
from taba.sequences import Seen
from taba.store.accounts import Account
from taba.store.marks import Mark, Marks
from taba.store.moving import Books, Content, Counts, Key, Look, Progress, Source, damage
from taba.store.protocol import ChunkInfo, NewChunk, StoreError, TabEntry

FORMAT = 1
DIGEST = 32
LEVEL = 3
BLOCK = 1 << 20
LONGEST_HEADER = 1 << 16
ATTEMPTS = 100
"""How often a part that changes while it is read is looked at again."""

_MarkRow = tuple[str, int, tuple[tuple[int, int], ...], float]


class Header(msgspec.Struct, frozen=True, rename={"format": "taba-backup", "origin": "from"}):
    """The first line of a file."""

    format: int
    origin: str
    taken: float
    shards: int
    parts: int
    whole: bool


class _Chunk(msgspec.Struct, frozen=True, array_like=True, tag="chunk", gc=False):
    info: tuple[int, int, str, int, str, str, int, int, int, int, int, float]
    body: bytes


class _Part(msgspec.Struct, frozen=True, array_like=True, tag="part"):
    chunks: list[Key]
    marks: list[_MarkRow]


class _Tabs(msgspec.Struct, frozen=True, array_like=True, tag="tabs"):
    tabs: list[tuple[str, str, str]]


class _Books(msgspec.Struct, frozen=True, array_like=True, tag="books"):
    accounts: list[Account]
    marks: list[_MarkRow]


class _End(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    chunks: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Chunk | _Part | _Tabs | _Books | _End).decode


def write(source: Source, path: Path, origin: str, progress: Progress) -> Counts:
    """Write all that is in a store to the file, which is there when all of it is; raises StoreError."""
    with _in_place_of(path) as file:
        header = Header(FORMAT, origin, time.time(), source.shards, source.parts, source.whole)
        packed = _Packed(file, msgspec.json.encode(header) + b"\n")
        books = [source.books(part) for part in range(source.parts)]
        looks = []
        for part in range(source.parts):
            looks.append(_write_part(source, part, packed, progress))
            packed.add(_Part([(one.shard, one.id) for one in looks[-1].infos], _rows(looks[-1].receipts)))
        content = Content(looks, books, source.catalogue())
        packed.add(_Tabs([astuple(tab) for tab in content.tabs]))
        for some in content.books:
            packed.add(_Books(list(some.accounts), _rows(some.requests)))
        packed.add(_End(len(content.infos)))
        packed.finish()
    return content.counts(source.shards)


def _write_part(source: Source, part: int, packed: _Packed, progress: Progress) -> Look:
    """Write the chunks of a part, and what replaces them meanwhile, until all that are there at one moment are in."""
    written: set[Key] = set()
    for _ in range(ATTEMPTS):
        look = source.look(part)
        for chunk in source.read([info for info in look.infos if (info.shard, info.id) not in written]):
            if problem := damage(chunk):
                raise StoreError(
                    f"{source.where}: chunk {chunk.info.id} of shard {chunk.info.shard} is damaged ({problem}): "
                    "keep the backups that you have, and see 'taba check'"
                )
            packed.add(_Chunk(astuple(chunk.info), chunk.body))
            written.add((chunk.info.shard, chunk.info.id))
            progress("chunks" if source.parts == 1 else f"shard {part}", len(written), len(look.infos))
        if all((info.shard, info.id) in written for info in look.infos):
            return look
    raise StoreError(f"{source.where}: part {part} has a chunk without its bytes: see 'taba check'")


class _Packed:
    """The bytes of a file, packed and digested as they are written."""

    def __init__(self, file: BinaryIO, header: bytes) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._packing = zstd.ZstdCompressor(level=LEVEL)
        self._write(header)

    def add(self, record: msgspec.Struct) -> None:
        """Write a record."""
        content = _encode(record)
        self._write(self._packing.compress(struct.pack("<I", len(content)) + content))

    def finish(self) -> None:
        """Write what is left, and the digest."""
        self._write(self._packing.flush())
        self._file.write(self._digest.digest())

    def _write(self, some: bytes) -> None:
        self._digest.update(some)
        self._file.write(some)


@contextmanager
def _in_place_of(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` once it is written and on the disk."""
    part = path.with_name(path.name + ".part")
    try:
        if path.exists() and not (path.is_file() and _is_ours(path)):
            raise StoreError(f"{path} is there already and no backup of Taba's: name another file")
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                part.replace(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        folder = os.open(path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BlockingIOError:
        raise StoreError(f"{part} is being written by another process: wait for its end") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).startswith(b'{"taba-backup":')


class FileSource:
    """A file as a Source. It is verified before anything is taken from it."""

    def __init__(self, path: Path, progress: Progress) -> None:
        """Read it through; raises StoreError where a byte is not as it was written."""
        self.where = str(path)
        self._path = path
        try:
            self.header, self._begin, digest = _verified(path, progress)
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
        self.whole, self.shards, self.parts = self.header.whole, self.header.shards, self.header.parts
        self.origin = f"the backup {path.name} ({digest[:12]})"
        """What it is known by, wherever it lies."""
        self._parts: list[tuple[list[ChunkInfo], bytes]] = []
        self._tabs: list[TabEntry] = []
        self._books: list[bytes] = []
        self._take_in()

    def look(self, part: int) -> Look:
        """As in Source."""
        infos, content = self._parts[part]
        record = _decode(content)
        assert isinstance(record, _Part)
        return Look(infos, _marks(record.marks))

    def read(self, infos: Iterable[ChunkInfo]) -> Iterator[NewChunk]:
        """As in Source."""
        wanted = {(info.shard, info.id) for info in infos}
        for _, record in self._records() if wanted else ():
            if isinstance(record, _Chunk):
                info = ChunkInfo(*record.info)
                if (info.shard, info.id) in wanted:
                    wanted.discard((info.shard, info.id))
                    yield NewChunk(info, record.body)

    def catalogue(self) -> list[TabEntry]:
        """As in Source."""
        return list(self._tabs)

    def books(self, part: int) -> Books:
        """As in Source."""
        record = _decode(self._books[part])
        assert isinstance(record, _Books)
        return Books(record.accounts, _marks(record.marks))

    def _take_in(self) -> None:
        """Keep what is to be told of everything but the chunks' bytes."""
        before: dict[Key, ChunkInfo] = {}
        ended = None
        for content, record in self._records():
            match record:
                case _Chunk(info=fields):
                    info = ChunkInfo(*fields)
                    before[info.shard, info.id] = info
                case _Part(chunks=keys):
                    self._parts.append(([before[shard, one] for shard, one in keys], content))
                    before = {}
                case _Tabs(tabs=tabs):
                    self._tabs = [TabEntry(*tab) for tab in tabs]
                case _Books():
                    self._books.append(content)
                case _End(chunks=ended):
                    pass
        complete = len(self._parts) == len(self._books) == self.parts
        if not complete or ended != sum(len(infos) for infos, _ in self._parts):
            raise StoreError(f"{self._path} was not written to its end: take another backup")

    def _records(self) -> Iterator[tuple[bytes, Any]]:
        """All records, packed and not."""
        held = bytearray()
        for plain in _plain(self._path, self._begin):
            held += plain
            place = 0
            while len(held) >= place + 4:
                end = place + 4 + struct.unpack_from("<I", held, place)[0]
                if len(held) < end:
                    break
                content = bytes(held[place + 4 : end])
                try:
                    yield content, _decode(content)
                except msgspec.DecodeError as error:
                    raise StoreError(f"{self._path} cannot be read by this program ({error}): is it newer?") from None
                place = end
            del held[:place]


def _plain(path: Path, begin: int) -> Iterator[bytes]:
    """The body, unpacked."""
    unpacking = zstd.ZstdDecompressor()
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size - DIGEST - begin
        file.seek(begin)
        while left > 0 or not (unpacking.needs_input or unpacking.eof):
            some = file.read(min(BLOCK, left)) if unpacking.needs_input else b""
            left -= len(some)
            try:
                yield unpacking.decompress(some, BLOCK)
            except zstd.ZstdError as error:
                raise StoreError(f"{path} cannot be unpacked: {error}") from None
            if unpacking.eof:
                return


def _verified(path: Path, progress: Progress) -> tuple[Header, int, str]:
    """The header, where it ends, and the digest; StoreError where the file is not as it was written."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        line = file.readline(LONGEST_HEADER)
        header = None
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            header = msgspec.json.decode(line, type=Header)
        if header is None or not line.endswith(b"\n"):
            raise StoreError(f"{path} is no backup of Taba's, or its beginning is damaged: take another one")
        digest.update(line)
        left = size - DIGEST - len(line)
        while left > 0:
            some = file.read(min(BLOCK, left))
            if not some:
                break
            digest.update(some)
            left -= len(some)
            progress("verifying", size - left, size)
        if left or file.read() != digest.digest():
            raise StoreError(f"{path} is damaged or cut off: its digest does not fit; take another backup")
    if header.format > FORMAT:
        raise StoreError(f"{path} has format {header.format}; this program knows {FORMAT}: run the newer program")
    return header, len(line), digest.hexdigest()


def _rows(marks: Marks) -> list[_MarkRow]:
    return [(source, mark.seen.last, mark.seen.gaps, mark.heard) for source, mark in marks.items()]


def _marks(rows: Iterable[_MarkRow]) -> dict[str, Mark]:
    return {source: Mark(Seen(last, gaps), heard) for source, last, gaps, heard in rows}
