"""What the event log's benchmark is fed: files of impressions and clicks by day, and what is true of them.

    DIR/2011-02-16-impressions.ndjson    in the order of their times, some 215 bytes each
    DIR/2011-02-16-clicks.ndjson         clicks of that day, on impressions of that day and of days before
    DIR/users.parquet                    every user, and the bucket that the log's keys put it in
    DIR/truth.parquet                    counts and sums, made with the files: every answer is held to them
    DIR/about.json                       the sizes; written last, so that a folder with it is whole

4 % of the impressions are clicked, a tenth of these 12 to 36 hours later. A few users have many events: the busiest
hundredth has some three times its share. Everything follows from the seed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from eventlog import keys

FIRST_DAY = date(2011, 2, 16)
DAY_MS = 86_400_000
CHUNK = 400_000  # impressions that are made at once
CLICKED = 0.04
LATE = 0.1  # of the clicks
SKEW = 1.25
EXCHANGE = "x3"  # the one that is asked for
ASKED = 300  # users whose histories are read
SEED = 7


@dataclass(frozen=True)
class Sizes:
    """How much there is."""

    events: int = 50_000_000
    users: int = 1_000_000
    days: int = 10


class Data:
    """The files of a folder, and what is true of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sizes = Sizes(**json.loads((folder / "about.json").read_text()))

    @property
    def days(self) -> list[str]:
        return [(FIRST_DAY + timedelta(day)).isoformat() for day in range(self.sizes.days)]

    def impressions(self, day: int) -> Path:
        return self.folder / f"{self.days[day]}-impressions.ndjson"

    def clicks(self, day: int) -> Path:
        return self.folder / f"{self.days[day]}-clicks.ndjson"

    @cached_property
    def truth(self) -> pl.DataFrame:
        """A line for each kind, day (of the impression), day_of_file, exchange, bucket and asked: events, and price."""
        return pl.read_parquet(self.folder / "truth.parquet")

    def within(self, days: int) -> pl.DataFrame:
        """The truth of a store that has taken in the first `days` days of files."""
        return self.truth.filter(pl.col("day_of_file") < days)

    def events(self, days: int, *, of_file: int | None = None) -> int:
        """How many events the files of the first `days` days hold, or those of one day."""
        some = self.within(days) if of_file is None else self.truth.filter(pl.col("day_of_file") == of_file)
        return int(some["events"].sum())

    def answer(
        self,
        days: int,
        *,
        day: int | None = None,
        kind: str = "",
        exchange: bool = False,
        sample: Fraction = Fraction(1),
        asked: bool = False,
    ) -> tuple[int, int]:
        """The true answer: events, and the prices of impressions, or of the impressions of the clicks asked for."""
        some = self.within(days).filter(pl.col("bucket") < buckets_of(sample))
        if day is not None:
            some = some.filter(pl.col("day") == day)
        if kind:
            some = some.filter(pl.col("kind") == kind)
        if exchange:
            some = some.filter(pl.col("exchange") == EXCHANGE)
        if asked:
            some = some.filter("asked")
        priced = some if kind else some.filter(pl.col("kind") == "impression")
        return int(some["events"].sum()), int(priced["price"].sum())

    def asked_users(self) -> list[str]:
        return names(chosen(self.sizes.users)).to_list()


def names(index: np.ndarray) -> pl.Series:
    """Users by number."""
    return pl.select(pl.format("u{}", pl.Series(index).cast(pl.String).str.zfill(7))).to_series()


def chosen(users: int) -> np.ndarray:
    """The users whose histories are read: any, so that most have about the average."""
    return np.sort(np.random.default_rng(SEED + 1).choice(users, min(ASKED, users), replace=False))


def bucket_of(user: str) -> int:
    """The first byte of the log's keys."""
    return keys.user_prefix(user)[0]


def buckets_of(sample: Fraction) -> int:
    """How many buckets hold a sample."""
    return keys.sampled_buckets(sample)


def made(folder: Path, sizes: Sizes) -> Data:
    """The data in a folder, generated unless they lie there already."""
    about = folder / "about.json"
    if about.exists() and Sizes(**json.loads(about.read_text())) == sizes:
        return Data(folder)
    folder.mkdir(parents=True, exist_ok=True)
    about.unlink(missing_ok=True)
    _Generator(folder, sizes).run()
    about.write_text(json.dumps(asdict(sizes)))
    return Data(folder)


