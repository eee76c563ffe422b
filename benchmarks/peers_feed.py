"""The same events for every peer, encoded before they are sent, and senders that spend next to nothing on each.

What is sent in which quarter second is what the simulated clients of `load` send: of each client the next tabs of a
rotation through all. Four tabs of five are counters, the fifth holds timings.
"""

from __future__ import annotations

import http.client
import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection

from benchmarks.load_clients import QUARTER, Plan

KINDS = ("counter",) * 4 + ("percentile",)
PACKET_BYTES = 1432
"""What fits into an Ethernet frame."""
TICK_SECONDS = 0.01
POOL = 4096

Encode = Callable[[int, int, bytes], bytes]
"""A line, from the tab, the client and the value."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Events of a plan, by tab alone or by tab and client."""

    plan: Plan
    by_client: bool

    @property
    def events(self) -> int:
        """How many there are."""
        return sum(self.plan.entries(index) for index in range(self.plan.frames))

    @property
    def keeps(self) -> str:
        """What there is a series of, in words."""
        series = f"{self.plan.tabs * self.plan.clients:,} pairs of tab and client"
        return series if self.by_client else f"{self.plan.tabs:,} tabs"

    def flushes(self) -> Iterator[tuple[float, int, list[int]]]:
        """Each client's flushes: when (seconds from the start on), the client, the tabs of which it has an event."""
        plan = self.plan
        sent = [0] * plan.clients
        for index in range(plan.frames):
            client = index % plan.clients
            entries = plan.entries(index)
            first = client * plan.tabs // plan.clients + sent[client]
            sent[client] += entries
            yield (index / plan.clients) * QUARTER, client, [(first + more) % plan.tabs for more in range(entries)]

    def values(self) -> list[bytes]:
        """A pool of values, spread as prices and times are."""
        chance = random.Random(1)
        return [b"%.2f" % chance.lognormvariate(3, 1) for _ in range(POOL)]


def is_timing(tab: int) -> bool:
    """Whether a tab holds timings."""
    return KINDS[tab % len(KINDS)] != "counter"


def statsd_line(feed: Feed, *, tags: bool) -> Encode:
    """Lines of StatsD; a client is a tag, or else the last part of the name."""
    ends = [b"ms" if is_timing(tab) else b"c" for tab in range(feed.plan.tabs)]
    clients = [b"web-%03d" % client for client in range(feed.plan.clients)]

    def line(tab: int, client: int, value: bytes) -> bytes:
        if not feed.by_client:
            return b"load.%05d:%b|%b\n" % (tab, value, ends[tab])
        if tags:
            return b"load.%05d:%b|%b|#client:%b\n" % (tab, value, ends[tab], clients[client])
        return b"load.%05d.%b:%b|%b\n" % (tab, clients[client], value, ends[tab])

    return line


def prometheus_line(feed: Feed) -> Encode:
    """Lines of Prometheus' text format."""
    names = [b"load_timing" if is_timing(tab) else b"load_counter" for tab in range(feed.plan.tabs)]

    def line(tab: int, client: int, value: bytes) -> bytes:
        return b'%b{tab="%05d",client="web-%03d"} %b\n' % (names[tab], tab, client, value)

    return line


def lines_by_flush(feed: Feed, encode: Encode) -> Iterator[tuple[float, list[bytes]]]:
    """Each flush as lines."""
    values, at = feed.values(), 0
    for moment, client, tabs in feed.flushes():
        yield moment, [encode(tab, client, values[(at + place) % POOL]) for place, tab in enumerate(tabs)]
        at += len(tabs)


def send_datagrams(feed: Feed, tags: bool, port: int, pipe: Connection) -> None:
    """A sender's process: packets of StatsD over UDP, each as full as it may be, when they are due."""
    due: list[tuple[float, bytes]] = []
    for moment, lines in lines_by_flush(feed, statsd_line(feed, tags=tags)):
        packet = b""
        for line in lines:
            if len(packet) + len(line) > PACKET_BYTES:
                due.append((moment, packet))
                packet = b""
            packet += line
        due.append((moment, packet))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", port))
    _on_time(due, sender.send, pipe)


def post_lines(feed: Feed, path: str, port: int, batch: float, pipe: Connection) -> None:
    """A sender's process: what falls into each `batch` seconds as one POST of lines, when it is due."""
    batches: dict[int, list[bytes]] = {}
    for moment, lines in lines_by_flush(feed, prometheus_line(feed)):
        batches.setdefault(int(moment / batch), []).extend(lines)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def post(body: bytes) -> None:
        connection.request("POST", path, body)
        response = connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{path} was answered {response.status} {answer[:300]!r}")

    _on_time([((number + 1) * batch, b"".join(lines)) for number, lines in batches.items()], post, pipe)


def _on_time(due: list[tuple[float, bytes]], send: Callable[[bytes], object], pipe: Connection) -> None:
    """Say that all is ready, wait for the word, send each thing when it is due, and tell how long it took."""
    pipe.send("ready")
    pipe.recv()
    start = time.monotonic()
    for moment, body in due:
        wait = moment - (time.monotonic() - start)
        if wait > TICK_SECONDS:
            time.sleep(wait)
        try:
            send(body)
        except ConnectionRefusedError:  # a datagram to a port that nobody has open any more is lost, as it would be
            continue
    pipe.send(time.monotonic() - start)
