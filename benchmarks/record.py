"""What recording costs the program: Taba's `record()` beside the clients of other systems, in one run.

    python -m benchmarks record

Each call is timed in a tight loop, the contenders taking turns, so that all of them see the same machine. The
loop itself is in the figures. All clients run as they do in a program: Taba's sends to a server, statsd and
datadog to a UDP socket that is read, OpenTelemetry has a reader, and each metric has one tag where the client
knows tags. Every contender's handle is made beforehand where its interface allows that.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import timeit
from importlib.metadata import version
from typing import Any, NamedTuple

import taba
from benchmarks import machine, table, write
from benchmarks.record_load import ROUNDS_A_SECOND, SECONDS, TABS
from benchmarks.record_sinks import sinks

ROUNDS = 21
ROUND_SECONDS = 0.02
MOST_CALLS = 100_000
CPU_RUNS = 3


class Contender(NamedTuple):
    """A call to time: `statement` is run with `names` in sight; `kind` says what it is compared with."""

    library: str
    kind: str
    statement: str
    names: dict[str, Any]


def main() -> None:
    """Run it all and write the tables."""
    with sinks() as (http_port, udp_port):
        server = f"http://127.0.0.1:{http_port}"
        taba.start("benchmark", server=server)
        contenders = [*_taba(), *_prometheus(), *_statsd(udp_port), *_datadog(udp_port), *_opentelemetry()]
        times = _times(contenders)
        taba.stop()
        with_client, without = _cpu(server)
    write("record", "\n\n".join([_heading(), _table(contenders, times), _cpu_text(with_client, without)]))


def _taba() -> list[Contender]:
    counter = taba.counter("bids.won", exchange="fbx")
    percentile = taba.percentile("bids.price", exchange="fbx")
    anew = 'taba.counter("bids.won", exchange="fbx").record(1)'
    return [
        Contender("(an empty loop)", "", "pass", {}),
        Contender("taba", "counter", "record(1)", {"record": counter.record}),
        Contender("taba", "", "handle.record(1)", {"handle": counter}),
        Contender("taba", "", anew, {"taba": taba}),
        Contender("taba", "", 'taba.record("bids.won", 1, exchange="fbx")', {"taba": taba}),
        Contender("taba", "", 'with taba.timer("bids.time"): pass', {"taba": taba}),
        Contender("taba", "distribution", "record(12.5)", {"record": percentile.record}),
    ]


def _prometheus() -> list[Contender]:
    from prometheus_client import CollectorRegistry, Counter, Histogram

    registry = CollectorRegistry()
    counter = Counter("bids_won", "Bids won", ["exchange"], registry=registry).labels("fbx")
    histogram = Histogram("bids_price", "Price", ["exchange"], registry=registry).labels("fbx")
    name = f"prometheus_client {version('prometheus-client')}"
    return [
        Contender(name, "counter", "inc()", {"inc": counter.inc}),
        Contender(name, "distribution", "observe(12.5)", {"observe": histogram.observe}),
    ]


def _statsd(port: int) -> list[Contender]:
    from statsd import StatsClient

    client = StatsClient("127.0.0.1", port)
    name = f"statsd {version('statsd')}"
    return [
        Contender(name, "counter", 'incr("bids.won")', {"incr": client.incr}),
        Contender(name, "distribution", 'timing("bids.price", 12.5)', {"timing": client.timing}),
    ]


def _datadog(port: int) -> list[Contender]:
    from datadog.dogstatsd import DogStatsd

    name = f"datadog {version('datadog')}"
    ways = {
        "as shipped": {},
        "buffering and aggregation on": {"disable_buffering": False, "disable_aggregation": False},
    }
    contenders = []
    for way, options in ways.items():
        client = DogStatsd(host="127.0.0.1", port=port, **options)
        names = {"increment": client.increment, "histogram": client.histogram, "tags": ["exchange:fbx"]}
        contenders += [
            Contender(f"{name}, {way}", "counter", 'increment("bids.won", tags=tags)', names),
            Contender(f"{name}, {way}", "distribution", 'histogram("bids.price", 12.5, tags=tags)', names),
        ]
    return contenders


def _opentelemetry() -> list[Contender]:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    meter = MeterProvider(metric_readers=[InMemoryMetricReader()]).get_meter("benchmark")
    names = {
        "add": meter.create_counter("bids.won").add,
        "record": meter.create_histogram("bids.price").record,
        "attributes": {"exchange": "fbx"},
    }
    name = f"opentelemetry-sdk {version('opentelemetry-sdk')}"
    return [
        Contender(name, "counter", "add(1, attributes)", names),
        Contender(name, "distribution", "record(12.5, attributes)", names),
    ]


def _times(contenders: list[Contender]) -> list[list[float]]:
    """Nanoseconds per call, for each contender in each round."""
    timers = []
    for one in contenders:
        local = "; ".join(f"{name} = names[{name!r}]" for name in one.names) or "pass"
        timer = timeit.Timer(one.statement, local, globals={"names": one.names})
        per_call = timer.timeit(1000) / 1000
        timers.append((timer, min(MOST_CALLS, int(ROUND_SECONDS / per_call) + 1)))
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(ROUNDS):
        for (timer, calls), found in zip(timers, times, strict=True):
            found.append(timer.timeit(calls) / calls * 1e9)
    return times


def _cpu(server: str) -> tuple[list[float], list[float]]:
    """CPU seconds of the program `record_load`, with the client and with it disabled, taking turns."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(CPU_RUNS):
        for disabled, times in zip(("0", "1"), found, strict=True):
            environment = os.environ | {"TABA_SERVER": server, "TABA_DISABLED": disabled}
            command = [sys.executable, "-m", "benchmarks.record_load"]
            times.append(float(subprocess.run(command, env=environment, check=True, capture_output=True).stdout))
    return found


