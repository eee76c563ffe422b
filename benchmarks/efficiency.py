"""How far the whole way is from the limit: the same group-by in Polars, on events that are in memory already.

    python -m benchmarks efficiency [--seconds 60] [--store redis]

The limit is what a server's arithmetic alone would cost: events as columns of categories and numbers, grouped by tab,
client and second into count, sum, least and greatest. It is taken twice, for all of a second's events at once and for
batches of 0.1 s, as the server has them. Beside it, in the same run, the blog's load on a whole way.
"""

from __future__ import annotations

import argparse
import time
from array import array
from collections.abc import Sequence

import polars as pl

from benchmarks import machine, table, write
from benchmarks.load_clients import Plan
from benchmarks.load_run import CLIENTS, run_load
from benchmarks.load_server import STORES, Shape
from benchmarks.peers_feed import Feed

RATE = 10_000_000 / 60
MILLIONS = 2
ROUNDS = 5
GATHER_SECONDS = 0.1


def main() -> None:
    """Measure; write results/efficiency.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks efficiency")
    parser.add_argument("--seconds", type=int, default=60, help="of the load, 10 or more")
    parser.add_argument("--rate", type=float, default=RATE, help="events a second (10,000,000 a minute)")
    parser.add_argument("--store", choices=STORES, default="redis", help="where the way ends")
    options = parser.parse_args()
    events = _events(Plan(options.rate, max(round(MILLIONS * 1e6 / options.rate), 1)))
    at_once = _limit(events, max(round(options.rate), 1))
    batches = _limit(events, max(round(options.rate * GATHER_SECONDS), 1))
    run = run_load(Plan(options.rate, options.seconds), Shape(options.store), queries=False)
    use = run.alone
    parts = {part: used / use.events * 1e6 for part, used in use.processor.items() if part != CLIENTS}
    whole = sum(parts.values())
    rows = [
        ["Polars, a second's events at once", f"{at_once:.3f}", "1"],
        [f"Polars, batches of {GATHER_SECONDS} s", f"{batches:.3f}", f"{batches / at_once:.1f}"],
        *([f"the way: {part}", f"{one:.2f}", f"{one / at_once:.0f}"] for part, one in parts.items()),
        ["the whole way without the simulated clients", f"{whole:.2f}", f"{whole / at_once:.0f}"],
    ]
    text = [
        "# The whole way against the limit",
        f"`python -m benchmarks efficiency`: {options.rate:,.0f} events a second, nearly each of a (tab, client, "
        f"second) of its own; {run.shape.described()}, {options.seconds} s, held: {'yes' if run.held else 'no'}, lost "
        f"{run.truth.lost}, doubled {run.truth.doubled}; {machine()}. The limit is the best of {ROUNDS} rounds over "
        f"{events.height / 1e6:.1f} million events. The way also has HTTP, decoding, checks, what counts once, chunks, "
        "the store's disk, and compaction.",
        table(["what", "CPU s per million events", "ratio"], rows),
        f"**The whole way costs {whole / batches:.0f} times the same group-by in the same batches, and "
        f"{whole / at_once:.0f} times that of whole seconds.**",
    ]
    write("efficiency", "\n\n".join(text))


def _events(plan: Plan) -> pl.DataFrame:
    """The load's events, in the order in which they come."""
    tabs, clients, seconds = array("i"), array("i"), array("q")
    for moment, client, some in Feed(plan, by_client=True).flushes():
        tabs.extend(some)
        clients.extend([client] * len(some))
        seconds.extend([1_700_000_000 + int(moment)] * len(some))
    names = pl.Series([f"load.{tab:05d}" for tab in range(plan.tabs)], dtype=pl.Categorical)
    ids = pl.Series([f"web-{client:03d}" for client in range(plan.clients)], dtype=pl.Categorical)
    return pl.DataFrame(
        {
            "tab": names.gather(pl.Series(tabs)),
            "client": ids.gather(pl.Series(clients)),
            "second": pl.Series(seconds).cast(pl.UInt32),
            "value": pl.arange(0, len(tabs), eager=True).cast(pl.Float64) % 997,
        }
    )


def _limit(events: pl.DataFrame, rows: int) -> float:
    """Processor seconds for a million events, in batches of so many rows; the best of the rounds."""
    batches = [events.slice(first, rows) for first in range(0, events.height - rows + 1, rows)]
    measured = sum(batch.height for batch in batches)
    return min(_round(batches) for _ in range(ROUNDS)) / measured * 1e6


def _round(batches: Sequence[pl.DataFrame]) -> float:
    value = pl.col("value")
    measures = [pl.len().alias("count"), value.sum().alias("total"), value.min().alias("min"), value.max().alias("max")]
    used = time.process_time()
    for batch in batches:
        batch.group_by("tab", "client", "second").agg(measures)
    return time.process_time() - used


if __name__ == "__main__":
    main()
