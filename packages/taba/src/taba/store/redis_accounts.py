"""Accounts on an engine: each in its source's shard, worked out here, and written if nobody changed it meanwhile.

    row = TOKEN random bytes, by which a change is noticed, and the account as MessagePack

What an account has seen is in all shards that it concerns. So each shard is told of it with every write: a shard that
few of a client's frames concern need not remember which of the others it never got.
"""

from __future__ import annotations

import os
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec

from taba.sequences import Seen
from taba.store.accounts import Account
from taba.store.engine import Command
from taba.store.protocol import Entry, Receipt, StoreError

TOKEN = 8
CHANGED = 50
"""How often an account may change under our hands before we give up."""

Rows = Mapping[str, bytes | None]
"""Accounts as they are written, by source; None where there is none yet."""
Read = Callable[[Sequence[tuple[Any, ...]]], list[Any]]
"""The answers to commands, each written as its key, its name and what follows the key."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_decode = msgspec.msgpack.Decoder(Account).decode


class RedisAccounts:
    """The accounts of one store. `tags` begin the keys of its shards; `read` and `write` try for as long as a write."""

    def __init__(
        self,
        tags: Sequence[str],
        read: Read,
        write: Callable[[Sequence[Command]], list[Any]],
        clock: Callable[[], float],
        where: str,
    ) -> None:
        self._tags = tags
        self._read = read
        self._write = write
        self._clock = clock
        self._where = where
        self._known: dict[bytes, Account] = {}

    def home(self, source: str) -> str:
        """What the keys begin with of the shard that has the account of a source."""
        return self._tags[zlib.crc32(source.encode()) % len(self._tags)]

    def heard(self, read: Read, since: float = 0.0) -> list[tuple[bytes, Account]]:
        """The accounts that were heard at a time or later, with their rows.

        Of all that are kept few are alive, and who answers questions asks for these again and again: they are found by
        a sorted set, and those that are as they were last time are not decoded anew.
        """
        if since:
            sources = read([(key + "heard", "ZRANGEBYSCORE", str(int(since)), "+inf") for key in self._tags])
            rows = read(
                [(key + "accounts", "HMGET", *some) for key, some in zip(self._tags, sources, strict=True) if some]
            )
        else:
            rows = read([(key + "accounts", "HVALS") for key in self._tags])
        known = self._known
        present = (row for row in chain.from_iterable(rows) if row is not None)
        self._known = found = {row: known.get(row) or account_of(row) for row in present}
        return [(row, account) for row, account in found.items() if account.heard >= since]

    def look(self, entries: Iterable[Entry]) -> Rows:
        """The accounts that entries are for, as they are now."""
        sources: dict[str, list[str]] = defaultdict(list)
        for source in {entry.source: None for entry in entries}:
            sources[self.home(source)].append(source)
        found = self._read([(key + "accounts", "HMGET", *some) for key, some in sources.items()])
        return dict(zip(chain.from_iterable(sources.values()), chain.from_iterable(found), strict=True))

    def add(self, entries: Iterable[Entry], rows: Rows, now: str) -> None:
        """Add entries to their accounts, each unless it is there; `rows` are what `look` gave for them a moment ago."""
        homes: dict[str, list[Entry]] = defaultdict(list)
        for entry in sorted(entries, key=attrgetter("sequence")):
            homes[self.home(entry.source)].append(entry)
        for _ in range(CHANGED):
            if not homes:
                return
            calls = [self._call(key, some, rows, now) for key, some in homes.items()]
            for key, (told, *rest) in zip(list(homes), self._write(calls), strict=True):
                if told == b"refused":
                    seen = seen_of((entry.receipt for entry in homes[key]), rest[0])
                    homes[key] = [entry for entry in homes[key] if entry.receipt not in seen]
                if told == b"ok" or not homes[key]:
                    del homes[key]
            rows = self.look(chain.from_iterable(homes.values())) if homes else {}
        raise StoreError(f"{self._where}: accounts changed {CHANGED} times while they were written: try again")

    def _call(self, key: str, entries: Sequence[Entry], rows: Rows, now: str) -> Command:
        """The writing of one shard's entries, on the condition that its accounts are as in `rows`."""
        requests = dict.fromkeys(entry.receipt for entry in entries if not entry.sequence)
        return call(
            "taba1_count",
            [key + "accounts", key + "requests", key + "heard"],
            now,
            receipts_of(requests),
            *chain.from_iterable(
                (source, (rows[source] or b"")[:TOKEN], row) for source, row in self._after(entries, rows).items()
            ),
        )

    def _after(self, entries: Iterable[Entry], rows: Rows) -> dict[str, bytes]:
        """The accounts' rows with entries that are not in them.

        A row that gets none is as it was, and is written nevertheless: whoever wrote it may not have waited until it
        is on the replicas.
        """
        written: dict[str, bytes] = {}
        after: dict[str, Account] = {}
        for entry in entries:
            account = after.get(entry.source)
            if account is None:
                row = rows[entry.source]
                account = Account(entry.client, entry.epoch) if row is None else account_of(row)
                if row is not None:
                    written[entry.source] = row
            if account.takes(entry):
                after[entry.source] = account.add(entry, self._clock())
        return written | {source: row_of(account) for source, account in after.items()}


def row_of(account: Account) -> bytes:
    """An account as it is written."""
    return os.urandom(TOKEN) + _pack(account)


def account_of(row: bytes) -> Account:
    """What `row_of` wrote."""
    return _decode(row[TOKEN:])


def seen_by(rows: Rows) -> dict[str, str]:
    """What the accounts have seen of each source's numbers, written as a row of receipts is."""
    accounts = ((source, account_of(row)) for source, row in rows.items() if row is not None)
    return {
        source: f"{one.last} 0 {Seen(one.last, tuple((gap.first, gap.last) for gap in one.gaps)).written()}"
        for source, one in accounts
        if one.epoch
    }


def receipts_of(receipts: Iterable[Receipt]) -> bytes:
    """Receipts as the functions take them."""
    return _pack([part for one in receipts for part in (one.source, one.lowest, one.sequence)])


def packed(receipts: Iterable[Receipt], accounted: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Receipts as the functions take them, and what of their sources is in accounts (as `seen_by` tells)."""
    known = {one.source for one in receipts} & accounted.keys()
    return (
        receipts_of(sorted(receipts, key=attrgetter("sequence"))),
        _pack([part for source in known for part in (source, accounted[source])]),
    )


NOTHING = packed((), {})


def seen_of(receipts: Iterable[Receipt], refused: bytes) -> frozenset[Receipt]:
    """Those of the receipts that a function refused."""
    seen = {tuple(receipt) for receipt in _unpack(refused)}
    return frozenset(one for one in receipts if (one.source, one.lowest, one.sequence) in seen)


def call(function: str, keys: Sequence[str], *arguments: Any) -> Command:
    """A call of a function on keys of one shard."""
    return Command(keys[0], ("FCALL", function, len(keys), *keys, *arguments))
