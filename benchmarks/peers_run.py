"""Each peer: started on loopback, fed, watched, asked what it received, ended."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.engines import await_that, free_port
from benchmarks.load_run import SETTLE_SECONDS, outcome, simulated_clients, truth_of
from benchmarks.load_server import SPAWN, Shape, peak_memory, processor_seconds, running_way
from benchmarks.peers_build import go_program, node_package
from benchmarks.peers_feed import Feed, post_lines, send_datagrams

FLUSH_SECONDS = 10
"""How often a StatsD server works out what it has, its default, and how often Prometheus would come."""
AFTER_SECONDS = FLUSH_SECONDS + 4
"""How long a peer is watched after the last event, so that all that it owes is done."""
SEND_SECONDS = 600
MOST_MEMORY = 12_000_000_000
STATSD = ("statsd", "0.9.0")
STATSD_EXPORTER = ("github.com/prometheus/statsd_exporter", "v0.31.0")
VICTORIA_METRICS = ("github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics", "v1.151.0")

BACKEND = """
let lines = 0, bad = 0;
exports.init = function (startup, config, events) {
  events.on("flush", function (time, metrics) {
    lines += metrics.counters["statsd.metrics_received"] || 0;
    bad += metrics.counters["statsd.bad_lines_seen"] || 0;
    console.log(JSON.stringify({ received: lines - bad }));
  });
  return true;
};
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a feed. `received` is by the peer's own word, None where it has none."""

    name: str
    feed: Feed
    received: int | None
    processor: float
    memory: int
    note: str = ""


@contextmanager
def _program(command: Sequence[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, start_new_session=True, **more)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)


def _fed(pid: int, target: Callable[..., None], *arguments: Any) -> tuple[float, int]:
    """Have a sender send; the processor seconds of the peer until it has nothing to do, and its peak memory."""
    pipe, theirs = SPAWN.Pipe()
    sender = SPAWN.Process(target=target, args=(*arguments, theirs), daemon=True)
    sender.start()
    theirs.close()
    try:
        return watched(pid, pipe)
    finally:
        sender.terminate()
        sender.join()


def watched(pid: int, pipe: Connection) -> tuple[float, int]:
    """Start who waits at the other end; the peer's processor seconds until it has nothing to do, its peak memory."""
    word(pipe, pid)
    before = processor_seconds(pid)
    pipe.send("go")
    word(pipe, pid)
    time.sleep(AFTER_SECONDS)
    return processor_seconds(pid) - before, peak_memory(pid)


def word(pipe: Connection, pid: int) -> Any:
    """What comes through the pipe next; raises RuntimeError where that is late, or the peer `pid` grows too much."""
    end = time.monotonic() + SEND_SECONDS
    while not pipe.poll(0.5):
        if peak_memory(pid) > MOST_MEMORY:
            raise RuntimeError(f"took more than {MOST_MEMORY / 1e9:.0f} GB of memory, and was ended")
        if time.monotonic() > end:
            raise RuntimeError(f"was not done within {SEND_SECONDS} s")
    try:
        return pipe.recv()
    except EOFError:
        raise RuntimeError("the process at the other end failed, as told above") from None


def statsd(feed: Feed) -> Outcome:
    """The first of its kind, on Node."""
    package = node_package(*STATSD)
    with tempfile.TemporaryDirectory(prefix="taba-peer-") as name:
        folder, port = Path(name), free_port()
        (folder / "told.js").write_text(BACKEND)
        settings = {
            "address": "127.0.0.1",
            "port": port,
            "mgmt_address": "127.0.0.1",
            "mgmt_port": free_port(),
            "flushInterval": FLUSH_SECONDS * 1000,
            "backends": [str(folder / "told.js")],
            # What was not heard of since the last flush is not worked out again.
            "deleteIdleStats": True,
        }
        (folder / "config.js").write_text(json.dumps(settings))
        command = ["node", str(package / "stats.js"), str(folder / "config.js")]
        with (folder / "told").open("w") as told, _program(command, stdout=told, stderr=told) as process:
            await_that(lambda: _last_json(folder / "told"), "statsd flushes")
            used = _fed(process.pid, send_datagrams, feed, False, port)
            return Outcome("statsd (Node)", feed, _last_json(folder / "told")["received"], *used)


