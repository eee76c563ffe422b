"""Simulated clients: many connections from one process that spends as little as it can on each event.

Each client flushes four times a second, as a real one does, and has one request in flight; what it flushes
meanwhile waits and goes out together under the last frame's sequence. The flushes of all clients are spread
over the quarter second. A frame holds the next tabs of a rotation through all of them, so that events are
spread evenly over every (tab, client) pair.
"""

from __future__ import annotations

import random
import resource
import select
import socket
import time
import zlib
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from taba import frame

QUARTER = 0.25
DRAIN_SECONDS = 60
"""How long after the last flush answers are waited for."""
RETRY_SECONDS = 1.0
VALUE_POOL = 1 << 16
MIXED = ("counter",) * 16 + ("percentile",) * 3 + ("gauge",)
"""80 % counters, 15 % percentiles and 5 % gauges."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A load: `rate` events a second for `seconds`; each tab in a frame has `values` of them."""

    rate: float
    seconds: int
    clients: int = 300
    tabs: int = 10_000
    values: int = 1
    kinds: tuple[str, ...] = ("counter",)
    """The types of the tabs, in turns."""

    @property
    def frames(self) -> int:
        """How many frames there are in all."""
        return round(self.seconds / QUARTER) * self.clients

    def entries(self, index: int) -> int:
        """How many tabs the frame `index` holds: whole numbers that add up to the rate."""
        each = self.rate * QUARTER / self.clients / self.values
        return int(each * (index + 1)) - int(each * index)

    def tab_types(self) -> list[str]:
        """The type of each tab."""
        return [self.kinds[tab % len(self.kinds)] for tab in range(self.tabs)]


@dataclass(slots=True)
class Sent:
    """What came of it. Latencies are in seconds, from when a post was due to its answer."""

    events: dict[str, int] = field(default_factory=dict)
    """Events by tab, of the frames that were answered."""
    by_client: dict[str, int] = field(default_factory=dict)
    latencies: array[float] = field(default_factory=lambda: array("d"))
    bytes: int = 0
    behind: float = 0.0
    """Seconds from the last flush to the last answer."""
    refused: Counter[int] = field(default_factory=Counter)
    """Answers other than 200, by status; the same bytes were sent again."""
    rejected: int = 0
    unanswered: int = 0
    """Frames without an answer at the end."""
    cpu: float = 0.0


class Frames:
    """Frames from pieces that are prepared once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.names = [f"load.{tab:05d}" for tab in range(plan.tabs)]
        # Twice in a row, so that a rotation is one slice.
        self._names = [f'"{name}"'.encode() for name in self.names] * 2
        self._types = [f'"{kind}"'.encode() for kind in plan.tab_types()] * 2
        chance = random.Random(1)
        values = array("d", (round(chance.lognormvariate(3, 1), 2) for _ in range(VALUE_POOL)))
        most = (plan.entries(0) + 1) * plan.values
        self._values = frame.pack_values(values) * (most // VALUE_POOL + 2)
        self._verify()

    def make(self, client: str, sequence: int, stop: float, first: int, entries: int, recorded: int) -> bytes:
        """A frame of the quarter second before `stop` with `entries` tabs from the tab `first` on."""
        names = b",".join(self._names[first : first + entries])
        types = b",".join(self._types[first : first + entries])
        counts = b",".join([b"%d" % self.plan.values] * entries)
        at = (first * 7 + sequence) % VALUE_POOL * 8
        values = self._values[at : at + entries * self.plan.values * 8]
        header = (
            f'{{"client":"{client}","epoch":"load","sequence":{sequence},"start":{stop - QUARTER},"stop":{stop},'
            '"names":[%b],"types":[%b],"counts":[%b],"began":0.0,'
            f'"recorded":{recorded}}}'
        ).encode() % (names, types, counts)
        checksum = zlib.crc32(values, zlib.crc32(header))
        prefix = frame.PREFIX.pack(frame.MAGIC, frame.VERSION, 0, len(header), len(values), checksum)
        return prefix + header + values

    def _verify(self) -> None:
        """What is made here must be what the client's own encoder makes."""
        made = self.make("web-000", 7, 1000.25, self.plan.tabs - 1, 2, 2 * self.plan.values)
        (decoded,) = frame.decode(made)
        assert frame.encode(decoded.header, bytes(decoded.values)) == made


