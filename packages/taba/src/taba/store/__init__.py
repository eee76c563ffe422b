"""Where States are kept: three verbs on shards, the same for every store.

    append    a shard's receipts, new tabs and chunks, all or nothing
    chunks    what is there now
    replace   chunks by their merge, or not at all

A store does no arithmetic: to it a chunk is bytes.
"""

from taba.store.protocol import (
    Append,
    ChunkInfo,
    NewChunk,
    Receipt,
    Refusal,
    Store,
    StoreError,
    StoreFullError,
    TabEntry,
)

__all__ = [
    "Append",
    "ChunkInfo",
    "NewChunk",
    "Receipt",
    "Refusal",
    "Store",
    "StoreError",
    "StoreFullError",
    "TabEntry",
    "open_store",
]


def open_store(data: str, shards: int) -> Store:
    """The embedded store in the directory `data`, made with `shards` shards where it is new."""
    from taba.store.sqlite import SqliteStore

    return SqliteStore(data, shards)
