"""The HTTP interface: requests in, answers out. What it means is decided elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial

import msgspec
import polars as pl
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from taba import names
from taba.matching import PatternError
from taba.server import (
    boards,
    comparing,
    elsewhere,
    formats,
    live,
    metrics,
    noisiest,
    original,
    pages,
    parameters,
    prometheus_api,
    sessions,
)
from taba.server.answering import Answering
from taba.server.called import Called
from taba.server.cross_origin import CrossOrigin
from taba.server.events import Events
from taba.server.intake import REFUSED, OverloadedError, StoppingError, UnfoldableError
from taba.server.locked import Locked, credentials
from taba.server.openapi import document
from taba.server.parameters import ParameterError
from taba.server.service import Service
from taba.server.stopping import RETRY_AFTER, Stopping
from taba.server.submissions import BadRequest, TooLarge
from taba.server.watches import routes as watches
from taba.server.watches.watching import Watching
from taba.states.chunks import ChunkError
from taba.store import StoreError

EVENTS = "/v1/events"

STATUS: dict[type[Exception], int] = {
    TooLarge: 413,
    BadRequest: 400,
    ParameterError: 400,
    PatternError: 400,
    UnfoldableError: 400,
    OverloadedError: 503,
    StoppingError: 503,
    live.TooManyWatched: 503,
    StoreError: 503,
    ChunkError: 503,
}
"""What a request is answered with that cannot be done."""


def make_app(service: Service) -> Starlette:
    """The application around a service."""
    answering = Answering(service)
    handlers = Handlers(service, answering)
    watching = Watching(service)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        intake = asyncio.create_task(service.intake.run())
        service.start()
        watching.start()
        yield
        watching.end()
        service.end()
        intake.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await intake
        await run_in_threadpool(watching.close)
        await run_in_threadpool(service.close)

    get = [
        ("/v1/tabs", handlers.tabs),
        ("/v1/clients", handlers.clients),
        ("/v1/aggregates", handlers.aggregates),
        ("/v1/projections", handlers.projections),
        ("/v1/series", handlers.series),
        ("/v1/ledger", handlers.ledger),
        ("/v1/status", handlers.status),
        ("/ping", handlers.ping),
    ]
    routes: list[BaseRoute] = [Route(EVENTS, Events(service), methods=["POST"])]
    routes += [Route(path, endpoint, methods=["GET"]) for path, endpoint in get]
    routes += pages.routes()
    routes += boards.routes(service, answering)
    routes += noisiest.routes(service, answering)
    routes += live.routes(service, answering)
    routes += document.routes()
    routes += comparing.routes(service, answering)
    scraped = metrics.Metrics(service, answering)
    routes += metrics.routes(scraped)
    routes += prometheus_api.routes(service, answering, scraped.exposition.naming)
    routes += watches.routes(service, answering, watching)
    routes += sessions.routes(service.gate)
    routes += elsewhere.routes(service)
    routes += original.routes(service, answering)
    errors = dict.fromkeys(STATUS, partial(_refused, service)) | {HTTPException: _http_error, Exception: _failed}
    doors = [
        Middleware(Stopping),
        Middleware(Called, service),
        Middleware(CrossOrigin, service),
        Middleware(Locked, service),
    ]
    return Starlette(routes=routes, middleware=doors, lifespan=lifespan, exception_handlers=errors)  # type: ignore[arg-type]


class Handlers:
    """One method for each route."""

    def __init__(self, service: Service, answering: Answering) -> None:
        self._service = service
        self._answering = answering

    async def tabs(self, request: Request) -> Response:
        """GET /v1/tabs"""
        fields = request.query_params
        parameters.known(fields, "match", "brief", "limit")
        globs = parameters.tab_globs(fields, "match")
        most, brief = parameters.whole(fields, "limit"), parameters.choice(fields, "brief", "true") is not None

        def answer() -> tuple[bytes, str]:
            form = formats.accepted(request.headers.get("accept", ""))
            head = self._answering.head()
            table, matched = self._service.tabs(globs, most, brief=brief)
            return formats.rows(form, head | {"matched": matched}, "tabs", table if brief else _with_tags(table)), form

        return await self._answering.answered(answer)

    async def clients(self, request: Request) -> Response:
        """GET /v1/clients"""
        parameters.known(request.query_params, "match")
        glob = parameters.client_glob(request.query_params, "match")
        return await self._rows(request, "clients", lambda: self._service.clients(glob))

    async def aggregates(self, request: Request) -> Response:
        """GET /v1/aggregates"""
        parameters.known(request.query_params, "tab", "client", "window", "from", "to", "by")
        return await self._windows(request, per_client=False)

    async def projections(self, request: Request) -> Response:
        """GET /v1/projections"""
        parameters.known(request.query_params, "tab", "client", "window", "from", "to")
        return await self._windows(request, per_client=True)

    async def series(self, request: Request) -> Response:
        """GET /v1/series"""
        fields = request.query_params
        parameters.known(fields, "tab", "client", "from", "to", "step", "by", "each")
        selection = parameters.selection(fields, per_client=parameters.choice(fields, "each", "client") is not None)
        now = self._service.clock()
        asked = parameters.series(fields, now, partial(self._service.tiers.width_at, selection.view, now=now))

        def answer() -> tuple[bytes, str]:
            # First what is complete, then what is there: events that come between are in the answer at least.
            head = self._answering.head() | {"from": asked.start, "to": asked.stop, "step": asked.step}
            found = list(self._service.query.series(selection, asked.start, asked.stop, asked.step))
            return self._answering.formatted(request, head, found, [*selection.keys, "bucket"], points=True)

        return await self._answering.answered(answer)

    async def ledger(self, request: Request) -> Response:
        """GET /v1/ledger"""
        parameters.known(request.query_params, "client")
        glob = parameters.client_glob(request.query_params, "client")

        def answer() -> tuple[bytes, str]:
            form = formats.accepted(request.headers.get("accept", ""))
            return formats.ledger(form, self._answering.head(), self._service.ledger(glob)), form

        return await self._answering.answered(answer)

    async def status(self, request: Request) -> Response:
        """GET /v1/status"""
        parameters.known(request.query_params)

        def answer() -> tuple[bytes, str]:
            fields = self._service.status()
            if formats.accepted(request.headers.get("accept", "")) == formats.PLAIN:
                return formats.plain_fields(fields), formats.PLAIN
            return msgspec.json.encode(fields), formats.JSON

        return await self._answering.answered(answer)

    async def ping(self, request: Request) -> Response:
        """GET /ping"""
        parameters.known(request.query_params)
        failure = self._service.intake.failure
        if failure is None:
            return _json({"status": "ok"})
        # Everybody may ask this; what a store says of itself is for those who may read.
        told = failure if self._service.gate.may_read(credentials(request.scope)) else "failing"
        return _json({"status": told}, 503, {"Retry-After": RETRY_AFTER})

    async def _windows(self, request: Request, *, per_client: bool) -> Response:
        selection = parameters.selection(request.query_params, per_client=per_client)
        asked = parameters.windows(request.query_params, self._service.clock())

        def answer() -> tuple[bytes, str]:
            head = self._answering.head()
            found = self._service.windows(selection, asked)
            return self._answering.formatted(request, head, found, [*selection.keys, "window"])

        return await self._answering.answered(answer)

    async def _rows(self, request: Request, name: str, table: Callable[[], pl.DataFrame]) -> Response:
        def answer() -> tuple[bytes, str]:
            form = formats.accepted(request.headers.get("accept", ""))
            return formats.rows(form, self._answering.head(), name, table()), form

        return await self._answering.answered(answer)


def _with_tags(tabs: pl.DataFrame) -> pl.DataFrame:
    tags = [names.split(tab)[1] for tab in tabs["tab"]]
    return tabs.with_columns(tags=pl.Series(tags, dtype=pl.Object))


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def _status(error: Exception) -> int:
    return next(status for kind, status in STATUS.items() if isinstance(error, kind))


async def _refused(service: Service, request: Request, error: Exception) -> Response:
    status = _status(error)
    if request.url.path in (EVENTS, *original.POSTED):
        service.intake.note(f"{REFUSED}{{status={status}}}", "counter", 1)
    return _json({"error": str(error)}, status, {"Retry-After": RETRY_AFTER} if status == 503 else None)


async def _failed(request: Request, error: Exception) -> Response:
    """For what nobody thought of; the server logs the error itself."""
    del request, error
    return _json({"error": "the server failed at this; its log says how"}, 500)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = {
        404: f"there is no {request.url.path} here",
        405: f"{request.url.path} does not take {request.method}",
    }
    return _json({"error": told.get(error.status_code, error.detail)}, error.status_code)
