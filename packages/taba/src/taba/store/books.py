"""What a transaction of the SQLite store has seen before, and what it adds to that: receipts and accounts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter

import msgspec

from taba.sequences import Seen
from taba.store.accounts import Account
from taba.store.protocol import Append, Entry, Receipt
from taba.store.schema import account_row, sealed

_decode = msgspec.json.Decoder(Account).decode
_WRITE_ACCOUNT = (
    "INSERT INTO accounts VALUES (?, ?, ?, ?, ?) ON CONFLICT (source) DO UPDATE "
    "SET heard = excluded.heard, body = excluded.body, seal = excluded.seal"
)


class Books:
    """The receipts and accounts that an append touches. To be made, used and left in one transaction."""

    def __init__(
        self, database: sqlite3.Connection, appends: Sequence[Append], entries: Sequence[Entry], now: float
    ) -> None:
        """Read what is there; `repeated` are the receipts of the append that have been seen."""
        self._database = database
        self._now = now
        asked = {receipt for part in appends for receipt in part.receipts}
        # The account of a frame's epoch keeps which of its frames were seen; of all else the receipts do.
        framed = {entry.receipt for entry in entries if entry.sequence}
        receipts = (asked | {entry.receipt for entry in entries}) - framed
        self._seen = {source: self._seen_of(source) for source in {receipt.source for receipt in receipts}}
        known = {receipt for receipt in receipts if receipt.sequence in self._seen[receipt.source]}
        self._receipts = sorted(receipts - known, key=attrgetter("source"))
        self._accounts: dict[str, Account] = {}
        known.update(self._add(entry for entry in entries if entry.receipt not in known))
        self.repeated = frozenset(known & asked)

    def write(self) -> None:
        """Write what the append adds, where none of it is repeated."""
        rows = []
        for source, group in groupby(self._receipts, key=attrgetter("source")):
            after = self._seen[source].add(receipt.sequence for receipt in group)
            rows.append(sealed(source, after.last, after.written(), self._now))
        self._database.executemany("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?)", rows)
        self._database.executemany(_WRITE_ACCOUNT, map(account_row, self._accounts.values()))

    def _add(self, entries: Iterable[Entry]) -> list[Receipt]:
        """Add entries to their accounts, lower numbers first; the receipts of those that were seen."""
        repeated = []
        for entry in sorted(entries, key=attrgetter("sequence")):
            account = self._accounts.get(entry.source) or self._account_of(entry)
            if account.takes(entry):
                self._accounts[entry.source] = account.add(entry, self._now)
            else:
                repeated.append(entry.receipt)
        return repeated

    def _seen_of(self, source: str) -> Seen:
        row = self._database.execute("SELECT last, gaps FROM receipts WHERE source = ?", (source,)).fetchone()
        return Seen() if row is None else Seen.read(*row)

    def _account_of(self, entry: Entry) -> Account:
        row = self._database.execute("SELECT body FROM accounts WHERE source = ?", (entry.source,)).fetchone()
        return Account(entry.client, entry.epoch) if row is None else _decode(row[0])


def accounts(database: sqlite3.Connection, heard_since: float) -> list[Account]:
    """The accounts that were heard at a time or later."""
    rows = database.execute("SELECT body FROM accounts WHERE heard >= ?", (heard_since,))
    return [_decode(body) for (body,) in rows]
