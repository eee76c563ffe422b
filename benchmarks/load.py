"""The blog's load on the embedded server: 10,000,000 events a minute of 300 clients and 10,000 tabs.

    python -m benchmarks load [--seconds 60] [--rate 166667] [--mixed] [--agent] [--no-ladder]

Three processes: the server, the simulated clients, and this one, which looks on. In the first half of the time
the load is alone (besides a probe, which posts an event and asks for it twice a second); in the second half
queries are asked beside it, and after it the same queries of the server at rest. Then the rate goes up by
steps, on a new server each, until events take more than a second to show or posts fall behind.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.load_clients import Plan
from benchmarks.load_report import STEP_COLUMNS, main_table, step_row, table
from benchmarks.load_run import Run, run_load

RATE = 10_000_000 / 60
LADDER_SECONDS = 20
MORE_TABS = (2, 3, 4, 6, 8)
MORE_VALUES = (2, 5, 10, 15, 20, 30)
RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it all, write the tables to results/load.md (or load-agent.md) and print them."""
    options = _options([word for word in sys.argv[1:] if word != "load"] if arguments is None else arguments)
    plan = Plan(options.rate, options.seconds, mixed=options.mixed, agent=options.agent)
    parts = [main_table(run_load(plan, queries=True))]
    print(parts[0], flush=True)
    if options.ladder:
        parts.append(_ladder("More tabs in each frame (each event touches another State)", plan, MORE_TABS, False))
        parts.append(_ladder("More values of each tab in a frame (as many States)", plan, MORE_VALUES, True))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / ("load-agent.md" if plan.agent else "load.md")).write_text("\n".join(parts), encoding="utf-8")


def _ladder(title: str, plan: Plan, factors: Sequence[int], values: bool) -> str:
    """Loads of `factors` times the rate until one is not held, as a table."""
    rows: list[list[str]] = []
    print(f"## {title}\n", flush=True)
    for factor in factors:
        step = replace(plan, rate=plan.rate * factor, seconds=LADDER_SECONDS, values=factor if values else 1)
        run: Run = run_load(step, queries=False)
        rows.append([f"×{factor}", *step_row(run)])
        print(table(STEP_COLUMNS, rows).splitlines()[-1], flush=True)
        if not run.held:
            break
    return f"## {title}\n\n{table(STEP_COLUMNS, rows)}\n"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks load", description="The blog's load on one server.")
    parser.add_argument("--seconds", type=int, default=60, help="how long, 10 or more (60)")
    parser.add_argument("--rate", type=float, default=RATE, help="events a second (10,000,000 a minute)")
    parser.add_argument("--mixed", action="store_true", help="80 %% counters, 15 %% percentiles, 5 %% gauges")
    parser.add_argument("--no-ladder", dest="ladder", action="store_false", help="do not raise the rate afterwards")
    parser.add_argument("--agent", action="store_true", help="through an agent, in place of straight to the server")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