def _last_json(path: Path) -> dict[str, Any]:
    lines = [line for line in path.read_text().splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def statsd_exporter(feed: Feed) -> Outcome:
    """A StatsD server in Go that keeps what Prometheus comes to fetch."""
    program = go_program(*STATSD_EXPORTER)
    port, web = free_port(), free_port()
    command = [str(program), f"--statsd.listen-udp=127.0.0.1:{port}", "--statsd.listen-tcp=", "--log.level=error"]
    command.append(f"--web.listen-address=127.0.0.1:{web}")
    with _program(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        await_that(lambda: _answers(web, "/metrics"), "statsd_exporter answers")
        done = threading.Event()
        scraping = threading.Thread(target=_scrape, args=(web, done), daemon=True)
        scraping.start()
        used = _fed(process.pid, send_datagrams, feed, True, port)
        done.set()
        scraping.join()
        note = f"fetched every {FLUSH_SECONDS} s"
        return Outcome("statsd_exporter (Go)", feed, _metric(web, "statsd_exporter_samples_total"), *used, note)


def _scrape(port: int, done: threading.Event) -> None:
    while not done.wait(FLUSH_SECONDS):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as answer:
            while answer.read(1 << 20):
                pass


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def _metric(port: int, name: str) -> int:
    """The sum of a metric of the peer's own."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120) as answer:
        found = re.findall(rf"^{name}(?:\{{.*?\}})? (\S+)$", answer.read().decode(), re.MULTILINE)
    return round(sum(map(float, found)))


def victoria_metrics(feed: Feed) -> Outcome:
    """VictoriaMetrics, whose stream aggregation makes slices of one second of what comes."""
    program = go_program(*VICTORIA_METRICS)
    with tempfile.TemporaryDirectory(prefix="taba-peer-") as name:
        folder, port = Path(name), free_port()
        labels = "by: [tab, client]" if feed.by_client else "without: [client]"
        rules = [
            f"- match: {metric}\n  interval: 1s\n  {labels}\n  outputs: [count_samples, sum_samples, min, max{more}]\n"
            for metric, more in (("load_counter", ""), ("load_timing", ', "quantiles(0.5, 0.99)"'))
        ]
        (folder / "rules.yml").write_text("".join(rules))
        command = [str(program), f"-storageDataPath={folder / 'data'}", f"-httpListenAddr=127.0.0.1:{port}"]
        command += [f"-streamAggr.config={folder / 'rules.yml'}", "-loggerLevel=ERROR", "-retentionPeriod=1d"]
        command += ["-search.maxUniqueTimeseries=20000000", "-search.maxQueryDuration=120s"]
        with _program(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            await_that(lambda: _answers(port, "/health"), "VictoriaMetrics answers")
            used = _fed(process.pid, post_lines, feed, "/api/v1/import/prometheus", port, 0.1)
            received = _metric(port, "vm_streamaggr_matched_samples_total")
            note = "text lines by HTTP, 10 posts a second; 1 s slices, and two percentiles of timings"
            return Outcome("VictoriaMetrics, stream aggregation", feed, received, *used, note)


def taba(store: str, feed: Feed) -> Outcome:
    """Taba, fed by the simulated clients; it always keeps both, by tab and by tab and client."""
    with running_way(Shape(store)) as way, simulated_clients(feed.plan, way) as (_, pipe):
        before = sum(way.processor_seconds().values())
        start = float(int(time.time()) + 2)
        pipe.send(start)
        time.sleep(feed.plan.seconds)
        sent = outcome(pipe, way)
        time.sleep(max(AFTER_SECONDS - SETTLE_SECONDS, 0))
        used = sum(way.processor_seconds().values()) - before
        posted = sum(sent.events.values())
        truth = truth_of(way, sent, 0, start)
        note = "frames by HTTP, answered once stored; every slice of one second, percentiles from 1 % sketches"
        name = "Taba on " + {"sqlite": "SQLite", "redis": "Redis (both processes)"}.get(store, store)
        memory = sum(way.peak_memory().values())
        return Outcome(name, feed, posted - truth.lost + truth.doubled, used, memory, note)
