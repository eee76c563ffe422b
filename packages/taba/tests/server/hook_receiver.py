"""A webhook's receiver: keeps what is posted to it, by path, and answers as a test tells it to."""

import http.server
import json
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any


class HookReceiver:
    """`answers` says by path what is answered in turn, the last for good: a status, or a number of seconds to hang."""

    def __init__(self) -> None:
        self.answers: dict[str, list[int | float]] = {}
        self._posted: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver._take(self, body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _take(self, request: http.server.BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self._posted[request.path].append(body)
            answers = self.answers.get(request.path, [200])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, float):
            self._closing.wait(answer)
            return
        request.send_response(answer)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def posted(self, path: str) -> list[dict[str, Any]]:
        """What came so far."""
        with self._lock:
            return list(self._posted[path])

    def events(self, path: str) -> list[str]:
        """Of what came, what each says has happened."""
        return [body["event"] for body in self.posted(path)]

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()


class Recording(threading.Thread):
    """A client that records the events in `events` ten times a second, whatever becomes of its servers."""

    def __init__(self, servers: Any, client: str = "c1", **events: Mapping[str, Any]) -> None:
        super().__init__(daemon=True)
        self._servers, self._client = servers, client
        self.events = list(events.values())
        self._ending = threading.Event()
        self.start()

    def run(self) -> None:
        turn = 0
        while not self._ending.wait(0.1):
            turn += 1
            server = self._servers[turn % len(self._servers)]
            try:
                server.record([{"tab": "alive", "value": 1}, *self.events], client=self._client)
            except Exception:
                time.sleep(0.1)

    def end(self) -> None:
        self._ending.set()
        self.join(30)
