"""What a comparison sees, and what it mistakes: false alarms, and how many events it takes to see a change.

    python -m benchmarks compare

Fleets are simulated; percentiles' values lie in the sketch's bins. A false alarm is `different` where nothing differs
but chance and, where it says so, the clients by themselves (their rates or scales are log-normal, with that deviation).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks import machine, table, write
from taba.comparing import counts, ranks
from taba.comparing.terms import DIFFERENT, SAME, Terms, Tested
from taba.comparing.verdicts import judged
from taba.handlers.percentile import GAMMA

RUNS, POWER_RUNS = 1000, 100
TERMS = Terms()
SIGMA = 0.5
"""Of the log-normal values: their p99 is 3.2 times their median."""
P90, P99 = 1.2816, 2.3263


def main() -> None:
    """Run it all and write the tables."""
    parts = [_heading(), _alarms(), _percentile_alarms(), _errors(), _tails(), _cost()]
    write("compare", "\n\n".join(parts))


def _heading() -> str:
    return (
        "# What a comparison sees, and what it mistakes\n\n"
        f"{machine()}. Confidence {TERMS.confidence}, least {TERMS.least}, margin {TERMS.margin}, rare {TERMS.rare}. "
        "One client is compared with the others. Shares of runs in percent: `different`, and in brackets `same`; the "
        "rest is `not enough data`."
    )


def _alarms() -> str:
    rows = []
    for others in (1, 2, 3, 5, 10, 30):
        for deviation in (0.0, 0.05, 0.1, 0.3):
            cells = [_shares(_counters(others, deviation, mean), RUNS) for mean in (3, 100, 3000, 100_000)]
            rows.append([f"{others}, differing by {deviation:.0%}", *cells])
    heads = ["counters: other clients", *(f"{mean:,} events each" for mean in (3, 100, 3000, 100_000))]
    return f"## False alarms\n\n{table(heads, rows)}"


def _counters(others: int, deviation: float, mean: float) -> Iterator[Tested]:
    random = np.random.default_rng(others)
    while True:
        events = random.poisson(mean * np.exp(random.normal(0, deviation, others + 1)))
        yield counts.compare(_tally(events[:1], 600), _tally(events[1:], 600), TERMS)


def _tally(events: np.ndarray, exposure: float) -> counts.Tally:
    column = events.astype(float)
    return counts.Tally(column, column, np.full(len(column), float(exposure)), 1.0, 1.0)


def _percentile_alarms() -> str:
    rows = []
    for others in (1, 3, 5, 10):
        for deviation in (0.0, 0.1):
            cells = [_shares(_percentiles(others, size, 1.0, deviation), RUNS) for size in (200, 2000)]
            rows.append([f"{others}, differing by {deviation:.0%}", *cells])
    return table(["percentiles: other clients", "200 events each", "2,000 events each"], rows)


def _errors() -> str:
    rows = []
    for usual, canary in ((0.0, 0.0), (0.0, 0.0005), (0.0, 0.005), (0.001, 0.001), (0.001, 0.002), (0.001, 0.005)):
        cells = []
        for others in (1, 3, 10):
            for requests in (2000, 20_000):
                cells.append(_shares(_requests(others, requests, usual, canary), POWER_RUNS))
        rows.append([f"{usual:.2%} and {canary:.2%}", *cells])
    heads = [f"{others} others, {requests:,} requests each" for others in (1, 3, 10) for requests in (2000, 20_000)]
    return f"## Errors per request\n\n{table(['errors of the others and of the one', *heads], rows)}"


def _requests(others: int, requests: int, usual: float, canary: float) -> Iterator[Tested]:
    random = np.random.default_rng(requests)
    while True:
        events = random.binomial(requests, [canary, *[usual] * others])
        one, other = _tally(events[:1], requests), _tally(events[1:], requests)
        yield counts.compare(one, other, TERMS, per="requests")


def _tails() -> str:
    rows = []
    for shift in (1.0, 1.1, 1.2, 1.5):
        for others in (1, 3, 5, 10):
            sizes = (2000, 5000, 20_000, 50_000)
            cells = [_shares(_percentiles(others, size, shift), POWER_RUNS // 2) for size in sizes]
            rows.append([f"p99 times {shift}, {others} others", *cells])
    heads = ["the median stays", *(f"{size:,} events each" for size in (2000, 5000, 20_000, 50_000))]
    return f"## A tail that moves alone\n\n{table(heads, rows)}"


def _percentiles(others: int, size: int, shift: float, deviation: float = 0.0) -> Iterator[Tested]:
    """Values above p90 stretched, so that p99 is `shift` times as great."""
    random = np.random.default_rng(size + others)
    while True:
        normal = random.standard_normal((others + 1, size))
        logs = SIGMA * normal + random.normal(0, deviation, (others + 1, 1))
        logs[0] += math.log(shift) * np.clip((normal[0] - P90) / (P99 - P90), 0, None)
        yield ranks.compare(*_histograms(logs), TERMS)


def _histograms(logs: np.ndarray) -> tuple[ranks.Histogram, ranks.Histogram]:
    bins = np.ceil(logs / math.log(GAMMA)).astype(int)
    bins -= (lowest := bins.min())
    held = np.stack([np.bincount(client, minlength=bins.max() + 1) for client in bins]).astype(float)
    high = GAMMA ** (np.arange(held.shape[1]) + float(lowest))
    used = held.sum(axis=0) > 0
    held, high = held[:, used], high[used]
    return ranks.Histogram(held[:1], high / GAMMA, high), ranks.Histogram(held[1:], high / GAMMA, high)


def _shares(results: Iterator[Tested], runs: int) -> str:
    verdicts = [judged({"tab": next(results)}, TERMS)["tab"]["verdict"] for _ in range(runs)]
    return f"{100 * verdicts.count(DIFFERENT) / runs:.1f} ({100 * verdicts.count(SAME) / runs:.0f})"


def _cost() -> str:
    rows = [
        [name, f"{_milliseconds(results):.1f}"]
        for name, results in (
            ("a counter of 10 clients", _counters(10, 0.1, 1000)),
            ("a counter of 300 clients", _counters(300, 0.1, 1000)),
            ("percentiles of 10 clients", _percentiles(10, 2000, 1.0)),
            ("percentiles of 300 clients", _percentiles(300, 2000, 1.0)),
        )
    ]
    return f"## What it costs\n\n{table(['the tests of', 'ms of CPU, with the simulation'], rows)}"


def _milliseconds(results: Iterator[Tested]) -> float:
    work: Callable[[], Tested] = results.__next__
    work()
    begun = time.process_time()
    for _ in range(20):
        work()
    return (time.process_time() - begun) / 20 * 1000


if __name__ == "__main__":
    main()
