"""The tables of docs/scale.md, which the model in `scale_model` says, and how that fits the loads that were measured.

python -m benchmarks scale              print the tables of docs/scale.md, and how the model fits measured loads
python -m benchmarks scale --inputs     what `Measured` is to hold, by the results of a load on an engine
python -m benchmarks scale --write      put the tables in their places on that page
python -m benchmarks scale --check      fail where the page has other tables, or a measured load does not fit
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, table
from benchmarks.scale_model import (
    FLUSHES,
    MORE_TABS,
    Load,
    Measured,
    Size,
    agent_cores,
    engine_cores,
    engine_costs,
    received,
    server_cores,
    server_costs,
    size,
    tier_sizes,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scale.md"
RATES = (10e6, 100e6, 1e9)
"""Events a minute."""
SERIES = (0.1e6, 3e6, 10e6)
SOURCE = "load-redis"
"""The load whose results, as JSON, the inputs are taken from, and its ladders' steps compared with."""
TOLERANCE = 0.35
"""How far the model may be from a measured load: timings on a shared machine differ by a third from day to day."""
SMALL = 0.05
"""A difference that nobody plans by: a twentieth of a core."""


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
    of_frame, of_state = engine_costs(measured)
    per_million = measured.agent_frame * 1e3 * measured.frames / measured.rate
    rows = [
        ["agent, for a frame", f"{measured.agent_frame * 1e3:,.0f}", f"{per_million:.2f}"],
        ["server, for a frame", f"{frame * 1e6:,.0f}", f"{frame * 1e6 * measured.frames / measured.rate:.2f}"],
        ["server, for a State", f"{state * 1e6:.2f}", f"{state * 1e6:.2f}"],
        ["server, for an event", f"{event * 1e6:.2f}", f"{event * 1e6:.2f}"],
        ["engine, for a frame", f"{of_frame * 1e6:,.0f}", f"{of_frame * 1e6 * measured.frames / measured.rate:.2f}"],
        ["engine, for a State", f"{of_state * 1e6:.2f}", f"{of_state * 1e6:.2f}"],
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
    yield "to the engine, MB/s", received(load, measured) / 1e6, found["engine_received_per_second"] / 1e6
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
            if abs(error) > TOLERANCE and abs(model - seen) > SMALL:
                off.append(f"{name}: {what}: {model:.2f} by the model, {seen:.2f} as measured")
    return (
        table(["load", "model", "measured", "error"], rows) if rows else f"{path.name} has no load that was held."
    ), off


def inputs_from(found: Mapping[str, Any]) -> dict[str, float]:
    """The inputs that a measured load on an engine, with its ladders, gives; to be put into `Measured`."""
    steps = {
        (round(one["events_per_second"] / found["events_per_second"]), one["values"]): one
        for one in found["steps"]
        if one["held"]
    }
    cpu, states = found["cpu_seconds_per_million"], found["events_per_second"]
    frames = found["clients"] * FLUSHES
    fine = [view for view in found["views"] if view["width"] == 1]
    wide = [view for view in found["views"] if view["width"] > 1]
    known = {
        "rate": states,
        "frames": frames,
        "server_base": cpu["servers"],
        "engine_base": cpu["engine"],
        "received_base": found["engine_received_per_second"] / states,
        "engine_sent": found["engine_sent_per_second"] / states,
        "engine_written": found["written_per_second"]["engine"] / states,
        "writes": found["functions_per_second"] / found["shards"] / found["servers"],
        "memory_factor": found["engine_memory"] / sum(view["bytes"] for view in found["views"]),
        "fine_state": sum(view["bytes"] for view in fine) / sum(view["states"] for view in fine),
        "frame_entry": found["frame_bytes_per_event"] - 8,
    }
    if more := steps.get((MORE_TABS, 1)):
        known["server_tabs"] = more["cpu_seconds_per_million"]["servers"]
        known["engine_tabs"] = more["cpu_seconds_per_million"]["engine"]
        known["received_tabs"] = more["engine_received_per_second"] / more["events_per_second"]
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
    how.add_argument(
        "--inputs", nargs="?", const=SOURCE, metavar="LOAD", help=f"print the inputs that a load gives ({SOURCE})"
    )
    options = parser.parse_args()
    measured = Measured()
    if options.inputs:
        for name, value in inputs_from(json.loads((RESULTS / f"{options.inputs}.json").read_text())).items():
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
