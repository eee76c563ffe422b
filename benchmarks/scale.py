"""The model of a load: from what was measured to servers, engines, memory, network and disk at other sizes.

    python -m benchmarks scale              print the tables of docs/scale.md, and how the model fits measured loads
    python -m benchmarks scale --write      put the tables in their places on that page
    python -m benchmarks scale --inputs     what `Measured` is to hold, by the results of the load on Redis
    python -m benchmarks scale --check      fail where the page has other tables, or a measured load does not fit

Everything measured or chosen stands in `Measured`, here alone: put new figures there, then run with --write. All other
functions are pure. The load is the blog's: each client records to all tabs in turns, so that events are spread evenly
over all series (pairs of tab and client), which is the worst case: every event touches another State.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, table
from taba.settings import Tiers
from taba.states.tiers import Ladder, ladder

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scale.md"
SOURCE = "load-redis"
"""The load whose results, as JSON, the inputs are taken from, and its ladders' steps compared with."""
TOLERANCE = 0.35
"""How far the model may be from a measured load: timings on a shared machine differ by a third from day to day."""
FLUSHES = 4
"""Frames of each client a second."""
BATCHES = 10
"""Of each server a second: it gathers for 0.1 s."""
TABS = 10_000
RATES = (10e6, 100e6, 1e9)
"""Events a minute."""
SERIES = (0.1e6, 3e6, 10e6)
SETTLE_SECONDS = 10
SETTLE_ROWS = 1_000_000
"""States that one compaction of a shard should have at most: some 0.6 CPU s."""
SHARDS_PER_MASTER = 8


def _measured(value: float, unit: str, meaning: str, source: str) -> Any:
    return dataclasses.field(default=value, metadata={"unit": unit, "meaning": meaning, "source": source})


