"""What the guide's jobs read: two days of a small ad network, the same each time. `python make_data.py data` writes

log/DAY.ndjson       impressions and clicks; a click comes minutes or hours later, in the file of its own day
views/DAY.ndjson.gz  page views of users, not in the order of time
shop/users.csv       a user's country; shop/orders.csv: what was ordered, some by users who are in no file
shown.ndjson         impressions with what was known of them, and whether they were clicked
"""

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

DAYS = (datetime(2013, 2, 16, tzinfo=UTC), datetime(2013, 2, 17, tzinfo=UTC))
ADVERTISERS = {"acorn": 0.04, "birch": 0.03, "cedar": 0.02, "dogwood": 0.01, "elm": 0.005}
COUNTRIES = ("DE", "FR", "JP", "US")
PAGES = ("/", "/shoes", "/shirts", "/cart", "/paid", "/help")
STRAY_CLICKS = 3

Row = dict[str, object]


def impressions(random: Random, number: int) -> Iterator[tuple[datetime, Row]]:
    """Impressions with their time, and whether they were clicked: an advertiser's rate, halved by night."""
    for count in range(number):
        time = random.choice(DAYS) + timedelta(seconds=random.randrange(86400))
        advertiser = random.choice(list(ADVERTISERS))
        rate = ADVERTISERS[advertiser] * (0.5 if time.hour < 7 else 1.2)
        yield (
            time,
            {
                "id": f"i{count:06}",
                "advertiser": advertiser,
                "country": random.choice(COUNTRIES),
                "hour": time.hour,
                "clicked": random.random() < rate,
            },
        )


def log(random: Random, shown: list[tuple[datetime, Row]]) -> Iterator[tuple[datetime, Row]]:
    """The log that those impressions have left: some were clicked twice, and some clicks belong to none of them."""
    for time, row in shown:
        yield time, {"type": "impression", "id": row["id"], "advertiser": row["advertiser"]}
        for _ in range(random.choice((1, 1, 1, 2)) if row["clicked"] else 0):
            yield time + timedelta(minutes=random.expovariate(1 / 20)), {"type": "click", "impression": row["id"]}
    for count in range(STRAY_CLICKS):
        yield DAYS[0] + timedelta(hours=count), {"type": "click", "impression": f"gone{count}"}


def views(random: Random, users: int, number: int) -> Iterator[tuple[datetime, Row]]:
    """Page views, several in a short while."""
    for _ in range(number):
        time = random.choice(DAYS) + timedelta(seconds=random.randrange(72000))
        user = f"u{random.randrange(users):03}"
        for _ in range(random.randrange(1, 6)):
            time += timedelta(minutes=random.expovariate(1 / 8))
            yield time, {"user": user, "time": time.isoformat(timespec="seconds"), "page": random.choice(PAGES)}


def write_days(folder: Path, events: Iterator[tuple[datetime, Row]], *, packed: bool = False) -> None:
    """Events as NDJSON, a file for each day."""
    days: dict[str, list[str]] = {}
    for time, row in events:
        days.setdefault(f"{time:%Y-%m-%d}", []).append(json.dumps(row))
    folder.mkdir(parents=True, exist_ok=True)
    for day, lines in days.items():
        text = "".join(f"{line}\n" for line in lines).encode()
        name, content = (f"{day}.ndjson.gz", gzip.compress(text, mtime=0)) if packed else (f"{day}.ndjson", text)
        (folder / name).write_bytes(content)


def write_csv(path: Path, header: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> None:
    """Rows as CSV with a line of names above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([header, *rows])


def write(folder: Path, seed: int = 8, number: int = 20_000) -> None:
    """All of it, `number` impressions and in proportion."""
    random = Random(seed)  # noqa: S311 - the same numbers each time are what is wanted
    shown = list(impressions(random, number))
    write_days(folder / "log", log(random, shown))
    (folder / "shown.ndjson").write_text("".join(f"{json.dumps(row)}\n" for _, row in shown))
    users = number // 100
    write_days(folder / "views", views(random, users, number // 10), packed=True)
    write_csv(
        folder / "shop" / "users.csv",
        ("user", "country"),
        ((f"u{count:03}", random.choice(COUNTRIES)) for count in range(users)),
    )
    write_csv(
        folder / "shop" / "orders.csv",
        ("order", "user", "cents"),
        (
            (f"o{count:05}", f"u{random.randrange(users + 5):03}", random.randrange(500, 20_000))
            for count in range(number // 5)
        ),
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
