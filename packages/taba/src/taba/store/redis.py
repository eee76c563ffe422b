"""The store on Redis (7 or newer) or Valkey, single or Cluster: each write is one function on one shard's keys.

    PREFIX:meta                hash     schema, shards
    PREFIX:{TAG}:chunks        hash     a chunk's id -> what is told of it
    PREFIX:{TAG}:ID            string   a chunk's bytes
    PREFIX:{TAG}:receipts      hash     source -> which of its numbers the shard has seen
    PREFIX:{TAG}:tabs          sorted   the catalogue's tabs of the shard, by when they came to be
    PREFIX:{TAG}:types         hash     a name -> the type of its tabs
    PREFIX:{TAG}:accounts      hash     source -> its account, for the sources that have theirs in this shard
    PREFIX:{TAG}:heard         sorted   these sources, by when they were heard last
    PREFIX:{TAG}:requests      hash     source -> which requests without frames are in those accounts

TAG is the shard's number and what makes its slot lie in the shard's part of all slots, so that shards are spread
evenly over the masters. All keys of a shard lie in one slot. A shard is many keys, because one key of the size of a
shard could not move to another master without a halt, nor at all beyond 512 MB.

An account is in another shard than most of what it tells of, so it is written last: it says that a frame is in when
all shards have it. It is worked out here and written on the condition that nobody has changed it meanwhile.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple
from itertools import chain, product
from pathlib import Path
from typing import Any

import msgspec

from taba.store.accounts import Account
from taba.store.address import Address
from taba.store.engine import Command, Engine, Safety
from taba.store.masters import SLOTS, slot_of
from taba.store.moving import unfinished
from taba.store.protocol import (
    Append,
    ChunkInfo,
    Entry,
    NewChunk,
    Receipt,
    Refusal,
    StoreError,
    TabEntry,
    TabsLostError,
    Version,
)
from taba.store.redis_accounts import TOKEN, RedisAccounts, call, packed, seen_by, seen_of

log = logging.getLogger(__name__)

SCHEMA = 1
LIBRARY = Path(__file__).with_name("functions.lua")
WRITE_SECONDS = 5.0
"""How long a write is tried, which is longer than a Cluster takes to have another master."""
READ_SECONDS = 1.0
"""How long a read is tried: a query that waits holds up others, which may be about other shards."""
SECTIONS = 128
"""Parts of all slots that shards are spread over."""
SCANNED = 1000
CALLED = ("GET", "HGETALL", "HLEN", "HSCAN", "ZCARD", "ZRANGEBYSCORE")
"""What is asked of a shard's keys without a function."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_read_info = msgspec.msgpack.Decoder(tuple[str, int, str, str, int, int, int, int, int, float]).decode


