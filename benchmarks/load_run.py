"""One load on one new server, watched from beside: lags, latencies, queries, processor, memory, disk, and truth."""

from __future__ import annotations

import itertools
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from benchmarks.load_clients import DRAIN_SECONDS, Plan, Sent, simulate
from benchmarks.load_probe import PROBE_CLIENT, PROBE_TAB, Asker, Probe, Timings, percentile, time_queries
from benchmarks.load_server import SPAWN, ServerProcess, Stored, busy_seconds, processor_seconds, running_server, stored

IDLE_ROUNDS = 10
SETTLE_SECONDS = 3.0
BEHIND_SECONDS = 1.0
LAG_SECONDS = 1.0
WARM_SECONDS = 5
"""At the start all tabs are new, which costs more; lags and processor time of these seconds are told apart."""


@dataclass(frozen=True, slots=True)
class Use:
    """Processor seconds of the server, and the events posted meanwhile, over some seconds."""

    seconds: float
    processor: float
    others: float
    """Processor seconds of processes that have no part in this."""
    events: float

    @property
    def per_million(self) -> float:
        """Processor seconds for a million events."""
        return self.processor / self.events * 1e6

    @property
    def share(self) -> float:
        """Of two cores, from 0 to 1."""
        return self.processor / self.seconds / 2


@dataclass(slots=True)
class Run:
    """One load, and all that was seen of it."""

    plan: Plan
    sent: Sent
    first_lags: list[float]
    """Of the first WARM_SECONDS."""
    lags: list[float]
    alone: Use
    """After the first WARM_SECONDS."""
    beside: Use | None
    """While queries were asked."""
    rest: float
    """Processor seconds that the server used after the last answer, until it had nothing to do."""
    loaded: Timings | None
    idle: Timings | None
    off_by: int
    """Events that were lost or counted twice, by tab and by client added up; what was not answered may be either."""
    memory: int
    store: Stored
    failure: str = ""

    @property
    def lag(self) -> float:
        """The 99th percentile."""
        return percentile(self.lags, 0.99)

    @property
    def held(self) -> bool:
        """Everything was answered in time and shown within a second."""
        return (
            not self.failure
            and not self.sent.unanswered
            and self.sent.behind <= BEHIND_SECONDS
            and self.lag <= LAG_SECONDS
        )


def run_load(plan: Plan, *, queries: bool) -> Run:
    """One load on a new server."""
    with tempfile.TemporaryDirectory(prefix="taba-load-") as folder:
        data = Path(folder)
        with running_server(data, plan.agent) as server:
            run = _drive(server, plan, queries)
        run.store = stored(data)
    return run


@contextmanager
def _simulated_clients(plan: Plan, server: ServerProcess) -> Iterator[tuple[int, Connection]]:
    """The clients' process, ready, by its id: it is told when to start and gives what came of it."""
    pipe, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=simulate, args=(plan, server.door, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert pipe.recv() == "ready"
        assert process.pid is not None
        yield process.pid, pipe
    finally:
        process.terminate()
        process.join()


def _drive(server: ServerProcess, plan: Plan, queries: bool) -> Run:
    with _simulated_clients(plan, server) as (pid, clients):
        start = math.ceil(time.time()) + 1
        stop = start + 0.25 + plan.seconds
        warm = start + WARM_SECONDS
        clients.send(start)
        probe = Probe(server.door, server.address, start, stop - 0.5)
        probe.start()
        marks = [_mark(server, pid, warm), _mark(server, pid, (warm + stop) / 2 if queries else stop)]
        loaded = time_queries(server.address, lambda _: time.time() < stop) if queries else None
        marks.append(_mark(server, pid, stop))
        sent = _outcome(clients, server)
        probe.join(DRAIN_SECONDS)
    time.sleep(SETTLE_SECONDS)
    rest = server.processor_seconds() - marks[-1].server
    used = [_use(before, after, plan.rate) for before, after in itertools.pairwise(marks)]
    idle = time_queries(server.address, lambda rounds: rounds < IDLE_ROUNDS) if queries else None
    failures = [str(one.failure) for one in (probe, loaded, idle) if one is not None and one.failure is not None]
    return Run(
        plan=plan,
        sent=sent,
        first_lags=[lag for moment, lag in probe.lags if moment < warm],
        lags=[lag for moment, lag in probe.lags if moment >= warm] if probe.whole else [math.inf],
        alone=used[0],
        beside=used[1] if queries else None,
        rest=rest,
        loaded=loaded,
        idle=idle,
        off_by=_off_by(server, sent, probe.posted, start),
        memory=server.peak_memory(),
        store=Stored(0, 0, 0, 0, []),
        failure="; ".join(failures),
    )


def _outcome(clients: Connection, server: ServerProcess) -> Sent:
    """What the simulated clients tell at their end; raises RuntimeError where they do not get there."""
    if not clients.poll(DRAIN_SECONDS + 10):
        raise RuntimeError(f"the simulated clients have not ended; {server.fate()}")
    try:
        return clients.recv()
    except EOFError:
        raise RuntimeError(f"the simulated clients failed, as told above; {server.fate()}") from None


@dataclass(frozen=True, slots=True)
class _Mark:
    """Processor seconds used until a time: by the server, by all who have a part in this, and by the machine."""

    time: float
    server: float
    ours: float
    machine: float


def _mark(server: ServerProcess, clients: int, moment: float) -> _Mark:
    """What was used until the time `moment`, which is waited for."""
    time.sleep(max(moment - time.time(), 0))
    used = server.processor_seconds()
    ours = used + time.process_time() + processor_seconds(clients)
    return _Mark(time.time(), used, ours, busy_seconds())


def _use(before: _Mark, after: _Mark, rate: float) -> Use:
    seconds = after.time - before.time
    others = after.machine - before.machine - (after.ours - before.ours)
    return Use(seconds, after.server - before.server, max(others, 0.0), seconds * rate)


def _off_by(server: ServerProcess, sent: Sent, probed: int, start: float) -> int:
    """How far the counts of the answers are from what was posted, tab by tab and client by client."""
    asker = Asker(server.address)
    span = f"from={start - 3600:.0f}&to={start + 86400:.0f}"
    posted = {**sent.events, PROBE_TAB: probed}
    answer = msgspec.json.decode(asker.get(f"/v1/aggregates?{span}"))["tabs"]
    counted = {tab: next(iter(windows.values())) for tab, windows in answer.items()}
    off = sum(
        # A gauge counts no events; the clients' own counts, below, hold them too.
        abs(counted[tab]["count"] - events if "count" in counted[tab] else 0) if tab in counted else events
        for tab, events in posted.items()
    )
    clients = {**sent.by_client, PROBE_CLIENT: probed}
    answer = msgspec.json.decode(asker.get(f"/v1/projections?tab=taba.client.events&{span}"))["tabs"]
    told = {
        client: next(iter(windows.values()))["total"]
        for client, windows in answer.get("taba.client.events", {}).items()
    }
    return off + round(sum(abs(told.get(client, 0) - events) for client, events in clients.items()))
