"""SQLite as a store of the event log's benchmark: impressions clustered by bucket, user and time; clicks beside."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import msgspec

from benchmarks.eventlog_data import EXCHANGE, FIRST_DAY, Data, bucket_of, buckets_of
from benchmarks.eventlog_stores import Answer, ClickLine, ImpressionLine, lines_of

TABLES = """
CREATE TABLE IF NOT EXISTS impressions (
    bucket INTEGER, user TEXT, time INTEGER, id INTEGER, day INTEGER, advertiser TEXT, exchange TEXT, price INTEGER,
    creative INTEGER, page TEXT, size TEXT, segments TEXT, PRIMARY KEY (bucket, user, time, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clicks (
    impression INTEGER, time INTEGER, x INTEGER, y INTEGER, user TEXT, shown INTEGER,
    PRIMARY KEY (impression, time)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS impressions_by_day ON impressions (day);
"""
CACHE_BYTES = 256 * 2**20  # as the event log's
MILLIS = 86_400_000


class SQLite:
    """One file, write-ahead logged."""

    said = (
        "WAL; WITHOUT ROWID by (bucket, user, time, id), an index by day, clicks in a table by impression; "
        "`executemany`, a day in one transaction"
    )

    def __init__(self, folder: Path, data: Data) -> None:
        self._folder = folder
        self._data = data
        self._bucket = lru_cache(None)(bucket_of)
        self._connection: sqlite3.Connection | None = None

    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    @property
    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(self._folder / "events.sqlite")
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(f"PRAGMA cache_size=-{CACHE_BYTES // 1024}")
            self._connection.executescript(TABLES)
            self._connection.create_function("bucket_of", 1, self._bucket, deterministic=True)
        return self._connection

    def load(self, day: int) -> None:
        bucket, text = self._bucket, msgspec.json.encode
        shown = (
            (bucket(one.user), one.user, one.time, one.id, one.time // MILLIS, one.advertiser, one.exchange, one.price,
             one.creative, one.page, one.size, text(one.segments).decode())
            for one in lines_of(self._data.impressions(day), ImpressionLine)
        )  # fmt: skip
        clicks = (
            (one.impression.id, one.time, one.x, one.y, one.impression.user, one.impression.time)
            for one in lines_of(self._data.clicks(day), ClickLine)
        )
        with self._db as db:
            db.executemany(f"INSERT INTO impressions VALUES ({', '.join('?' * 12)})", shown)
            db.executemany("INSERT INTO clicks VALUES (?, ?, ?, ?, ?, ?)", clicks)

    def settle(self) -> None:
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.execute("ANALYZE impressions")
        self._db.close()

    def open(self) -> None:
        self._db.execute("SELECT * FROM impressions LIMIT 1").fetchall()

    def user(self, user: str) -> Answer:
        shown = self._db.execute("SELECT * FROM impressions WHERE bucket = ? AND user = ?", (bucket_of(user), user))
        found = [(*one[:-1], msgspec.json.decode(one[-1])) for one in shown]
        clicks = self._db.execute(
            "SELECT clicks.* FROM impressions JOIN clicks ON clicks.impression = impressions.id "
            "WHERE bucket = ? AND impressions.user = ?",
            (bucket_of(user), user),
        ).fetchall()
        return Answer(len(found) + len(clicks), sum(one[7] for one in found))

    def scan(self, day: int | None) -> Answer:
        if day is None:
            shown = self._db.execute("SELECT * FROM impressions")
            clicks = self._db.execute("SELECT * FROM clicks")
        else:
            shown = self._db.execute("SELECT * FROM impressions WHERE day = ?", (self._day(day),))
            clicks = self._db.execute(
                "SELECT * FROM clicks WHERE shown >= ? AND shown < ?",
                (self._day(day) * MILLIS, (self._day(day) + 1) * MILLIS),
            )
        events, price = _added(shown, 7)
        return Answer(events + sum(1 for _ in clicks), price)

    def column(self) -> Answer:
        return _added(self._db.execute("SELECT price FROM impressions WHERE exchange = ?", (EXCHANGE,)))

    def sample(self, part: Fraction) -> Answer:
        return _added(self._db.execute("SELECT price FROM impressions WHERE bucket < ?", (buckets_of(part),)))

    def join(self, day: int) -> Answer:
        clicks = self._db.execute(
            "SELECT price FROM clicks JOIN impressions ON impressions.bucket = bucket_of(clicks.user) AND "
            " impressions.user = clicks.user AND impressions.time = clicks.shown AND "
            "impressions.id = clicks.impression WHERE shown >= ? AND shown < ? AND exchange = ?",
            (self._day(day) * MILLIS, (self._day(day) + 1) * MILLIS, EXCHANGE),
        )
        return _added(clicks)

    def _day(self, day: int) -> int:
        return (FIRST_DAY - date(1970, 1, 1)).days + day


def _added(rows: Iterable[tuple[int, ...]], column: int = 0) -> Answer:
    events = price = 0
    for row in rows:
        events += 1
        price += row[column]
    return Answer(events, price)
