"""Stores for the contract's tests, and chunks to put into them. A new kind of store joins in STORES."""

import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import engines

from taba.store import Append, ChunkInfo, Entry, NewChunk, Receipt, Refusal, Store, TabEntry
from taba.store.address import parse
from taba.store.redis import RedisStore
from taba.store.sqlite import SqliteStore

SHARDS = 4


def sqlite(folder: Path, shards: int = SHARDS, clock: Callable[[], float] = lambda: 1_700_000_000.0) -> Store:
    return SqliteStore(folder, shards, clock)


def on(kind: str) -> Callable[..., Store]:
    """Stores on a shared engine; a folder stands for a prefix of its own."""

    def opened(folder: Path, shards: int = SHARDS, clock: Callable[[], float] = lambda: 1_700_000_000.0) -> Store:
        prefix = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        return RedisStore(parse(f"{engines.shared(kind).url}?prefix={prefix}"), shards, clock)

    return opened


STORES: dict[str, Callable[..., Store]] = {
    "sqlite": sqlite,
    "redis": on("redis"),
    "valkey": on("valkey"),
    "cluster": on("cluster"),
}


def new_chunk(body: bytes = b"states", shard: int = 0, **fields: object) -> NewChunk:
    """A chunk with the bytes `body`; to a store they are only bytes."""
    plain = {
        "id": 0,
        "shard": shard,
        "type": "counter",
        "version": 1,
        "view": "raw",
        "policy": "",
        "width": 1,
        "start": 1_700_000_000,
        "stop": 1_700_000_001,
        "rows": 1,
        "checksum": zlib.crc32(body),
        "created": 1_700_000_000.5,
    }
    return NewChunk(ChunkInfo(**(plain | fields)), body)  # type: ignore[arg-type]


def part(
    shard: int = 0,
    bodies: Sequence[bytes] = (b"states",),
    receipts: Sequence[tuple[str, int]] = (),
    tabs: Sequence[tuple[str, str]] = (),
) -> Append:
    """What is appended to one shard: `receipts` as (source, sequence), `tabs` as (tab, type)."""
    return Append(
        shard,
        [Receipt(*receipt) for receipt in receipts],
        [TabEntry(tab, tab.partition("{")[0], kind) for tab, kind in tabs],
        [new_chunk(body, shard) for body in bodies],
    )


def framed(
    store: Store,
    shard: int = 0,
    bodies: Sequence[bytes] = (b"states",),
    receipts: Sequence[tuple[str, int]] = (),
    tabs: Sequence[tuple[str, str]] = (),
    *,
    entries: Sequence[Entry],
) -> list[list[int] | Refusal]:
    """Append a part to one shard, with entries whose receipts are among the part's."""
    plain = part(shard, bodies, receipts, tabs)
    own = list(dict.fromkeys(entry.receipt for entry in entries))
    return store.append([replace(plain, receipts=[*plain.receipts, *own])], entries)


def frame_entry(sequence: int, *, first: int | None = None, client: str = "c", folded: int = 1, **more: Any) -> Entry:
    """What a frame that lasts a second adds to the account of a client's epoch e."""
    start = first or sequence
    fields: dict[str, Any] = {"began": None, "recorded": None, "dropped": {}}
    return Entry(
        client, "e", start, sequence, start=float(start), stop=sequence + 1.0, folded=folded, **(fields | more)
    )


def held(store: Store, shard: int = 0) -> list[bytes]:
    """The bytes of all chunks of a shard, sorted."""
    infos = store.chunks(shard)
    bodies = store.bodies(shard, [info.id for info in infos])
    assert len(bodies) == len(infos)
    assert all(info.shard == shard and zlib.crc32(bodies[info.id]) == info.checksum for info in infos)
    return sorted(bodies.values())


def ids_of(results: list[list[int] | Refusal]) -> list[int]:
    """The ids of one part's chunks, which was taken."""
    (result,) = results
    assert not isinstance(result, Refusal), result
    return result
