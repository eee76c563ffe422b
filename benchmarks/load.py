"""The blog's load, the whole way: 10,000,000 events a minute of 300 clients and 10,000 tabs.

    python -m benchmarks load [--store sqlite|redis|cluster|valkey] [--servers 1] [--agents 0] [--seconds 60]

Each part is a process of its own: the simulated clients, the agents, the servers, the engine, and this one, which
looks on. In the first half of the time the load is alone (besides a probe, which posts an event and asks for it twice
a second); in the second half queries are asked beside it, and after it the same queries of the server at rest. Then
the rate goes up by steps, each on new parts, until events take more than a second to show or posts fall behind.

Clients are spread over the agents, or over the servers where there are none. Of several servers the last one is asked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from benchmarks import RESULTS
from benchmarks.load_clients import MIXED, Plan
from benchmarks.load_report import STEP_COLUMNS, main_table, step_row, table, write_measured
from benchmarks.load_run import Run, run_load
from benchmarks.load_server import STORES, Shape

RATE = 10_000_000 / 60
LADDER_SECONDS = 20
MORE_TABS = (2, 3, 4, 6, 8)
MORE_VALUES = (2, 5, 10, 15, 20, 30)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it all, write the tables to results/load[-STORE][-agent].md and print them."""
    options = _options([word for word in sys.argv[1:] if word != "load"] if arguments is None else arguments)
    plan = Plan(options.rate, options.seconds, kinds=MIXED if options.mixed else ("counter",))
    shape = Shape(options.store, options.fsync, options.servers, options.agents, options.shards)
    name = options.name or _name(shape)
    run = run_load(plan, shape, queries=options.queries)
    parts, steps = [main_table(run)], []
    print(parts[0], flush=True)
    _write(name, parts, run, steps)
    if options.ladder:
        ladders = [("More tabs in each frame (each event touches another State)", MORE_TABS, False)]
        ladders.append(("More values of each tab in a frame (as many States)", MORE_VALUES, True))
        for title, factors, values in ladders:
            parts.append(_ladder(title, plan, shape, factors, values, steps))
            _write(name, parts, run, steps)


def _name(shape: Shape) -> str:
    store = "" if shape.store == "sqlite" else f"-{shape.store}"
    fsync = f"-{shape.fsync}" if shape.fsync else ""
    servers = f"-servers-{shape.servers}" if shape.servers > 1 else ""
    agents = {0: "", 1: "-agent"}.get(shape.agents, f"-agents-{shape.agents}")
    return f"load{store}{fsync}{servers}{agents}"


def _write(name: str, parts: Sequence[str], run: Run, steps: Sequence[Run]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text("\n".join(parts), encoding="utf-8")
    write_measured(run, steps, RESULTS / f"{name}.json")


def _ladder(title: str, plan: Plan, shape: Shape, factors: Sequence[int], values: bool, steps: list[Run]) -> str:
    """Loads of `factors` times the rate until one is not held, as a table; each is added to `steps`."""
    rows: list[list[str]] = []
    print(f"## {title}\n", flush=True)
    for factor in factors:
        step = replace(plan, rate=plan.rate * factor, seconds=LADDER_SECONDS, values=factor if values else 1)
        run = run_load(step, shape, queries=False)
        steps.append(run)
        rows.append([f"×{factor}", *step_row(run)])
        print(table(STEP_COLUMNS, rows).splitlines()[-1], flush=True)
        if not run.held:
            break
    return f"## {title}\n\n{table(STEP_COLUMNS, rows)}\n"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks load", description="The blog's load, the whole way.")
    parser.add_argument("--store", choices=STORES, default="sqlite", help="where States are kept (sqlite)")
    parser.add_argument("--fsync", choices=("always", "everysec", "no"), default="", help="an engine's appendfsync")
    parser.add_argument("--servers", type=int, default=1, help="servers on the one store (1)")
    parser.add_argument("--agents", type=int, default=0, help="agents between clients and servers (0)")
    parser.add_argument("--agent", dest="agents", action="store_const", const=1, help="the same as --agents 1")
    parser.add_argument("--shards", type=int, default=8, help="shards of the store (8)")
    parser.add_argument("--seconds", type=int, default=60, help="how long, 10 or more (60)")
    parser.add_argument("--rate", type=float, default=RATE, help="events a second (10,000,000 a minute)")
    parser.add_argument("--mixed", action="store_true", help="80 %% counters, 15 %% percentiles, 5 %% gauges")
    parser.add_argument("--no-queries", dest="queries", action="store_false", help="no queries in the second half")
    parser.add_argument("--no-ladder", dest="ladder", action="store_false", help="do not raise the rate afterwards")
    parser.add_argument("--name", default="", help="the result's file name, in place of load-STORE-…")
    found = parser.parse_args(arguments)
    if found.seconds < 10:
        parser.error("--seconds must be 10 or more: the first 5 are told apart")
    if found.fsync and found.store == "sqlite":
        parser.error("--fsync is for an engine: name one with --store")
    return found


if __name__ == "__main__":
    main()
