"""What a load needs: from what was measured at one size to servers, engines, memory, network and disk at others.

Everything measured or chosen stands in `Measured`, here alone: put new figures there, and run
`python -m benchmarks scale --write`. All else here is pure arithmetic, explained in docs/scale.md. The load is the
blog's: each client records to all tabs in turns, so that events are spread evenly over all series (pairs of tab and
client), which is the worst case: every event touches another State.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from taba.settings import Tiers
from taba.states.tiers import Ladder, ladder

FLUSHES = 4
"""Frames of each client a second."""
BATCHES = 10
"""Of each server a second: it gathers for 0.1 s."""
TABS = 10_000
MORE_TABS = 4
"""How many times the tabs in a frame the second of the measured loads has."""
SETTLE_SECONDS = 10
SETTLE_ROWS = 1_000_000
"""States that one compaction of a shard should have at most: some 0.6 CPU s."""
SHARDS_PER_MASTER = 8


def _measured(value: float, unit: str, meaning: str, source: str) -> Any:
    return dataclasses.field(default=value, metadata={"unit": unit, "meaning": meaning, "source": source})


LADDER = "`results/load-redis.md`"
AGENT = "`results/load-redis-agent.md`, ten minutes"
CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class Measured:
    """The inputs. Each is either measured, with the place, or chosen by who plans."""

    rate: float = _measured(166_667, "events/s", "the load that was measured: 3,000,000 series", LADDER)
    frames: float = _measured(1200, "frames/s", "the same, as frames of 300 clients", LADDER)
    server_base: float = _measured(3.97, "CPU s per million events", "server, a State for each event", LADDER)
    server_tabs: float = _measured(1.43, "CPU s per million events", "server, four times the tabs in a frame", LADDER)
    server_values: float = _measured(0.48, "CPU s per million events", "server, ten values of each tab", LADDER)
    agent_frame: float = _measured(0.15, "CPU ms", "an agent, for each frame (one for 300 clients)", AGENT)
    engine_base: float = _measured(0.67, "CPU s per million events", "engine, a State for each event", LADDER)
    engine_tabs: float = _measured(0.32, "CPU s per million events", "engine, four times the tabs in a frame", LADDER)
    received_base: float = _measured(43.2, "bytes", "to the engine for each event, compaction too", LADDER)
    received_tabs: float = _measured(36.8, "bytes", "the same, four times the tabs in a frame", LADDER)
    engine_sent: float = _measured(1.6, "bytes", "from the engine for each State (one server)", LADDER)
    engine_written: float = _measured(82.2, "bytes", "to the engine's disk for each State, everysec", LADDER)
    writes: float = _measured(19.8, "calls/s", "writes to each shard, of each server", LADDER)
    fine_state: float = _measured(18.1, "bytes", "a counter's State of one second in a chunk (lz4)", LADDER)
    wide_state: float = _measured(7.4, "bytes", "a counter's State of wider slices in a chunk (sorted, zstd)", AGENT)
    memory_factor: float = _measured(1.12, "", "the engine's memory for each byte of chunks", LADDER)
    frame_entry: float = _measured(26.2, "bytes", "of a frame, for each tab in it", LADDER)
    frame_value: float = _measured(8.0, "bytes", "of a frame, for each value", "the format")
    server_most: float = _measured(1.2, "cores", "a server takes before a second is not held", LADDER)
    engine_most: float = _measured(0.7, "cores", "a master may use of its one", CHOSEN)
    master_memory: float = _measured(32.0, "GB", "of States in a master (a machine of 64 GB: rewriting copies)", CHOSEN)
    master_network: float = _measured(100.0, "MB/s", "to a master (a gigabit)", CHOSEN)
    master_disk: float = _measured(150.0, "MB/s", "to a master's disk", CHOSEN)


@dataclass(frozen=True, slots=True)
class Load:
    """Events a second over series, of clients that record to TABS tabs each."""

    rate: float
    series: float
    values: float = 1
    """Of each tab in a frame, at least."""

    @property
    def tabs(self) -> float:
        """Tabs; the fleet's series."""
        return TABS

    @property
    def clients(self) -> float:
        """Clients."""
        return self.series / self.tabs

    @property
    def frames(self) -> float:
        """Frames a second."""
        return self.clients * FLUSHES

    @property
    def entries(self) -> float:
        """Tabs in frames, a second: each becomes a State, which is written."""
        return self.frames * min(self.rate / self.frames / self.values, self.tabs)


# ---- processors


def server_costs(measured: Measured) -> tuple[float, float, float]:
    """Processor seconds for a frame, for a State and for an event; three loads were measured, so three are known.

    base   = frames F + S + E                  a State and a frame's share for each event
    tabs   = frames F / 4 + S + E              a quarter of the frames for each event
    values = (frames F + S) / 10 + E           a tenth of frames and States for each event
    """
    frame, rest = _parts(measured.server_base, measured.server_tabs, measured)
    of_events = (measured.server_values - measured.server_base / 10) / 0.9
    return frame / 1e6, (rest - of_events) / 1e6, of_events / 1e6


