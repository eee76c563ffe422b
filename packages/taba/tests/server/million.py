"""A million events of every type, how they are sent, and the plain loop over them that says what the answers are."""

import bisect
import math
import random
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from references import exact_quantile
from server_process import FRAME, JSON, NDJSON, lines

from taba import frame
from taba.handlers.percentile import QUANTILES

TYPES = ("counter", "percentile", "gauge", "uniques", "top", "buffer")
SHARES = (50, 20, 10, 8, 8, 4)
EVENTS_PER_REQUEST = 1_000

Event = tuple[str, str, str, float, Any]
"""(tab, type, client, time, value)"""


def events(count: int, tabs: int, clients: int, begin: float, seconds: int, seed: int = 0) -> list[Event]:
    """Events spread over tabs, clients and time; numbers are eighths, so that sums are exact."""
    rng = random.Random(seed)
    choice, randrange, lognormal = rng.choice, rng.randrange, rng.lognormvariate
    kinds = rng.choices(TYPES, SHARES, k=tabs)
    written = [(f"m.{kind}.{number}", kind) for number, kind in enumerate(kinds)]
    names = [f"client-{number}" for number in range(clients)]
    made = []
    for _ in range(count):
        tab, kind = choice(written)
        if kind == "uniques":
            value: Any = f"u{randrange(3_000)}"
        elif kind == "top":
            value = f"/page/{min(int(lognormal(2, 1.5)), 900)}"
        elif kind == "percentile":
            value = lognormal(3, 1.5)
        else:
            value = randrange(-800, 8_000) / 8
        made.append((tab, kind, choice(names), begin + randrange(seconds * 4) / 4, value))
    return made


@dataclass
class Request:
    """One request: to be sent as often as `times` says."""

    content_type: str
    body: bytes
    headers: dict[str, str]
    events: int
    times: int = 1


def requests(made: list[Event], seed: int = 1) -> list[Request]:
    """The events as JSON, NDJSON and frames, numbered by client; some to be repeated, all in a random order."""
    rng = random.Random(seed)
    by_client = defaultdict(list)
    for event in made:
        by_client[event[2]].append(event)
    made_requests = []
    for client, own in by_client.items():
        for sequence, start in enumerate(range(0, len(own), EVENTS_PER_REQUEST), 1):
            some = own[start : start + EVENTS_PER_REQUEST]
            made_requests += _written(client, sequence, some, rng)
    rng.shuffle(made_requests)
    return made_requests


def _written(client: str, sequence: int, some: list[Event], rng: random.Random) -> Iterator[Request]:
    headers = {"taba_source": client, "taba_sequence": str(sequence)}
    times = 1 + (rng.random() < 0.05) + (rng.random() < 0.01)
    form = sequence % 3
    if form == 2:
        yield Request(FRAME, _frames(client, sequence, some), headers, len(some), times)
        return
    rows = [
        {"tab": tab, "type": kind, "client": client, "time": at, "value": value} for tab, kind, _, at, value in some
    ]
    body = msgspec.json.encode({"events": rows}) if form == 0 else lines(rows)
    yield Request(JSON if form == 0 else NDJSON, body, headers, len(some), times)


def _frames(client: str, sequence: int, some: list[Event]) -> bytes:
    """A frame for each moment, as its values all get the frame's time."""
    by_time = defaultdict(list)
    for event in some:
        by_time[event[3]].append(event)
    body = b""
    for place, (moment, held) in enumerate(by_time.items(), 1):
        numbers, texts = defaultdict(list), defaultdict(list)
        kinds = {}
        for tab, kind, _, _, value in held:
            (texts if isinstance(value, str) else numbers)[tab].append(value)
            kinds[tab] = kind
        header = frame.Header(client, f"s{sequence}", place, moment, moment)
        header.names, header.types = list(numbers), [kinds[tab] for tab in numbers]
        header.counts = [len(values) for values in numbers.values()]
        if texts:
            counts = [len(values) for values in texts.values()]
            flat = [value for values in texts.values() for value in values]
            header.texts = frame.Texts(list(texts), [kinds[tab] for tab in texts], counts, flat)
        packed = array("d", [value for values in numbers.values() for value in values])
        body += frame.encode(header, frame.pack_values(packed))
    return body


