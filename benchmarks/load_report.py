"""What a load showed, as Markdown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version

from benchmarks.load_probe import QUERIES, percentile
from benchmarks.load_run import WARM_SECONDS, Run, Use

STEP_COLUMNS = [
    "rate",
    "events/s",
    "held",
    "lag p50 / p99 s",
    "post p50 / p99 ms",
    "behind s",
    "server cores",
    "CPU s per 1M",
    "clients cores",
    "others' cores",
    "peak MB",
    "off by",
]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main_table(run: Run) -> str:
    """The whole of one load."""
    plan = run.plan
    kinds = "80 % counters, 15 % percentiles, 5 % gauges" if plan.mixed else "counters"
    parts = [
        "# The blog's load on one embedded server" + (", through an agent" if plan.agent else ""),
        f"{plan.rate:,.0f} events a second for {plan.seconds} s from {plan.clients} clients over {plan.tabs:,} tabs "
        f"({kinds}), {plan.clients * 4:,} frames a second; {os.cpu_count()} cores, polars {version('polars')}.",
        table(["what", "seen"], _seen(run)),
        "## Queries",
        table(
            ["query", "under load: n", "p50 ms", "p99 ms", "max ms", "at rest: n", "p50 ms", "p99 ms", "max ms"],
            [
                [
                    name,
                    *(cell for timings in (run.loaded, run.idle) if timings is not None for cell in timings.row(name)),
                ]
                for name in QUERIES
            ],
        ),
        "## The store at the end",
        table(
            ["view", "slices", "chunks", "States", "bytes per State"],
            [
                [view, f"{width} s", str(chunks), f"{states:,}", f"{size / states:.1f}"]
                for view, width, chunks, states, size in run.store.by_view
            ],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _seen(run: Run) -> list[list[str]]:
    sent, store, million = run.sent, run.store, sum(run.sent.events.values()) / 1e6
    return [
        ["held", "yes" if run.held else f"no {run.failure}"],
        ["events lost or counted twice", str(run.off_by)],
        ["event to visible, p50 / p99 / max (n)", f"{_spread(run.lags)} s ({len(run.lags)})"],
        [f"the same in the first {WARM_SECONDS} s, when all tabs are new", f"{_spread(run.first_lags)} s"],
        ["post, due to answered, p50 / p99 / max (n)", f"{_spread(sent.latencies, 1000)} ms ({len(sent.latencies):,})"],
        ["last answer after the last flush", f"{sent.behind:.2f} s"],
        ["posts refused and repeated; with rejected events", f"{dict(sent.refused) or 0}; {sent.rejected}"],
        ["server, the load alone", _use(run.alone)],
        *([["server, with the queries", _use(run.beside)]] if run.beside is not None else []),
        ["server, after the load", f"{run.rest:.1f} CPU s"],
        ["simulated clients", f"{sent.cpu / run.plan.seconds:.2f} cores, {sent.cpu / million:.2f} CPU s per million"],
        ["frames", f"{sent.bytes / million / 1e6:.1f} bytes per event"],
        ["server's peak memory", f"{run.memory / 1e6:,.0f} MB"],
        ["store", f"{store.chunks} chunks, {store.states:,} States, {store.file_bytes / 1e6:,.0f} MB in files"],
        [
            "bytes per State",
            f"{store.body_bytes / store.states:.1f} in chunks, {store.file_bytes / store.states:.1f} in files",
        ],
    ]


def _use(use: Use) -> str:
    return (
        f"{use.processor / use.seconds:.2f} cores ({use.share:.0%} of two), {use.per_million:.2f} CPU s per million "
        f"events, over {use.seconds:.0f} s; other processes {use.others / use.seconds:.2f} cores"
    )


def _spread(values: Sequence[float], scale: float = 1.0) -> str:
    digits = 2 if scale == 1.0 else 0
    return " / ".join(f"{percentile(values, share) * scale:.{digits}f}" for share in (0.5, 0.99, 1))


def step_row(run: Run) -> list[str]:
    """One step of a ladder; the columns are STEP_COLUMNS but the first."""
    sent, lags = run.sent, run.lags
    return [
        f"{run.plan.rate:,.0f}",
        "yes" if run.held else f"no {run.failure}",
        f"{percentile(lags, 0.5):.2f} / {percentile(lags, 0.99):.2f}",
        f"{percentile(sent.latencies, 0.5) * 1000:.0f} / {percentile(sent.latencies, 0.99) * 1000:.0f}",
        f"{sent.behind:.1f}",
        f"{run.alone.processor / run.alone.seconds:.2f}",
        f"{run.alone.per_million:.2f}",
        f"{sent.cpu / run.plan.seconds:.2f}",
        f"{run.alone.others / run.alone.seconds:.2f}",
        f"{run.memory / 1e6:,.0f}",
        str(run.off_by),
    ]