class SimulatedClient:
    """One client with its connection."""

    def __init__(self, name: str, address: tuple[str, int], first: int) -> None:
        self.name = name
        self.first = first
        self.entries = 0
        self.sequence = 0
        self.waiting: list[tuple[float, bytes, int]] = []
        self.flying: list[tuple[float, bytes, int]] = []
        self.retry_at = 0.0
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._received = b""
        self.unsent = memoryview(b"")
        self._request = b""

    def put(self, due: float, body: bytes, events: int) -> None:
        """Take a frame that is due; send it if nothing is in flight."""
        self.waiting.append((due, body, events))
        if not self.flying:
            self.send_next()

    def send_next(self) -> None:
        """All that waits, as one request."""
        self.flying, self.waiting = self.waiting, []
        body = b"".join(part for _, part, _ in self.flying)
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: load\r\nContent-Type: {frame.CONTENT_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body
        self.repeat()

    def repeat(self) -> None:
        """Send the request, from its first byte."""
        self.retry_at = 0.0
        self.unsent = memoryview(self._request)
        self.push()

    def push(self) -> None:
        """Send what the socket takes."""
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return

    def pull(self) -> tuple[int, bytes] | None:
        """Receive: the status and the body of an answer that is whole now."""
        received = self.socket.recv(1 << 16)
        if not received:
            raise ConnectionError(f"the server closed the connection of {self.name}")
        self._received += received
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank:
            return None
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return None
        self._received = b""
        return int(head[9:12]), body


class Drive:
    """Runs all clients of a plan from the time `start` (a whole second) on."""

    def __init__(self, plan: Plan, doors: Sequence[tuple[str, int]]) -> None:
        """Clients post to the doors in turns."""
        self._plan = plan
        self._frames = Frames(plan)
        self._clients = [
            SimulatedClient(f"web-{number:03d}", doors[number % len(doors)], number * plan.tabs // plan.clients)
            for number in range(plan.clients)
        ]
        self._by_descriptor = {client.socket.fileno(): client for client in self._clients}
        self._poll = select.epoll()
        for descriptor in self._by_descriptor:
            self._poll.register(descriptor, select.EPOLLIN)
        self._blocked: set[int] = set()
        self._failed: set[SimulatedClient] = set()
        self.sent = Sent()

    def run(self, start: float) -> Sent:
        """Send all frames, wait for the answers, and tell."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        index, total = 0, self._plan.frames
        step = QUARTER / self._plan.clients
        last_due = start + QUARTER + (total - 1) * step
        while time.time() < last_due + DRAIN_SECONDS:
            now = time.time()
            while index < total and start + QUARTER + index * step <= now:
                self._flush(index, start)
                index += 1
            if index == total and not any(client.flying for client in self._clients):
                break
            following = start + QUARTER + index * step if index < total else now + 0.01
            self._serve(max(following - time.time(), 0))
        self.sent.behind = time.time() - last_due
        self.sent.unanswered = sum(len(client.flying) + len(client.waiting) for client in self._clients)
        after = resource.getrusage(resource.RUSAGE_SELF)
        self.sent.cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
        self._count()
        return self.sent

    def _flush(self, index: int, start: float) -> None:
        quarter, number = divmod(index, self._plan.clients)
        client = self._clients[number]
        entries = self._plan.entries(index)
        client.sequence += 1
        stop = start + (quarter + 1) * QUARTER
        first = (client.first + client.entries) % self._plan.tabs
        client.entries += entries
        recorded = client.entries * self._plan.values
        body = self._frames.make(client.name, client.sequence, stop, first, entries, recorded)
        client.put(stop + number * QUARTER / self._plan.clients, body, entries * self._plan.values)
        self._watch(client)

    def _serve(self, wait: float) -> None:
        """Take what comes within `wait` seconds."""
        for descriptor, event in self._poll.poll(wait):
            client = self._by_descriptor[descriptor]
            if event & select.EPOLLOUT:
                client.push()
            if event & ~select.EPOLLOUT:
                answer = client.pull()
                if answer is not None:
                    self._answered(client, *answer)
            self._watch(client)
        if self._failed:
            now = time.time()
            for client in [client for client in self._failed if client.retry_at <= now]:
                self._failed.discard(client)
                client.repeat()
                self._watch(client)

    def _watch(self, client: SimulatedClient) -> None:
        """Ask to be told when a socket takes more, only while there is more."""
        descriptor = client.socket.fileno()
        if bool(client.unsent) == (descriptor in self._blocked):
            return
        if client.unsent:
            self._blocked.add(descriptor)
            self._poll.modify(descriptor, select.EPOLLIN | select.EPOLLOUT)
        else:
            self._blocked.discard(descriptor)
            self._poll.modify(descriptor, select.EPOLLIN)

    def _answered(self, client: SimulatedClient, status: int, body: bytes) -> None:
        events = sum(count for _, _, count in client.flying)
        if status != 200:
            if status not in (429, 503):
                raise RuntimeError(f"{client.name} was answered {status} {body[:300]!r}")
            self.sent.refused[status] += 1
            client.retry_at = time.time() + RETRY_SECONDS
            self._failed.add(client)
            return
        if not body.startswith(b'{"accepted":%d,"rejected":[]' % events):
            self.sent.rejected += 1
        now = time.time()
        self.sent.latencies.extend(now - due for due, _, _ in client.flying)
        self.sent.bytes += sum(len(part) for _, part, _ in client.flying)
        self.sent.by_client[client.name] = self.sent.by_client.get(client.name, 0) + events
        client.flying = []
        if client.waiting:
            client.send_next()

    def _count(self) -> None:
        """Events by tab: each client's answered frames are one run through the rotation."""
        tabs, values = self._plan.tabs, self._plan.values
        counts = [0] * tabs
        for client in self._clients:
            whole, rest = divmod(self.sent.by_client.get(client.name, 0) // values, tabs)
            for tab in range(tabs):
                counts[tab] += whole + ((tab - client.first) % tabs < rest)
        self.sent.events = {name: count * values for name, count in zip(self._frames.names, counts, strict=True)}


def simulate(plan: Plan, doors: Sequence[tuple[str, int]], pipe: Connection) -> None:
    """The generator's process: says that it is ready, is told when to start, gives what came of it."""
    drive = Drive(plan, doors)
    pipe.send("ready")
    pipe.send(drive.run(pipe.recv()))
