"""What each of the stores that are compared does, and the event log itself as the first of them.

All take in the same files, a day after the other, and answer the same questions. An answer is a count and a sum of
prices, which the program adds up from what it was given: no store is asked to add.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import polars as pl

import eventlog
from benchmarks import eventlog_types
from benchmarks.eventlog_data import EXCHANGE, FIRST_DAY, Data
from benchmarks.eventlog_types import Click, Impression

PEERS = {
    "eventlog": "benchmarks.eventlog_stores:Eventlog",
    "DuckDB": "benchmarks.eventlog_duckdb:DuckDB",
    "LMDB": "benchmarks.eventlog_lmdb:LMDB",
    "SQLite": "benchmarks.eventlog_sqlite:SQLite",
}

CORES = os.cpu_count() or 1


class Answer(NamedTuple):
    """How many events, and what their prices come to."""

    events: int
    price: int


class Store(Protocol):
    """A store in a folder. `load` opens it for writing, all else reads after `open`."""

    said: str

    def __init__(self, folder: Path, data: Data) -> None: ...
    def version(self) -> str: ...
    def load(self, day: int) -> None:
        """Takes in the files of a day; what it took in is durable when it returns."""
        ...

    def settle(self) -> None:
        """What has to be done once behind the last day, as its users would."""
        ...

    def open(self) -> None: ...
    def user(self, user: str) -> Answer:
        """Every field of all events of a user, decoded; a click with the price of its impression left out."""
        ...

    def scan(self, day: int | None) -> Answer:
        """Every field of all events whose impressions are of a day, or of all days."""
        ...

    def column(self) -> Answer:
        """The prices of the impressions of one exchange, of all days."""
        ...

    def sample(self, part: Fraction) -> Answer:
        """The prices of the impressions of a part of the users, of all days."""
        ...

    def join(self, day: int) -> Answer:
        """The clicks on a day's impressions of one exchange, with the prices of these."""
        ...


def store_of(name: str) -> type[Any]:
    """The class of a store."""
    module, _, attribute = PEERS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


class Eventlog:
    """The event log."""

    said = "`import_day`; scans as tables; a process for each core at imports and at scans of all days without a sample"

    def __init__(self, folder: Path, data: Data) -> None:
        self._folder = folder / "log"
        self._data = data
        self._log: eventlog.Log | None = None

    def version(self) -> str:
        return f"eventlog {eventlog.__version__} on RocksDB"

    def _opened(self, *, read_only: bool) -> eventlog.Log:
        if self._log is None:
            self._log = eventlog.open(str(self._folder), eventlog_types, read_only=read_only)
        return self._log

    def load(self, day: int) -> None:
        log = self._opened(read_only=False)
        done = log.import_day(self._data.days[day], [self._data.impressions(day), self._data.clicks(day)])
        counts = done.counts
        wanted = self._data.events(self._data.sizes.days, of_file=day)
        if (counts.events, counts.bad) != (wanted, 0):
            raise AssertionError(f"day {day}: {counts.events} events and {counts.bad} bad lines, not {wanted}")

    def settle(self) -> None:
        if self._log is not None:
            self._log.close()

    def open(self) -> None:
        self._opened(read_only=True)

    def user(self, user: str) -> Answer:
        events = price = 0
        for entry in self._opened(read_only=True).user(user):
            events += 1
            if isinstance(entry.event, Impression):
                price += entry.event.price
        return Answer(events, price)

    def scan(self, day: int | None) -> Answer:
        scan = self._opened(read_only=True).scan(*between(day))
        return added(frame["price"] for frame in scan.frames(workers=CORES if day is None else 1))

    def column(self) -> Answer:
        scan = self._opened(read_only=True).scan(
            types=Impression, columns=["price"], where=Impression.exchange == EXCHANGE
        )
        return added(frame["price"] for frame in scan.frames(workers=CORES))

    def sample(self, part: Fraction) -> Answer:
        scan = self._opened(read_only=True).scan(types=Impression, columns=["price"], sample=part)
        return added(frame["price"] for frame in scan.frames())

    def join(self, day: int) -> Answer:
        scan = self._opened(read_only=True).scan(
            *between(day), types=Click, columns=["Impression.price"], where=Impression.exchange == EXCHANGE
        )
        return added(frame["Impression.price"] for frame in scan.frames())


def between(day: int | None) -> tuple[date | None, date | None]:
    """A day as since and until; None for all days."""
    return (None, None) if day is None else (FIRST_DAY + timedelta(day), FIRST_DAY + timedelta(day + 1))


def added(prices: Iterable[pl.Series]) -> Answer:
    events = total = 0
    for some in prices:
        events += len(some)
        total += int(some.sum() or 0)
    return Answer(events, total)


class ImpressionLine(msgspec.Struct, tag="Impression"):
    """A line as the peers' loaders decode it: all that Python programs do, and no more."""

    user: str
    time: int
    id: int
    advertiser: str
    exchange: str
    price: int
    creative: int
    page: str
    size: str
    segments: list[int]


class Shown(msgspec.Struct):
    """What a click names."""

    user: str
    time: int
    id: int


class ClickLine(msgspec.Struct, tag="Click"):
    """A click as the peers' loaders decode it."""

    impression: Shown
    time: int
    x: int
    y: int


def lines_of(path: Path, kind: type[Any]) -> Iterator[Any]:
    """A file's lines, decoded."""
    decode = msgspec.json.Decoder(kind).decode
    with path.open("rb") as file:
        yield from map(decode, file)


def forget_caches(folder: Path) -> str:
    """Empties the page cache, or asks the kernel to drop a folder's files from it; says which."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
        time.sleep(0.05)
    except OSError:
        for file in filter(Path.is_file, folder.rglob("*")):
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return "the kernel advised to drop its files (posix_fadvise)"
    return "the page cache dropped (drop_caches)"


Progress = Callable[[str], None]
