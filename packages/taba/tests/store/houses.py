"""Stores with something of everything in them, for the tests of moving them, and what of them must come along."""

import hashlib
from pathlib import Path
from typing import Any

import engines
from store_cases import SHARDS, new_chunk

from taba.sequences import Seen
from taba.store import Account, TabEntry
from taba.store.accounts import Gap
from taba.store.address import parse
from taba.store.marks import Mark, ShardMarks, of_account
from taba.store.moving import Moved, Source, Target, move
from taba.store.places import House
from taba.store.redis_house import RedisHouse
from taba.store.sqlite_house import SqliteHouse

KINDS = ("sqlite", "redis", "valkey", "cluster")


def place(kind: str, folder: Path) -> str:
    """Where a store of a kind is, as a command takes it; a folder stands for a prefix of its own."""
    if kind == "sqlite":
        return str(folder)
    prefix = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return f"{engines.shared(kind).url}?prefix={prefix}"


def house(kind: str, folder: Path, shards: int = SHARDS) -> House:
    """A store of a kind, opened as a whole; made where it is missing, unless `shards` is 0."""
    return SqliteHouse(folder, shards) if kind == "sqlite" else RedisHouse(parse(place(kind, folder)), shards)


def quiet(told: str, done: int, total: int) -> None:
    """No progress."""


def moved(source: Source, target: Target, **more: Any) -> Moved:
    return move(source, target, "the source", quiet, **more)


def fill(store: House, chunks: int = 20, *, heard: float = 1_700_000_000.0) -> None:
    """Put chunks, tabs, accounts with gaps, and marks of requests into an empty store."""
    store.begin("fill")
    bodies = [b"states %d " % number * (number % 99) for number in range(1, chunks + 1)]
    made = []
    for number, body in enumerate(bodies, 1):
        fields = {"id": number, "rows": number, "policy": f"a*{number}é", "created": heard + number / 3}
        made.append(new_chunk(body, number % store.shards, **fields))
    store.put_chunks(made)
    store.put_tabs([TabEntry(f"t{n % 7}{{k={n}}}", f"t{n % 7}", "gauge(30)") for n in range(30)])
    gaps = (Gap(3, 5, heard, 10, 30), Gap(9, 9, heard + 0.25, None, None))
    accounts = [
        Account(f"web-{n}", "e1", 12 + n, heard, 40, {"full": 2}, gaps, heard - 9.5, heard - 9, heard, n % 2 == 0, 62)
        for n in range(9)
    ]
    accounts.append(Account("till", "", folded=7, begun=heard, heard=heard, told=None))
    store.put_accounts(accounts)
    requests = {"import/a": Mark(Seen(5, ((2, 3),)), heard), "import/é b": Mark(Seen(1), heard)}
    for part in range(store.parts):
        receipts = requests | {f"server/{'ab' * 16}": Mark(Seen(4), heard)}
        framed = {f"{one.client} {one.epoch}": of_account(one) for one in accounts[:9]}
        store.put_marks(part, ShardMarks(receipts) if store.whole else ShardMarks(receipts | framed, requests))
    store.finish()
