"""Servers for the tests of this folder: a real one with events of every type, and one that answers as it is told."""

import contextlib
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

HEAD = '"complete_to":1000.5,"clients":{"current":2,"known":3}'


def events(number: int, begun: float) -> list[dict]:
    """What the client of a number records over a minute."""
    return [
        {"tab": "orders", "value": 2, "tags": {"shop": "berlin"}, "time": begun + number},
        {"tab": "orders{shop=paris}", "value": 5, "time": begun + 10 * number},
        *(
            {"tab": "request.ms", "type": "percentile", "value": 10.0 + number, "time": begun + 2 * at}
            for at in range(20)
        ),
        {"tab": "queue.depth", "type": "gauge", "value": number, "time": begun + 5},
        {"tab": "release", "type": "gauge", "value": f"v{number // 2}", "time": begun + 5},
        {"tab": "visitors", "type": "uniques", "value": f"u{number % 2}", "time": begun},
        {"tab": "pages", "type": "top", "value": "/a" if number else '/b "q"', "time": begun},
        {"tab": "errors", "type": "buffer", "value": 503 if number else "line\u2028end", "time": begun + number},
    ]


class Scripted:
    """A small real HTTP server. Each request takes the next of `script`: (status, headers, body), "cut", or a function.

    A function is called with the handler and writes what it likes. The last one stays.
    """

    def __init__(self) -> None:
        self.script: list = []
        self.requests: list[tuple[str, list[tuple[str, str]], dict[str, str]]] = []
        self.ending = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *arguments) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        headers = {name.lower(): text for name, text in handler.headers.items()}
        self.requests.append((parts.path, parse_qsl(parts.query, keep_blank_values=True), headers))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        with contextlib.suppress(OSError):
            if callable(step):
                step(handler)
                handler.close_connection = True
            elif step == "cut":
                handler.close_connection = True
            else:
                status, headers, body = step
                handler.send_response(status)
                for name, text in headers.items():
                    handler.send_header(name, text)
                handler.send_header("Content-Length", str(len(body.encode())))
                handler.end_headers()
                handler.wfile.write(body.encode())

    def close(self) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()


def stream(*parts, held: threading.Event | None = None) -> Callable:
    """A stream of server-sent events: texts to write, and functions to call between them."""

    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for part in parts:
            if callable(part):
                part()
            else:
                handler.wfile.write(part.encode())
                handler.wfile.flush()
        if held is not None:
            held.wait(100)

    return write


def event(kind: str, data: str, name: str = "") -> str:
    """One event as it is written."""
    told = f"id: {name}\n" if name else ""
    return f"event: {kind}\n{told}data: {data}\n\n"


def counts(**tabs: int | None) -> str:
    """Aggregates of counters in the window of a minute, by their counts."""
    figures = '"total":{0}.0,"mean":1.0,"min":1.0,"max":1.0,"rate":0.5'
    inside = [
        f'"{tab}":' + ("null" if n is None else f'{{"1m":{{"count":{n},{figures.format(n)}}}}}')
        for tab, n in tabs.items()
    ]
    return f'{{{HEAD},"tabs":{{{",".join(inside)}}}}}'


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until it holds; fail if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in vain for {seconds} s"
        time.sleep(0.01)
