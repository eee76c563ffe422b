"""The impressions and clicks of `make_data.py` in an event log, each click in the row of its impression:
`python ad_log.py ads` writes the log `ads`."""

import sys
from datetime import datetime
from random import Random

import make_data

from eventlog import Column, Event, Parent, Reference
from eventlog import open as open_log


class Impression(Event):
    user: str
    time: datetime
    id: str
    advertiser: Column[str]


class Click(Event, child_of=Impression):
    impression: Parent
    time: datetime


def events(seed: int, number: int) -> list[Event]:
    """The events of `make_data.write` with this seed and number. Nobody knows who was shown an impression that is in
    no file."""
    random = Random(seed)  # noqa: S311 - the same numbers each time are what is wanted
    found: list[Event] = []
    shown: dict[str, Reference] = {}
    for time, row in make_data.log(random, list(make_data.impressions(random, number))):
        if row["type"] == "impression":
            root = Impression(f"u{len(shown) % 200:03}", time, row["id"], row["advertiser"])
            shown[root.id] = Reference(root.user, root.time, root.id)
            found.append(root)
        else:
            name = row["impression"]
            found.append(Click(shown.get(name, Reference("unknown", make_data.DAYS[0], name)), time))
    return found


def write(url: str, seed: int = 8, number: int = 20_000) -> None:
    """Write them into a log."""
    with open_log(url, [Impression, Click]) as log:
        log.write(events(seed, number))


if __name__ == "__main__":
    write(sys.argv[1])
