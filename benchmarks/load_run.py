"""One load on a new way, watched from beside: lags, latencies, queries, processor, memory, disk, and truth."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection

import msgspec

from benchmarks.engines import EngineUse
from benchmarks.load_clients import DRAIN_SECONDS, Plan, Sent, simulate
from benchmarks.load_probe import PROBE_CLIENT, PROBE_TAB, Asker, Probe, Timings, percentile, time_queries
from benchmarks.load_server import SPAWN, Shape, Way, busy_seconds, processor_seconds, running_way
from benchmarks.load_store import Stored, stored

IDLE_ROUNDS = 10
SETTLE_SECONDS = 3.0
BEHIND_SECONDS = 1.0
LAG_SECONDS = 1.0
WARM_SECONDS = 5
"""At the start all tabs are new, which costs more; lags and processor time of these seconds are told apart."""
CLIENTS = "simulated clients"


@dataclass(frozen=True, slots=True)
class Use:
    """What was used over some seconds in which so many events were posted."""

    seconds: float
    events: float
    processor: Mapping[str, float]
    """Processor seconds, by part; the simulated clients are one."""
    others: float
    """Processor seconds of processes that have no part in this."""
    written: Mapping[str, int]
    """Bytes written to disks, by part."""
    commands: float = 0.0
    """Of the engines, as what follows."""
    functions: float = 0.0
    received: float = 0.0
    sent: float = 0.0

    @property
    def path(self) -> float:
        """Processor seconds of all parts without the simulated clients."""
        return sum(seconds for part, seconds in self.processor.items() if part != CLIENTS)

    @property
    def per_million(self) -> float:
        """Processor seconds of the path for a million events."""
        return self.path / self.events * 1e6

    @property
    def share(self) -> float:
        """The path's part of two cores, from 0 to 1."""
        return self.path / self.seconds / 2


@dataclass(frozen=True, slots=True)
class Truth:
    """Events that are missing in the answers, or there too often, by tab and by client added up."""

    lost: int
    doubled: int

    @property
    def exact(self) -> bool:
        """Whether every event is counted once."""
        return not self.lost and not self.doubled


@dataclass(slots=True)
class Run:
    """One load, and all that was seen of it."""

    plan: Plan
    shape: Shape
    sent: Sent
    first_lags: list[float]
    """Of the first WARM_SECONDS."""
    lags: list[float]
    quiet_lags: list[float]
    """Of these the ones before queries were asked."""
    alone: Use
    """After the first WARM_SECONDS."""
    beside: Use | None
    """While queries were asked."""
    rest: float
    """Processor seconds that the path used after the last answer, until it had nothing to do."""
    loaded: Timings | None
    idle: Timings | None
    truth: Truth
    drained: float
    """Seconds from the last answer until all events were in the answers, where agents had them meanwhile."""
    memory: Mapping[str, int]
    """The most that was resident of each part."""
    engine: EngineUse | None
    """At the end."""
    empty: EngineUse | None
    """Before the load."""
    engine_version: str
    store: Stored = field(default_factory=lambda: Stored([], 0))
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


def run_load(plan: Plan, shape: Shape, *, queries: bool) -> Run:
    """One load on a new way."""
    with running_way(shape) as way:
        run = _drive(way, plan, queries)
        run.store = stored(way.settings)
    return run


