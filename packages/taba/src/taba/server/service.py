"""A server's parts put together: store, catalogue, intake, compactor and queries, without HTTP."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from itertools import cycle

import polars as pl

from taba.config import Settings
from taba.handlers.registry import Registry
from taba.server.bookkeeping import COMPLETE_TO, EVENTS
from taba.server.formats import Answers
from taba.server.intake import UNFORESEEN, Bounds, Intake
from taba.states.catalogue import Catalogue
from taba.states.chunks import ChunkError
from taba.states.compactor import Compactor
from taba.states.fold import verify
from taba.states.matching import client_pattern
from taba.states.query import Query, Selection, Window
from taba.states.reading import ChunkCache, Reader
from taba.states.tiers import CLIENTS, FLEET, Tiers
from taba.store import StoreError, open_store

log = logging.getLogger(__name__)

LIVE_SECONDS = 10
"""A client that has sent nothing for so long is no longer waited for in `complete_to`."""
COMPLETE_SECONDS = 0.2
LISTED_SECONDS = 3600
"""The lists of tabs and clients count who recorded what within this time."""
COMPACT_SECONDS = 10.0
"""Each shard is compacted this often. They take turns: all at once, they would hold up what is being folded."""
FORGET_SECONDS = 3600.0


class Service:
    """Everything behind the HTTP interface. `clock` gives seconds since 1970."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        """Open the store and load the handlers; raises StoreError, HandlerError."""
        self.clock = clock
        self.registry = Registry(settings.handlers)
        for handler in self.registry:
            verify(handler)
        patterns = [(pattern.match, pattern.clients, pattern.fleet) for pattern in settings.tiers.patterns]
        self.tiers = Tiers.parse(settings.tiers.clients, settings.tiers.fleet, patterns)
        self.store = open_store(str(settings.data), settings.shards)
        self.catalogue = Catalogue(self.registry, self.store.shards, self.store.tabs())
        cache = ChunkCache(settings.cache_mb << 20)
        reader = Reader(self.store, self.registry, cache)
        self.query = Query(self.registry, self.catalogue, reader)
        self.compactor = Compactor(self.store, self.registry, self.tiers, reader, cache)
        bounds = Bounds(
            gather=settings.gather_ms / 1000,
            pending=settings.limits.pending_mb << 20,
            tabs=settings.limits.tabs,
            past=self.tiers.reach(FLEET),
            future=settings.limits.future_s,
        )
        self.intake = Intake(self.store, self.registry, self.catalogue, cache, bounds, clock)
        self.future = settings.limits.future_s
        self._complete_to = (0.0, 0.0)
        self._begun = 0.0
        self._stopping = threading.Event()
        self._compacting = threading.Thread(target=self._compact, name="taba-compactor", daemon=True)

    def start(self) -> None:
        """Begin to compact."""
        self._compacting.start()

    def close(self) -> None:
        """Stop compacting and close the store."""
        self._stopping.set()
        if self._compacting.is_alive():
            self._compacting.join()
        self.store.close()

    def _compact(self) -> None:
        """Take one shard after the other, each every COMPACT_SECONDS; what fails is told once and tried again."""
        failed: dict[int, str] = {}
        forgotten = self.clock()
        for shard in cycle(range(self.store.shards)):
            if self._stopping.wait(COMPACT_SECONDS / self.store.shards):
                return
            try:
                self._begun = time.perf_counter()
                self.compactor.run_shard(shard, self.clock(), self._breathe)
                if self.clock() - forgotten > FORGET_SECONDS:
                    forgotten = self.clock()
                    self.store.forget_receipts(forgotten - self.tiers.reach(FLEET))
                failed.pop(shard, None)
            except _Stopping:
                return
            except UNFORESEEN as error:
                if str(error) != failed.get(shard):
                    trace = None if isinstance(error, StoreError | ChunkError) else error
                    log.warning("compaction failed and will be tried again: %s", error, exc_info=trace)
                failed[shard] = str(error)

    def _breathe(self) -> None:
        """After a job: leave the processor for as long as the job had it, and end when told to."""
        if self._stopping.wait(time.perf_counter() - self._begun):
            raise _Stopping
        self._begun = time.perf_counter()

    def complete_to(self) -> float:
        """Until when every client that is alive has sent all that it recorded, in seconds since 1970.

        Worked out anew after COMPLETE_SECONDS; until then an answer says a little less than is true, never more.
        """
        now = self.clock()
        worked_out, complete_to = self._complete_to
        if not 0 <= now - worked_out < COMPLETE_SECONDS:
            complete_to = self._least_complete(now)
            self._complete_to = (now, complete_to)
        return complete_to

    def _least_complete(self, now: float) -> float:
        stops = [now]
        for _, states in self.query.states(
            Selection([COMPLETE_TO], per_client=True), now - LIVE_SECONDS, now + self.future
        ):
            last = states.group_by("client").agg(pl.col("number").sort_by("time").last())
            stops += last["number"].drop_nulls().to_list()
        return min(stops)

    def tabs(self, globs: Sequence[str]) -> pl.DataFrame:
        """The tabs that match: tab, name, type, clients (that recorded to it in the last hour), last_seen."""
        now = self.clock()
        matched = self.catalogue.match(globs).select("tab", "name", type="full_type")
        pairs = self.query.pairs(globs, now - LISTED_SECONDS, now + self.future)
        recent = pairs.group_by(pl.col("tab").cast(pl.String)).agg(
            clients=pl.col("client").n_unique(), last_seen=pl.col("last").max()
        )
        listed = matched.join(recent, on="tab", how="left").with_columns(pl.col("clients").fill_null(0))
        quiet = listed.filter(pl.col("last_seen").is_null())["tab"].to_list()
        if quiet:
            earlier = self.query.last_seen(globs, now + self.future).with_columns(pl.col("tab").cast(pl.String))
            listed = (
                listed.join(earlier, on="tab", how="left")
                .with_columns(last_seen=pl.coalesce("last_seen", "last"))
                .drop("last")
            )
        return listed.sort("tab")

    def clients(self, glob: str) -> pl.DataFrame:
        """The clients that match: client, last_seen, tabs (that it recorded to in the last hour)."""
        now = self.clock()
        reach = self.tiers.reach(CLIENTS)
        seen = self.query.pairs([EVENTS], now - reach, now + self.future)
        recent = self.query.pairs(["*"], now - LISTED_SECONDS, now + self.future)
        tabs = recent.group_by("client").agg(tabs=pl.col("tab").n_unique())
        listed = seen.select("client", last_seen="last").join(tabs, on="client", how="left")
        name = pl.col("client").cast(pl.String)
        return (
            listed.with_columns(name, pl.col("tabs").fill_null(0))
            .filter(pl.col("client").str.contains(client_pattern(glob)))
            .sort("client")
        )

    def windows(self, selection: Selection, windows: Sequence[Window]) -> Answers:
        """The answers over windows, sorted by tab."""
        found = self.query.windows(selection, windows)
        return [(handler, table.sort(selection.keys, maintain_order=True)) for handler, table in found]


class _Stopping(Exception):
    """Ends the compactor between two jobs."""
