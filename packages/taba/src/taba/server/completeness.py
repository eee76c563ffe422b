"""Until when answers are complete, and for how many of the clients, by the accounts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from taba.store import Account

LIVE_SECONDS = 10.0
"""A client that has sent nothing for so long is no longer waited for in `complete_to`."""
KNOWN_SECONDS = 3600.0
"""A client that has not said that it ends counts as known for so long."""
LATE_WINDOW = 600.0


@dataclass(frozen=True, slots=True)
class Completeness:
    """Seconds since 1970, and numbers of clients; `late` events came late in the last LATE_WINDOW seconds."""

    complete_to: float
    current: int
    known: int
    late: int = 0

    def head(self) -> dict[str, object]:
        """As every answer says it."""
        clients = {"current": self.current, "known": self.known}
        return {"complete_to": self.complete_to, "clients": clients, "late": self.late}


def completeness(
    accounts: Iterable[Account], now: float, oldest: float, listening: float, late: int = 0
) -> Completeness:
    """What is complete at the time `now`, by the accounts that were heard within KNOWN_SECONDS.

    Clients whose clocks are before `oldest`, so that none of their events is taken, are not waited for. `listening` is
    the last time at which any client could be heard: now, or when the store began to fail.
    """
    open_accounts = sorted((account for account in accounts if not account.ended), key=attrgetter("client"))
    by_client = [list(some) for _, some in groupby(open_accounts, key=attrgetter("client"))]
    awaited = [
        account.complete_to
        for account in open_accounts
        if account.epoch and is_live(account, listening) and account.complete_to >= oldest
    ]
    current = sum(_is_current(some, now) for some in by_client)
    return Completeness(min([now, *awaited]), current, len(by_client), late)


def is_live(account: Account, now: float) -> bool:
    """Whether the epoch was heard lately."""
    return account.heard > now - LIVE_SECONDS


def _is_current(accounts: list[Account], now: float) -> bool:
    """Whether a client is heard, and nothing is missing of it that is older than LIVE_SECONDS.

    An epoch that has fallen silent with nothing missing was followed by another, and says nothing about the client.
    Events without frames have no numbers: their client is current while it is heard.
    """
    heard = any(is_live(account, now) for account in accounts)
    waiting = (account for account in accounts if account.epoch and (account.gaps or is_live(account, now)))
    return heard and all(account.complete_to > now - LIVE_SECONDS for account in waiting)