@dataclass
class Expected:
    """What a plain loop over all events says."""

    values: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    last: dict[str, dict[str, tuple[float, Any]]] = field(default_factory=lambda: defaultdict(dict))
    clients: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(lambda: [0, 0.0]))
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def expected(made: list[Event]) -> Expected:
    """The plain loop."""
    plain = Expected()
    for tab, kind, client, at, value in made:
        plain.values[tab].append(value)
        if kind == "gauge":
            plain.last[tab][client] = max(plain.last[tab].get(client, (0.0, 0.0)), (at, value))
        elif kind == "buffer":
            plain.times[tab].append(at)
        elif kind == "counter":
            pair = plain.clients[tab, client]
            pair[0] += 1
            pair[1] += value
    return plain


def check(found: dict[str, Any], plain: Expected) -> float:
    """Assert that each answer is what the loop says; the greatest relative error of any percentile."""
    assert set(found) == set(plain.values)
    worst = 0.0
    beyond = 0
    for tab, windows in found.items():
        (answer,) = windows.values()
        values = plain.values[tab]
        kind = tab.split(".")[1]
        if kind == "counter":
            _check_summary(answer, values)
        elif kind == "percentile":
            worst = max(worst, _check_percentiles(answer, values))
        elif kind == "gauge":
            _check_gauge(answer, [value for _, value in plain.last[tab].values()])
        elif kind == "uniques":
            exact = len(set(values))
            beyond += abs(answer["uniques"] - exact) > answer["error"] * exact
            assert abs(answer["uniques"] - exact) <= 2 * answer["error"] * exact
        elif kind == "top":
            _check_top(answer, Counter(values))
        else:
            newest = sorted(plain.times[tab], reverse=True)[:100]
            assert [item["time"] for item in answer["values"]] == newest
    # Within the stated error in about 95 of 100 cases.
    assert beyond <= max(2, 0.12 * sum(tab.startswith("m.uniques") for tab in found))
    return worst


def _check_summary(answer: dict[str, Any], values: list[float]) -> None:
    assert (answer["count"], answer["total"]) == (len(values), sum(values))
    assert (answer["min"], answer["max"]) == (min(values), max(values))


def _check_percentiles(answer: dict[str, Any], values: list[float]) -> float:
    ordered = sorted(values)
    assert (answer["count"], answer["min"], answer["max"]) == (len(values), ordered[0], ordered[-1])
    assert math.isclose(answer["total"], math.fsum(values), rel_tol=1e-12)
    worst = 0.0
    for name, q in QUANTILES.items():
        exact = exact_quantile(ordered, q)
        worst = max(worst, abs(answer[name] / exact - 1))
        assert worst <= 0.01 * (1 + 1e-9), f"{name} is {answer[name]} instead of {exact}: {answer}"
    return worst


def _check_gauge(answer: dict[str, Any], held: list[float]) -> None:
    assert (answer["clients"], answer["sum"]) == (len(held), sum(held))
    assert (answer["min"], answer["max"]) == (min(held), max(held))


def _check_top(answer: dict[str, Any], exact: Counter[str]) -> None:
    assert answer["count"] == exact.total()
    assert answer["bound"] == 0
    assert all(exact[item["value"]] == item["count"] for item in answer["values"])
    assert [item["count"] for item in answer["values"]] == [count for _, count in exact.most_common(20)]


def check_series(points: list[dict[str, Any]], times: list[float], begin: int, step: int) -> None:
    """Assert that the points' counts are those of the times."""
    ordered = sorted(times)
    for point in points:
        inside = bisect.bisect_left(ordered, point["time"] + step) - bisect.bisect_left(ordered, point["time"])
        assert point["count"] == inside
    assert sum(point["count"] for point in points) == len(times)
    assert all((point["time"] - begin) % step == 0 for point in points)


def begin_before(seconds: int) -> int:
    """A whole minute, so long ago that `seconds` of events from it are over now."""
    return int(time.time() - seconds - 60) // 60 * 60
