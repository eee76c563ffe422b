"""A program that records with the client and keeps its own tallies.

    python fault_client.py OPTIONS      OPTIONS is JSON, the fields of `Options`

Commands on standard input, a line each: `go`, `pause`, `finish`. `finish` stops recording, waits until all is
answered, ends the client's epoch, and writes one line of JSON, the `Tallies`. Before values are recorded their
number is written to the file `mark`, so of a program that was killed it is known how much it recorded at most.

All values are multiples of 1/8, so that their sums are exact in any order.
"""

import itertools
import json
import mmap
import os
import random
import select
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import taba

MARK = struct.Struct("<Q")
BEAT = 0.05
"""Seconds from one burst of values to the next, at a steady rate."""
BURST = (0.3, 0.6)
"""In which part of a second `by_second` records: far from both its ends, so that its frames lie within it."""


@dataclass
class Options:
    """`rate` is events a second, over all tabs in turn; `by_second`: ones of the tab `steady` alone, tallied by the
    second of the clock. `ballast` is how many ones of that tab are recorded besides, a second, to fill disks."""

    client: str
    agent: str
    mark: str
    rate: int = 400
    ballast: int = 0
    seed: int = 1
    by_second: bool = False
    pending_mb: int = 16


@dataclass
class Tallies:
    """What was recorded: events in all, counts and sums by tab, distinct texts, the gauge's last value.

    `seconds` are events of the tab `steady` by second; `blurred` are seconds of which some may have gone to the next.
    """

    client: str
    events: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    last: float | None = None
    seconds: dict[int, int] = field(default_factory=dict)
    blurred: list[int] = field(default_factory=list)
    closed: bool = False


COUNTERS = ("faults.hits{shop=berlin}", "faults.hits{shop=paris}")
PERCENTILE, UNIQUES, GAUGE, STEADY = "faults.ms", "faults.users", "faults.level", "faults.steady"
NUMBERS = (*COUNTERS, PERCENTILE)
"""The tabs whose answers have a count and a total."""


class Recording:
    """The values, a burst at a time."""

    def __init__(self, options: Options) -> None:
        self.tallies = Tallies(options.client)
        self._random = random.Random(f"{options.client} {options.seed}")
        self._texts: set[str] = set()
        self._record = {
            COUNTERS[0]: taba.counter("faults.hits", shop="berlin").record,
            COUNTERS[1]: taba.counter("faults.hits", shop="paris").record,
            PERCENTILE: taba.percentile(PERCENTILE).record,
            UNIQUES: taba.uniques(UNIQUES).record,
            GAUGE: taba.gauge(GAUGE).record,
            STEADY: taba.counter(STEADY).record,
        }
        mark = Path(options.mark)
        mark.write_bytes(bytes(MARK.size))
        with mark.open("r+b") as file:
            self._mark = mmap.mmap(file.fileno(), MARK.size)

    def burst(self, size: int) -> None:
        """Values of all tabs in turn."""
        self._announce(size)
        for tab in itertools.islice(itertools.cycle((*COUNTERS, PERCENTILE, UNIQUES, GAUGE)), size):
            self._one(tab)

    def steady(self, size: int) -> None:
        """So many ones."""
        if not size:
            return
        self._announce(size)
        record = self._record[STEADY]
        for _ in range(size):
            record(1)
        self._tally(STEADY, size, size)

    def texts(self) -> list[str]:
        return sorted(self._texts)

    def _announce(self, size: int) -> None:
        self.tallies.events += size
        self._mark[:] = MARK.pack(self.tallies.events)

    def _one(self, tab: str) -> None:
        value = self._random.randrange(1, 8000) / 8
        self._tally(tab, 1, value)
        if tab == UNIQUES:
            text = f"user-{int(value)}"
            self._texts.add(text)
            self._record[tab](text)
        else:
            self._record[tab](value)
            if tab == GAUGE:
                self.tallies.last = value

    def _tally(self, tab: str, count: int, total: float) -> None:
        self.tallies.counts[tab] = self.tallies.counts.get(tab, 0) + count
        self.tallies.totals[tab] = self.tallies.totals.get(tab, 0.0) + total


ENDS = ("finish", "gone")


class Commands:
    """Standard input, looked at without waiting longer than told. Its end means that whoever started us has gone."""

    def __init__(self) -> None:
        self.last = "pause"
        self._text = b""

    def wait(self, seconds: float) -> str:
        """The last command; waits for a new one for so long."""
        if select.select([0], [], [], max(0.0, seconds))[0]:
            piece = sys.stdin.buffer.raw.read(4096)
            self._text += piece or b"gone\n"
            *lines, self._text = self._text.split(b"\n")
            self.last = lines[-1].decode() if lines else self.last
        return self.last


def evenly(options: Options, recording: Recording, commands: Commands) -> None:
    """Record at the rate until told to finish."""
    owed, then = 0.0, time.monotonic()
    while (command := commands.wait(BEAT)) not in ENDS:
        now = time.monotonic()
        owed, then = min(owed + (now - then) * options.rate, 2.0 * options.rate), now
        if command == "go":
            recording.burst(int(owed))
            recording.steady(int(owed) * options.ballast // options.rate)
            owed -= int(owed)
        else:
            owed = 0.0


def by_second(options: Options, recording: Recording, commands: Commands) -> None:
    """Record so many ones in the middle of each second, until told to finish."""
    for second in seconds(commands):
        size = 0
        while (part := time.time() - second) < BURST[1]:
            if part >= BURST[0] and size < options.rate:
                step = min(options.rate - size, options.rate // 10)
                recording.steady(step)
                size += step
            time.sleep(0.02)
        if size:
            recording.tallies.seconds[second] = size
        while taba.counter(STEADY).events and time.time() < second + 1:
            time.sleep(0.01)
        if taba.counter(STEADY).events:
            recording.tallies.blurred.append(second)


def seconds(commands: Commands) -> Iterator[int]:
    """Each second from its begin, while told to go."""
    while True:
        command = commands.wait(0.01 if commands.last != "go" else 1 - time.time() % 1)
        if command in ENDS:
            return
        if command == "go" and time.time() % 1 < BURST[0] / 2:
            yield int(time.time())


def main() -> None:
    options, parent = Options(**json.loads(sys.argv[1])), os.getppid()
    taba.start(options.client, agent=options.agent, pending_bytes=options.pending_mb << 20)
    recording, commands = Recording(options), Commands()
    (by_second if options.by_second else evenly)(options, recording, commands)
    while os.getppid() == parent and not taba.flush(1.0):
        pass
    recording.tallies.closed = taba.stop(30.0)
    recording.tallies.texts = recording.texts()
    sys.stdout.write(json.dumps(asdict(recording.tallies)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
