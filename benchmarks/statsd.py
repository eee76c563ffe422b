"""StatsD over UDP into Taba and into others: processor time and what is lost, packed and singly, at several rates.

    python -m benchmarks statsd [--seconds 10] [--only NAME …]

Each server is started anew for each row on loopback, with its defaults, beside one sender on the same machine.
Processor time is that of the server's process, from the first packet until it has nothing left to do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import machine, table, write
from benchmarks.load_server import peak_memory, processor_seconds
from benchmarks.peers_build import UnavailableError
from benchmarks.statsd_servers import SERVERS, Listening

PACKED = 20
RATES = {PACKED: (100_000, 250_000, 500_000, 1_000_000), 1: (25_000, 50_000, 100_000, 200_000)}
"""Lines a second, by how many there are in a packet."""
LITTLE = 0.01
"""The part of the lines that may be lost at what counts as a server's best rate."""
COLUMNS = ["server", "lines a packet", "lines/s", "lost", "CPU s per million", "million per CPU s", "peak memory, MB"]


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one server at one rate. `rate` is what was sent a second, which may be less than what was wanted."""

    server: str
    packed: int
    wanted: int
    rate: float
    sent: int
    received: int
    processor: float
    memory: int

    @property
    def lost(self) -> int:
        """Lines that did not arrive."""
        return self.sent - self.received

    @property
    def cost(self) -> float:
        """Processor seconds per million lines received."""
        return self.processor / max(self.received, 1) * 1e6

    def cells(self) -> list[str]:
        """As a row of the table."""
        return [
            self.server,
            str(self.packed),
            f"{self.rate:,.0f}",
            f"{self.lost:,} ({self.lost / self.sent:.1%})" if self.lost else "0",
            f"{self.cost:.2f}",
            f"{1 / self.cost:.2f}" if self.cost else "",
            f"{self.memory / 1e6:,.0f}",
        ]


def main() -> None:
    """Measure them all; write the table to results/statsd.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks statsd")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long is sent for each row")
    parser.add_argument("--only", nargs="*", choices=tuple(SERVERS), default=tuple(SERVERS), help="these alone")
    options = parser.parse_args()
    rows: list[Row] = []
    missing: list[str] = []
    for packed, rates in RATES.items():
        for rate in rates:
            for server in options.only:
                try:
                    rows.append(_measured(server, packed, rate, options.seconds))
                    print(" | ".join(rows[-1].cells()), flush=True)
                except UnavailableError as error:
                    missing.append(f"- {server} is not here: {error}")
    write("statsd", _text(options.seconds, rows, list(dict.fromkeys(missing))))


def _measured(server: str, packed: int, rate: int, seconds: float) -> Row:
    with SERVERS[server]() as listening:
        _send(listening.port, rate / 10, 1.0, packed)  # what is loaded or compiled at first is not meant
        time.sleep(listening.settle)
        base, before = listening.received(), processor_seconds(listening.pid)
        sent, took = _send(listening.port, rate, seconds, packed)
        _settled(listening)
        used = processor_seconds(listening.pid) - before
        received = listening.received() - base
        return Row(server, packed, rate, sent / took, sent, received, used, peak_memory(listening.pid))


def _settled(listening: Listening) -> None:
    """Wait until it says that it receives no more."""
    before = -1
    while before != (before := listening.received()):
        time.sleep(listening.settle)


def _send(port: int, rate: float, seconds: float, packed: int) -> tuple[int, float]:
    words = [str(port), str(rate), str(seconds), str(packed)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.statsd_send", *words], capture_output=True, check=True)
    told = json.loads(done.stdout)
    return told["lines"], told["seconds"]


def _text(seconds: float, rows: Sequence[Row], missing: Sequence[str]) -> str:
    return "\n\n".join(
        [
            "# StatsD over UDP",
            f"{machine()}, which the sender shares. 1,000 tabs: 65 % of the lines are counters, 25 % timings, 5 % "
            f"gauges, 5 % sets; some 36 bytes each. {seconds:g} s for each row, the server started anew and warmed up. "
            "Processor time is that of the server's process alone, from the first packet until it has nothing left to "
            "do; `lost` is by what each says that it has received. `taba agent` takes the lines, keeps them on disk "
            "and sends them on; `taba up` has the server and its store in the same process, and answers. The sender "
            "hands packets that were made before to the kernel, up to 1,024 at once.",
            table(COLUMNS, [row.cells() for row in rows]),
            *_verdicts(rows),
            *missing,
            "`python -m benchmarks statsd`",
        ]
    )


def _verdicts(rows: Sequence[Row]) -> list[str]:
    """For each other server its best rate, at which at most LITTLE is lost, and how Taba does at it."""
    found = []
    for packed in RATES:
        for name in dict.fromkeys(row.server for row in rows if not row.server.startswith("Taba")):
            some = [row for row in rows if (row.server, row.packed) == (name, packed)]
            well = [row for row in some if row.lost <= LITTLE * row.sent]
            best = max(well, key=lambda row: row.wanted) if well else min(some, key=lambda row: row.lost / row.sent)
            beside = "; ".join(
                f"{row.server} lost {row.lost:,} and took {row.cost / best.cost:.2f} times its CPU seconds"
                for row in rows
                if row.server.startswith("Taba") and (row.packed, row.wanted) == (packed, best.wanted) and best.cost
            )
            found.append(
                f"- {name}, {_packed(packed)}, at its best {best.rate:,.0f} lines a second, where it lost "
                f"{best.lost / best.sent:.1%}: {beside}."
            )
    return ["\n".join(found)] if found else []


def _packed(packed: int) -> str:
    return "singly" if packed == 1 else f"{packed} to a packet"


if __name__ == "__main__":
    main()
