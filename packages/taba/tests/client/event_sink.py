"""A small real HTTP server for the client's tests: decodes frames, counts them once, and misbehaves when told."""

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from taba.frame import Frame, FrameError, decode


class Request(NamedTuple):
    """One request as it arrived."""

    headers: dict[str, str]
    body: bytes
    time: float
    connection: object


class Account(NamedTuple):
    """Sequences, how many events came with them, and how many were recorded as the last frame says."""

    sequences: list[int]
    events: int
    recorded: int


class EventSink:
    """Keeps `requests` as they arrived and `frames` as counted, each once.

    `script` tells what happens to the next requests, one entry each; afterwards all is well:
    "drop" closes the connection before anything is taken, "lose" takes the frames and closes it without an
    answer, "hang" answers only when the sink closes, a number is a status to answer with, and a pair adds
    Retry-After or the text to say.
    """

    def __init__(self, unix: Path | None = None, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.frames: list[Frame] = []
        self.script: list[object] = []
        self.rejected: list[dict[str, object]] = []
        self.closing = threading.Event()
        self._seen: set[tuple[str, str, int]] = set()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._server = _server(self, unix, port)
        self.address = f"unix://{unix}" if unix else f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def take(self, request: Request) -> int:
        """Count each of the request's frames unless its number was counted; return how many are new.

        A frame that stands for several is as new as all of them: no sender gives up what may have been taken.
        """
        with self._lock:
            new = 0
            for frame in list(decode(request.body)):
                header = frame.header
                first = header.sequence if header.first is None else header.first
                numbers = {(header.client, header.epoch, one) for one in range(first, header.sequence + 1)}
                if not numbers & self._seen:
                    self._seen |= numbers
                    self.frames.append(frame)
                    new += 1
            return new

    def accounts(self) -> dict[tuple[str, str], Account]:
        """What was counted of each client's epoch, the numbers as they came."""
        accounts: dict[tuple[str, str], Account] = {}
        for header in [frame.header for frame in list(self.frames)]:
            before = accounts.get((header.client, header.epoch), Account([], 0, 0))
            first = header.sequence if header.first is None else header.first
            accounts[header.client, header.epoch] = Account(
                [*before.sequences, *range(first, header.sequence + 1)],
                before.events + header.events(),
                max(before.recorded, header.recorded or 0),
            )
        return accounts

    def nothing_is_missing(self) -> bool:
        """Whether all frames of all epochs came, or their tombstones, and with them all that was recorded."""
        return all(
            sorted(account.sequences) == list(range(1, len(account.sequences) + 1))
            and account.events == account.recorded
            for account in self.accounts().values()
        )

    def totals(self) -> dict[str, float]:
        """The sum of all numbers, by tab."""
        totals: Counter[str] = Counter()
        for frame in list(self.frames):
            numbers = iter(frame.numbers())
            for name, count in zip(frame.header.names, frame.header.counts, strict=True):
                totals[name] += sum(next(numbers) for _ in range(count))
        return dict(totals)

    def counts(self) -> dict[str, int]:
        """How many numbers and texts, by tab."""
        counts: Counter[str] = Counter()
        for frame in list(self.frames):
            counts.update(dict(zip(frame.header.names, frame.header.counts, strict=True)))
            if frame.header.texts:
                counts.update(dict(zip(frame.header.texts.names, frame.header.texts.counts, strict=True)))
        return dict(counts)

    def texts(self) -> list[str]:
        """All texts, in order."""
        return [text for frame in self.frames if frame.header.texts for text in frame.header.texts.values]

    def drops(self) -> dict[tuple[str, str], int]:
        """What clients say they lost, by tab and reason."""
        drops: Counter[tuple[str, str]] = Counter()
        for frame in list(self.frames):
            if lost := frame.header.drops:
                for name, reason, count in zip(lost.names, lost.reasons, lost.counts, strict=True):
                    drops[name, reason] += count
        return dict(drops)

    def wait(self, condition: Callable[[], object], seconds: float = 120.0) -> None:
        """Wait until `condition` holds; fail the test if it does not in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"in vain for {seconds} s: {self.totals()} {self.drops()}")
            time.sleep(0.01)

    def close(self) -> None:
        """Stop listening and cut every connection, as a killed server does."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._connections):
            cut(connection)

    def opened(self, connection: socket.socket) -> None:
        self._connections.add(connection)

    def closed(self, connection: socket.socket) -> None:
        self._connections.discard(connection)


def cut(connection: socket.socket) -> None:
    """Close a connection for both sides."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _UnixServer(_Server):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)

    def get_request(self):
        connection, _ = self.socket.accept()
        return connection, ("unix", 0)


def _server(sink: EventSink, unix: Path | None, port: int) -> ThreadingHTTPServer:
    class Handler(_Handler):
        owner = sink

    return _UnixServer(str(unix), Handler) if unix else _Server(("127.0.0.1", port), Handler)


class _Handler(BaseHTTPRequestHandler):
    owner: EventSink
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.owner.opened(self.connection)

    def finish(self) -> None:
        self.owner.closed(self.connection)
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path.endswith("/v1/events")
        assert self.headers["Content-Type"] == "application/vnd.taba.frame"
        request = Request(dict(self.headers), body, time.time(), self.connection)
        self.owner.requests.append(request)
        self._act(request, self.owner.script.pop(0) if self.owner.script else 200)

    def _act(self, request: Request, act: object) -> None:
        status, more = act if isinstance(act, tuple) else (act, None)
        if status == "hang":
            self.owner.closing.wait(60)
        if status in ("hang", "drop", "lose"):
            if status == "lose":
                self.owner.take(request)
            self.close_connection = True
            cut(self.connection)
        elif status == 200:
            try:
                new = self.owner.take(request)
            except FrameError as error:
                self._answer(400, {"error": str(error)})
            else:
                self._answer(200, {"accepted": new, "rejected": self.owner.rejected})
        else:
            self._answer(status, {"error": more or "as told"}, more)

    def _answer(self, status: int, content: object, retry_after: object = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if isinstance(retry_after, int | float):
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