LADDER = "`results/load.md` (SQLite)"
SHORT = "a short run with `--store redis`, preliminary"
CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class Measured:
    """The inputs. Each is either measured, with the place, or chosen by who plans."""

    rate: float = _measured(166_667, "events/s", "the load that was measured: 3,000,000 series", LADDER)
    frames: float = _measured(1200, "frames/s", "the same, as frames of 300 clients", LADDER)
    server_base: float = _measured(5.00, "CPU s per million events", "server, a State for each event", LADDER)
    server_tabs: float = _measured(2.94, "CPU s per million events", "server, twice the tabs in each frame", LADDER)
    server_values: float = _measured(0.65, "CPU s per million events", "server, ten values of each tab", LADDER)
    agent_frame: float = _measured(0.41, "CPU ms", "an agent, for each frame (4 agents, 75 clients each)", SHORT)
    engine_state: float = _measured(0.83, "CPU s per million", "engine, for States written", SHORT)
    engine_received: float = _measured(36.3, "bytes", "to the engine for each State, compaction too", SHORT)
    engine_sent: float = _measured(3.6, "bytes", "from the engine for each State (one server)", SHORT)
    engine_written: float = _measured(72.5, "bytes", "to the engine's disk for each State, everysec", SHORT)
    writes: float = _measured(9.5, "calls/s", "writes to each shard, of each server", SHORT)
    fine_state: float = _measured(19.8, "bytes", "a counter's State of one second in a chunk (lz4)", SHORT)
    wide_state: float = _measured(
        9.0, "bytes", "a counter's State of wider slices in a chunk (sorted, zstd)", "`chunks.make`"
    )
    memory_factor: float = _measured(1.10, "", "the engine's memory for each byte of chunks", SHORT)
    frame_entry: float = _measured(26.2, "bytes", "of a frame, for each tab in it", LADDER)
    frame_value: float = _measured(8.0, "bytes", "of a frame, for each value", "the format")
    server_most: float = _measured(1.0, "cores", "a server takes before a second is not held", LADDER)
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
    tabs   = frames F / 2 + S + E              half the frames for each event
    values = (frames F + S) / 10 + E           a tenth of frames and States for each event
    """
    of_frames = 2 * (measured.server_base - measured.server_tabs)
    of_events = (measured.server_values - measured.server_base / 10) / 0.9
    of_states = measured.server_base - of_frames - of_events
    return of_frames * measured.rate / measured.frames / 1e6, of_states / 1e6, of_events / 1e6


def server_cores(load: Load, measured: Measured) -> float:
    """Of all servers together."""
    frame, state, event = server_costs(measured)
    return load.frames * frame + load.entries * state + load.rate * event


def engine_cores(load: Load, measured: Measured) -> float:
    """Of all masters together."""
    return load.entries * measured.engine_state / 1e6


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
        "engine's network": load.entries * measured.engine_received / measured.master_network / 1e6,
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
        received=load.entries * measured.engine_received,
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


# ---- tables


def tables(measured: Measured) -> dict[str, str]:
    """The tables of the page, by name."""
    sizes = [size(Load(rate / 60, series), measured) for rate in RATES for series in SERIES]
    return {
        "inputs": _inputs(measured),
        "costs": _costs(measured),
        "tiers": _tiers(Load(RATES[0] / 60, SERIES[1]), measured),
        "processors": table(
            [
                "events a minute, series",
                "clients",
                "States/s",
                "server cores",
                "servers",
                "engine cores",
                "masters",
                "agents' cores",
                "first at its end (times over)",
            ],
            [
                [
                    _name(one),
                    f"{one.load.clients:,.0f}",
                    f"{one.load.entries:,.0f}",
                    f"{one.server_cores:.1f}",
                    str(one.servers),
                    f"{one.engine_cores:.2f}",
                    str(one.masters),
                    f"{one.agent_cores:.2f}",
                    one.first,
                ]
                for one in sizes
            ],
        ),
        "bytes": table(
            [
                "events a minute, series",
                "engine's memory, GB",
                "frames, MB/s",
                "to the engine, MB/s",
                "from it, MB/s",
                "its disk, MB/s",
            ],
            [
                [
                    _name(one),
                    f"{one.memory / 1e9:.1f}",
                    *(f"{value / 1e6:.1f}" for value in (one.frames, one.received, one.sent, one.written)),
                ]
                for one in sizes
            ],
        ),
        "shards": table(
            [
                "events a minute, series",
                "servers",
                "masters",
                "shards",
                "States in a chunk as written",
                "writes/s to each master",
            ],
            [
                [
                    _name(one),
                    str(one.servers),
                    str(one.masters),
                    str(one.shards),
                    f"{one.chunk:,.0f}",
                    f"{measured.writes * one.shards * one.servers / one.masters:,.0f}",
                ]
                for one in sizes
            ],
        ),
    }


def _name(one: Size) -> str:
    minute = one.load.rate * 60
    rate = f"{minute / 1e9:.0f} G" if minute >= 1e9 else f"{minute / 1e6:.0f} M"
    return f"{rate}, {one.load.series / 1e6:g} M"


def _inputs(measured: Measured) -> str:
    rows = [
        [
            one.metadata["meaning"],
            f"{getattr(measured, one.name):,g} {one.metadata['unit']}".strip(),
            one.metadata["source"],
        ]
        for one in dataclasses.fields(measured)
    ]
    return table(["input", "value", "from"], rows)


def _costs(measured: Measured) -> str:
    frame, state, event = server_costs(measured)
    per_million = measured.agent_frame * 1e3 * measured.frames / measured.rate
    rows = [
        ["agent, for a frame", f"{measured.agent_frame * 1e3:,.0f}", f"{per_million:.2f}"],
        ["server, for a frame", f"{frame * 1e6:,.0f}", f"{frame * 1e6 * measured.frames / measured.rate:.2f}"],
        ["server, for a State", f"{state * 1e6:.2f}", f"{state * 1e6:.2f}"],
        ["server, for an event", f"{event * 1e6:.2f}", f"{event * 1e6:.2f}"],
        ["engine, for a State", f"{measured.engine_state:.2f}", f"{measured.engine_state:.2f}"],
    ]
    return table(["hop", "CPU µs", "CPU s per million events of the load that was measured"], rows)


def _tiers(load: Load, measured: Measured) -> str:
    found = tier_sizes(load, measured)
    rows = [
        [f"{one.view}, {one.name}", f"{one.slices:,.0f}", f"{one.states / 1e6:,.1f}", f"{one.bytes / 1e9:.2f}"]
        for one in found
    ]
    rows.append(
        ["all", "", f"{sum(one.states for one in found) / 1e6:,.1f}", f"{sum(one.bytes for one in found) / 1e9:.2f}"]
    )
    return table(["tier", "slices", "million States", "GB in the engine"], rows)


# ---- measured loads


def fits(found: Mapping[str, Any], measured: Measured) -> Iterator[tuple[str, float, float]]:
    """(what, by the model, as measured) for a load's results as JSON."""
    load = Load(found["events_per_second"], found["tabs"] * found["clients"], found["values"])
    cores = {part: used * load.rate / 1e6 for part, used in found["cpu_seconds_per_million"].items()}
    yield "server cores", server_cores(load, measured), cores["servers"]
    if "agents" in cores:
        yield "agents' cores", agent_cores(load, measured), cores["agents"]
    frames = load.entries * measured.frame_entry + load.rate * measured.frame_value
    yield "frames, MB/s", frames / 1e6, found["frame_bytes_per_event"] * load.rate / 1e6
    if "engine" not in cores:
        return
    yield "engine cores", engine_cores(load, measured), cores["engine"]
    yield (
        "to the engine, MB/s",
        load.entries * measured.engine_received / 1e6,
        found["engine_received_per_second"] / 1e6,
    )
    written = found["written_per_second"]["engine"] / 1e6
    yield "its disk, MB/s", load.entries * measured.engine_written / 1e6, written
    fine = sum(view["states"] for view in found["views"] if view["width"] == 1)
    wide = sum(view["states"] for view in found["views"] if view["width"] > 1)
    memory = (fine * measured.fine_state + wide * measured.wide_state) * measured.memory_factor
    yield "engine's memory for its States, MB", memory / 1e6, found["engine_memory"] / 1e6


