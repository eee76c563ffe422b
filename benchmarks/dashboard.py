"""The dashboard over 10,000 tabs and 300 clients, in a real Chromium: how soon it shows, and whether it stays smooth.

A server is filled so that every client has recorded to every tab: 3,000,000 pairs, each a State. Then Chromium opens
the page while events go on coming in; what the page's own clock, its long tasks and its frames say is written down.

    python -m benchmarks dashboard [--tabs 10000] [--clients 300] [--seconds 20]
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from textwrap import fill
from typing import Any

from benchmarks import machine, table, write
from benchmarks.load_clients import MIXED
from benchmarks.load_probe import Asker, percentile
from benchmarks.load_server import Shape, running_way
from taba import frame

OPENED = 5
"""How often the page is opened; each time with nothing kept from the time before."""
FRAMES_A_SECOND = 50
ENTRIES = 40
"""Live events: so many frames a second, of so many tabs each, most of them on the first screen."""

WATCH = """
window.seen = {cards: null, drawn: null, figures: null, long: [], frames: []};
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.seen.long.push(task.duration);
}).observe({type: 'longtask', buffered: true});
const look = (now) => {
  const cards = document.querySelectorAll('.card');
  window.seen.frames.push(now);
  if (cards.length) {
    window.seen.cards ??= now;
    const some = [...cards].slice(0, 6);
    if (some.every((card) => card.querySelector('canvas'))) window.seen.drawn ??= now;
    if (some.every((card) => card.querySelector('tbody td')?.textContent)) window.seen.figures ??= now;
  }
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
"""Runs in the page before anything of it: when the first cards are there, and how long frames and tasks take."""


def names(tabs: int) -> list[str]:
    """Tabs with tags, as a fleet has them."""
    return [f"load.{tab // 10:04d}{{route=r{tab % 10}}}" for tab in range(tabs)]


class Filler:
    """Frames of all clients, through one connection."""

    def __init__(self, asker: Asker, tabs: int, clients: int) -> None:
        self._asker = asker
        self._names = names(tabs)
        self._types = [MIXED[tab // 10 % len(MIXED)] for tab in range(tabs)]
        self._clients = [f"web-{client:03d}" for client in range(clients)]
        self._sequence = 0
        self._chance = random.Random(1)

    def frame(self, client: int, first: int, count: int) -> bytes:
        """One value of each of `count` tabs from `first` on."""
        self._sequence += 1
        now = time.time()
        tabs = range(first, min(first + count, len(self._names)))
        values = array("d", (round(self._chance.lognormvariate(3, 1), 2) for _ in tabs))
        header = frame.Header(
            self._clients[client],
            "bench",
            self._sequence,
            now - 0.25,
            now,
            [self._names[tab] for tab in tabs],
            [self._types[tab] for tab in tabs],
            [1] * len(tabs),
        )
        return frame.encode(header, frame.pack_values(values))

    def fill(self) -> float:
        """Every pair of a tab and a client once; the seconds that it took."""
        began = time.perf_counter()
        for client in range(len(self._clients)):
            self._asker.post(self.frame(client, 0, len(self._names)))
        return time.perf_counter() - began

    def go_on(self, stop: threading.Event) -> None:
        """Record on: the first tabs mostly, which are those on the screen."""
        while not stop.wait(1 / FRAMES_A_SECOND):
            client = self._chance.randrange(len(self._clients))
            first = 0 if self._chance.random() < 0.7 else self._chance.randrange(len(self._names))
            self._asker.post(self.frame(client, first, ENTRIES))


def timed(ask: Callable[[], object], times: int = 5) -> str:
    """The median and the slowest of some calls, in ms."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    return f"{median(taken):.0f} ({max(taken):.0f})"


def asked(asker: Asker, tabs: int) -> list[list[str]]:
    """What the page asks, timed at the server's door."""
    shown = "&".join(f"tab=%3D{name.replace('{', '%7B').replace('}', '%7D')}" for name in names(tabs)[:24])
    asks = {
        "all tabs, in brief": "/v1/tabs?brief=true&limit=20000",
        "how many tabs there are": "/v1/tabs?brief=true&limit=1",
        "all tabs, with clients and last seen": "/v1/tabs",
        "points of 24 tabs": f"/v1/series?{shown}&step=5s",
        "figures of 24 tabs over 1m, 10m, 1h and 1d": f"/v1/aggregates?{shown}",
        "points of 300 clients of a tab": f"/v1/series?tab=%3D{names(tabs)[0]}&each=client&step=60s",
    }
    return [[name, timed(lambda path=path: asker.get(path))] for name, path in asks.items()]


def metrics(session: Any) -> dict[str, float]:
    """What Chromium counts of the page, in seconds."""
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}


def intervals(page: Any) -> list[float]:
    """Milliseconds between the frames since the last call."""
    times = page.evaluate("() => window.seen.frames.splice(0)")
    return [after - before for before, after in pairwise(times)]


def opened(browser: Any, url: str) -> dict[str, float]:
    """The page opened with an empty cache: milliseconds from the navigation's begin."""
    context = browser.new_context(viewport={"width": 1360, "height": 860})
    page = context.new_page()
    page.add_init_script(WATCH)
    session = profiled(context, page)
    page.goto(url)
    page.wait_for_function("() => window.seen.drawn && window.seen.figures", timeout=60_000)
    found = page.evaluate("() => ({...window.seen, frames: undefined})")
    busy = metrics(session)["TaskDuration"] * 1000
    context.close()
    return {
        "cards": found["cards"],
        "charts": found["drawn"],
        "figures": found["figures"],
        "the page's own processor time until then": busy,
        "longest task": max(found["long"], default=0.0),
    }


def profiled(context: Any, page: Any) -> Any:
    """A session that counts the processor time of the page's thread: not what it waits for on a busy machine."""
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    return session


def used(page: Any, session: Any, during: Callable[[], None]) -> list[str]:
    """What a stretch of time costs the page: shares of a core, long tasks, frames."""
    page.evaluate("() => { window.seen.long = []; window.seen.frames = []; }")
    before, began = metrics(session), time.perf_counter()
    during()
    lasted = time.perf_counter() - began
    after = metrics(session)
    frames = intervals(page)
    long = page.evaluate("() => window.seen.long")
    share = [(after[name] - before[name]) / lasted for name in ("ScriptDuration", "LayoutDuration", "TaskDuration")]
    return [
        *(f"{100 * part:.1f} %" for part in share),
        f"{len(long)} ({max(long, default=0):.0f})",
        f"{percentile(frames, 0.5):.0f} / {percentile(frames, 0.99):.0f} / {max(frames, default=0):.0f}",
    ]


def smooth(browser: Any, url: str, seconds: float) -> list[list[str]]:
    """The page while it lives, while it is scrolled through, and while one types."""
    context = browser.new_context(viewport={"width": 1360, "height": 860})
    page = context.new_page()
    page.add_init_script(WATCH)
    session = profiled(context, page)
    page.goto(url)
    page.wait_for_function("() => window.seen.drawn", timeout=60_000)
    page.wait_for_timeout(2000)

    def scroll() -> None:
        for _ in range(int(seconds * 10)):
            page.mouse.wheel(0, 400)
            page.wait_for_timeout(60)

    def search() -> None:
        page.locator(".search input").fill("")
        for letter in "load.01*{route=r3} ":
            page.locator(".search input").press_sequentially(letter)
            page.wait_for_timeout(100)

    rows = [
        ["live", *used(page, session, lambda: page.wait_for_timeout(seconds * 1000))],
        ["scrolled through", *used(page, session, scroll)],
        ["typed into the search", *used(page, session, search)],
    ]
    page.evaluate("() => { location.hash = '#/tab/load.0000%7Broute%3Dr0%7D'; }")
    page.wait_for_selector(".clients")
    rows.append(["a tab's page, live", *used(page, session, lambda: page.wait_for_timeout(seconds * 1000))])
    context.close()
    return rows


def opening(browser: Any, url: str) -> list[list[str]]:
    """The median and the worst of some openings."""
    found = [opened(browser, url) for _ in range(OPENED)]
    return [
        [name, f"{median(one[name] for one in found):.0f}", f"{max(one[name] for one in found):.0f}"]
        for name in found[0]
    ]


def report(tabs: int, clients: int, filled: float, parts: Sequence[tuple[str, str]]) -> str:
    """The page of results."""
    title = f"# The dashboard over {tabs:,} tabs and {clients} clients"
    load = os.getloadavg()[1]
    told = (
        f"{machine()}, which also carried the server, Chromium and other work (a load of {load:.0f} in five minutes). "
        f"Every client has recorded to every tab: {tabs * clients:,} pairs, filled in {filled:.0f} s. One server on "
        f"SQLite, default settings; a window of 1360 by 860; meanwhile {FRAMES_A_SECOND} frames a second of {ENTRIES} "
        "tabs each come in. `python -m benchmarks dashboard`."
    )
    return "\n\n".join([title, fill(told, 119), *(f"## {name}\n\n{text}" for name, text in parts)]) + "\n"


def main() -> None:
    """Run it, and write the tables."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser()
    parser.add_argument("--tabs", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    with running_way(Shape()) as way, sync_playwright() as playwright:
        url = f"http://{way.address[0]}:{way.address[1]}/"
        filler = Filler(Asker(way.address), options.tabs, options.clients)
        filled = filler.fill()
        stop = threading.Event()
        live = threading.Thread(target=filler.go_on, args=(stop,))
        live.start()
        try:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
            served = asked(Asker(way.address), options.tabs)
            first, lasting = opening(browser, url), smooth(browser, url, options.seconds)
            browser.close()
        finally:
            stop.set()
            live.join()
    parts = [
        ("Opening, in ms from the navigation", table(["first screen", "median", "slowest"], first)),
        (
            "Staying smooth",
            table(["", "script", "layout", "all tasks", "tasks > 50 ms", "ms a frame, p50 / p99 / most"], lasting),
        ),
        ("What the page asks, in ms at the server", table(["", "median (slowest)"], served)),
    ]
    write("dashboard", report(options.tabs, options.clients, filled, parts))