def _parts(base: float, tabs: float, measured: Measured) -> tuple[float, float]:
    """Of what is measured for each event: the part for a frame, and that for a State."""
    of_frames = (base - tabs) / (1 - 1 / MORE_TABS)
    return of_frames * measured.rate / measured.frames, base - of_frames


def engine_costs(measured: Measured) -> tuple[float, float]:
    """Processor seconds for a frame, whose receipts are written to every shard, and for a State."""
    frame, state = _parts(measured.engine_base, measured.engine_tabs, measured)
    return frame / 1e6, state / 1e6


def received(load: Load, measured: Measured) -> float:
    """Bytes a second to all masters together."""
    frame, state = _parts(measured.received_base, measured.received_tabs, measured)
    return load.frames * frame + load.entries * state


def server_cores(load: Load, measured: Measured) -> float:
    """Of all servers together."""
    frame, state, event = server_costs(measured)
    return load.frames * frame + load.entries * state + load.rate * event


def engine_cores(load: Load, measured: Measured) -> float:
    """Of all masters together."""
    frame, state = engine_costs(measured)
    return load.frames * frame + load.entries * state


def agent_cores(load: Load, measured: Measured) -> float:
    """Of all agents together, on the clients' own machines."""
    return load.frames * measured.agent_frame / 1e3


# ---- memory, network, disk


@dataclass(frozen=True, slots=True)
class TierSize:
    """What lies in one tier once it is full."""

    view: str
    name: str
    slices: float
    states: float
    bytes: float


def tier_sizes(load: Load, measured: Measured, tiers: Tiers | None = None) -> list[TierSize]:
    """Each tier of each view. A slice has a State for each series that had an event in it."""
    tiers = tiers or Tiers()
    found = []
    for view, texts, series in (("clients", tiers.clients, load.series), ("fleet", tiers.fleet, load.tabs)):
        steps: Ladder = ladder(texts)
        younger = 0
        for text, tier in zip(texts, steps, strict=True):
            # States stay half a block longer than the tier says, on average; the younger ones are in the tiers before.
            slices = (tier.keep + tier.block / 2 - younger) / tier.width
            younger = tier.keep
            states = slices * min(series, load.rate * tier.width)
            each = measured.fine_state if tier.width == 1 else measured.wide_state
            found.append(TierSize(view, text, slices, states, states * each * measured.memory_factor))
    return found


def engine_memory(load: Load, measured: Measured) -> float:
    """Bytes of all masters together, all tiers full."""
    return sum(tier.bytes for tier in tier_sizes(load, measured))


# ---- how many


@dataclass(frozen=True, slots=True)
class Size:
    """What a load needs."""

    load: Load
    servers: int
    server_cores: float
    masters: int
    engine_cores: float
    memory: float
    received: float
    sent: float
    written: float
    agent_cores: float
    frames: float
    """Bytes of frames a second, as they leave the clients."""
    first: str
    """What one server and one master run out of first, and how many times over."""
    shards: int

    @property
    def chunk(self) -> float:
        """States in the chunk that a batch of one server writes to one shard."""
        return self.load.entries / self.servers / BATCHES / self.shards


def size(load: Load, measured: Measured) -> Size:
    """All of it."""
    servers = max(math.ceil(server_cores(load, measured) / measured.server_most), 1)
    wants = {
        "engine's processor": engine_cores(load, measured) / measured.engine_most,
        "engine's memory": engine_memory(load, measured) / measured.master_memory / 1e9,
        "engine's network": received(load, measured) / measured.master_network / 1e6,
        "engine's disk": load.entries * measured.engine_written / measured.master_disk / 1e6,
    }
    masters = max(math.ceil(max(wants.values())), 1)
    everything = {"server's processor": server_cores(load, measured) / measured.server_most, **wants}
    first = max(everything, key=lambda name: everything[name])
    return Size(
        load=load,
        servers=servers,
        server_cores=server_cores(load, measured),
        masters=masters,
        engine_cores=engine_cores(load, measured),
        memory=engine_memory(load, measured),
        received=received(load, measured),
        sent=load.entries * measured.engine_sent,
        written=load.entries * measured.engine_written,
        agent_cores=agent_cores(load, measured),
        frames=load.entries * measured.frame_entry + load.rate * measured.frame_value,
        first=f"{first} ({everything[first]:.1f})",
        shards=shards_for(load, masters),
    )


def shards_for(load: Load, masters: int) -> int:
    """A power of two: some for each master, so that they are spread evenly, and no shard too large to compact."""
    wanted = max(8, masters * SHARDS_PER_MASTER, load.entries * SETTLE_SECONDS / SETTLE_ROWS)
    return 2 ** math.ceil(math.log2(wanted))