class RedisStore:
    """The Store protocol on an engine."""

    whole = False
    takes_unfinished = False
    """Whether it may be a copy that was not written to its end."""

    def __init__(
        self,
        address: Address,
        shards: int,
        clock: Callable[[], float] = time.time,
        safety: Safety | None = None,
    ) -> None:
        """Open the store there; make it, with `shards` shards, where there is none. Raises StoreError."""
        self.where = address.shown
        self._prefix = address.prefix
        self._clock = clock
        self._last_id = 0
        self._numbering = threading.Lock()
        self._other: StoreError | None = None
        self.engine = Engine(address, LIBRARY.read_text(), safety or Safety())
        try:
            self.engine.load(WRITE_SECONDS)
            self.shards = self._prepared(shards)
            self._tags = [f"{self._prefix}:{{{tag_of(shard, self.shards)}}}:" for shard in range(self.shards)]
            self._check_rights()
        except BaseException:
            self.close()
            raise
        self._accounts = RedisAccounts(self._tags, self._read_to_write, self._write, clock, self.where)

    def append(self, appends: Sequence[Append], entries: Sequence[Entry] = ()) -> list[list[int] | Refusal]:
        """As in the protocol; each shard takes or refuses its part by itself."""
        now = str(int(self._clock()))
        found: list[list[int] | Refusal] = [[] for _ in appends]
        rows = self._accounts.look(entries)
        accounted = seen_by(rows)
        # Frames mostly concern every shard, so several come with the very same list.
        lists = {id(one.receipts): one.receipts for one in appends}
        known = {which: packed(receipts, accounted) for which, receipts in lists.items()}
        left = list(range(len(appends)))
        while left:
            ids = {place: self._new_ids(len(appends[place].chunks)) for place in left}
            parts = [(appends[place], ids[place]) for place in left]
            answers = self._write([self._appending(one, new, now, known[id(one.receipts)]) for one, new in parts])
            for place, (told, *rest) in zip(left, answers, strict=True):
                if told == b"refused":
                    found[place] = _refusal(appends[place].receipts, *rest)
                else:
                    found[place] = ids[place]
            left = [place for place, answer in zip(left, answers, strict=True) if answer[0] == b"taken"]
        if not any(isinstance(result, Refusal) for result in found):
            self._accounts.add(entries, rows, now)
        return found

    def _appending(self, append: Append, ids: list[int], now: str, receipts: tuple[bytes, bytes]) -> Command:
        tabs = [(f"{tab.type} {tab.tab}", tab.name, tab.type) for tab in append.tabs]
        key = self._tags[append.shard]
        return call(
            "taba1_append",
            [key + "receipts", key + "types", key + "tabs", key + "chunks", *(f"{key}{one}" for one in ids)],
            now,
            *receipts,
            _pack(tabs),
            *_written(ids, append.chunks),
        )

    def chunks(self, shard: int) -> list[ChunkInfo]:
        """As in the protocol."""
        (found,) = self._read([(self._tags[shard] + "chunks", "HGETALL")])
        return [ChunkInfo(int(identity), shard, *_read_info(row)) for identity, row in found.items()]

    def bodies(self, shard: int, ids: Iterable[int]) -> dict[int, bytes]:
        """As in the protocol."""
        wanted = list(ids)
        # One by one: of several keys at once, some may be on their way to another master.
        found = self._read([(f"{self._tags[shard]}{identity}", "GET") for identity in wanted])
        return {identity: body for identity, body in zip(wanted, found, strict=True) if body is not None}

    def written(self) -> Version:
        """As in the protocol: how many chunks each shard has."""
        return tuple(self._read([(key + "chunks", "HLEN") for key in self._tags]))

    def replace(self, shard: int, old: Sequence[int], new: Sequence[NewChunk]) -> list[int] | None:
        """As in the protocol."""
        key = self._tags[shard]
        unique = list(dict.fromkeys(old))
        while True:
            ids = self._new_ids(len(new))
            keys = [key + "chunks", *(f"{key}{one}" for one in (*unique, *ids))]
            ((told, *_),) = self._write(
                [call("taba1_replace", keys, len(unique), *unique, *_written(ids, new))],
            )
            if told != b"taken":
                return ids if told == b"ok" else None

    def tabs(self, after: Version = (), at_least: int = 0) -> tuple[list[TabEntry], Version]:
        """As in the protocol; the version is that of each shard."""
        known = after or (0,) * self.shards
        asked: list[tuple[Any, ...]] = []
        for key, of in zip(self._tags, known, strict=True):
            asked += [(key + "tabs", "ZRANGEBYSCORE", f"({of}", "+inf", "WITHSCORES"), (key + "tabs", "ZCARD")]
        answers = self._read(asked)
        found, counts = answers[::2], answers[1::2]
        if sum(counts) < at_least:
            self._remade()
            raise TabsLostError(
                f"{self.where} has {sum(counts)} tabs, and had {at_least}: it was emptied, or is back without its "
                "newest data. What that counted is gone, and what comes now is counted; lost tabs are listed again"
            )
        version = [int(rows[-1]) if rows else of for rows, of in zip(found, known, strict=True)]
        members = (member.decode() for rows in found for member in rows[::2])
        return [_tab(member) for member in members], tuple(version) if any(version) else ()

    def accounts(self, heard_since: float = 0.0) -> list[Account]:
        """As in the protocol."""
        return [account for _, account in self._accounts.heard(self._read, heard_since)]

    def account_count(self) -> int:
        """As in the protocol."""
        return sum(self._read([(key + "accounts", "HLEN") for key in self._tags]))

    def forget(self, receipts_before: float, accounts_before: float) -> None:
        """As in the protocol."""
        for key, kind in product(self._tags, ("receipts", "requests")):
            rows = self._scanned(key + kind)
            silent = [source for source, row in rows if int(row.split(b" ")[1]) < receipts_before]
            self._drop("taba1_forget", [key + kind], silent, receipts_before)
        old: dict[str, list[bytes]] = defaultdict(list)
        for row, account in self._accounts.heard(self._read):
            if account.heard < accounts_before:
                source = f"{account.client} {account.epoch}"
                old[self._accounts.home(source)] += [source.encode(), row[:TOKEN]]
        for key, pairs in old.items():
            self._drop("taba1_drop", [key + "accounts", key + "heard"], pairs)

    def hurry(self, seconds: float) -> None:
        """As in the protocol."""
        self.engine.hurry(seconds)

    def close(self) -> None:
        """As in the protocol."""
        self.engine.close()

    def _scanned(self, key: str) -> Iterable[tuple[bytes, bytes]]:
        """The fields of a hash and their values; those that stay meanwhile are there at least once."""
        cursor = 0
        while True:
            (answer,) = self._read([(key, "HSCAN", cursor, "COUNT", SCANNED)])
            cursor, rows = answer
            yield from rows.items()
            if not int(cursor):
                return

    def _drop(self, function: str, keys: Sequence[str], fields: Sequence[bytes], *condition: float) -> None:
        """Call a function that drops fields of a hash."""
        some = (fields[place : place + SCANNED] for place in range(0, len(fields), SCANNED))
        self._write([call(function, keys, *condition, *part) for part in some])

    def _new_ids(self, count: int) -> list[int]:
        """Ids that nobody has used: they rise with time, and the engine refuses those of which another was faster."""
        with self._numbering:
            ids = []
            for _ in range(count):
                fresh = (time.time_ns() // 1_000_000 << 21) | random.getrandbits(21)
                self._last_id = max(fresh, self._last_id + 1)
                ids.append(self._last_id)
            return ids

    def _remade(self) -> None:
        """Make it anew where all is lost, unless somebody else was faster and has made it otherwise."""
        shards = self._prepared(self.shards)
        if shards != self.shards:
            self._other = StoreError(
                f"{self.where} was made anew with {shards} shards, and this server works with {self.shards}: restart it"
            )

    def _prepared(self, shards: int) -> int:
        """Check that it is a store of this version, or make it; the number of its shards."""
        meta = f"{self._prefix}:meta"
        for field, value in (("schema", SCHEMA), ("shards", shards)):
            made = self.engine.run([Command(meta, ("HSETNX", meta, field, value))], WRITE_SECONDS, writes=True)
            if made == [1] and field == "shards":
                log.info("%s: there was no store yet, and now there is one, with %d shards", self.where, shards)
        (found,) = self.engine.run([Command(meta, ("HGETALL", meta))], READ_SECONDS)
        if int(found[b"schema"]) > SCHEMA:
            raise StoreError(
                f"{self.where} has schema version {int(found[b'schema'])}; this program knows {SCHEMA}: "
                "run the newer program, or give the store another prefix"
            )
        if b"copy" in found and not self.takes_unfinished:
            raise unfinished(self.where, found[b"copy"].decode())
        return int(found[b"shards"])

    def _check_rights(self) -> None:
        """Whether the user may do what is done with the keys. Raises StoreError."""
        asked = [call("taba1_lacking", [key + "receipts"], *CALLED) for key in self._tags]
        lacking = {command.decode().lower() for found in self.engine.run(asked, WRITE_SECONDS) for command in found}
        if lacking:
            raise StoreError(
                f"{self.where} does not let this user do what is needed: give it "
                f"{' '.join(f'+{command}' for command in sorted(lacking))}, for the keys ~{self._prefix}:*"
            )

    def _write(self, commands: Sequence[Command]) -> list[Any]:
        if self._other is not None:
            raise self._other
        return self.engine.run(commands, WRITE_SECONDS, writes=True)

    def _read_to_write(self, asked: Sequence[tuple[Any, ...]]) -> list[Any]:
        """As `_read`, for as long as a write is tried."""
        return self._read(asked, WRITE_SECONDS)

    def _read(self, asked: Sequence[tuple[Any, ...]], patience: float = READ_SECONDS) -> list[Any]:
        """The answers to commands, each written as its key, its name and what follows the key."""
        return self.engine.run([Command(key, (name, key, *rest)) for key, name, *rest in asked], patience)


def tag_of(shard: int, shards: int) -> str:
    """The hash tag of a shard: its slot lies in the shard's part of all slots."""
    sections = min(shards, SECTIONS)
    section = shard * sections // shards
    number = 0
    while slot_of(f"{shard}.{number}") * sections // SLOTS != section:
        number += 1
    return f"{shard}.{number}"


def _written(ids: Sequence[int], chunks: Sequence[NewChunk]) -> Iterable[Any]:
    """Chunks as the functions take them: id, what is told of each, bytes."""
    return chain.from_iterable(
        (identity, _pack(astuple(chunk.info)[2:]), chunk.body) for identity, chunk in zip(ids, chunks, strict=True)
    )


def _refusal(receipts: Iterable[Receipt], refused: bytes, types: bytes) -> Refusal:
    """A refusal from what a function tells; `receipts` are those that were asked for."""
    return Refusal(seen_of(receipts, refused), dict(_unpack(types)))


def _tab(member: str) -> TabEntry:
    kind, _, tab = member.partition(" ")
    return TabEntry(tab, tab.partition("{")[0], kind)
