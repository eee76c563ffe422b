"""A real HTTP server on a free port that gives the answers that a test sets, and keeps what it was asked."""

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


class AnsweringServer(ThreadingHTTPServer):
    """`answers` maps a path to (status, JSON or bytes, or what makes these of the query and the headers).

    Events are counted once for each source and sequence.

    `trouble` is what happens to the next posts, one after another: `busy`, `lost` (counted, but the answer never
    comes), `cut` (not even counted), a status as `413`, or nothing.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, object]] = {"/ping": (200, {"status": "ok"})}
        self.asked: list[tuple[str, list[tuple[str, str]]]] = []
        self.events: list[dict] = []
        self.seen: set[tuple[str, str]] = set()
        self.trouble: list[str] = []
        self.connections: list[socket.socket] = []
        self.refuse = lambda event: None
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def take(self, body: bytes, headers) -> dict:
        """Count a request's events, once."""
        receipt = (headers["Taba-Source"], headers["Taba-Sequence"])
        if receipt in self.seen:
            return {"accepted": 0, "rejected": [], "duplicate": True}
        self.seen.add(receipt)
        if headers["Content-Type"] == "application/json":
            events = json.loads(body)["events"]
        else:
            events = [json.loads(line) for line in body.splitlines()]
        rejected = [{"index": n, "error": self.refuse(event)} for n, event in enumerate(events) if self.refuse(event)]
        self.events += [event for event in events if not self.refuse(event)]
        answer = {"accepted": len(events) - len(rejected), "rejected": rejected[:100]}
        return answer | ({"rejected_total": len(rejected)} if len(rejected) > 100 else {})

    def close(self) -> None:
        """Go away, from those too who keep a connection."""
        self.shutdown()
        self.server_close()
        self._thread.join(5)
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection to it."""

    server: AnsweringServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.server.connections.append(self.connection)

    def do_GET(self):
        parts = urlsplit(self.path)
        self.server.asked.append((parts.path, parse_qsl(parts.query)))
        status, value = self.server.answers.get(parts.path, (404, {"detail": "no"}))
        self._answer(status, value(dict(parse_qsl(parts.query)), self.headers) if callable(value) else value)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        trouble = self.server.trouble.pop(0) if self.server.trouble else ""
        answer = self.server.take(body, self.headers) if trouble in ("", "lost") else {}
        if trouble in ("cut", "lost"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif trouble:
            status = 503 if trouble == "busy" else int(trouble)
            self._answer(status, {"error": f"told {status}"}, retry="0.01")
        else:
            self._answer(200, answer)

    def _answer(self, status, value, retry=None):
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if retry:
            self.send_header("Retry-After", retry)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass
