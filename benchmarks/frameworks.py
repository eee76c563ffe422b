"""What `taba.asgi` and `taba.wsgi` add to a request, in one run with and without.

    python -m benchmarks frameworks

The apps are called as a server calls them, without a socket between, so that nothing hides the cost: the smallest ASGI
and WSGI apps there are, and Starlette's and Flask's smallest. Rounds with and without take turns. The client runs and
sends to a sink, as in a program.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import taba
import taba.asgi
import taba.wsgi
from benchmarks import machine, table, write
from benchmarks.record_sinks import sinks

ROUNDS = 15
ROUND_SECONDS = 0.1
BODY = b"x" * 100


def main() -> None:
    """Run it all and write the table."""
    with sinks() as (http_port, _):
        taba.start("benchmark", server=f"http://127.0.0.1:{http_port}")
        rows = [_row(name, *_measured(call)) for name, call in _contenders().items()]
        taba.stop()
    heading = (
        "# What a recorded request costs\n\n"
        f"{machine()}. CPU microseconds per request, of the thread that handles it, median of {ROUNDS} rounds with "
        "and without in turn, in brackets the middle half; no socket and no server around, which would take several "
        "times as long as the smallest apps."
    )
    columns = ["app", "without", "with", "added", "times"]
    write("frameworks", f"{heading}\n\n{table(columns, rows)}")


Timed = Callable[[int], float]
"""Handles so many requests and returns the CPU seconds that they took, of the thread that did so."""


def _contenders() -> dict[str, tuple[Timed, Timed]]:
    starlette, flask = _starlette(), _flask()
    return {
        "the smallest ASGI app": (_asgi(_plain_asgi), _asgi(taba.asgi.Middleware(_plain_asgi))),
        "Starlette, a route with a parameter": (_asgi(starlette), _asgi(taba.asgi.Middleware(starlette))),
        "the smallest WSGI app": (_wsgi(_plain_wsgi), _wsgi(taba.wsgi.Middleware(_plain_wsgi))),
        "Flask, a route with a parameter": (_wsgi(flask), _wsgi(taba.wsgi.Middleware(flask))),
    }


async def _plain_asgi(_scope: Any, _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": BODY})


def _plain_wsgi(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "100")])
    return [BODY]


def _starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def user(_request: Any) -> Response:
        return Response(BODY)

    return Starlette(routes=[Route("/users/{id}", user)])


def _flask() -> Any:
    from flask import Flask

    app = Flask("benchmark")
    app.get("/users/<id>")(lambda id: BODY)  # noqa: A006 - the route's parameter
    return app


def _asgi(app: Any) -> Timed:
    message = {"type": "http.request", "body": b"", "more_body": False}

    async def receive() -> Any:
        return message

    async def send(_: Any) -> None:
        pass

    async def requests(count: int) -> float:
        began = time.thread_time()
        for number in range(count):
            path = f"/users/{number}"
            scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "root_path": ""}
            await app(scope | {"headers": [], "query_string": b"", "scheme": "http"}, receive, send)
        return time.thread_time() - began

    return lambda count: asyncio.run(requests(count))


def _wsgi(app: Any) -> Timed:
    def requests(count: int) -> float:
        from io import BytesIO

        empty = BytesIO()
        began = time.thread_time()
        for number in range(count):
            environ = {
                "REQUEST_METHOD": "GET",
                "PATH_INFO": f"/users/{number}",
                "SCRIPT_NAME": "",
                "QUERY_STRING": "",
                "SERVER_NAME": "x",
                "SERVER_PORT": "80",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "wsgi.url_scheme": "http",
                "wsgi.input": empty,
                "wsgi.errors": None,
            }
            body = app(environ, lambda *_: None)
            for _ in body:
                pass
            if hasattr(body, "close"):
                body.close()
        return time.thread_time() - began

    return requests


def _measured(contenders: tuple[Timed, Timed]) -> tuple[list[float], list[float]]:
    """Microseconds per request in each round, without and with."""
    found: tuple[list[float], list[float]] = ([], [])
    counts = [int(ROUND_SECONDS / (timed(300) / 300)) + 1 for timed in contenders]
    for _ in range(ROUNDS):
        for timed, count, times in zip(contenders, counts, found, strict=True):
            times.append(timed(count) / count * 1e6)
    return found


def _row(name: str, without: list[float], recorded: list[float]) -> list[str]:
    added = statistics.median(recorded) - statistics.median(without)
    ratio = statistics.median(recorded) / statistics.median(without)
    return [name, _shown(without), _shown(recorded), f"{added:.1f}", f"{ratio:.2f}"]


def _shown(times: list[float]) -> str:
    low, _, high = statistics.quantiles(times, n=4)
    return f"{statistics.median(times):.1f} ({low:.1f}–{high:.1f})"


if __name__ == "__main__":
    main()