@contextmanager
def simulated_clients(plan: Plan, way: Way) -> Iterator[tuple[int, Connection]]:
    """The clients' process, ready, by its id: it is told when to start and gives what came of it."""
    pipe, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=simulate, args=(plan, way.doors, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert pipe.recv() == "ready"
        assert process.pid is not None
        yield process.pid, pipe
    finally:
        process.terminate()
        process.join()


def _drive(way: Way, plan: Plan, queries: bool) -> Run:
    empty = way.engine_use()
    with simulated_clients(plan, way) as (pid, clients):
        start = math.ceil(time.time()) + 1
        stop = start + 0.25 + plan.seconds
        warm = start + WARM_SECONDS
        clients.send(start)
        probe = Probe(way.doors[0], way.address, start, stop - 0.5)
        probe.start()
        quiet = (warm + stop) / 2 if queries else stop
        marks = [_mark(way, pid, warm), _mark(way, pid, quiet)]
        loaded = time_queries(way.address, lambda _: time.time() < stop) if queries else None
        marks.append(_mark(way, pid, stop))
        sent = outcome(clients, way)
        probe.join(DRAIN_SECONDS)
    truth, drained = _settled(way, sent, probe.posted, start)
    rest = sum(way.processor_seconds().values()) - sum(marks[-1].parts.values()) + marks[-1].parts[CLIENTS]
    used = [_use(before, after, plan.rate) for before, after in itertools.pairwise(marks)]
    idle = time_queries(way.address, lambda rounds: rounds < IDLE_ROUNDS) if queries else None
    failures = [str(one.failure) for one in (probe, loaded, idle) if one is not None and one.failure is not None]
    return Run(
        plan=plan,
        shape=way.shape,
        sent=sent,
        first_lags=[lag for moment, lag in probe.lags if moment < warm],
        lags=[lag for moment, lag in probe.lags if moment >= warm] if probe.whole else [math.inf],
        quiet_lags=[lag for moment, lag in probe.lags if warm <= moment < quiet],
        alone=used[0],
        beside=used[1] if queries else None,
        rest=rest,
        loaded=loaded,
        idle=idle,
        truth=truth,
        drained=drained,
        memory=way.peak_memory(),
        engine=way.engine_use(),
        empty=empty,
        engine_version=way.engines.version() if way.engines else "",
        failure="; ".join(failures),
    )


def outcome(clients: Connection, way: Way) -> Sent:
    """What the simulated clients tell at their end; raises RuntimeError where they do not get there."""
    # The clients wait that long for answers by themselves.
    if not clients.poll(DRAIN_SECONDS + 10):
        raise RuntimeError(f"the simulated clients have not ended; {way.fate()}")
    try:
        return clients.recv()
    except EOFError:
        raise RuntimeError(f"the simulated clients failed, as told above; {way.fate()}") from None


def _settled(way: Way, sent: Sent, probed: int, start: float) -> tuple[Truth, float]:
    """What the answers hold once nothing is on its way any more, and after how long that was, from now on."""
    begun = time.time()
    drained = 0.0
    while way.agents:
        truth = truth_of(way, sent, probed, start)
        drained = time.time() - begun
        if truth.exact or drained > DRAIN_SECONDS:
            break
        time.sleep(0.5)
    time.sleep(SETTLE_SECONDS)
    return truth_of(way, sent, probed, start), drained


@dataclass(frozen=True, slots=True)
class _Mark:
    """What was used until a time, by each part and by the machine."""

    time: float
    parts: Mapping[str, float]
    ours: float
    """Processor seconds of all who have a part in this."""
    machine: float
    written: Mapping[str, int]
    engine: EngineUse | None


def _mark(way: Way, clients: int, moment: float) -> _Mark:
    """What was used until the time `moment`, which is waited for."""
    time.sleep(max(moment - time.time(), 0))
    parts = {CLIENTS: processor_seconds(clients)} | way.processor_seconds()
    ours = sum(parts.values()) + time.process_time()
    return _Mark(time.time(), parts, ours, busy_seconds(), way.written(), way.engine_use())


def _use(before: _Mark, after: _Mark, rate: float) -> Use:
    seconds = after.time - before.time
    others = after.machine - before.machine - (after.ours - before.ours)
    use = Use(
        seconds,
        seconds * rate,
        {part: used - before.parts[part] for part, used in after.parts.items()},
        max(others, 0.0),
        {part: size - before.written[part] for part, size in after.written.items()},
    )
    if before.engine is None or after.engine is None:
        return use
    return replace(
        use,
        commands=after.engine.commands - before.engine.commands,
        functions=after.engine.functions - before.engine.functions,
        received=after.engine.received - before.engine.received,
        sent=after.engine.sent - before.engine.sent,
    )


def truth_of(way: Way, sent: Sent, probed: int, start: float) -> Truth:
    """How far the counts of the answers are from what was posted, tab by tab and client by client."""
    asker = Asker(way.address)
    span = f"from={start - 3600:.0f}&to={start + 86400:.0f}"
    answer = msgspec.json.decode(asker.get(f"/v1/aggregates?{span}"))["tabs"]
    counted = {tab: next(iter(windows.values())) for tab, windows in answer.items()}
    off = [
        # A gauge counts no events; the clients' own counts, below, hold them too.
        (counted[tab]["count"] - events if "count" in counted[tab] else 0) if tab in counted else -events
        for tab, events in (sent.events | {PROBE_TAB: probed}).items()
    ]
    answer = msgspec.json.decode(asker.get(f"/v1/projections?tab=taba.client.events&{span}"))["tabs"]
    told = {
        client: next(iter(windows.values()))["total"]
        for client, windows in answer.get("taba.client.events", {}).items()
    }
    off += [round(told.get(client, 0) - events) for client, events in (sent.by_client | {PROBE_CLIENT: probed}).items()]
    return Truth(-sum(one for one in off if one < 0), sum(one for one in off if one > 0))