def _heading() -> str:
    return (
        "# What recording costs\n\n"
        f"{machine()}. Median of {ROUNDS} rounds in which the contenders took turns, the loop included; in "
        "brackets the middle half of the rounds. The last column: how many of Taba's own calls, `record(1)` or "
        "`record(12.5)`, take that long. What the clients do later, in threads of their own, is not in these figures; "
        "for Taba it is measured below."
    )


def _table(contenders: list[Contender], times: list[list[float]]) -> str:
    medians = [statistics.median(found) for found in times]
    own = {one.kind: median for one, median in zip(contenders, medians, strict=True) if one.library == "taba"}
    rows = []
    for one, found, median in zip(contenders, times, medians, strict=True):
        low, _, high = statistics.quantiles(found, n=4)
        ratio = f"{median / own[one.kind]:.1f}" if one.kind else ""
        rows.append([one.library, f"`{one.statement}`", f"{median:,.0f} ({low:,.0f}–{high:,.0f})", ratio])
    return table(["client", "call", "ns per call", "times Taba's"], rows)


def _cpu_text(with_client: list[float], without: list[float]) -> str:
    own = statistics.median(with_client) - statistics.median(without)
    rows = [
        ["with the client", *_seconds(with_client)],
        ["with TABA_DISABLED=1", *_seconds(without)],
        ["the client alone", f"{own:.3f}", f"{own / SECONDS:.2%}"],
    ]
    events = TABS * ROUNDS_A_SECOND
    return (
        f"## CPU of a client\n\nA program that records {events:,} events a second over {TABS} tabs for {SECONDS} s, "
        f"flushing four times a second to a server on the same machine: median of {CPU_RUNS} runs each, taking "
        f"turns. That is {own / (events * SECONDS) * 1e6:.2f} CPU seconds per million events.\n\n"
        + table(["program", "CPU seconds", "of a core"], rows)
    )


def _seconds(times: list[float]) -> list[str]:
    median = statistics.median(times)
    return [f"{median:.3f}", f"{median / SECONDS:.2%}"]


if __name__ == "__main__":
    main()
