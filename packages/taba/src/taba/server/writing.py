"""A batch into the store: folded, appended shard by shard, and again without what a shard has seen already.

A tombstone is for all shards, where the store does not take an append whole: whichever shard a frame of its reaches
later has to refuse it. The shard of the counts of events, which every frame reaches, decides whether a tombstone
comes before its frames, so it is asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from taba.handlers.registry import Registry
from taba.server.batch import Batch
from taba.server.bookkeeping import EVENTS
from taba.server.submissions import Submission
from taba.states import chunks
from taba.states.catalogue import Catalogue
from taba.states.fold import fold
from taba.states.reading import ChunkCache
from taba.states.tiers import RAW
from taba.store.protocol import Append, Entry, NewChunk, Receipt, Refusal, Store, TabEntry

_Left = dict[int, set[int]]
"""The submissions that a shard has yet to take, by shard."""


class TypeTakenError(Exception):
    """Another server gave a name its type first: the batch has to be worked out anew with what the store knows."""


class Writer:
    """Writes batches to a store, and keeps what it writes for queries."""

    def __init__(
        self, store: Store, registry: Registry, catalogue: Catalogue, cache: ChunkCache, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._registry = registry
        self._catalogue = catalogue
        self._cache = cache
        self._clock = clock

    def write(self, submissions: Sequence[Submission], batch: Batch, written: set[int]) -> set[int]:
        """Append the batch; the submissions that a shard had seen. `written` gets those of which any part is new.

        Raises TypeTakenError and StoreError; then any part of the batch may be in, and writing it again is right.
        """
        one = _Batch(submissions, batch, _tabs_by_shard(batch, self._catalogue), written)
        graves = set() if self._store.whole else {n for n, sub in enumerate(submissions) if _is_grave(sub)}
        left = self._touched(batch.events, graves)
        if graves:
            home = self._catalogue.shard_of(EVENTS)
            first = {home: left.pop(home)}
            while first:
                self._append(one, first, ())
            for shard in left:
                left[shard] = left[shard] - (graves & one.duplicates)
        entries = [entry for some in batch.entries.values() for entry in some]
        # What all shards have seen may be in no account yet, where a server ended between the two.
        while not self._append(one, left, entries):
            pass
        return one.duplicates

    def _touched(self, events: pl.DataFrame, graves: set[int]) -> _Left:
        touched = events.group_by("shard").agg(pl.col("submission").unique()).iter_rows()
        left = {shard: set(numbers) for shard, numbers in touched}
        for shard in range(self._store.shards) if graves else ():
            left[shard] = left.get(shard, set()) | graves
        return left

    def _append(self, batch: _Batch, left: _Left, entries: Sequence[Entry]) -> bool:
        """Append what is left, of which what is written or was seen is taken out; whether nothing was refused."""
        made = self._made(batch.events_of(left))
        now = {shard: made.get(shard, []) for shard, numbers in left.items() if numbers}
        parts = [batch.part(shard, left[shard], [chunk for chunk, _ in of]) for shard, of in now.items()]
        results = self._store.append(parts, entries)
        for part, result in zip(parts, results, strict=True):
            if not isinstance(result, Refusal):
                batch.written |= left.pop(part.shard)
                for identity, (_, states) in zip(result, now[part.shard], strict=True):
                    self._cache.put(part.shard, identity, states)
            elif result.types:
                raise TypeTakenError
            else:
                left[part.shard] -= batch.seen(left[part.shard], result)
        return not any(isinstance(result, Refusal) for result in results)

    def _made(self, events: pl.DataFrame) -> dict[int, list[tuple[NewChunk, pl.DataFrame]]]:
        """The chunks of each shard, with the States in them."""
        now = self._clock()
        made: dict[int, list[tuple[NewChunk, pl.DataFrame]]] = {}
        for (type_name,), some in events.partition_by("type", as_dict=True).items():
            handler = self._registry.get(str(type_name))
            assert handler is not None
            states = fold(handler, some, ["shard"])
            for (shard,), part in states.partition_by("shard", as_dict=True, include_key=False).items():
                of = int(str(shard))
                chunk = chunks.make(handler, part, shard=of, view=RAW, policy="", width=1, created=now)
                made.setdefault(of, []).append((chunk, part))
        return made


@dataclass(slots=True)
class _Batch:
    """A batch that is being written: its submissions by number, and what has become of them so far."""

    submissions: Sequence[Submission]
    batch: Batch
    tabs: Mapping[int, list[TabEntry]]
    written: set[int]
    duplicates: set[int] = field(default_factory=set)
    _receipts: dict[frozenset[int], list[Receipt]] = field(default_factory=dict)
    """Those of submissions: shards mostly have the same, and a store may pack these once."""

    def events_of(self, left: _Left) -> pl.DataFrame:
        """The events that are left."""
        events = self.batch.events
        if not self.duplicates and left.keys() >= set(events["shard"].unique()):
            return events
        wanted = pl.DataFrame(
            [(shard, number) for shard, numbers in left.items() for number in numbers],
            schema={"shard": events.schema["shard"], "submission": events.schema["submission"]},
            orient="row",
        )
        return events.join(wanted, on=["shard", "submission"], how="semi")

    def part(self, shard: int, numbers: set[int], made: list[NewChunk]) -> Append:
        """What is written to a shard of these submissions."""
        receipts = self._receipts.get(which := frozenset(numbers))
        if receipts is None:
            receipts = [receipt for number in sorted(which) for receipt in self.submissions[number].receipts]
            self._receipts[which] = receipts
        return Append(shard, receipts, self.tabs.get(shard, []), made)

    def seen(self, numbers: set[int], refusal: Refusal) -> set[int]:
        """Those of the submissions that a shard has seen."""
        seen = {number for number in numbers if not refusal.receipts.isdisjoint(self.submissions[number].receipts)}
        self.duplicates |= seen
        return seen


def _tabs_by_shard(batch: Batch, catalogue: Catalogue) -> dict[int, list[TabEntry]]:
    """The batch's new tabs, by the shard of each."""
    by_shard: dict[int, list[TabEntry]] = {}
    for entry in {entry.tab: entry for entry in batch.tabs.values()}.values():
        by_shard.setdefault(catalogue.shard_of(entry.name), []).append(entry)
    return by_shard


def _is_grave(submission: Submission) -> bool:
    """Whether it stands for frames that were given up."""
    return any(one.header.first is not None for one in submission.frames)
