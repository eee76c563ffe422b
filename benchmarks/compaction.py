"""How much of the compaction is in vain where many servers share a store: `python -m benchmarks compaction`.

Starts `taba server` with as many workers on a store of its own, sends a steady load straight to them, and asks them at
the end how many jobs and rows their compactors did, and how many another was faster to do. Everything that was sent
has to be there once.

    --servers N      8 unless told otherwise
    --seconds N      60
    --store NAME     redis (a redis-server of its own), sqlite; both unless told otherwise
    --rate N         events a second, 12,800
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psutil

from taba import frame

CLIENTS = 32
FLUSHES = 4
"""Frames a second of each client."""
TABS = 500
DONE, LOST = "taba.server.compaction.done", "taba.server.compaction.lost"
COMMAND = [sys.executable, "-c", "from taba.cli import main; main()"]


class Sender(threading.Thread):
    """A client that sends frames over one connection, at a steady rate."""

    def __init__(self, url: str, number: int, values: int, until: float) -> None:
        super().__init__()
        self._address, self._name_, self._values, self._until = urlsplit(url), f"client-{number}", values, until
        self._random = random.Random(number)
        self.sent = 0
        self.slowest = 0.0

    def run(self) -> None:
        """Send until it is time."""
        connection = http.client.HTTPConnection(str(self._address.hostname), self._address.port, timeout=60)
        sequence, due = 0, time.time() + self._random.random() / FLUSHES
        while due < self._until:
            time.sleep(max(due - time.time(), 0))
            due += 1 / FLUSHES
            sequence += 1
            begun = time.monotonic()
            connection.request("POST", "/v1/events", self._frame(sequence), {"Content-Type": frame.CONTENT_TYPE})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.sent += self._values
        connection.close()

    def _frame(self, sequence: int) -> bytes:
        names = [f"t{number}" for number in self._random.sample(range(TABS), self._values)]
        now = time.time()
        ones = [1] * self._values
        header = frame.Header(
            self._name_, "e", sequence, now - 1 / FLUSHES, now, names, ["counter"] * self._values, ones
        )
        return frame.encode(header, frame.pack_values(array("d", ones)))


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A redis-server of our own; its address."""
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("this needs redis-server: install it")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    process = subprocess.Popen([*command, "--appendonly", "yes"], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def servers(count: int, store: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Running servers: {"url": …, "pids": […]}."""
    words = ["server", "--workers", str(count), "--port", "0", "--json", "--store", store, "--data", str(folder / "d")]
    process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def asked(url: str, tab: str) -> dict[str, Any]:
    """The day's answer over all of a name's tabs."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    connection.request("GET", "/v1/aggregates?" + urlencode({"tab": tab, "window": "1d"}))
    tabs = json.load(connection.getresponse())["tabs"]
    connection.close()
    found = [windows["1d"] for windows in tabs.values()]
    return {"count": sum(one["count"] for one in found), "total": sum(one["total"] for one in found)}


def measure(count: int, store: str, seconds: int, rate: int, folder: Path) -> list[str]:
    """A row of the table."""
    with servers(count, store, folder) as running:
        url, until = running["url"], time.time() + seconds
        senders = [Sender(url, number, rate // CLIENTS // FLUSHES, until) for number in range(CLIENTS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        # What the compactors did last is told with the next batch of each server.
        tell = [Sender(url, CLIENTS + number, 1, time.time() + 1) for number in range(CLIENTS)]
        for sender in tell:
            sender.start()
        for sender in tell:
            sender.join()
        used = sum(psutil.Process(pid).cpu_times()[0] + psutil.Process(pid).cpu_times()[1] for pid in running["pids"])
        sent, there = sum(sender.sent for sender in senders + tell), asked(url, "t*")["count"]
        assert there == sent, f"{there} events are there, {sent} were sent"
        done, lost = asked(url, DONE), asked(url, LOST)
    slowest = max(sender.slowest for sender in senders)
    return [
        store.partition(":")[0],
        str(count),
        f"{done['count']:,}",
        f"{lost['count']:,}",
        f"{done['total']:,.0f}",
        f"{lost['total']:,.0f}",
        f"{100 * lost['total'] / max(done['total'] + lost['total'], 1):.1f} %",
        f"{done['total'] / sent:.2f}",
        f"{used:.0f}",
        f"{slowest:.1f}",
    ]


def main() -> None:
    """Run it, and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--store", choices=["redis", "sqlite"])
    parser.add_argument("--rate", type=int, default=12_800)
    options = parser.parse_args()
    heads = ["store", "servers", "jobs done", "in vain", "rows done", "rows in vain", "waste", "rows an event"]
    heads += ["CPU s", "slowest answer s"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for store in [options.store] if options.store else ["redis", "sqlite"]:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
            folder = Path(name)
            if store == "redis":
                with redis(folder) as url:
                    row = measure(options.servers, url, options.seconds, options.rate, folder)
            else:
                row = measure(options.servers, store, options.seconds, options.rate, folder)
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
