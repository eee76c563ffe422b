"""The servers that the benchmark `stalls` loads: `python -m benchmarks.stalls_server KIND`, KIND being asyncio, uvloop
or gevent. Writes its port first.

GET /mode/MODE changes what is switched on; GET /cpu answers with the seconds that the process has computed and the
requests it has answered. Any other request is one of those that are counted: it makes a JSON text and lets others run
twice, as for a cache and a database.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import taba
import taba.loops
from taba.loops import spans

MODES = ("off", "watched", "spans", "all measured")
ANSWER = {"items": [{"id": number, "name": f"item {number}", "price": number * 1.25} for number in range(20)]}


class Counted:
    """What is switched on, and how many requests were answered."""

    def __init__(self, watch: Callable[..., Any]) -> None:
        self.mode = "off"
        self.requests = 0
        self._watch = watch
        self._watched: Any = None

    def control(self, path: str) -> bytes | None:
        """Answer a request that is none of the load."""
        if path.startswith("/mode/"):
            self.mode = path.removeprefix("/mode/").replace("%20", " ")
            assert self.mode in MODES, path
            if self._watched is not None:
                self._watched.stop()
            self._watched = self._watch() if self.mode == "watched" else None
        elif path == "/cpu":
            return json.dumps([time.process_time(), self.requests]).encode()
        else:
            return None
        return b"{}"


def serve_asgi(kind: str) -> None:
    """On uvicorn."""
    import uvicorn

    counted = Counted(taba.loops.watch)
    recorded = taba.counter("requests").record

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        body = json.dumps(ANSWER).encode()
        await asyncio.sleep(0)
        await respond(send, body)

    async def respond(send: Any, body: bytes) -> None:
        head = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    apps = {"off": plain, "watched": plain, "spans": spans.asgi(plain), "all measured": spans.asgi(plain, one_in=1)}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = counted.control(scope["path"])
        if body is not None:
            return await respond(send, body)
        counted.requests += 1
        recorded(1)
        return await apps[counted.mode](scope, receive, send)

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(app, loop=kind, log_level="error", access_log=False, lifespan="off")
    uvicorn.Server(config).run([listening])


def serve_gevent() -> None:
    """On gevent's own server."""
    from gevent import monkey

    monkey.patch_all()
    import gevent
    from gevent.pywsgi import WSGIServer

    counted = Counted(taba.loops.watch_gevent)
    recorded = taba.counter("requests").record

    def plain(environ: Any, start_response: Any) -> list[bytes]:
        gevent.sleep(0)
        body = json.dumps(ANSWER).encode()
        gevent.sleep(0)
        return respond(start_response, body)

    def respond(start_response: Any, body: bytes) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(len(body))), ("Content-Type", "application/json")])
        return [body]

    apps: dict[str, Any] = {"off": plain, "watched": plain}
    apps |= {"spans": spans.wsgi(plain), "all measured": spans.wsgi(plain, one_in=1)}

    def app(environ: Any, start_response: Any) -> Any:
        body = counted.control(environ["PATH_INFO"])
        if body is not None:
            return respond(start_response, body)
        counted.requests += 1
        recorded(1)
        return apps[counted.mode](environ, start_response)

    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()


class Connection(asyncio.Protocol):
    """Sends a request, and the next when its answer is complete."""

    request = b"GET /items HTTP/1.1\r\nHost: bench\r\n\r\n"

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
            self._received = b""
            self._transport.write(self.request)


async def load(port: int, connections: int) -> None:
    """Keep a server busy, for ever."""
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(Connection, "127.0.0.1", port)
    await asyncio.sleep(1e9)


def run() -> None:
    """Serve, or send."""
    if sys.argv[1] == "load":
        import uvloop

        with contextlib.suppress(KeyboardInterrupt):
            uvloop.run(load(int(sys.argv[2]), int(sys.argv[3])))
    elif sys.argv[1] == "gevent":
        serve_gevent()
    else:
        serve_asgi(sys.argv[1])


if __name__ == "__main__":
    run()
