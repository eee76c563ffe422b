"""Live answers under the blog's load: what no, one and fifty watchers of one question cost the server, in one run.

    python -m benchmarks live [--phase 12] [--rate 166667] [--watchers 50]

One server on SQLite takes the load (10,000,000 events a minute of 300 clients and 10,000 tabs) all the while. One phase
follows another: nobody watches, one does, fifty do, fifty and one that reads nothing; of a hundred tabs, as a board
would show, and of all 10,000. A probe records an event four times a second; a watcher has it when it has read the whole
update that holds it.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection

import msgspec
import psutil

from benchmarks import table, write
from benchmarks.live_watchers import Watched, lags, watchers
from benchmarks.load_clients import Plan
from benchmarks.load_probe import PROBE_CLIENT, PROBE_TAB, QUARTER, Asker, percentile
from benchmarks.load_run import outcome, simulated_clients, truth_of
from benchmarks.load_server import SPAWN, Shape, Way, busy_seconds, processor_seconds, running_way
from taba import frame

RATE = 10_000_000 / 60
WARM_SECONDS = 8
"""At the start all tabs are new, which costs more."""
SETTLE_SECONDS = 1.5
"""From when a phase begins to when it is measured: the first answers are made then."""
SOME = f"/v1/live?tab=load.001*&tab={PROBE_TAB}&window=1m"
ALL = "/v1/live?window=1m"


@dataclass(frozen=True, slots=True)
class Phase:
    """Who watches for a while."""

    name: str
    path: str = ""
    count: int = 0
    stalled: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a phase showed. Processor figures are in cores."""

    phase: Phase
    seconds: float
    server: float
    watchers: float
    others: float
    answered: float
    """Times that watched questions were answered."""
    lags: Sequence[float]
    told: Watched
    memory: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it, write the table to results/live.md and print it."""
    options = _options([word for word in sys.argv[1:] if word != "live"] if arguments is None else arguments)
    phases = _phases(options.watchers)
    seconds = WARM_SECONDS + math.ceil(len(phases) * (options.phase + SETTLE_SECONDS + 1)) + 2
    plan = Plan(options.rate, seconds)
    with running_way(Shape()) as way, simulated_clients(plan, way) as (pid, clients), _watching(way) as orders:
        start = math.ceil(time.time()) + 1
        clients.send(start)
        probe = Probe(way.address, start)
        probe.start()
        time.sleep(max(start + WARM_SECONDS - time.time(), 0))
        found = [_seen(phase, options.phase, way, pid, orders, probe) for phase in phases]
        probe.stop()
        sent = outcome(clients, way)
        time.sleep(SETTLE_SECONDS)
        truth = truth_of(way, sent, probe.posted, start)
    held = f"lost {truth.lost}, counted twice {truth.doubled}; the last answer {sent.behind:.2f} s after the last flush"
    write("live", _report(plan, options.phase, found, held))


def _phases(count: int) -> list[Phase]:
    phases = [Phase("nobody")]
    for title, path in (("100 tabs", SOME), ("10,000 tabs", ALL)):
        phases += [
            Phase(f"{title}: 1 watcher", path, 1),
            Phase(f"{title}: {count} watchers", path, count),
            Phase(f"{title}: {count} watchers, and 1 that reads nothing", path, count, 1),
        ]
    return [*phases, Phase("nobody, again")]


class Probe(threading.Thread):
    """Records a figure that rises by one, at any time in each quarter second, and sends it at its end as clients do."""

    def __init__(self, address: tuple[str, int], start: float) -> None:
        super().__init__(name="probe", daemon=True)
        self._asker = Asker(address)
        self._next = start
        self._stopped = threading.Event()
        self.recorded: dict[float, float] = {}
        """When each figure was recorded."""
        self.posted = 0

    def run(self) -> None:
        """Record until told to stop."""
        chance = random.Random(3)
        began = self._next
        while not self._stopped.is_set():
            # After a slow answer the next ones are of now, not of then.
            self._next = max(self._next, math.floor(time.time() / QUARTER) * QUARTER) + QUARTER
            moment = self._next - chance.random() * QUARTER
            time.sleep(max(self._next - time.time(), 0))
            figure = self.posted + 1
            header = frame.Header(
                PROBE_CLIENT,
                "live",
                figure,
                self._next - QUARTER,
                self._next,
                [PROBE_TAB],
                ["counter"],
                [1],
                began=began,
                recorded=figure,
            )
            self.recorded[figure] = moment
            self._asker.post(frame.encode(header, frame.pack_values(array("d", [figure]))))
            self.posted = figure

    def stop(self) -> None:
        """Record no more."""
        self._stopped.set()
        self.join()


@contextmanager
def _watching(way: Way) -> Iterator[tuple[int, Connection]]:
    """The watchers' process, by its id, and where it takes orders."""
    pipe, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=watchers, args=(way.address, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert process.pid is not None
        yield process.pid, pipe
    finally:
        process.terminate()
        process.join()


def _seen(phase: Phase, seconds: float, way: Way, load: int, orders: tuple[int, Connection], probe: Probe) -> Seen:
    """One phase."""
    watching, pipe = orders
    pipe.send((phase.path, phase.count, phase.stalled))
    assert pipe.recv() == "watching"
    time.sleep(SETTLE_SECONDS)
    pids = [way.servers[0].pid, watching, load]
    answered, start = _answered(way), time.time()
    before, busy = [processor_seconds(pid) for pid in pids], busy_seconds()
    own = time.process_time()
    time.sleep(seconds)
    used = [processor_seconds(pid) - then for pid, then in zip(pids, before, strict=True)]
    stop, own, busy = time.time(), time.process_time() - own, busy_seconds() - busy
    answered = _answered(way) - answered
    # What was recorded just now is on its way.
    time.sleep(1)
    pipe.send("over")
    told: Watched = pipe.recv()
    length = stop - start
    return Seen(
        phase,
        length,
        used[0] / length,
        used[1] / length,
        max(busy - sum(used) - own, 0) / length,
        answered,
        lags(told, dict(probe.recorded), start, stop),
        told,
        psutil.Process(pids[0]).memory_info().rss,
    )


def _answered(way: Way) -> float:
    """How often watched questions were answered so far, by the server's own count."""
    answer = Asker(way.address).get("/v1/aggregates?tab=taba.server.live.ms&window=1h")
    found = msgspec.json.decode(answer)["tabs"].get("taba.server.live.ms")
    return found["1h"]["count"] if found else 0


def _report(plan: Plan, phase: float, found: Sequence[Seen], held: str) -> str:
    columns = [
        "who watches",
        "server, cores",
        "answered /s",
        "update KB",
        "event → watcher p50 / p99 ms",
        "(n)",
        "folded updates",
        "watchers, cores",
        "others, cores",
        "server MB",
    ]
    return "\n\n".join(
        [
            "# Live answers under the blog's load",
            f"`python -m benchmarks live`: {plan.rate:,.0f} events a second from {plan.clients} clients over "
            f"{plan.tabs:,} tabs, one server on SQLite, {phase:g} s for each row, one after the other in one run; "
            f"{os.cpu_count()} cores that all parts share, polars {version('polars')}.",
            table(columns, [_row(one) for one in found]),
            f"Of the load: {held}.",
            "All watchers of a question share one answering. An event's time is when it was recorded, up to a quarter "
            "of a second before its client flushes it; a watcher has it when it has read the whole update. "
            "Folded updates stand for several, because the watcher was slow. The watchers' cores are those of the "
            "process that reads for all of them, which is no part of the server.",
        ]
    )


def _row(one: Seen) -> list[str]:
    updates = max(one.told.updates, 1)
    spread = " / ".join(f"{percentile(one.lags, share) * 1000:.0f}" for share in (0.5, 0.99)) if one.lags else "–"
    return [
        one.phase.name,
        f"{one.server:.2f}",
        f"{one.answered / one.seconds:.1f}",
        f"{one.told.bytes / updates / 1000:,.1f}",
        spread,
        str(len(one.lags)),
        str(one.told.missed),
        f"{one.watchers:.2f}",
        f"{one.others:.2f}",
        f"{one.memory / 1e6:,.0f}",
    ]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks live", description="Live answers under a load.")
    parser.add_argument("--phase", type=float, default=12, help="seconds for each row (12)")
    parser.add_argument("--rate", type=float, default=RATE, help="events a second (10,000,000 a minute)")
    parser.add_argument("--watchers", type=int, default=50, help="how many watch where many do (50)")
    return parser.parse_args(arguments)
