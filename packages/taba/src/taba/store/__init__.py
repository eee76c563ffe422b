"""Where States are kept: three verbs on shards, the same for every store.

    append    a shard's receipts, new tabs and chunks, all or nothing
    chunks    what is there now
    replace   chunks by their merge, or not at all

A store does no arithmetic on States: to it a chunk is bytes. Of each epoch of a client it keeps an account: which
frames it has seen, and what became of the events.
"""

from taba.store.accounts import Account
from taba.store.protocol import (
    Append,
    ChunkInfo,
    Entry,
    NewChunk,
    Receipt,
    Refusal,
    Store,
    StoreError,
    StoreFullError,
    TabEntry,
)

__all__ = [
    "Account",
    "Append",
    "ChunkInfo",
    "Entry",
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
