"""Reading States out of a store's chunks. Chunks never change, so what was read once is kept in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

import polars as pl

from taba.handlers.registry import Registry
from taba.states import chunks
from taba.states.tiers import CLIENTS, RAW
from taba.store.protocol import ChunkInfo, Store, StoreError

ATTEMPTS = 20
"""How often a read begins again because the compactor replaced a chunk meanwhile."""


class ChunkCache:
    """Chunks' States by (shard, id), the least recently used forgotten beyond `capacity` bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held: OrderedDict[tuple[int, int], pl.DataFrame] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, shard: int, identity: int) -> pl.DataFrame | None:
        """The States of a chunk, if they are held."""
        with self._lock:
            states = self._held.get((shard, identity))
            if states is not None:
                self._held.move_to_end((shard, identity))
            return states

    def put(self, shard: int, identity: int, states: pl.DataFrame) -> None:
        """Hold a chunk's States."""
        with self._lock:
            if (shard, identity) not in self._held:
                self._held[shard, identity] = states
                self._size += int(states.estimated_size())
            while self._size > self._capacity and self._held:
                self._size -= int(self._held.popitem(last=False)[1].estimated_size())

    def drop(self, shard: int, identities: Iterable[int]) -> None:
        """Forget chunks that have been replaced."""
        with self._lock:
            for identity in identities:
                states = self._held.pop((shard, identity), None)
                if states is not None:
                    self._size -= int(states.estimated_size())


class Reader:
    """States by shard, type, view and time."""

    def __init__(self, store: Store, registry: Registry, cache: ChunkCache) -> None:
        self._store = store
        self._registry = registry
        self._cache = cache

    def load(self, infos: Sequence[ChunkInfo], *, keep: bool = True) -> list[pl.DataFrame] | None:
        """The States of one shard's chunks, in order; None where one is gone. Raises ChunkError, StoreError.

        `keep` tells whether what is read now is held for the next time.
        """
        if not infos:
            return []
        shard = infos[0].shard
        held = {info.id: self._cache.get(shard, info.id) for info in infos}
        bodies = self._store.bodies(shard, [identity for identity, states in held.items() if states is None])
        loaded = []
        for info in infos:
            states = held[info.id]
            if states is None:
                handler = self._registry.get(info.type)
                if info.id not in bodies or handler is None:
                    return None
                states = chunks.read(handler, info, bodies[info.id])
                if keep:
                    self._cache.put(shard, info.id, states)
            loaded.append(states)
        return loaded

    def states(
        self,
        shard: int,
        type_name: str,
        view: str,
        start: float,
        stop: float,
        select: Callable[[pl.DataFrame], pl.DataFrame],
    ) -> pl.DataFrame | None:
        """The States of slices that begin in [start, stop), passed through `select`; None: none are there."""

        def wanted(info: ChunkInfo) -> bool:
            fits = info.type == type_name and info.view in (RAW, view)
            return fits and info.start < stop and info.stop > start

        for _ in range(ATTEMPTS):
            infos = [info for info in self._store.chunks(shard) if wanted(info)]
            loaded = self.load(infos)
            if loaded is not None:
                found = _in_view(infos, loaded, view)
                return None if found is None else select(found.filter(_begins_in(start, stop)))
        raise StoreError(f"shard {shard} changed {ATTEMPTS} times while it was read: try again")


def _begins_in(start: float, stop: float) -> pl.Expr:
    return pl.col("slice").is_between(start, stop, closed="left")


def _in_view(infos: Sequence[ChunkInfo], loaded: Sequence[pl.DataFrame], view: str) -> pl.DataFrame | None:
    """The chunks in one table (nothing is copied), so that what follows runs once and not for each chunk."""
    if view == CLIENTS:
        return pl.concat(loaded) if loaded else None
    raw = [states for info, states in zip(infos, loaded, strict=True) if info.view == RAW]
    settled = [states for info, states in zip(infos, loaded, strict=True) if info.view != RAW]
    parts = [pl.concat(raw).drop("client")] if raw else []
    parts += [pl.concat(settled)] if settled else []
    return pl.concat(parts) if parts else None