class _Generator:
    """Writes the files, a day after the other, and adds up what is true of them."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self._folder = folder
        self._sizes = sizes
        self._random = np.random.default_rng(SEED)
        self._users = names(np.arange(sizes.users))
        buckets = np.fromiter(map(bucket_of, self._users), np.int16, sizes.users)
        pl.DataFrame({"user": self._users, "bucket": buckets}).write_parquet(folder / "users.parquet")
        self._buckets = pl.Series(buckets)
        self._asked = np.zeros(sizes.users, bool)
        self._asked[chosen(sizes.users)] = True
        self._later: dict[int, list[pl.DataFrame]] = {}
        self._truth: list[pl.DataFrame] = []
        self._number = 0

    def run(self) -> None:
        began = time.monotonic()
        for day in range(self._sizes.days):
            name = (FIRST_DAY + timedelta(day)).isoformat()
            with (self._folder / f"{name}-impressions.ndjson").open("wb") as file:
                for part in self._day(day):
                    self._write(part, file)
            self._clicks(day, self._folder / f"{name}-clicks.ndjson")
            print(f"  made {name} ({time.monotonic() - began:,.0f} s)", file=sys.stderr, flush=True)
        keys_of = ["kind", "day", "day_of_file", "exchange", "bucket", "asked"]
        whole = pl.concat(self._truth).group_by(keys_of).agg(pl.col("events", "price").sum())
        whole.sort(keys_of).write_parquet(self._folder / "truth.parquet")

    def _day(self, day: int) -> Iterator[pl.DataFrame]:
        total = round(self._sizes.events / self._sizes.days / (1 + CLICKED))
        parts = -(-total // CHUNK)
        edges = [total * part // parts for part in range(parts + 1)]
        for part in range(parts):
            since, until = DAY_MS * part // parts, DAY_MS * (part + 1) // parts
            yield self._part(day, edges[part + 1] - edges[part], since, until)

    def _part(self, day: int, count: int, since: int, until: int) -> pl.DataFrame:
        """Impressions of a part of a day; notes the clicks on them under the days on which they come."""
        random = self._random
        who = (self._sizes.users * random.random(count) ** SKEW).astype(np.int64)
        start = _millis(day)
        site = random.integers(0, 20_000, count)
        shown = pl.DataFrame(
            {
                "user": self._users.gather(who),
                "time": np.sort(random.integers(start + since, start + until, count)),
                "id": np.arange(self._number, self._number + count) + 10**9,
                "advertiser": _named("a", (500 * random.random(count) ** 2).astype(np.int64)),
                "exchange": _named("x", random.integers(0, 8, count)),
                "price": (random.lognormal(6.5, 0.8, count)).astype(np.int64),
                "creative": random.integers(10_000, 99_999, count),
                "page": _text("https://site{}.example/{}", site, site * 7919 % 9973),
                "size": _SIZES.gather(random.integers(0, len(_SIZES), count)),
                "segments": random.integers(100, 999, (count, 3)),
            }
        ).with_columns(pl.col("segments").cast(pl.List(pl.Int64)))
        self._number += count
        told = pl.DataFrame(
            {"day": np.full(count, day), "bucket": self._buckets.gather(who), "asked": self._asked[who]}
        )
        self._note("impression", shown, told, day)
        self._click(shown.hstack(told))
        return shown

    def _click(self, shown: pl.DataFrame) -> None:
        random = self._random
        clicked = shown.filter(pl.Series(random.random(shown.height) < CLICKED))
        count = clicked.height
        soon = random.exponential(60_000, count).clip(200, 3_600_000)
        late = random.uniform(12 * 3_600_000, 36 * 3_600_000, count)
        after = np.where(random.random(count) < LATE, late, soon).astype(np.int64)
        comes = clicked.with_columns(
            pl.col("time").alias("shown"),
            pl.col("time") + pl.Series(after),
            pl.Series("x", random.integers(0, 728, count)),
            pl.Series("y", random.integers(0, 90, count)),
        )
        for [day], some in comes.group_by((pl.col("time") - _millis(0)) // DAY_MS):
            self._later.setdefault(int(str(day)), []).append(some)

    def _clicks(self, day: int, path: Path) -> None:
        """Writes the clicks of a day in the order of their times. Those after the last day never come."""
        clicks = pl.concat(self._later.pop(day)).sort("time", "id")
        self._note("click", clicks, clicks, day)
        named = pl.struct(pl.col("user"), pl.col("shown").alias("time"), pl.col("id")).alias("impression")
        with path.open("wb") as file:
            self._write(clicks.select(named, "time", "x", "y"), file, "Click")

    def _write(self, events: pl.DataFrame, file: IO[bytes], kind: str = "Impression") -> None:
        events.select(pl.lit(kind).alias("type"), pl.all()).write_ndjson(file)

    def _note(self, kind: str, events: pl.DataFrame, told: pl.DataFrame, day_of_file: int) -> None:
        """Adds events to what is true of the files."""
        some = told.select("day", "bucket", "asked").with_columns(events["exchange"], events["price"])
        counts = some.group_by("day", "exchange", "bucket", "asked").agg(
            pl.len().cast(pl.Int64).alias("events"), pl.col("price").sum()
        )
        self._truth.append(counts.with_columns(pl.lit(kind).alias("kind"), pl.lit(day_of_file).alias("day_of_file")))


def _millis(day: int) -> int:
    return (FIRST_DAY - date(1970, 1, 1)).days * DAY_MS + day * DAY_MS


def _text(form: str, *numbers: np.ndarray) -> pl.Series:
    return pl.select(pl.format(form, *map(pl.Series, numbers))).to_series()


def _named(letter: str, numbers: np.ndarray) -> pl.Series:
    return pl.Series([f"{letter}{number}" for number in range(numbers.max() + 1)]).gather(numbers)


_SIZES = pl.Series(["300x250", "728x90", "160x600", "320x50", "970x250"])
