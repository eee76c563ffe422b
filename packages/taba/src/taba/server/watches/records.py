"""The watches' records in the store, read and changed by compare-and-swap.

A record is the value of a gauge of Taba's own, so it is kept, compacted, copied and backed up as all States are:

    taba.server.watches.state{key=KEY,watch=NAME}   gauge   the record as JSON

Its next generation is appended to the gauge's shard together with a receipt, (watches/KEY, generation). The store takes
no receipt twice, so of all servers that try to write a generation one does. KEY stands for the watch's name and its
rule: another rule has a record of its own.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import polars as pl

from taba import names
from taba.handlers.base import EVENT_SCHEMA
from taba.server.service import Service
from taba.states import chunks
from taba.states.fold import fold
from taba.states.query import Selection, Window
from taba.states.tiers import FLEET, RAW
from taba.store.protocol import Append, Receipt, Refusal, TabEntry
from taba.watches.record import Record

log = logging.getLogger(__name__)

STATE = "taba.server.watches.state"
HOLDER = "taba-watches"
"""The client whose value each record is."""
KEEP_SECONDS = 3600.0
"""A record that is not empty is written anew after so long at most, so that it never grows too old to be kept."""


def key_of(name: str, rule: str) -> str:
    """What a watch's record is known by."""
    return hashlib.sha256(f"{name}\n{rule}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Draft:
    """A record that is to follow the one of generation `record.generation`."""

    key: str
    watch: str
    record: Record

    @property
    def tab(self) -> str:
        """The tab that holds it."""
        return names.join(STATE, {"key": self.key, "watch": self.watch})


class Records:
    """Reads and writes records. For one thread. Every method may raise StoreError."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[str, Record] = {}
        handler = service.registry.get("gauge")
        assert handler is not None
        self._gauge = handler
        self._keep = min(KEEP_SECONDS, service.tiers.reach(FLEET) / 4)

    def read(self) -> Mapping[str, Record]:
        """The records by key: what the store has, and what was written from here and is not to be read yet."""
        now = self._service.clock()
        window = Window("all", 0.0, now + self._service.settings.limits.future_s + KEEP_SECONDS)
        for _, table in self._service.query.windows(Selection([STATE]), [window]):
            for tab, values in table.select("tab", "values").iter_rows():
                for held in msgspec.json.decode(values):
                    self._take(names.split(tab)[1].get("key", ""), held["value"])
        return self._known

    def _take(self, key: str, text: str) -> None:
        try:
            record = msgspec.json.decode(text, type=Record)
        except msgspec.MsgspecError as error:
            log.warning("the record of the watch %s cannot be read, so it begins anew: %s", key, error)
            return
        if record.generation > self._known.get(key, Record()).generation:
            self._known[key] = record

    def ages(self, record: Record, now: float) -> bool:
        """Whether it is time to write a record anew, as it is."""
        return bool(record.instances or record.deliveries) and now - record.written > self._keep

    def write(self, drafts: Sequence[Draft], now: float) -> dict[str, Record]:
        """Write the drafts as the next generation of their records; those that were taken, by key.

        Of one that was not, another server was faster: what that wrote is known after the next `read`.
        """
        left = {draft.key: self._next(draft, now) for draft in drafts}
        by_key = {draft.key: draft for draft in drafts}
        refused_for: dict[str, int] = {}
        while left:
            (result,) = self._service.store.append([self._append([by_key[key] for key in left], left)])
            if not isinstance(result, Refusal):
                self._known |= left
                return left
            seen = {receipt.source for receipt in result.receipts}
            for key in [key for key in left if _source(key) in seen]:
                again = self._after_refusal(by_key[key], left.pop(key), refused_for, now)
                if again is not None:
                    left[key] = again
            if not seen:
                log.error("the watches' records cannot be written: %s", result.types)
                return {}
        return {}

    def _next(self, draft: Draft, now: float) -> Record:
        # Never before what it follows, whose writer's clock may be ahead.
        written = max(now, draft.record.written + 0.001)
        return msgspec.structs.replace(draft.record, generation=draft.record.generation + 1, written=written)

    def _after_refusal(self, draft: Draft, tried: Record, refused_for: dict[str, int], now: float) -> Record | None:
        """What to try next: nothing where another has written, a later generation where the record itself is lost.

        A record may be older than its tiers keep it, and the receipts of its generations are still known. They are
        jumped over, by twice as far each time, which all servers do in the same steps.
        """
        before = self._known.get(draft.key, Record()).generation
        self._service.freshness.catch_up()
        if self.read().get(draft.key, Record()).generation != before or before != draft.record.generation:
            return None
        refused_for[draft.key] = refused_for.get(draft.key, 1) * 2
        generation = draft.record.generation + refused_for[draft.key]
        return None if generation > 1 << 48 else msgspec.structs.replace(tried, generation=generation, written=now)

    def _append(self, drafts: Sequence[Draft], records: Mapping[str, Record]) -> Append:
        shard = self._service.catalogue.shard_of(STATE)
        rows = [
            {
                "tab": draft.tab,
                "client": HOLDER,
                "time": records[draft.key].written,
                "number": None,
                "text": msgspec.json.encode(records[draft.key]).decode(),
                "parameter": None,
            }
            for draft in drafts
        ]
        states = fold(self._gauge, pl.DataFrame(rows, schema=EVENT_SCHEMA))
        chunk = chunks.make(
            self._gauge, states, shard=shard, view=RAW, policy="", width=1, created=self._service.clock()
        )
        receipts = [Receipt(_source(draft.key), records[draft.key].generation) for draft in drafts]
        knows = self._service.catalogue.knows
        tabs = [TabEntry(draft.tab, STATE, "gauge") for draft in drafts if not knows(draft.tab)]
        return Append(shard, receipts, tabs, [chunk])


def _source(key: str) -> str:
    return f"watches/{key}"
