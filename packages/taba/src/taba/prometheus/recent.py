"""The States of a window that ends now, of all tabs, merged by tab; made anew at each scrape, so mostly from memory.

Chunks never change, and States merge in any order: a chunk that lies in the window whole is merged once, however many
scrapes it is part of. What is read and filtered each time are the few chunks across the window's begin.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import polars as pl

from taba.handlers.base import Handler
from taba.handlers.registry import Registry
from taba.states.fold import SLICE, merge
from taba.states.query import PART_ROWS, Window
from taba.states.reading import ATTEMPTS, Reader
from taba.states.tiers import FLEET, RAW
from taba.store.protocol import ChunkInfo, Store, StoreError

UNUSED_SECONDS = 600.0
"""What no scrape has had in its window for so long is forgotten: one may have asked for a month, once."""


class Recent:
    """What has been merged of the chunks that a store has now. Not for several threads at once."""

    def __init__(self, store: Store, registry: Registry, reader: Reader, but: Collection[str]) -> None:
        """`but` are the types that are not wanted."""
        self._store = store
        self._registry = registry
        self._reader = reader
        self._but = but
        self._merged: dict[tuple[int, int], pl.DataFrame] = {}
        self._used: dict[tuple[int, int], float] = {}
        """The end of the last window that each of these was in."""

    def states(self, window: Window) -> Iterator[tuple[Handler, pl.DataFrame]]:
        """The fleet's States of the window by type, in parts that have all of a tab's; several may have the same cells.

        Raises StoreError, ChunkError.
        """
        held: dict[str, list[pl.DataFrame]] = {}
        for shard in range(self._store.shards):
            for type_name, parts in self._shard(shard, window).items():
                held.setdefault(type_name, []).extend(parts)
                if sum(part.height for part in held[type_name]) >= PART_ROWS:
                    yield from self._of_type(type_name, held.pop(type_name))
        for type_name, parts in held.items():
            yield from self._of_type(type_name, parts)

    def _of_type(self, type_name: str, parts: Sequence[pl.DataFrame]) -> Iterator[tuple[Handler, pl.DataFrame]]:
        handler = self._registry.get(type_name)
        if handler is not None and parts:
            yield handler, pl.concat(parts)

    def _shard(self, shard: int, window: Window) -> dict[str, list[pl.DataFrame]]:
        for _ in range(ATTEMPTS):
            chunks = self._store.chunks(shard)
            self._forget(shard, {info.id for info in chunks}, window.stop)
            by_type: dict[str, list[ChunkInfo]] = {}
            for info in chunks:
                if info.view in (RAW, FLEET) and info.start < window.stop and info.stop > window.start:
                    by_type.setdefault(info.type, []).append(info)
            found = {name: self._parts(some, window) for name, some in by_type.items() if self._is_wanted(name)}
            there = {name: parts for name, parts in found.items() if parts is not None}
            if len(there) == len(found):
                return there
        raise StoreError(f"shard {shard} changed {ATTEMPTS} times while it was read: try again")

    def _is_wanted(self, name: str) -> bool:
        return name not in self._but and self._registry.get(name) is not None

    def _forget(self, shard: int, there: set[int], now: float) -> None:
        mine = [key for key in self._merged if key[0] == shard]
        for key in mine:
            if key[1] not in there or not abs(now - self._used[key]) <= UNUSED_SECONDS:
                del self._merged[key], self._used[key]

    def _parts(self, infos: Sequence[ChunkInfo], window: Window) -> list[pl.DataFrame] | None:
        """What each of a type's chunks has in the window; None where one is gone."""
        new = [info for info in infos if (info.shard, info.id) not in self._merged or not _is_whole(info, window)]
        loaded = self._reader.load(new)
        if loaded is None:
            return None
        held = [(info.shard, info.id) for info in infos if info not in new]
        parts = [self._merged[key] for key in held]
        self._used |= dict.fromkeys(held, window.stop)
        for info, states in zip(new, loaded, strict=True):
            handler = self._registry.get(info.type)
            assert handler is not None
            inside = states.filter(pl.lit(window.start) <= SLICE, pl.lit(window.stop) > SLICE)
            part = merge(handler, inside, ["tab"])
            if _is_whole(info, window):
                self._merged[info.shard, info.id] = part
                self._used[info.shard, info.id] = window.stop
            parts.append(part)
        return parts


def _is_whole(info: ChunkInfo, window: Window) -> bool:
    """Whether all slices of a chunk begin in the window."""
    return info.start >= window.start and info.stop - info.width < window.stop
