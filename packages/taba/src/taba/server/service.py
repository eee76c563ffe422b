"""A server's parts put together: store, catalogue, intake, compactor and queries, without HTTP."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from itertools import compress, count
from typing import Any

import polars as pl

from taba import __version__
from taba.config import Settings
from taba.handlers.registry import Registry
from taba.locks.gate import Gate
from taba.locks.keys import Keys
from taba.matching import EXACT, client_pattern
from taba.server.bookkeeping import EVENTS, LATE
from taba.server.completeness import KNOWN_SECONDS, LATE_WINDOW, Completeness, completeness
from taba.server.formats import Answers
from taba.server.freshness import Freshness
from taba.server.intake import UNFORESEEN, Bounds, Intake
from taba.server.ledger import RESTORED_SECONDS, Ledger, ledger, warnings
from taba.settings import taken
from taba.states.catalogue import Catalogue
from taba.states.chunks import ChunkError
from taba.states.compactor import Compactor
from taba.states.fold import verify
from taba.states.query import Query, Selection, Window
from taba.states.reading import ChunkCache, Reader
from taba.states.tiers import CLIENTS, FLEET, Tiers
from taba.store import StoreError, open_store

log = logging.getLogger(__name__)

COMPLETE_SECONDS = 0.2
LATE_SECONDS = 5.0
"""How often events that came late are counted anew."""
UNREAD_SECONDS = 2.0
WARN_SECONDS = 5.0
"""How often the accounts are looked at for what an operator should know of."""
LISTED_SECONDS = 3600
"""The lists of tabs and clients count who recorded what within this time."""
COMPACT_SECONDS = 10.0
"""Each shard is compacted this often. They take turns: all at once, they would hold up what is being folded."""
REST = 0.95
"""A shard that was compacted within this part of COMPACT_SECONDS is left alone: another server has done it."""
COMPACTED, IN_VAIN = "taba.server.compaction.done", "taba.server.compaction.lost"
"""Own tabs: the rows of each job that was done, and of each that another server was faster to do."""
STOP_SECONDS = 5.0
"""How long a server that stops waits for other processes to let it write."""
FORGET_SECONDS = 3600.0
RECEIPT_SECONDS = 30 * 86_400
"""How long it is remembered what a source that sends JSON has sent last."""


class Service:
    """Everything behind the HTTP interface. `clock` gives seconds since 1970."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        choose: Callable[[int], int] = random.randrange,
    ) -> None:
        """Open the store and load the handlers; raises StoreError, HandlerError, TokensError.

        `choose` gives a number below another: where and when to begin to compact, because several servers that share a
        store had better not do the same work at once.
        """
        self.clock = clock
        self.settings = settings
        self.started = clock()
        self.gate = Gate(Keys(settings.tokens))
        self._choose = choose
        self.registry = Registry(settings.handlers)
        for handler in self.registry:
            verify(handler)
        patterns = [(pattern.match, pattern.clients, pattern.fleet) for pattern in settings.tiers.patterns]
        self.tiers = Tiers.parse(settings.tiers.clients, settings.tiers.fleet, patterns)
        self.store = open_store(settings)
        self.catalogue = Catalogue(self.registry, self.store.shards)
        self.freshness = Freshness(self.store, self.catalogue)
        cache = ChunkCache(settings.cache_mb << 20)
        self.reader = Reader(self.store, self.registry, cache)
        self.query = Query(self.registry, self.catalogue, self.reader)
        self.compactor = Compactor(self.store, self.registry, self.tiers, self.reader, cache, self._compacted)
        self.intake = Intake(
            self.store, self.registry, self.catalogue, self.freshness, cache, self._bounds(settings), clock, self.gate
        )
        self.leaving: list[Callable[[], None]] = []
        self.watched = self.watchers = 0
        """Questions that are watched, and by how many."""
        self._complete = (0.0, Completeness(0.0, 0, 0))
        self._completing = threading.Lock()
        self._late = (0.0, 0)
        self._warned: set[str] = set()
        self._begun = 0.0
        self._beaten = False
        self._stopping = threading.Event()
        self._compacting = threading.Thread(target=self._compact, name="taba-compactor", daemon=True)

    def start(self) -> None:
        """Begin to compact."""
        self._compacting.start()

    def leave(self) -> None:
        """Tell those who keep requests open that the server is about to stop. On the event loop."""
        for tell in self.leaving:
            tell()

    def end(self) -> None:
        """Begin to stop: no compaction begins any more, and what is written waits for nobody for long."""
        self._stopping.set()
        self.store.hurry(STOP_SECONDS)

    def close(self) -> None:
        """Stop compacting and close the store."""
        self._stopping.set()
        if self._compacting.is_alive():
            self._compacting.join()
        self.store.close()

    @property
    def _future(self) -> int:
        return self.settings.limits.future_s

    def _bounds(self, settings: Settings) -> Bounds:
        return Bounds(settings.gather_ms / 1000, self.tiers.reach(FLEET), settings.limits)

    def reload(self, settings: Settings) -> list[str]:
        """Take other settings; the names of those that changed and need a restart."""
        self.settings = taken(self.settings, settings)
        self.intake.bounds = self._bounds(self.settings)
        return [name for name in settings.__struct_fields__ if getattr(self.settings, name) != getattr(settings, name)]

    def _compact(self) -> None:
        """Take one shard after the other, each every COMPACT_SECONDS; what fails is told once and tried again."""
        failed: dict[int, str] = {}
        shards = self.store.shards
        self._forgotten, self._looked = 0.0, self.clock()
        slot = COMPACT_SECONDS / shards
        due = time.monotonic() - slot * self._choose(1000) / 1000
        for turn in count(self._choose(shards)):
            shard = turn % shards
            due = max(due + slot, time.monotonic()) + self._aside()
            if self._stopping.wait(due - time.monotonic()):
                return
            try:
                self._begun = time.perf_counter()
                self.compactor.run_shard(shard, self.clock(), self._breathe, REST * COMPACT_SECONDS)
                self._tidy(self.clock())
                failed.pop(shard, None)
            except _Stopping:
                return
            except UNFORESEEN as error:
                if str(error) not in failed.values():  # one engine that is away fails all of its shards
                    trace = None if isinstance(error, StoreError | ChunkError) else error
                    log.warning("compaction failed and will be tried again: %s", error, exc_info=trace)
                failed[shard] = str(error)

    def _aside(self) -> float:
        """Seconds by which to step out of the way of a server that was faster, so that the two do not meet again."""
        beaten, self._beaten = self._beaten, False
        return COMPACT_SECONDS * self._choose(1000) / 1000 if beaten else 0.0

    def _compacted(self, rows: int, done: bool) -> None:
        """Count a job of the compactor; in vain were those of which another server was faster."""
        self._beaten = not done
        self.intake.note(COMPACTED if done else IN_VAIN, "counter", rows)

    def _tidy(self, now: float) -> None:
        """Now and then: forget sources that are silent, and warn of what looks wrong, once for each client."""
        if not 0 <= now - self._forgotten <= FORGET_SECONDS:
            self._forgotten = now
            self.store.forget(now - RECEIPT_SECONDS, now - self.tiers.reach(FLEET))
        if not 0 <= now - self._looked <= WARN_SECONDS:
            self._looked = now
            found = warnings(self.store.accounts(now - RESTORED_SECONDS), now)
            for client in found.keys() - self._warned:
                log.warning("%s", found[client])
            self._warned = set(found)

    def _breathe(self) -> None:
        """After a job: leave the processor for as long as the job had it, and end when told to."""
        if self._stopping.wait(time.perf_counter() - self._begun):
            raise _Stopping
        self._begun = time.perf_counter()

    def completeness(self) -> Completeness:
        """What answers may say of themselves that are worked out from now on.

        Worked out anew after COMPLETE_SECONDS; until then an answer says a little less than is true, never more. So it
        does where the accounts cannot be read, which is tried again after UNREAD_SECONDS, and while another thread
        reads them.
        """
        now = self.clock()
        due, found = self._complete
        if now < due <= now + UNREAD_SECONDS or not self._completing.acquire(blocking=due == 0.0):
            return found
        try:
            accounts = self.store.accounts(now - KNOWN_SECONDS)
            self.intake.listening.heard_before(account.heard for account in accounts)
            # What another server has folded by now may be in tabs that are not known here yet.
            self.freshness.catch_up()
            oldest, late = now - self.tiers.reach(FLEET), self._came_late(now)
            found = completeness(accounts, now, oldest, self.intake.listening.last(now), late)
            self._complete = (now + COMPLETE_SECONDS, found)
        except (StoreError, ChunkError) as error:
            log.debug("what is complete cannot be read: %s", error)
            self._complete = (self.clock() + UNREAD_SECONDS, found)
        finally:
            self._completing.release()
        return found

    def _came_late(self, now: float) -> int:
        """How many events came late within LATE_WINDOW, as it was LATE_SECONDS ago at most."""
        looked, late = self._late
        if not 0 <= now - looked < LATE_SECONDS:
            found = self.query.windows(Selection([LATE]), [Window("late", now - LATE_WINDOW, now + self._future)])
            late = int(sum(table["total"].sum() for _, table in found))
            self._late = (now, late)
        return late

    def ledger(self, glob: str) -> Ledger:
        """What became of the events of the clients that match."""
        accounts = self.store.accounts()
        # Not Python's regular expressions, which a glob of many stars would keep busy for ever.
        clients = pl.Series([account.client for account in accounts], dtype=pl.String)
        return ledger(list(compress(accounts, clients.str.contains(client_pattern(glob)))), self.clock())

    def status(self) -> dict[str, Any]:
        """What an operator asks of a running server."""
        complete = self.completeness()
        return {
            "status": self.intake.failure or "ok",
            "version": __version__,
            "started": self.started,
            "pid": os.getpid(),
            "store": self.store.where,
            "shards": self.store.shards,
            "tabs": len(self.catalogue),
            "accounts": self.store.account_count(),
            "clients": complete.known,
            "complete_to": complete.complete_to,
            "waiting_bytes": self.intake.waiting,
            "watched": self.watched,
            "watchers": self.watchers,
        }

    def tabs(self, globs: Sequence[str], most: int | None = None, *, brief: bool = False) -> tuple[pl.DataFrame, int]:
        """The first `most` of the tabs that match, in order, and how many match.

        Columns: tab, name, type, clients (that recorded to it in the last hour), last_seen. `brief` gives tab and type
        alone, for which nothing is read from the store.
        """
        matched = self.catalogue.match(globs).select("tab", "name", type="full_type").sort("tab")
        listed = matched if most is None else matched.head(most)
        if brief:
            return listed.select("tab", "type"), matched.height
        if listed.height < matched.height:
            globs = [EXACT + tab for tab in listed["tab"]]
        now = self.clock()
        seen = self.query.seen(globs, now - LISTED_SECONDS, now + self._future, "tab")
        recent = seen.select(pl.col("tab").cast(pl.String), clients="others", last_seen="last")
        listed = listed.join(recent, on="tab", how="left").with_columns(pl.col("clients").fill_null(0))
        quiet = listed.filter(pl.col("last_seen").is_null())["tab"].to_list()
        if quiet:
            earlier = self.query.last_seen(globs, now + self._future).with_columns(pl.col("tab").cast(pl.String))
            listed = (
                listed.join(earlier, on="tab", how="left")
                .with_columns(last_seen=pl.coalesce("last_seen", "last"))
                .drop("last")
            )
        return listed.sort("tab"), matched.height

    def clients(self, glob: str) -> pl.DataFrame:
        """The clients that match: client, last_seen, tabs (that it recorded to in the last hour)."""
        now = self.clock()
        reach = self.tiers.reach(CLIENTS)
        seen = self.query.seen([EVENTS], now - reach, now + self._future, "client")
        recent = self.query.seen(["*"], now - LISTED_SECONDS, now + self._future, "client")
        tabs = recent.select("client", tabs="others")
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
