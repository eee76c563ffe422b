"""Whether a store is as it should be: every chunk is read, and all else is compared with what is known of it.

    store       SQLite's file; or, on an engine, bodies that no chunk has
    chunk       its bytes are there and fit their checksum; its handler can read it and finds the columns that it
                writes; rows, times and tabs are as told
    tab         a name has one type, and lies in its shard
    account     recorded = folded + dropped + in flight; gaps lie below what was seen
    ledger      what the accounts say was folded is what the States of `taba.client.events` count

The ledger can be compared as far as the tiers reach: over the fleet where all accounts began within what the longest
tier keeps, and client by client for those that began within what the clients' tiers keep. What a server records itself
is in the States and in no account, so of the fleet no more is known than that the States count at least what the
accounts say. A client whose account changes meanwhile is not compared, and neither are those of which the store had
heard nothing when they began to count. On an engine an account is written after the events, and a request without a
number cannot be told from none: so where there is more than the accounts say, these are waited for.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import polars as pl

from taba.handlers.base import EVENT_SCHEMA, Handler
from taba.handlers.registry import Registry
from taba.states import chunks
from taba.states.fold import fold
from taba.states.shards import shard_of
from taba.states.tiers import CLIENTS, FLEET, RAW, Tiers
from taba.store.accounts import Account
from taba.store.marks import unsettled
from taba.store.moving import Content, Key, Look, Progress
from taba.store.places import House
from taba.store.protocol import ChunkInfo, NewChunk, TabEntry
from taba.store.sqlite_house import SqliteHouse

EVENTS = "taba.client.events"
ATTEMPTS = 100
"""How often a part that changes while it is read is looked at again."""
LATE_SECONDS = 5.0
"""How much later than its events an account may be written."""
KEPT = 10_000
"""Findings that are kept; of others only the number."""


class Finding(NamedTuple):
    """Something that is wrong: of which kind, where, and what."""

    kind: str
    where: str
    told: str


@dataclass(slots=True)
class Report:
    """What was looked at, and what is wrong. `notes` say what could not be compared, or is no fault."""

    chunks: int = 0
    rows: int = 0
    tabs: int = 0
    accounts: int = 0
    clients_compared: int = 0
    wrong: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, where: str, told: str) -> None:
        """Something is wrong."""
        self.wrong += 1
        if len(self.findings) < KEPT:
            self.findings.append(Finding(kind, where, told))


def check(house: House, registry: Registry, tiers: Tiers, now: float, progress: Progress) -> Report:
    """Look at all that is in a store, which may be in use. Raises StoreError where it cannot be read at all."""
    return _Check(house, registry, tiers, now, progress).run()


class _Check:
    def __init__(self, house: House, registry: Registry, tiers: Tiers, now: float, progress: Progress) -> None:
        self._house = house
        self._registry = registry
        self._tiers = tiers
        self._now = now
        self._progress = progress
        self._report = Report()
        self._handlers = {handler.type: _Expected(handler) for handler in registry}
        self._tabs: dict[str, tuple[str, str]] = {}
        """Tabs that chunks hold: the type, and one of the chunks."""
        self._events: dict[Key, _Events] = {}

    def run(self) -> Report:
        house, report = self._house, self._report
        if isinstance(house, SqliteHouse):
            self._progress("the file", 0, 0)
            if problem := house.problem():
                report.add("store", house.where, f"its file is damaged: {problem}")
        before = house.accounts()
        looks = [self._check_part(part) for part in range(house.parts)]
        books = [house.books(part) for part in range(house.parts)]
        content = Content(looks, books, house.catalogue())
        there = {(info.shard, info.id) for info in content.infos}
        after = content.accounts
        self._check_orphans()
        self._check_tabs()
        self._check_accounts(after)
        left = {} if house.whole else unsettled(content.marks, after)
        if left:
            report.notes.append(
                f"{sum(left.values())} frames or requests are in some shards and not in their accounts: they are being "
                "written, or a server ended meanwhile and their senders will send them again"
            )
        counted = [events for key, events in self._events.items() if key in there]
        self._check_ledger(before, after, counted, exact=not left)
        return report

    def _check_part(self, part: int) -> Look:
        """Check the chunks of a part; what is in it at the end."""
        done: set[Key] = set()
        lost: set[Key] = set()
        tries = 0
        while True:
            look = self._house.look(part)
            listed = {(info.shard, info.id): info for info in look.infos}
            # Bodies come and go with what is told of them, so what was listed before and is still listed must be there.
            for key in (lost & listed.keys()) - done:
                self._report.add("chunk", _where(listed[key]), "its bytes are missing")
                done.add(key)
            wanted = [info for key, info in listed.items() if key not in done]
            tries += 1
            if wanted and tries > ATTEMPTS:
                self._report.notes.append(f"part {part} changed {ATTEMPTS} times while it was read: some of it was not")
            if not wanted or tries > ATTEMPTS:
                return look
            for chunk in self._house.read(wanted):
                self._check_chunk(chunk)
                done.add((chunk.info.shard, chunk.info.id))
                self._progress("chunks" if self._house.parts == 1 else f"shard {part}", len(done), len(listed))
            lost = listed.keys() - done

    def _check_chunk(self, chunk: NewChunk) -> None:
        info, report = chunk.info, self._report
        report.chunks += 1
        report.rows += info.rows
        expected = self._handlers.get(info.type)
        if expected is None:
            report.add("chunk", _where(info), f"there is no handler of type {info.type!r} here: name it in `handlers`")
            return
        try:
            states = chunks.read(expected.handler, info, chunk.body)
            problems = list(_problems(expected, info, states, self._house.shards))
        except chunks.ChunkError as error:
            report.add("chunk", _where(info), str(error).partition(") ")[2] or str(error))
            return
        except (Exception, pl.exceptions.PanicException) as error:
            report.add("chunk", _where(info), f"cannot be read: {error}")
            return
        for problem in problems:
            report.add("chunk", _where(info), problem)
        for tab in states["tab"].unique().cast(pl.String) if "tab" in states.columns else ():
            self._tabs.setdefault(tab, (info.type, _where(info)))
        if info.type == "counter" and not problems:
            self._events[info.shard, info.id] = _Events.of(info, states)

    def _check_orphans(self) -> None:
        if not isinstance(self._house, SqliteHouse):
            self._progress("keys", 0, 0)
            for shard, identity in self._house.orphans():
                self._report.add("store", f"shard {shard}", f"the bytes {identity} belong to no chunk")

    def _check_tabs(self) -> None:
        house, report = self._house, self._report
        types: dict[str, str] = {}
        known: dict[str, str] = {}
        for shard, tab in _placed_tabs(house):
            report.tabs += 1
            known[tab.tab] = tab.type
            if types.setdefault(tab.name, tab.type) != tab.type:
                report.add("tab", tab.tab, f"its type is {tab.type}, and that of others is {types[tab.name]}")
            if shard is not None and shard != shard_of(tab.name, house.shards):
                report.add("tab", tab.tab, f"it lies in shard {shard} and not {shard_of(tab.name, house.shards)}")
        for tab, (kind, where) in sorted(self._tabs.items()):
            if tab not in known:
                report.add("tab", tab, f"{where} has it, and the catalogue does not")
            elif known[tab].partition("(")[0] != kind:
                report.add("tab", tab, f"its type is {known[tab]}, and that of {where} is {kind}")
        for shard, name, kind in _shards_types(house):
            if types.get(name, kind) != kind:
                report.add("tab", name, f"shard {shard} takes it as {kind}, and its tabs are {types[name]}")

    def _check_accounts(self, accounts: Iterable[Account]) -> None:
        for account in accounts:
            self._report.accounts += 1
            where = f"{account.client} {account.epoch}".strip()
            sums = account.folded + account.lost + account.in_flight
            if account.recorded != sums:
                self._report.add(
                    "account",
                    where,
                    f"recorded {account.recorded:,} is not folded {account.folded:,} + dropped {account.lost:,} + "
                    f"in flight {account.in_flight:,}",
                )
            ends = [0, *(number for gap in account.gaps for number in (gap.first, gap.last)), account.last]
            if any(one > other for one, other in pairwise(ends)) or min(account.folded, account.last) < 0:
                self._report.add("account", where, "its gaps or counts are no numbers that can be")

    def _check_ledger(
        self, before: Sequence[Account], after: Sequence[Account], counted: Sequence[_Events], *, exact: bool
    ) -> None:
        report = self._report
        folded = sum(account.folded for account in before)
        of_fleet = sum(events.fleet for events in counted)
        if all(account.begun >= self._now - self._reach(FLEET) for account in before):
            if of_fleet < folded:
                report.add("ledger", "in all", f"the accounts say {folded:,} events, and the States count {of_fleet:,}")
        else:
            report.notes.append("some accounts are older than the tiers reach: not all that was folded is still there")
        by_client: Counter[str] = Counter()
        for events in counted:
            by_client.update(events.clients)
        present = _by_client(after)
        there = _by_client(before)
        same = {
            client: accounts
            for client, accounts in there.items()
            if accounts == present.get(client) and all(map(self._is_comparable, accounts))
        }
        says = {client: sum(account.folded for account in accounts) for client, accounts in same.items()}
        more = {client: same[client] for client in same if exact and by_client[client] > says[client]}
        recording = self._changing(more)
        for client in (client for client in same if client not in recording):
            report.clients_compared += 1
            counts = by_client[client]
            if counts < says[client] or (counts > says[client] and exact):
                told = f"its accounts say {says[client]:,} events were folded, and the States count {counts:,}"
                report.add("ledger", client, told)
        if skipped := len(there) - len(same) + len(recording):
            report.notes.append(f"{skipped} clients could not be compared: they began too long ago, or record now")

    def _changing(self, clients: Mapping[str, Sequence[Account]]) -> set[str]:
        """Those of the clients whose accounts change soon: there was more of them already than these say."""
        left = {} if self._house.whole else dict(clients)
        deadline = time.monotonic() + LATE_SECONDS
        changed: set[str] = set()
        while left.keys() - changed and time.monotonic() < deadline:
            time.sleep(LATE_SECONDS / 20)
            now = _by_client(self._house.accounts())
            changed |= {client for client in left if now.get(client) != left[client]}
        return changed

    def _is_comparable(self, account: Account) -> bool:
        """Whether all that the account counts is in States that are kept by client."""
        joined = bool(account.epoch) and (account.told is None or account.offset != 0)
        return not joined and account.begun >= self._now - self._reach(CLIENTS)

    def _reach(self, view: str) -> int:
        """Seconds back to which States of a view are there to the last one, whatever the policy."""
        ladders = self._tiers.clients if view == CLIENTS else self._tiers.fleet
        return min(steps[-1].keep - steps[-1].width for steps in ladders.values())


class _Expected:
    """What a handler's States look like."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    @cached_property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns of States by client."""
        return dict(fold(self.handler, pl.DataFrame(schema=EVENT_SCHEMA)).schema)


