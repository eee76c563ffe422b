"""A store on Redis or Valkey as a whole: read shard by shard, and written as a copy of another.

PREFIX:meta    besides: copy    where an unfinished store's content comes from
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import msgspec

from taba.sequences import Seen
from taba.store.accounts import Account
from taba.store.address import Address
from taba.store.engine import Command
from taba.store.marks import Mark, Marks, ShardMarks
from taba.store.moving import Books, Key, Look, batches, unfinished
from taba.store.protocol import Append, ChunkInfo, NewChunk, StoreError, TabEntry
from taba.store.redis import RedisStore
from taba.store.redis_accounts import NOTHING, TOKEN, call, row_of

MOST = 1000
"""Fields, tabs or ids that are written in one command."""
PATIENCE = 30.0
"""Seconds for which a read or a write is tried: nobody waits for an answer."""
BOOKS = ("receipts", "types", "tabs", "accounts", "heard", "requests")

Rows = Iterable[tuple[bytes, bytes]]
"""A hash's fields and their values."""

_pack = msgspec.msgpack.Encoder().encode
_read_info = msgspec.msgpack.Decoder(tuple[str, int, str, str, int, int, int, int, int, float]).decode
_read_account = msgspec.msgpack.Decoder(Account).decode


class RedisHouse(RedisStore):
    """A RedisStore that is a Target."""

    takes_unfinished = True

    def __init__(self, address: Address, shards: int = 0) -> None:
        """Open the store there; make it with `shards` shards where there is none, unless that is 0."""
        self.origin: str | None = None
        super().__init__(address, shards)
        self.parts = self.shards

    def _prepared(self, shards: int) -> int:
        meta = f"{self._prefix}:meta"
        (found,) = self.engine.run([Command(meta, ("HGETALL", meta))], PATIENCE)
        if not found and not shards:
            raise StoreError(f"there is no Taba store at {self.where} (with the prefix {self._prefix!r})")
        has = int(found.get(b"shards", shards))
        if shards and has != shards:
            raise StoreError(f"{self.where} has {has} shards and {shards} are needed: name another prefix")
        origin = found.get(b"copy")
        self.origin = None if origin is None else origin.decode()
        return super()._prepared(shards)

    def look(self, part: int) -> Look:
        """As in Source."""
        chunks, receipts = self._at_once(part, "chunks", "receipts")
        infos = [ChunkInfo(int(identity), part, *_read_info(row)) for identity, row in chunks]
        return Look(infos, _marks(receipts))

    def _at_once(self, shard: int, one: str, other: str) -> tuple[Rows, Rows]:
        """Two hashes of a shard as they are at one moment."""
        key = self._tags[shard]
        ((first, second),) = self.engine.run([call("taba1_both", [key + one, key + other])], PATIENCE)
        return _pairs(first), _pairs(second)

    def read(self, infos: Iterable[ChunkInfo]) -> Iterator[NewChunk]:
        """As in Source."""
        for some in batches(infos):
            keys = [f"{self._tags[info.shard]}{info.id}" for info in some]
            bodies = self.engine.run([Command(key, ("GET", key)) for key in keys], PATIENCE)
            for info, body in zip(some, bodies, strict=True):
                if body is not None:
                    yield NewChunk(info, body)

    def catalogue(self) -> list[TabEntry]:
        """As in Source; the order is known within a shard."""
        return self.tabs()[0]

    def placed_tabs(self) -> Iterator[tuple[int, TabEntry]]:
        """Each tab with the shard that has it."""
        for shard, key in enumerate(self._tags):
            (members,) = self._read([(key + "tabs", "ZRANGE", 0, -1)])
            for member in members:
                kind, _, tab = member.decode().partition(" ")
                yield shard, TabEntry(tab, tab.partition("{")[0], kind)

    def types(self, shard: int) -> dict[str, str]:
        """The type that a shard has for each name."""
        (found,) = self._read([(self._tags[shard] + "types", "HGETALL")])
        return {name.decode(): kind.decode() for name, kind in found.items()}

    def books(self, part: int) -> Books:
        """As in Source."""
        accounts, requests = self._at_once(part, "accounts", "requests")
        return Books([_read_account(row[TOKEN:]) for _, row in accounts], _marks(requests))

    def orphans(self) -> list[tuple[int, int]]:
        """Shard and id of bodies that no chunk has."""
        shards = {tag: shard for shard, tag in enumerate(self._tags)}
        found: dict[int, set[int]] = defaultdict(set)
        for key in self.engine.keys(f"{self._prefix}:*"):
            match = re.fullmatch(r"(.*\{[0-9.]+\}:)([0-9]+)", key.decode(errors="replace"))
            if match and match[1] in shards:
                found[shards[match[1]]].add(int(match[2]))
        left = ((shard, ids - {info.id for info in self.chunks(shard)}) for shard, ids in found.items())
        # What was replaced since it was scanned has gone by now.
        return [(shard, identity) for shard, ids in left for identity in sorted(self.bodies(shard, ids))]

    def begin(self, origin: str) -> None:
        """As in Target."""
        if self.origin not in (None, origin):
            raise unfinished(self.where, self.origin or "")
        if self.origin is None:
            keys = [f"{key}{name}" for key in self._tags for name in ("chunks", *BOOKS)]
            there = self.engine.run([Command(key, ("EXISTS", key)) for key in keys], PATIENCE)
            if holds := sorted({key.rpartition(":")[2] for key, count in zip(keys, there, strict=True) if count}):
                raise StoreError(f"{self.where} holds data already ({', '.join(holds)}): name another prefix")
        meta = f"{self._prefix}:meta"
        self._put([(meta, "HSET", "copy", origin)])
        self.origin = origin

    def put_chunks(self, chunks: Sequence[NewChunk]) -> None:
        """As in Target."""
        calls = [self._appending(Append(one.info.shard, [], [], [one]), [one.info.id], "0", NOTHING) for one in chunks]
        for one, (told, *_) in zip(chunks, self.engine.run(calls, PATIENCE, writes=True), strict=True):
            if told != b"ok":
                raise StoreError(
                    f"{self.where} has another chunk {one.info.id} in shard {one.info.shard}: does a server write to "
                    "it? Stop that, and run the same command again"
                )

    def drop_chunks(self, keys: Collection[Key]) -> None:
        """As in Target."""
        for shard in {shard for shard, _ in keys}:
            for some in _some(identity for of, identity in keys if of == shard):
                self.replace(shard, some, [])

    def clear_books(self) -> None:
        """As in Target."""
        self._put([(key + BOOKS[0], "UNLINK", *(key + name for name in BOOKS[1:])) for key in self._tags])

    def put_tabs(self, tabs: Sequence[TabEntry]) -> None:
        """As in Target."""
        by_shard: dict[int, list[TabEntry]] = defaultdict(list)
        for tab in tabs:
            by_shard[zlib.crc32(tab.name.encode()) % self.shards].append(tab)  # as taba.states.shards has it
        for shard, own in by_shard.items():
            for some in _some(own):
                ((told, *_),) = self.engine.run(
                    [self._appending(Append(shard, [], some, []), [], "0", NOTHING)], PATIENCE
                )
                if told != b"ok":
                    raise StoreError(f"{self.where}: a name has two types in what is written: see 'taba check'")

    def put_accounts(self, accounts: Sequence[Account]) -> None:
        """As in Target."""
        rows: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
        heard: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for account in accounts:
            source = f"{account.client} {account.epoch}"
            home = self._accounts.home(source)
            rows[home + "accounts"].append((source, row_of(account)))
            heard[home + "heard"].append((int(account.heard), source))
        self._put_fields(rows)
        for key, pairs in heard.items():
            self._put([(key, "ZADD", *chain.from_iterable(some)) for some in _some(pairs)])

    def put_marks(self, part: int, marks: ShardMarks) -> None:
        """As in Target."""
        key = self._tags[part]
        self._put_fields({key + "receipts": _rows(marks.receipts), key + "requests": _rows(marks.requests)})

    def finish(self) -> None:
        """As in Target."""
        self._put([(f"{self._prefix}:meta", "HDEL", "copy")])
        self.origin = None

    def _put_fields(self, rows: Mapping[str, Sequence[tuple[str, bytes]]]) -> None:
        """Write fields of hashes, by key."""
        for key, pairs in rows.items():
            for some in _some(pairs):
                self._put([(key, "HSET", *chain.from_iterable(some))])

    def _put(self, commands: Iterable[tuple[Any, ...]]) -> None:
        """Write by commands, each written as its key, its name and what follows the key."""
        calls = [Command(key, (name, key, *rest)) for key, name, *rest in commands]
        self.engine.run(calls, PATIENCE, writes=True)


def _some(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while some := list(islice(rest, MOST)):
        yield some


def _pairs(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _marks(rows: Rows) -> dict[str, Mark]:
    found = {}
    for source, row in rows:
        last, heard, gaps = row.decode().split(" ")
        found[source.decode()] = Mark(Seen.read(int(last), gaps), float(heard))
    return found


def _rows(marks: Marks) -> list[tuple[str, bytes]]:
    """As functions.lua writes them."""
    return [
        (source, f"{mark.seen.last} {int(mark.heard)} {mark.seen.written()}".encode()) for source, mark in marks.items()
    ]
