"""A server without HTTP whose clock the test sets: events in, compaction when told, answers out."""

import itertools
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from handler_cases import REGISTRY, Event, alike, answers, folded

from taba.config import Limits, Settings, TierPattern, Tiers
from taba.server.intake import Outcome
from taba.server.service import Service
from taba.server.submissions import JSON, read
from taba.states.query import Selection, Window

TYPES = {"c": "counter", "p": "percentile", "g": "gauge", "u": "uniques", "t": "top", "b": "buffer"}
"""The first letter of a tab's name tells its type here."""


class World:
    """A Service in `folder` at the time `now`."""

    def __init__(self, folder: Path, now: float, tiers: Tiers | None = None, shards: int = 2, **limits: int) -> None:
        self.folder, self.now = folder, now
        self.tiers = tiers or Tiers()
        self.events: list[Event] = []
        self._limits = Limits(**limits)
        self._shards = shards
        self._sequences = itertools.count(1)
        self.service = self._open()

    def _open(self) -> Service:
        settings = Settings(data=self.folder, shards=self._shards, tiers=self.tiers, limits=self._limits)
        return Service(settings, lambda: self.now)

    def reopen(self, tiers: Tiers | None = None) -> None:
        """Close and open again, perhaps with other tiers."""
        self.close()
        self.tiers = tiers or self.tiers
        self.service = self._open()

    def close(self) -> None:
        self.service.close()

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def post(self, events: Iterable[Event], source: str = "s", sequence: int | None = None) -> Outcome:
        """Record events in one request, and remember those that were taken."""
        events = list(events)
        written = [
            {"tab": tab, "type": TYPES[tab[0]], "client": client, "time": time, "value": value}
            for tab, client, time, value in events
        ]
        number = sequence if sequence is not None else next(self._sequences)
        headers = {"taba-source": source, "taba-sequence": str(number)}
        submissions = read(JSON, msgspec.json.encode({"events": written}), headers, None, self.now)
        (outcome,) = self.service.intake.fold(submissions)
        if not outcome.duplicate:
            refused = {index for index, _ in outcome.rejected}
            self.events += [event for index, event in enumerate(events) if index not in refused]
        return outcome

    def compact(self, most: int = 20) -> int:
        """Compact until nothing is left to do; how many jobs that took."""
        done = 0
        for _ in range(most):
            jobs = self.service.compactor.run(self.now)
            done += jobs
            if not jobs:
                return done
        raise AssertionError(f"compaction still finds work after {most} rounds")

    def aggregates(self, start: float, stop: float, **how: Any) -> dict[str, dict[str, Any]]:
        """The fleet's answers over [start, stop), by tab; texts of JSON read."""
        return {key[0]: found for key, found in self._asked(start, stop, **how).items()}

    def projections(self, start: float, stop: float, **how: Any) -> dict[tuple[str, str], dict[str, Any]]:
        """The clients' answers over [start, stop), by tab and client."""
        return self._asked(start, stop, per_client=True, **how)

    def _asked(self, start: float, stop: float, tabs: Sequence[str] = ("*",), **how: Any) -> dict[Any, dict[str, Any]]:
        selection = Selection(tabs, **how)
        found = {}
        for _, rows in self.service.windows(selection, [Window("w", start, stop)]):
            plain = rows.drop("window").with_columns(pl.col(selection.keys).cast(pl.String))
            for row in plain.iter_rows(named=True):
                key = tuple(row.pop(name) for name in selection.keys)
                found[key] = {name: json.loads(v) if isinstance(v, str) else v for name, v in row.items()}
        return found

    def check(self, start: float, stop: float) -> None:
        """Assert that the answers over [start, stop) are those of the events themselves, fleet and clients."""
        self.check_fleet(start, stop)
        self.check_clients(start, stop)

    def check_fleet(self, start: float, stop: float) -> None:
        """The same for the fleet's answers alone."""
        _equal(self._asked(start, stop), self.expected(start, stop, per_client=False))

    def check_clients(self, start: float, stop: float) -> None:
        """The same for the clients' answers alone."""
        _equal(self._asked(start, stop, per_client=True), self.expected(start, stop, per_client=True))

    def expected(self, start: float, stop: float, *, per_client: bool) -> dict[Any, dict[str, Any]]:
        """The answers folded directly from what was recorded with a time in [start, stop)."""
        found = {}
        inside = [event for event in self.events if start <= event[2] < stop]
        for letter, type_name in TYPES.items():
            some = [event for event in inside if event[0].startswith(letter)]
            handler = REGISTRY.get(type_name)
            assert handler is not None
            if some:
                states = folded(handler, some)
                found |= answers(handler, states, until=stop, seconds=stop - start, per_client=per_client)
        return found


def _equal(found: dict[Any, Any], expected: dict[Any, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, answer in expected.items():
        alike(found[key], answer)


def tiers(clients: Sequence[str], fleet: Sequence[str], patterns: Sequence[TierPattern] = ()) -> Tiers:
    """Tiers as the configuration has them."""
    return Tiers(tuple(clients), tuple(fleet), tuple(patterns))


def random_events(
    rng: random.Random, count: int, start: float, stop: float, letters: Sequence[str] = "cpgutb"
) -> list[Event]:
    """Events of few tabs of the types and of few clients, spread over [start, stop)."""

    def event() -> Event:
        tab = rng.choice(letters) + rng.choice(["", ".x{k=1}", ".x{k=2}"])
        text = tab[0] in "ut" or (tab[0] in "gb" and rng.random() < 0.5)
        value = rng.choice(["a", "b", "é", "d"]) if text else rng.randint(-80, 80) / 8
        time = start + rng.randrange(int((stop - start) * 4)) / 4
        return tab, f"c{rng.randrange(3)}", time, value

    return [event() for _ in range(count)]
