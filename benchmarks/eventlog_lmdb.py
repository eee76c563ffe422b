"""LMDB as a store of the event log's benchmark: the log's own keys and its division of days, heads and bodies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import lmdb
import msgspec

from benchmarks.eventlog_data import EXCHANGE, FIRST_DAY, Data, buckets_of
from benchmarks.eventlog_stores import Answer, ClickLine, ImpressionLine, between, lines_of
from eventlog import keys

HEADS, BODIES = b"c", b"e"
ROOT, CHILD = b"\x00", b"\x01"
MAP_BYTES = 64 * 2**30  # of addresses; the file grows as it is filled
encode = msgspec.msgpack.encode
decode = msgspec.msgpack.decode


class LMDB:
    """One environment with a database for each day."""

    said = (
        "the log's keys, a database for each day, heads and bodies apart, MessagePack; a day is sorted in memory and "
        "put with `putmulti(append=True)` in one transaction, clicks with `put`"
    )

    def __init__(self, folder: Path, data: Data) -> None:
        self._folder = folder
        self._data = data
        self._prefixes: dict[str, bytes] = {}
        self._opened: lmdb.Environment | None = None
        self._databases: dict[str, Any] = {}

    def version(self) -> str:
        return "LMDB " + ".".join(map(str, lmdb.version()))

    @property
    def _env(self) -> lmdb.Environment:
        if self._opened is None:
            self._opened = lmdb.open(str(self._folder / "lmdb"), map_size=MAP_BYTES, max_dbs=64)
        return self._opened

    def _day(self, day: str) -> Any:
        if day not in self._databases:
            self._databases[day] = self._env.open_db(day.encode())
        return self._databases[day]

    def _row(self, user: str, time: int, number: int) -> bytes:
        prefix = self._prefixes.get(user)
        if prefix is None:
            prefix = self._prefixes[user] = keys.user_prefix(user)
        return prefix + time.to_bytes(8) + number.to_bytes(8)

    def load(self, day: int) -> None:
        row = self._row
        cells = sorted(
            (
                row(one.user, one.time, one.id) + ROOT,
                encode((one.advertiser, one.exchange, one.price)),
                encode((one.creative, one.page, one.size, one.segments)),
            )
            for one in lines_of(self._data.impressions(day), ImpressionLine)
        )
        database = self._day(self._data.days[day])
        with self._env.begin(write=True) as transaction, transaction.cursor(database) as cursor:
            cursor.putmulti(((HEADS + key, head) for key, head, _ in cells), append=True)
            cursor.putmulti(((BODIES + key, body) for key, _, body in cells), append=True)
        del cells
        days = [self._day(name) for name in self._data.days[: day + 1]]
        with self._env.begin(write=True) as transaction:
            for one in lines_of(self._data.clicks(day), ClickLine):
                shown = one.impression
                key = row(shown.user, shown.time, shown.id) + CHILD + one.time.to_bytes(8)
                of_day = days[shown.time // 86_400_000 - _FIRST]
                transaction.put(HEADS + key, encode(()), db=of_day)
                transaction.put(BODIES + key, encode((one.x, one.y)), db=of_day)

    def settle(self) -> None:
        self._env.sync(True)
        self._env.close()

    def open(self) -> None:
        with self._env.begin() as transaction:
            names = [name.decode() for name, _ in transaction.cursor()]
        for name in names:
            self._day(name)

    def _values(self, day: str, start: bytes, stop: bytes) -> Iterator[list[Any]]:
        """The decoded values of the keys from `start` up to `stop`."""
        with self._env.begin() as transaction, transaction.cursor(self._day(day)) as cursor:
            if cursor.set_range(start):
                for key, value in cursor:
                    if key >= stop:
                        break
                    yield decode(value)

    def user(self, user: str) -> Answer:
        prefix = keys.user_prefix(user)
        events = price = 0
        for day in self._databases:
            heads = list(self._values(day, HEADS + prefix, HEADS + keys.after(prefix)))
            bodies = list(self._values(day, BODIES + prefix, BODIES + keys.after(prefix)))
            events += len(bodies)
            price += sum(head[2] for head in heads if head)
        return Answer(events, price)

    def scan(self, day: int | None) -> Answer:
        since, _ = between(day)
        events = price = 0
        for name in self._databases if since is None else [since.isoformat()]:
            heads = self._values(name, HEADS, BODIES)
            bodies = self._values(name, BODIES, b"f")
            for head, _body in zip(heads, bodies, strict=True):
                events += 1
                price += head[2] if head else 0
        return Answer(events, price)

    def _heads(self, sample: Fraction = Fraction(1)) -> Iterator[list[Any]]:
        buckets = buckets_of(sample)
        stop = HEADS + bytes([buckets]) if buckets < keys.BUCKETS else BODIES
        for day in self._databases:
            yield from self._values(day, HEADS, stop)

    def column(self) -> Answer:
        return _added(head[2] for head in self._heads() if head and head[1] == EXCHANGE)

    def sample(self, part: Fraction) -> Answer:
        return _added(head[2] for head in self._heads(part) if head)

    def join(self, day: int) -> Answer:
        return _added(shown[2] for shown in self._clicked(self._data.days[day]) if shown[1] == EXCHANGE)

    def _clicked(self, day: str) -> Iterator[list[Any]]:
        """The head of its impression for each click."""
        shown: list[Any] = []
        for head in self._values(day, HEADS, BODIES):
            if head:
                shown = head
            else:
                yield shown


def _added(prices: Iterator[int]) -> Answer:
    events = total = 0
    for price in prices:
        events += 1
        total += price
    return Answer(events, total)


_FIRST = (FIRST_DAY - date(1970, 1, 1)).days
