"""Where States are kept: three verbs on shards, the same for every store.

    append    a shard's receipts, new tabs and chunks, all or nothing
    chunks    what is there now
    replace   chunks by their merge, or not at all

A store does no arithmetic on States: to it a chunk is bytes. Of each epoch of a client it keeps an account: which
frames it has seen, and what became of the events.
"""

from __future__ import annotations

import logging

from taba.settings import Settings
from taba.store.accounts import Account
from taba.store.address import SQLITE, AddressError, parse
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

log = logging.getLogger(__name__)

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


def open_store(settings: Settings) -> Store:
    """The store that the settings name, made with as many shards as they say where it is new. Raises StoreError."""
    if settings.store == SQLITE:
        from taba.store.sqlite import SqliteStore

        return SqliteStore(settings.data, settings.shards)
    from taba.store.durability import promise
    from taba.store.engine import Safety
    from taba.store.redis import RedisStore

    safety = Safety(settings.store_replicas, settings.store_fsync)
    try:
        address = parse(settings.store)
    except AddressError as error:
        raise StoreError(f"store: {error}") from None
    store = RedisStore(address, settings.shards, safety=safety)
    try:
        log.info("%s", promise(store.engine))
    except StoreError:
        store.close()
        raise
    return store
