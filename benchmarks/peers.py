"""The same events into Taba and into what one would take instead: processor time, memory, and what is lost.

    python -m benchmarks peers [--seconds 20] [--rate 166667] [--only NAME …]

Each is started here on loopback with its defaults, fed with what was encoded before, by a process whose own time does
not count, and asked how many events it received. Where something is lost, the same is tried at a quarter of the rate.
Programs are fetched and built once, into `.bench/`; one that cannot be had is told of in the table.
"""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from benchmarks import machine, table, write
from benchmarks.load_clients import Plan
from benchmarks.peers_build import UnavailableError
from benchmarks.peers_chdb import chdb
from benchmarks.peers_feed import KINDS, Feed
from benchmarks.peers_run import Outcome, statsd, statsd_exporter, taba, victoria_metrics

RATE = 10_000_000 / 60
SLOWER = 4
BY_CLIENT_SECONDS = 6
PEERS: dict[str, tuple[Callable[[Feed], Outcome], tuple[bool, ...]]] = {
    "taba-sqlite": (partial(taba, "sqlite"), (True,)),
    "taba-redis": (partial(taba, "redis"), (True,)),
    "statsd": (statsd, (False, True)),
    "statsd_exporter": (statsd_exporter, (False, True)),
    "victoriametrics": (victoria_metrics, (False, True)),
    "chdb": (chdb, (False, True)),
}
"""Each by its name, and whether it is fed without clients, with them, or both in turn."""
COLUMNS = ["system", "keeps", "events/s", "events sent", "lost", "CPU s per million received", "peak memory, MB"]


def main() -> None:
    """Feed them all; write the table to results/peers.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks peers")
    parser.add_argument("--seconds", type=int, default=20, help="how long each is fed")
    parser.add_argument("--rate", type=float, default=RATE, help="events a second (10,000,000 a minute)")
    parser.add_argument("--only", nargs="*", choices=tuple(PEERS), default=tuple(PEERS), help="these alone")
    options = parser.parse_args()
    if options.seconds < 2:
        parser.error("--seconds must be 2 or more")
    plan = Plan(options.rate, options.seconds, kinds=KINDS)
    rows, notes = [], {}
    for name in options.only:
        run, ways = PEERS[name]
        for by_client in ways:
            # Memory of some peers grows with each new series: of those by client there are fewer.
            seconds = (
                min(plan.seconds, BY_CLIENT_SECONDS) if by_client and not name.startswith("taba") else plan.seconds
            )
            for outcome in _outcomes(name, run, Feed(replace(plan, seconds=seconds), by_client)):
                if isinstance(outcome, Outcome):
                    rows.append(_row(outcome))
                    notes[outcome.name] = outcome.note
                else:
                    rows.append([name, Feed(plan, by_client).keeps, outcome, *[""] * (len(COLUMNS) - 3)])
                print(" | ".join(rows[-1]), flush=True)
    write("peers", _text(plan, rows, notes))


def _outcomes(name: str, run: Callable[[Feed], Outcome], feed: Feed) -> list[Outcome | str]:
    """What came of a feed, and where something was lost also of a slower one; or why there is nothing, in words."""
    print(f"{name}, {feed.keeps}", flush=True)
    try:
        found = [run(feed)]
        if found[0].received is not None and found[0].received < feed.events:
            plan = feed.plan
            found.append(run(replace(feed, plan=replace(plan, rate=plan.rate / SLOWER))))
        return [*found]
    except UnavailableError as error:
        return [f"not here: {error}"]
    except Exception as error:  # one peer's failure is told, and the others are fed
        traceback.print_exc()
        return [f"failed: {str(error)[:200]}"]


def _row(outcome: Outcome) -> list[str]:
    events, received = outcome.feed.events, outcome.received
    keeps = f"{outcome.feed.keeps}, and tabs" if outcome.name.startswith("Taba") else outcome.feed.keeps
    lost = "not told" if received is None else f"{events - received:,} ({(events - received) / events:.1%})"
    return [
        outcome.name,
        keeps,
        f"{outcome.feed.plan.rate:,.0f}",
        f"{events:,}",
        lost,
        f"{outcome.processor / (received or events) * 1e6:.2f}",
        f"{outcome.memory / 1e6:,.0f}",
    ]


def _text(plan: Plan, rows: list[list[str]], notes: dict[str, str]) -> str:
    described = [f"- {name}: {note}." for name, note in notes.items() if note]
    return "\n\n".join(
        [
            "# Taba and what one would take instead",
            f"The same events, four counters to one timing, from {plan.clients} clients over {plan.tabs:,} tabs, for "
            f"{plan.seconds} s (others than Taba, by tab and client: {BY_CLIENT_SECONDS} s); {machine()}. "
            "Processor time is that of the receiving processes, from the first event until they have nothing left to "
            "do; `lost` is by what each says that it has received. StatsD servers take UDP packets of up to 1,432 "
            "bytes, each full of lines of one client, and flush or are read every 10 s.",
            table(COLUMNS, rows),
            "\n".join(described),
        ]
    )


if __name__ == "__main__":
    main()
