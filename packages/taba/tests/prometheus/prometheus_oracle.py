"""The same half hour of events for a server and for a real Prometheus, which has them as samples of each second."""

from __future__ import annotations

import bisect
import math
import random
import subprocess
import time
import urllib.request
from collections import defaultdict
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from engines import free_port
from server_process import ServerProcess, wait_until

CLIENTS = ("web-1", "web-2", "web-3")
MILLISECONDS = (4, 6, 8.5, 12, 17, 22, 30, 42, 60, 85, 120, 170, 420)
"""Values that are further than a bin's width from every bound."""
SECONDS = 1_800


class Event(NamedTuple):
    client: str
    time: float
    tab: str
    type: str
    value: float


class Oracle:
    """Makes the events from `start` to `stop`, records them in the server, and has Prometheus know them."""

    def __init__(self, folder: Path, server: ServerProcess) -> None:
        self.stop = math.floor(time.time() / 10) * 10 - 10
        self.start = self.stop - SECONDS
        self.events = _events(self.start, self.stop)
        for client in CLIENTS:
            recorded = [event._asdict() for event in self.events if event.client == client]
            server.record(recorded, client=client)
        bounds = [text.split('le="')[1].split('"')[0] for text in _lines(server) if 'route="a"' in text]
        folder.mkdir()
        (folder / "samples").write_text(_samples(self.events, self.start, self.stop, bounds))
        _run("promtool", "tsdb", "create-blocks-from", "openmetrics", f"{folder}/samples", f"{folder}/data")
        (folder / "prometheus.yml").write_text("")
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                "--storage.tsdb.retention.time=10y",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        wait_until(self._ready, 60)

    def _ready(self) -> bool:
        assert self._process.poll() is None, Path(self._log.name).read_text()
        try:
            return urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._log.close()


def _lines(server: ServerProcess) -> list[str]:
    text = server.request("GET", "/metrics?tab=request.ms").body.decode()
    return [line for line in text.splitlines() if line.startswith("request_seconds_bucket")]


def _events(start: int, stop: int) -> list[Event]:
    chance = random.Random(7)
    found = []
    for second in range(start, stop):
        for client in CLIENTS:
            at = second + chance.random() * 0.999
            shops = [shop for shop in ("berlin", "paris") if chance.random() < 0.6]
            found += [Event(client, at, f"orders{{shop={shop}}}", "counter", chance.randint(1, 5)) for shop in shops]
            for route, values in (("a", MILLISECONDS), ("b", MILLISECONDS[3:])):
                if chance.random() < 0.5:
                    found.append(Event(client, at, f"request.ms{{route={route}}}", "percentile", chance.choice(values)))
        if second % 30 == 0:
            found += [Event(name, second + 0.5, "queue.depth", "gauge", chance.randint(0, 9)) for name in CLIENTS]
    return found


def _samples(events: list[Event], start: int, stop: int, bounds: list[str]) -> str:
    """Each series at each second, as OpenMetrics with timestamps: what events before the second have come to."""
    by_tab: dict[str, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.time):
        by_tab[event.tab].append(event)
    found = ["# TYPE orders counter"]
    for shop in ("berlin", "paris"):
        held = by_tab[f"orders{{shop={shop}}}"]
        found += _sums(f'orders_total{{shop="{shop}"}}', held, [event.value for event in held], start, stop)
    found.append("# TYPE orders_events counter")
    for shop in ("berlin", "paris"):
        held = by_tab[f"orders{{shop={shop}}}"]
        found += _sums(f'orders_events_total{{shop="{shop}"}}', held, [1.0] * len(held), start, stop)
    found.append("# TYPE request_seconds histogram")
    for route in ("a", "b"):
        held = by_tab[f"request.ms{{route={route}}}"]
        for bound in bounds:
            inside = [float(event.value / 1000 <= float(bound)) for event in held]
            labels = f'route="{route}",le="{bound}"'
            found += _sums(f"request_seconds_bucket{{{labels}}}", held, inside, start, stop)
        found += _sums(f'request_seconds_count{{route="{route}"}}', held, [1.0] * len(held), start, stop)
        sums = [event.value / 1000 for event in held]
        found += _sums(f'request_seconds_sum{{route="{route}"}}', held, sums, start, stop)
    found += _gauges(by_tab["queue.depth"], start, stop)
    return "\n".join([*found, "# EOF", ""])


def _sums(series: str, events: list[Event], weights: list[float], start: int, stop: int) -> list[str]:
    times = [event.time for event in events]
    whole = [0.0, *accumulate(weights)]
    return [f"{series} {whole[bisect.bisect_left(times, at)]} {at}" for at in range(start, stop + 1)]


def _gauges(events: list[Event], start: int, stop: int) -> list[str]:
    held: dict[str, float] = {}
    waiting = list(reversed(events))
    figures: dict[str, list[str]] = defaultdict(list)
    for at in range(start, stop + 1):
        while waiting and waiting[-1].time <= at:
            event = waiting.pop()
            held[event.client] = event.value
        if held:
            numbers = list(held.values())
            told: dict[str, float] = {
                "": sum(numbers),
                "_mean": sum(numbers) / len(numbers),
                "_min": min(numbers),
                "_max": max(numbers),
                "_clients": len(numbers),
            }
            for suffix, value in told.items():
                figures[suffix].append(f"queue_depth{suffix} {value} {at}")
    return [line for suffix, lines in figures.items() for line in (f"# TYPE queue_depth{suffix} gauge", *lines)]


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def promtool_query(url: str, kind: str, *arguments: Any) -> list[str]:
    """What `promtool query` prints of a server, its lines sorted."""
    flags = [str(argument) for argument in arguments if str(argument).startswith("--")]
    rest = [str(argument) for argument in arguments if not str(argument).startswith("--")]
    return sorted(_run("promtool", "query", kind, *flags, url, *rest).splitlines())
