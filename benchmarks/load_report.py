"""What a load showed, as Markdown for people and as JSON for the model of `scale`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.load_probe import QUERIES, percentile
from benchmarks.load_run import CLIENTS, WARM_SECONDS, Run, Use

STEP_COLUMNS = [
    "rate",
    "events/s",
    "held",
    "lag p50 / p99 s",
    "post p50 / p99 ms",
    "behind s",
    "cores by part",
    "path's CPU s per 1M",
    "clients cores",
    "others' cores",
    "path's peak MB",
    "lost / doubled",
]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main_table(run: Run) -> str:
    """The whole of one load."""
    plan = run.plan
    kinds = "80 % counters, 15 % percentiles, 5 % gauges" if len(plan.kinds) > 1 else "counters"
    parts = [
        f"# The blog's load on {run.shape.described()}",
        f"{plan.rate:,.0f} events a second for {plan.seconds} s from {plan.clients} clients over {plan.tabs:,} tabs "
        f"({kinds}), {plan.clients * 4:,} frames a second; {run.shape.shards} shards; {os.cpu_count()} cores, polars "
        f"{version('polars')}{f', {run.engine_version}' if run.engine else ''}.",
        table(["what", "seen"], _seen(run)),
        "## By process",
        *(_by_process(run, f"{title}, over {use.seconds:.0f} s:", use) for title, use in _uses(run)),
        *_engine(run),
        *(["## Queries", _queries(run)] if run.loaded else []),
        "## The store at the end",
        table(
            ["view", "slices", "chunks", "States", "bytes per State"],
            [
                [one.view, f"{one.width} s", str(one.chunks), f"{one.states:,}", f"{one.bytes / one.states:.1f}"]
                for one in run.store.views
            ],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _seen(run: Run) -> list[list[str]]:
    sent, million = run.sent, sum(run.sent.events.values()) / 1e6
    return [
        ["held", _held(run)],
        ["events posted; lost; counted twice", f"{million * 1e6:,.0f}; {run.truth.lost}; {run.truth.doubled}"],
        ["event to visible, p50 / p99 / max (n)", f"{_spread(run.lags)} s ({len(run.lags)})"],
        *([["the same before queries were asked", f"{_spread(run.quiet_lags)} s"]] if run.beside else []),
        [f"the same in the first {WARM_SECONDS} s, when all tabs are new", f"{_spread(run.first_lags)} s"],
        ["post, due to answered, p50 / p99 / max (n)", f"{_spread(sent.latencies, 1000)} ms ({len(sent.latencies):,})"],
        ["last answer after the last flush", f"{sent.behind:.2f} s"],
        *([["agents empty after the last answer", f"{run.drained:.1f} s"]] if run.shape.agents else []),
        ["posts refused and repeated; with rejected events", f"{dict(sent.refused) or 0}; {sent.rejected}"],
        *(["the path without the simulated clients, " + title, _used(use)] for title, use in _uses(run)),
        ["the path, after the load", f"{run.rest:.1f} CPU s"],
        ["frames", f"{sent.bytes / million / 1e6:.1f} bytes per event"],
        *_sizes(run),
    ]


def _sizes(run: Run) -> list[list[str]]:
    store = run.store
    rows = [["store", f"{store.chunks} chunks, {store.states:,} States, {store.body_bytes / 1e6:,.0f} MB of bodies"]]
    if store.states and run.engine and run.empty:
        held = run.engine.memory - run.empty.memory
        rows.append(
            [
                "bytes per State",
                f"{store.body_bytes / store.states:.1f} in chunks, {held / store.states:.1f} in the engine's memory "
                f"(used_memory), {run.engine.aof / store.states:.1f} in the append-only file",
            ]
        )
    elif store.states:
        rows.append(
            [
                "bytes per State",
                f"{store.body_bytes / store.states:.1f} in chunks, {store.file_bytes / store.states:.1f} in files",
            ]
        )
    return rows


def _uses(run: Run) -> list[tuple[str, Use]]:
    return [("the load alone", run.alone), *([("with the queries", run.beside)] if run.beside else [])]


def _used(use: Use) -> str:
    return (
        f"{use.path / use.seconds:.2f} cores ({use.share:.0%} of two), {use.per_million:.2f} CPU s per million "
        f"events, over {use.seconds:.0f} s; other processes {use.others / use.seconds:.2f} cores"
    )


def _by_process(run: Run, title: str, use: Use) -> str:
    counts = {"agents": run.shape.agents, "servers": run.shape.servers}
    rows = [
        [
            f"{part} ({counts[part]})" if counts.get(part, 1) > 1 else part,
            f"{used / use.events * 1e6:.2f}",
            f"{used / use.seconds:.3f}",
            f"{used / use.seconds / 2:.1%}",
            f"{run.memory[part] / 1e6:,.0f}" if part in run.memory else "",
            f"{use.written[part] / use.seconds / 1e6:.2f}" if part in use.written else "",
        ]
        for part, used in use.processor.items()
    ]
    memory = f"{sum(run.memory.values()) / 1e6:,.0f}"
    all_in_all = [f"{use.per_million:.2f}", f"{use.path / use.seconds:.3f}", f"{use.share:.1%}", memory, ""]
    rows.append([f"all but the {CLIENTS}", *all_in_all])
    columns = ["process", "CPU s per million events", "cores", "of two cores", "peak memory, MB", "written, MB/s"]
    return f"{title}\n\n{table(columns, rows)}"


def _engine(run: Run) -> list[str]:
    if run.engine is None or run.empty is None:
        return []
    uses, end = _uses(run), run.engine
    rows = [
        ["writes a second (calls of functions)", *(f"{use.functions / use.seconds:,.0f}" for _, use in uses)],
        ["commands a second, those inside functions too", *(f"{use.commands / use.seconds:,.0f}" for _, use in uses)],
        ["MB a second to it", *(f"{use.received / use.seconds / 1e6:.2f}" for _, use in uses)],
        ["MB a second from it", *(f"{use.sent / use.seconds / 1e6:.2f}" for _, use in uses)],
    ]
    return [
        "## The engine",
        table([run.engine_version, *(title for title, _ in uses)], rows),
        f"At the end: used_memory {end.memory / 1e6:,.1f} MB ({run.empty.memory / 1e6:,.1f} MB before the load; peak "
        f"{end.memory_peak / 1e6:,.1f} MB), append-only file {end.aof / 1e6:,.1f} MB, rewritten {end.rewrites} times. "
        "What a rewrite writes is its child's, and not among the megabytes written above.",
    ]


def _queries(run: Run) -> str:
    both = [timings for timings in (run.loaded, run.idle) if timings is not None]
    columns = ["query", "under load: n", "p50 ms", "p99 ms", "max ms", "at rest: n", "p50 ms", "p99 ms", "max ms"]
    return table(columns, [[name, *(cell for timings in both for cell in timings.row(name))] for name in QUERIES])


def _held(run: Run) -> str:
    return "yes" if run.held else f"no {run.failure}".strip()


def _spread(values: Sequence[float], scale: float = 1.0) -> str:
    digits = 2 if scale == 1.0 else 0
    return " / ".join(f"{percentile(values, share) * scale:.{digits}f}" for share in (0.5, 0.99, 1))


def step_row(run: Run) -> list[str]:
    """One step of a ladder; the columns are STEP_COLUMNS but the first."""
    sent, lags, use = run.sent, run.lags, run.alone
    parts = [f"{part} {used / use.seconds:.2f}" for part, used in use.processor.items() if part != CLIENTS]
    return [
        f"{run.plan.rate:,.0f}",
        _held(run),
        f"{percentile(lags, 0.5):.2f} / {percentile(lags, 0.99):.2f}",
        f"{percentile(sent.latencies, 0.5) * 1000:.0f} / {percentile(sent.latencies, 0.99) * 1000:.0f}",
        f"{sent.behind:.1f}",
        ", ".join(parts),
        f"{use.per_million:.2f}",
        f"{use.processor[CLIENTS] / use.seconds:.2f}",
        f"{use.others / use.seconds:.2f}",
        f"{sum(run.memory.values()) / 1e6:,.0f}",
        f"{run.truth.lost} / {run.truth.doubled}",
    ]


def write_measured(run: Run, steps: Sequence[Run], path: Path) -> None:
    """A load and the steps of its ladders as JSON, which the model of `scale` is made from and compared with."""
    found = measured(run) | {"steps": [measured(step) for step in steps]}
    path.write_text(json.dumps(found, indent=1) + "\n")


def measured(run: Run) -> dict[str, Any]:
    """A load in numbers."""
    use = run.alone
    return {
        "store": run.shape.store,
        "servers": run.shape.servers,
        "agents": run.shape.agents,
        "shards": run.shape.shards,
        "clients": run.plan.clients,
        "tabs": run.plan.tabs,
        "values": run.plan.values,
        "events_per_second": run.plan.rate,
        "seconds": run.plan.seconds,
        "held": run.held,
        "cpu_seconds_per_million": {part: used / use.events * 1e6 for part, used in use.processor.items()},
        "lag_p99": run.lag,
        "quiet_lag_p99": percentile(run.quiet_lags, 0.99),
        "functions_per_second": use.functions / use.seconds,
        "commands_per_second": use.commands / use.seconds,
        "engine_received_per_second": use.received / use.seconds,
        "engine_sent_per_second": use.sent / use.seconds,
        "engine_memory": run.engine.memory - run.empty.memory if run.engine and run.empty else 0,
        "aof_bytes": run.engine.aof if run.engine else 0,
        "written_per_second": {part: size / use.seconds for part, size in use.written.items()},
        "peak_memory": dict(run.memory),
        "frame_bytes_per_event": run.sent.bytes / sum(run.sent.events.values()),
        "views": [
            {"view": one.view, "width": one.width, "chunks": one.chunks, "states": one.states, "bytes": one.bytes}
            for one in run.store.views
        ],
    }
