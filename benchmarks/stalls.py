"""What watching a loop costs: `python -m benchmarks stalls`.

Three servers, uvicorn on asyncio's loop and on uvloop, and gevent's pywsgi, each kept busy by connections that send
their next request when they have an answer. In one process the detector and the spans are switched on in turns, and
off between any two. Compared is what the server's process computes for a request in a turn with that of the turns
before and after it. Then the same at rest: processor time a second, with nothing to do.

    --rounds N       150, in each of which each mode has a turn
    --seconds S      0.25, the length of a turn
    --idle S         20, seconds at rest in each mode
    --connections N  16
    --write          write the table to benchmarks/results/stalls.md
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.record_sinks import sinks
from benchmarks.stalls_server import MODES

RESULT = Path(__file__).parent / "results" / "stalls.md"
KINDS = {"asyncio": "uvicorn, asyncio", "uvloop": "uvicorn, uvloop", "gevent": "gevent's pywsgi"}
SAID = {
    "watched": "lag and stall detector, at their defaults",
    "spans": "spans of one request in 100",
    "all measured": "spans of every request",
}
SETTLE_SECONDS = 0.05
HEAD = (
    "| server | switched on | µs of a request, without | ratio, median of rounds | 95 % of it | of a core | 95 % |\n"
    "|---|---|---:|---:|---:|---:|---:|"
)
IDLE_HEAD = "\n| server, at rest | without, of a core | with the detector |\n|---|---:|---:|"
TOLD = """# What watching a loop costs

Python {python} on {cores} cores, at a load of {load:.1f} by this and other work. {rounds} rounds, in one process of
each server, in which each mode has a turn of {seconds:g} s, and between any two there is one without; {connections}
connections, each with one request at a time, from another process. A request makes a JSON text of 20 items and lets
others run twice. The ratio is of processor time for a request, to the mean of the turns without before and after it.
"Of a core" is what that adds in a second: what is done by the clock and not by request weighs the more in the ratio,
the less of a core the server gets; here it got {share:.0%}. Intervals by bootstrap over the rounds.
`python -m benchmarks stalls --write`.

"""


@dataclass
class Server:
    """A server that runs, and what was measured of it: by mode, ratios to what a request costs without."""

    kind: str
    port: int
    without: list[float] = field(default_factory=list)
    ratios: dict[str, list[float]] = field(default_factory=lambda: {mode: [] for mode in MODES[1:]})
    extras: dict[str, list[float]] = field(default_factory=lambda: {mode: [] for mode in MODES[1:]})
    """What each mode adds, in processor seconds for a second."""
    shares: list[float] = field(default_factory=list)
    """Of a core, what the server got."""

    def get(self, path: str) -> list[float]:
        """The answer to a control request."""
        url = f"http://127.0.0.1:{self.port}{path.replace(' ', '%20')}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.loads(answer.read())

    def round(self, seconds: float) -> None:
        """A turn of each mode, and of none before and after it."""
        before, _ = self.turn("off", seconds)
        for mode, ratios in self.ratios.items():
            cost, rate = self.turn(mode, seconds)
            after, _ = self.turn("off", seconds)
            usual = (before + after) / 2
            ratios.append(cost / usual)
            self.extras[mode].append((cost - usual) * rate)
            self.shares.append(cost * rate)
            self.without.append(after)
            before = after

    def turn(self, mode: str, seconds: float) -> tuple[float, float]:
        """Processor seconds for a request, and requests a second."""
        self.get(f"/mode/{mode}")
        time.sleep(SETTLE_SECONDS)
        begun = time.monotonic()
        computed, answered = self.get("/cpu")
        time.sleep(seconds)
        computed_then, answered_then = self.get("/cpu")
        requests = answered_then - answered
        return (computed_then - computed) / requests, requests / (time.monotonic() - begun)

    def rest(self, mode: str, seconds: float) -> float:
        """Of a core, without load."""
        self.get(f"/mode/{mode}")
        time.sleep(1)
        computed = self.get("/cpu")[0]
        time.sleep(seconds)
        return (self.get("/cpu")[0] - computed) / seconds

    def lines(self) -> Iterator[str]:
        """The table's."""
        for mode, ratios in self.ratios.items():
            low, high = interval(ratios)
            least, most = interval(self.extras[mode])
            yield (
                f"| {KINDS[self.kind]} | {SAID[mode]} | {statistics.median(self.without) * 1e6:.0f} | "
                f"{statistics.median(ratios):.4f} | {low:.4f}–{high:.4f} | "
                f"{statistics.median(self.extras[mode]):.2%} | {least:.2%}–{most:.2%} |"
            )


def interval(values: list[float], draws: int = 2000) -> tuple[float, float]:
    """The middle 95 % of the medians of samples drawn from `values` with replacement (bootstrap)."""
    chance = random.Random(1)
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(draws))
    return medians[int(draws * 0.025)], medians[int(draws * 0.975)]


@contextlib.contextmanager
def started(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process of `benchmarks.stalls_server`."""
    command = [sys.executable, "-m", "benchmarks.stalls_server", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def measured(kind: str, sink: int, options: argparse.Namespace) -> tuple[Server, list[float]]:
    """One server, under load and at rest."""
    with started(kind, TABA_SERVER=f"http://127.0.0.1:{sink}") as process:
        assert process.stdout is not None
        server = Server(kind, int(process.stdout.readline()))
        with started("load", str(server.port), str(options.connections)):
            time.sleep(2)
            for _ in range(options.rounds):
                server.round(options.seconds)
        time.sleep(1)
        return server, [server.rest(mode, options.idle) for mode in ("off", "watched")]


def main() -> None:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks stalls", description=__doc__)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=0.25)
    parser.add_argument("--idle", type=float, default=20.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines, resting, shares = [HEAD], [IDLE_HEAD], []
    with sinks() as (sink, _):
        for kind, name in KINDS.items():
            server, (off, watched) = measured(kind, sink, options)
            lines += server.lines()
            shares += server.shares
            resting.append(f"| {name} | {off:.2%} | {watched:.2%} |")
    table = "\n".join(lines + resting)
    print(table)
    if options.write:
        told = TOLD.format(
            python=platform.python_version(),
            cores=psutil.cpu_count(),
            load=os.getloadavg()[0],
            rounds=options.rounds,
            seconds=options.seconds,
            connections=options.connections,
            share=statistics.median(shares),
        )
        RESULT.write_text(f"{told}{table}\n")


if __name__ == "__main__":
    main()
