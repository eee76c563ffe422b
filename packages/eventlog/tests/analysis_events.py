"""Event types, and logs of them, for the tests of scans, parts, lazy frames and Spark. Worker processes import it."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import eventlog
from eventlog import Column, Event, Parent, keys

START = datetime(2011, 2, 14, tzinfo=UTC)


class Impression(Event):
    user: str
    time: datetime
    advertiser_id: Column[str]
    price: Column[float | None] = None
    seen: Column[datetime | None] = None
    url: str = ""
    tags: list[str] = []


class Click(Event, child_of=Impression):
    impression: Parent
    time: datetime
    position: Column[int] = 0
    comment: str | None = None


class Visit(Event, serializer="json"):
    user: str
    time: datetime
    price: Column[int] = 0
    url: str = ""


TYPES = [Impression, Click, Visit]


def fill(path: Path | str, *, events: int = 600, days: int = 4, seed: int = 1) -> eventlog.Log:
    """A log of random events: impressions with clicks and notes, visits, and clicks whose impression never came."""
    rng = random.Random(seed)
    log = eventlog.open(str(path), TYPES)
    users = [f"user{number:03d}" for number in range(40)] + ["ü", "a\0b", "\0", "long" * 50]
    shown = [
        Impression(
            user=rng.choice(users),
            time=START + timedelta(microseconds=rng.randrange(days * 86_400_000_000)),
            advertiser_id=f"a{rng.randrange(20)}",
            price=rng.choice([None, 0.5, 1.0, 2.5, float(rng.randrange(5))]),
            seen=rng.choice([None, START]),
            url=rng.choice(["", "https://example.com/" + "x" * rng.randrange(50)]),
            tags=rng.choice([[], ["new", "sale"]]),
        )
        for _ in range(events)
    ]
    ids = log.write(shown)
    clicks = log.write(
        Click(impression=one, time=event.time + timedelta(seconds=rng.randrange(90_000)), position=rng.randrange(3))
        for one, event in zip(ids, shown, strict=True)
        if rng.random() < 0.3
    )
    log.write(
        Visit(user=rng.choice(users), time=START + timedelta(hours=rng.randrange(24 * days)), price=rng.randrange(5))
        for _ in range(events // 4)
    )
    log.annotate_all(
        (one, {"score": rng.random(), "model": rng.choice(["v7", "v8"])}) for one in ids if rng.random() < 0.4
    )
    log.annotate_all((one, {"score": -rng.random()}) for one in clicks if rng.random() < 0.4)
    place = keys.root_place(keys.type_code("Impression"))
    log.engine.remove([(keys.read_event_id(one)[0], place) for one in rng.sample(ids, events // 20)])  # orphans
    return log
