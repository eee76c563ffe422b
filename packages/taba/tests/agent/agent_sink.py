"""A small real HTTP server for the agent's tests: counts frames by their numbers, and misbehaves when told."""

import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from taba.frame import Header, decode, encode, pack_values

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


class Sink:
    """`script` tells what happens to the next posts, one entry each; then all is well:

    "lose" takes the frames and closes the connection without an answer, "drop" closes it at once, a number is a
    status (with Retry-After 0 and an error as a server's), "html" is a 413 that no server of ours would write.
    `well` is what /ping says; `seconds` is how long an answer takes. `refuse` makes any body with a frame of that
    client a 400.
    """

    def __init__(self) -> None:
        self.script: list[object] = []
        self.well = True
        self.seconds = 0.0
        self.refuse: str | None = None
        self.frames: dict[tuple[str, str, int], Header] = {}
        self.order: list[tuple[str, int]] = []
        self.duplicates = 0
        self.posts: list[tuple[str, bytes]] = []
        """Source/sequence, and the body as it travelled."""
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def take(self, headers: Mapping[str, str], raw: bytes) -> tuple[int, dict[str, object]]:
        """Count a body's frames, each once."""
        self.gate.wait(100)
        time.sleep(self.seconds)
        body = zstd.decompress(raw) if headers.get("Content-Encoding") == "zstd" else raw
        with self._lock:
            self.posts.append((f"{headers['Taba-Source']} {headers['Taba-Sequence']}", raw))
            frames = [one.header for one in decode(body)]
            if any(header.client == self.refuse for header in frames):
                return 400, {"error": "not from that one"}
            for header in frames:
                key = (header.client, header.epoch, header.sequence)
                self.duplicates += key in self.frames
                if key not in self.frames:
                    self.frames[key] = header
                    self.order.append((header.client, header.sequence))
            return 200, {"accepted": sum(header.events() for header in frames), "rejected": []}

    def sequences(self, client: str) -> list[int]:
        """The numbers of a client's frames, as counted."""
        return sorted(sequence for name, _, sequence in list(self.frames) if name == client)

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(sink: Sink) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(200 if sink.well else 503, {})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            step = sink.script.pop(0) if sink.script else None
            if step in ("lose", "drop"):
                if step == "lose":
                    sink.take(self.headers, raw)
                self.close_connection = True
                self.connection.close()
            elif step == "html":
                self._answer(413, None)
            elif isinstance(step, int):
                self._answer(step, {"error": "as told"}, {"Retry-After": "0"})
            else:
                self._answer(*sink.take(self.headers, raw))

        def _answer(self, status: int, content: object, headers: Mapping[str, str] | None = None) -> None:
            body = b"<html>" if content is None else json.dumps(content).encode()
            self.send_response(status)
            for name, text in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def sinks(count: int) -> Iterator[list[Sink]]:
    """Some sinks, closed in the end."""
    made = [Sink() for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.close()


def made_frame(client: str, sequence: int, counts: Mapping[str, int] | None = None, epoch: str = "e") -> bytes:
    """A frame of ones; `recorded` is as if every frame of the epoch were like it."""
    from array import array

    held = {"a.b": 3} if counts is None else dict(counts)
    total = sum(held.values())
    header = Header(
        client,
        epoch,
        sequence,
        100.0 + sequence,
        101.0 + sequence,
        list(held),
        ["counter"] * len(held),
        list(held.values()),
        began=100.0,
        recorded=total * sequence,
    )
    return encode(header, pack_values(array("d", [1.0] * total)))