@dataclass(frozen=True, slots=True)
class _Events:
    """What a chunk counts of clients' events: of all of them, where it belongs to the fleet's view, and by client."""

    fleet: int
    clients: Mapping[str, int]

    @staticmethod
    def of(info: ChunkInfo, states: pl.DataFrame) -> _Events:
        own = states.filter(pl.col("tab").cast(pl.String) == EVENTS)
        fleet = int(own["total"].sum()) if info.view in (RAW, FLEET) else 0
        if info.view == FLEET or own.is_empty():
            return _Events(fleet, {})
        sums = own.group_by(pl.col("client").cast(pl.String)).agg(pl.col("total").sum())
        return _Events(fleet, {str(client): int(total) for client, total in sums.iter_rows()})


def _problems(expected: _Expected, info: ChunkInfo, states: pl.DataFrame, shards: int) -> Iterator[str]:
    """What is wrong with a chunk that could be read."""
    wanted = {name: kind for name, kind in expected.schema.items() if name != "client" or info.view != FLEET}
    missing = [name for name, kind in wanted.items() if states.schema.get(name) != kind]
    if missing or len(states.columns) != len(wanted):
        yield f"its columns are not its handler's ({', '.join(missing or states.columns)})"
        return
    if states.height != info.rows:
        yield f"it has {states.height:,} rows and not {info.rows:,}"
    slices = states["slice"]
    first, last = slices.min(), slices.max()
    if isinstance(first, int) and isinstance(last, int) and not info.start <= first <= last <= info.stop - info.width:
        yield f"its slices are from {first} to {last}, and not within {info.start} to {info.stop}"
    if info.width < 1 or (slices % info.width != 0).any():
        yield f"its slices are not {info.width} s wide"
    strays = [tab for tab in states["tab"].unique().cast(pl.String) if _shard(tab, shards) != info.shard]
    if strays:
        yield f"it holds tabs of other shards ({min(strays)})"


def _shard(tab: str, shards: int) -> int:
    return shard_of(tab.partition("{")[0], shards)


def _placed_tabs(house: House) -> Iterator[tuple[int | None, TabEntry]]:
    """The tabs, each with the shard that has it, where shards have theirs."""
    if isinstance(house, SqliteHouse):
        yield from ((None, tab) for tab in house.catalogue())
    else:
        yield from house.placed_tabs()


def _shards_types(house: House) -> Iterator[tuple[int, str, str]]:
    """Shard, name and type, where shards keep the types of names."""
    if not isinstance(house, SqliteHouse):
        yield from ((shard, name, kind) for shard in range(house.shards) for name, kind in house.types(shard).items())


def _by_client(accounts: Iterable[Account]) -> dict[str, list[Account]]:
    found: dict[str, list[Account]] = defaultdict(list)
    for account in sorted(accounts, key=lambda account: (account.client, account.epoch)):
        found[account.client].append(account)
    return found


def _where(info: ChunkInfo) -> str:
    return f"chunk {info.id} of shard {info.shard} ({info.type}, {info.view})"