def compared(measured: Measured) -> tuple[str, list[str]]:
    """How the model fits the measured loads, as a table; and what is off by more than the tolerance.

    Two steps of the ladders are inputs themselves; all others are not.
    """
    path = RESULTS / f"{SOURCE}.json"
    if not path.exists():
        return f"There is no {path.name} in results/.", []
    main_load = json.loads(path.read_text())
    rows, off = [], []
    for found in (main_load, *main_load["steps"]):
        if not found["held"]:
            continue
        name = f"{found['events_per_second']:,.0f} events/s, {found['values']} of a tab"
        for what, model, seen in fits(found, measured):
            error = model / seen - 1 if seen else 0.0
            rows.append([f"{name}: {what}", f"{model:.2f}", f"{seen:.2f}", f"{error:+.0%}"])
            if abs(error) > TOLERANCE:
                off.append(f"{name}: {what}: {model:.2f} by the model, {seen:.2f} as measured")
    return table(["load", "model", "measured", "error"], rows), off


def inputs_from(found: Mapping[str, Any]) -> dict[str, float]:
    """The inputs that a measured load on an engine, with its ladders, gives; to be put into `Measured`."""
    steps = {
        (round(one["events_per_second"] / found["events_per_second"]), one["values"]): one for one in found["steps"]
    }
    cpu, states = found["cpu_seconds_per_million"], found["events_per_second"]
    frames = found["clients"] * FLUSHES
    fine = [view for view in found["views"] if view["width"] == 1]
    wide = [view for view in found["views"] if view["width"] > 1]
    known = {
        "rate": states,
        "frames": frames,
        "server_base": cpu["servers"],
        "engine_state": cpu["engine"],
        "engine_received": found["engine_received_per_second"] / states,
        "engine_sent": found["engine_sent_per_second"] / states,
        "engine_written": found["written_per_second"]["engine"] / states,
        "writes": found["functions_per_second"] / found["shards"] / found["servers"],
        "memory_factor": found["engine_memory"] / sum(view["bytes"] for view in found["views"]),
        "fine_state": sum(view["bytes"] for view in fine) / sum(view["states"] for view in fine),
        "frame_entry": found["frame_bytes_per_event"] - 8,
    }
    if (2, 1) in steps:
        known["server_tabs"] = steps[2, 1]["cpu_seconds_per_million"]["servers"]
    if (10, 10) in steps:
        known["server_values"] = steps[10, 10]["cpu_seconds_per_million"]["servers"]
    if "agents" in cpu:
        known["agent_frame"] = cpu["agents"] * states / frames / 1e3
    if wide:
        known["wide_state"] = sum(view["bytes"] for view in wide) / sum(view["states"] for view in wide)
    return known


def page(text: str, measured: Measured) -> str:
    """The page with the model's tables in their places."""
    for name, one in tables(measured).items():
        place = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = place.subn(lambda found, one=one: f"{found[1]}\n{one}\n\n{found[2]}", text)
        if count != 1:
            raise ValueError(f"{PAGE.name} has {count} places for the table {name!r}")
    return text


def main() -> None:
    """Print, write or check."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--write", action="store_true", help="put the tables on the page")
    how.add_argument("--check", action="store_true", help="fail where the page has others, or a measured load is off")
    how.add_argument("--inputs", action="store_true", help=f"print the inputs that results/{SOURCE}.json gives")
    options = parser.parse_args()
    measured = Measured()
    if options.inputs:
        for name, value in inputs_from(json.loads((RESULTS / f"{SOURCE}.json").read_text())).items():
            print(f"{name} = {value:.4g}    # now {getattr(measured, name):.4g}")
        return
    text = PAGE.read_text(encoding="utf-8")
    fit, off = compared(measured)
    if options.write:
        PAGE.write_text(page(text, measured), encoding="utf-8")
    elif options.check:
        if page(text, measured) != text:
            off.append("docs/scale.md has other tables than the model: run `python -m benchmarks scale --write`")
        if off:
            sys.exit("\n".join(off))
    else:
        for name, one in tables(measured).items():
            print(f"### {name}\n\n{one}\n")
        print(f"### the model and measured loads (may differ by {TOLERANCE:.0%})\n\n{fit}")


if __name__ == "__main__":
    main()
