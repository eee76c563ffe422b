"""What a scrape of 10,000 tabs costs: `python -m benchmarks metrics`.

Starts `taba server` on a store of its own, records to every tab, and scrapes /metrics as Prometheus does (OpenMetrics,
gzip): right after a restart, while a tenth of the tabs changes before each scrape, and while nothing changes. Beside
it, in the same run, `prometheus_client` serves as many samples, all of them counters, which is the least work for it.

    --tabs N         10,000 unless told otherwise
    --scrapes N      20 of each kind
    --write          write the table to benchmarks/results/metrics.md

Processor seconds are those of the process that is scraped.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from taba import frame

RESULT = Path(__file__).parent / "results" / "metrics.md"
TAGS = 10
"""Tabs of each name."""
SHARES = {"counter": 0.4, "percentile": 0.25, "gauge": 0.25, "uniques": 0.05, "top": 0.05}
FLEETS = {"counters": {"counter": 1.0}, "mixed": SHARES}
VALUES = {"counter": 3, "percentile": 40, "gauge": 1, "uniques": 20, "top": 20}
"""Events of each tab in the beginning."""
WAIT_SECONDS = 1.0
ACCEPT = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
SERVER = [sys.executable, "-c", "from taba.cli import main; main()", "server", "--port", "0", "--json"]
PEER = """
import sys
from prometheus_client import CollectorRegistry, Counter, disable_created_metrics, start_http_server
disable_created_metrics()
registry = CollectorRegistry()
samples, tags = int(sys.argv[1]), int(sys.argv[2])
for number in range(samples // tags):
    counter = Counter(f"metric_{number}", f"what {number} counts", ["tag"], registry=registry)
    for tag in range(tags):
        counter.labels(f"value-{tag}").inc(number * tag)
server, thread = start_http_server(0, "127.0.0.1", registry)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
thread.join()
"""


HEAD = (
    "| | samples | ms (median) | ms (worst) | processor ms | by the peer's | MB | KB gzip |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|"
)
TOLD = """# A scrape of {tabs:,} tabs

Python {python} on {cores} cores, at a load of {load:.1f} by this and other work: compare within the table. One
`taba server` on the embedded store, default settings; scrapes as Prometheus' own (OpenMetrics, gzip), one a second at
most. "Counters" are {tabs:,} counters, two samples each. "Mixed" are 40 % counters, 25 % percentiles, 25 % gauges, 5 %
uniques, 5 % tops, ten tabs of each name. "First" is a server's first scrape after a restart; "a tenth changed": before
each scrape come events of a tenth of the tabs; "nothing changed": only what is said of the text itself is made anew,
and all is compressed. The peer is `prometheus_client` with as many samples, all counters; it compresses harder, which
is a part of its time. {scrapes} scrapes of each kind (one of the first, a quarter of the peer's).
`python -m benchmarks metrics --write`.
"""


@dataclass(frozen=True)
class Row:
    """What scrapes of one kind took, each."""

    what: str
    seconds: list[float]
    processor: float
    zipped: int
    plain: int
    samples: int

    def cells(self, peer: Row) -> str:
        """As a line of the table."""
        middle, worst = statistics.median(self.seconds), max(self.seconds)
        return (
            f"| {self.what} | {self.samples:,} | {middle * 1000:.0f} | {worst * 1000:.0f} | "
            f"{self.processor * 1000:.0f} | {self.processor / peer.processor:.2f} | "
            f"{self.plain / 1e6:.2f} | {self.zipped / 1e3:.0f} |"
        )


@contextlib.contextmanager
def process(command: Sequence[str]) -> Iterator[tuple[str, psutil.Process]]:
    """A server that writes its URL first, plain or as JSON."""
    running = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert running.stdout is not None
    try:
        line = running.stdout.readline().decode().strip()
        yield (json.loads(line)["url"] if line.startswith("{") else line), psutil.Process(running.pid)
    finally:
        running.terminate()
        running.wait(60)


def scrape(url: str) -> tuple[float, bytes]:
    """One scrape: seconds, and the body as it came."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=120)
    begun = time.perf_counter()
    connection.request("GET", "/metrics", headers={**ACCEPT, "Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - begun
    connection.close()
    assert answer.status == 200, body
    return seconds, body


def measured(
    what: str, url: str, running: psutil.Process, scrapes: int, before: Callable[[], object] = lambda: None
) -> Row:
    """Scrapes one after another, with `before` ahead of each; its processor time is not counted."""
    seconds, processor, body = [], 0.0, b""
    for _ in range(scrapes):
        before()
        begun = _processor(running)
        took, body = scrape(url)
        processor += _processor(running) - begun
        seconds.append(took)
    text = gzip.decompress(body)
    samples = sum(not line.startswith(b"#") for line in text.splitlines())
    return Row(what, seconds, processor / scrapes, len(body), len(text), samples)


def _processor(running: psutil.Process) -> float:
    """Of a process and those that it has started, in seconds."""
    times = [one.cpu_times() for one in (running, *running.children(recursive=True))]
    return sum(one.user + one.system for one in times)


class Recorder:
    """Sends frames for tabs of some types."""

    def __init__(self, url: str, shares: dict[str, float], tabs: int) -> None:
        self._address = urlsplit(url)
        self._random = random.Random(1)
        self._sequence = 0
        self.tabs = [
            (f"{kind}.{number // TAGS}{{tag=value-{number % TAGS}}}", kind)
            for kind, share in shares.items()
            for number in range(round(tabs * share))
        ]

    def send(self, tabs: Sequence[tuple[str, str]], once: bool = False) -> None:
        """Events of each of the tabs."""
        for texts in (False, True):
            some = [(tab, kind) for tab, kind in tabs if (kind in ("uniques", "top")) == texts]
            if some:
                self._post(some, [1 if once else VALUES[kind] for _, kind in some], texts=texts)

    def _post(self, tabs: Sequence[tuple[str, str]], counts: list[int], *, texts: bool) -> None:
        now, total = time.time(), sum(counts)
        self._sequence += 1
        head = ["bench", "e", self._sequence, now - 0.25, now]
        names, kinds = [tab for tab, _ in tabs], [kind for _, kind in tabs]
        drawn = [self._random.lognormvariate(3, 0.7) for _ in range(total)]
        if texts:
            written = [f"v{int(value)}" for value in drawn]
            header = frame.Header(*head, texts=frame.Texts(names, kinds, counts, written))
            body = frame.encode(header, b"")
        else:
            body = frame.encode(frame.Header(*head, names, kinds, counts), frame.pack_values(array("d", drawn)))
        connection = http.client.HTTPConnection(str(self._address.hostname), self._address.port, timeout=120)
        connection.request("POST", "/v1/events", body, {"Content-Type": frame.CONTENT_TYPE})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()

    def tenth(self) -> None:
        """Events of a tenth of the tabs, which are then in the store; and a moment's rest."""
        self.send(self._random.sample(self.tabs, len(self.tabs) // 10), once=True)
        time.sleep(WAIT_SECONDS)


def fleet(name: str, tabs: int, scrapes: int) -> list[Row]:
    """All kinds of scrapes of one fleet, and the peer's."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*SERVER, "--data", folder]
        with process(command) as (url, _):
            recorder = Recorder(url, FLEETS[name], tabs)
            for start in range(0, len(recorder.tabs), 2000):
                recorder.send(recorder.tabs[start : start + 2000])
        with process(command) as (url, running):
            recorder._address = urlsplit(url)
            time.sleep(3 * WAIT_SECONDS)
            rows = [measured(f"{name}: first after a restart", url, running, 1)]
            rows.append(measured(f"{name}: a tenth changed", url, running, scrapes, recorder.tenth))
            time.sleep(15 * WAIT_SECONDS)
            scrape(url)
            rows.append(measured(f"{name}: nothing changed", url, running, scrapes))
    with process([sys.executable, "-c", PEER, str(rows[0].samples), str(TAGS)]) as (url, running):
        scrape(url)
        rows.append(measured("prometheus_client, as many counters", url, running, max(scrapes // 4, 3)))
    return rows


def main() -> None:
    """Measure, and print or write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks metrics", description=__doc__)
    parser.add_argument("--tabs", type=int, default=10_000)
    parser.add_argument("--scrapes", type=int, default=20)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = [HEAD]
    for name in FLEETS:
        rows = fleet(name, options.tabs, options.scrapes)
        lines += [row.cells(rows[-1]) for row in rows]
    table = "\n".join(lines)
    print(table)
    if options.write:
        told = TOLD.format(
            python=platform.python_version(),
            cores=psutil.cpu_count(),
            load=os.getloadavg()[0],
            tabs=options.tabs,
            scrapes=options.scrapes,
        )
        RESULT.write_text(f"{told}\n{table}\n")


if __name__ == "__main__":
    main()
