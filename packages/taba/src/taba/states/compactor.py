"""The compactor: chunks are replaced by their merge, in the tiers that their age calls for.

It takes no lock: `replace` is conditional, so two compactors at once cost work, never truth. Seldom are they at one
shard at once, because a shard is left alone whose chunks show that it was compacted a moment ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import polars as pl

from taba.handlers.registry import Registry
from taba.states import chunks
from taba.states.reading import ChunkCache, Reader
from taba.states.tiers import CLIENTS, FLEET, RAW, Tiers, place, plan, rests
from taba.store.protocol import ChunkInfo, NewChunk, Store


class Compactor:
    """Compacts the shards of a store. `told` is called with each job's rows, and whether it was done or in vain."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        tiers: Tiers,
        reader: Reader,
        cache: ChunkCache,
        told: Callable[[int, bool], None] = lambda _rows, _done: None,
    ) -> None:
        self._store = store
        self._registry = registry
        self._tiers = tiers
        self._reader = reader
        self._cache = cache
        self._told = told

    def run(self, now: float, pause: Callable[[], None] = lambda: None) -> int:
        """Do all that is due in every shard at the time `now`, calling `pause` on the way; how many jobs were done."""
        return sum(self.run_shard(shard, now, pause) for shard in range(self._store.shards))

    def run_shard(self, shard: int, now: float, pause: Callable[[], None] = lambda: None, rest: float = 0.0) -> int:
        """As `run`, for one shard; nothing where it was compacted within `rest` seconds.

        Where another process is faster, what is left is left to that one. Raises ChunkError for chunks that cannot be
        read, once all others are done.
        """
        known = self._known(shard)
        if rests(known, now, rest):
            return 0
        done, unread = 0, None
        for job in plan(known, self._tiers, now):
            try:
                replaced = self._compact(job, now, pause)
            except chunks.ChunkError as error:
                unread = error
            else:
                self._told(sum(info.rows for info in job), replaced)
                if not replaced:
                    break
                done += 1
            pause()
        if unread is not None:
            raise unread
        return done

    def _known(self, shard: int) -> list[ChunkInfo]:
        """The chunks whose type this process can merge; others stay as they are."""
        return [info for info in self._store.chunks(shard) if self._registry.get(info.type) is not None]

    def _compact(self, job: Sequence[ChunkInfo], now: float, pause: Callable[[], None]) -> bool:
        """One set of chunks, all of one type and view, as fewer; false where another was faster."""
        first = job[0]
        loaded = self._reader.load(job, keep=False)
        if loaded is None:
            return False
        states = pl.concat(loaded)
        del loaded
        new, kept = [], []
        for chunk, merged in self._placed(states, first, now):
            new.append(chunk)
            kept.append(merged if chunk.info.view == FLEET or first.view == RAW else None)
            pause()
        old = [info.id for info in job]
        identities = self._store.replace(first.shard, old, new)
        if identities is None:
            return False
        self._cache.drop(first.shard, old)
        for identity, merged in zip(identities, kept, strict=True):
            if merged is not None:
                self._cache.put(first.shard, identity, merged)
        return True

    def _placed(self, states: pl.DataFrame, first: ChunkInfo, now: float) -> Iterator[tuple[NewChunk, pl.DataFrame]]:
        """The chunks that come of States, with the States in them, each made when it is asked for."""
        handler = self._registry.get(first.type)
        assert handler is not None
        for view in (CLIENTS, FLEET) if first.view == RAW else (first.view,):
            for part in place(handler, states, view, self._tiers, now):
                chunk = chunks.make(
                    handler,
                    part.states,
                    shard=first.shard,
                    view=part.view,
                    policy=part.policy,
                    width=part.width,
                    created=now,
                )
                yield chunk, part.states
