"""The ledger: what became of every event that was recorded, by client, from the store's accounts. Pure.

recorded = folded + dropped + in flight
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from taba.server.completeness import LIVE_SECONDS, is_live
from taba.store import Account

AT_ONCE_SECONDS = 60.0
"""Two processes record as one client at once where both were heard within this time,"""
OVERLAP_SECONDS = 5.0
"""and the older one recorded for more than this time after the newer one began."""
RESTORED_SECONDS = 86400.0
"""How long a spool that was put back is warned of."""
AGENT = "taba-agent-"
"""Begins the client id of an agent."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The fields of the answer of `GET /v1/ledger`."""

    total: dict[str, Any]
    clients: dict[str, dict[str, Any]]
    warnings: list[str]


def ledger(accounts: Collection[Account], now: float) -> Ledger:
    """The ledger of the clients that have an account among these, in their order."""
    rows = {client: _row(some, now) for client, some in _by_client(accounts)}
    return Ledger(_total(rows.values()), rows, list(warnings(accounts, now).values()))


def warnings(accounts: Iterable[Account], now: float) -> dict[str, str]:
    """What looks wrong, by client: two processes under one name, and agents whose spool was put back."""
    found = {}
    for client, some in _by_client(accounts):
        told = _put_back(client, some, now) if client.startswith(AGENT) else None
        told = told or _at_once(client, some, now)
        if told:
            found[client] = told
    return found


def _by_client(accounts: Iterable[Account]) -> Iterator[tuple[str, list[Account]]]:
    """The accounts of each client, in the order in which its epochs began."""
    ordered = sorted(accounts, key=lambda account: (account.client, _began(account)))
    for client, some in groupby(ordered, key=attrgetter("client")):
        yield client, list(some)


def _began(account: Account) -> float:
    return account.begun if account.began is None else account.began


def _row(accounts: Sequence[Account], now: float) -> dict[str, Any]:
    """All epochs of a client together."""
    dropped: Counter[str] = Counter()
    for account in accounts:
        dropped.update(account.dropped)
    recorded, folded, in_flight = (
        sum(getattr(account, name) for account in accounts) for name in ("recorded", "folded", "in_flight")
    )
    heard = max(account.heard for account in accounts)
    missing = [gap.since for account in accounts for gap in account.gaps if gap.events]
    # Of epochs that ended long before the newest was heard, nothing more is expected.
    latest = [account.complete_to for account in accounts if account.epoch and account.heard > heard - LIVE_SECONDS]
    row = {
        "recorded": recorded,
        "folded": folded,
        "dropped": dict(sorted(dropped.items())),
        "in_flight": in_flight,
        "in_flight_since": min(missing, default=None),
        "complete_to": min(latest, default=None),
        "heard": heard,
        "processes": sum(bool(one.epoch) and not one.closed and is_live(one, now) for one in accounts),
    }
    difference = recorded - folded - dropped.total() - in_flight
    return row | {"unaccounted": difference} if difference else row


def _total(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    dropped: Counter[str] = Counter()
    sums: Counter[str] = Counter(recorded=0, folded=0, in_flight=0)
    for row in rows:
        dropped.update(row["dropped"])
        sums.update({name: row[name] for name in ("recorded", "folded", "in_flight")})
    return {
        "recorded": sums["recorded"],
        "folded": sums["folded"],
        "dropped": dict(sorted(dropped.items())),
        "in_flight": sums["in_flight"],
    }


def _at_once(client: str, accounts: Sequence[Account], now: float) -> str | None:
    """Whether two epochs of a client are alive at once; `accounts` are in the order in which they began."""
    alive = [
        account
        for account in accounts
        if account.epoch and not account.closed and account.heard > now - AT_ONCE_SECONDS
    ]
    for place, newer in enumerate(alive):
        for older in alive[:place]:
            # What an agent brings late of a process that has died was recorded before the next one began.
            recorded_on = newer.began is None or older.stop > newer.began + OVERLAP_SECONDS
            if older.heard > newer.begun + OVERLAP_SECONDS and recorded_on:
                return (
                    f"two processes record as {client} at once: every event is counted, but a gauge shows now the "
                    "one's value and now the other's. Give each a name of its own"
                )
    return None


def _put_back(client: str, accounts: Sequence[Account], now: float) -> str | None:
    """Whether an agent began with a start's number that was there before: its spool is a copy of an older one."""
    greatest = 0
    for account in accounts:
        number = account.epoch.partition("-")[0]
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            continue
        if int(number) <= greatest and account.heard > now - RESTORED_SECONDS:
            return (
                f"the spool of {client} was restored from an older copy: nothing is counted twice, and what the newer "
                "spool still held is missing"
            )
        greatest = max(greatest, int(number))
    return None
