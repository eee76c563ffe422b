"""GET /metrics: the fleet's aggregates as Prometheus scrapes them, in OpenMetrics or the classic text format.

Every scrape is answered with what is in the store when it comes. Those that come while a text is being made share the
next one.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from taba.prometheus.exposition import Exposition, Question, TooManySamples
from taba.prometheus.text import CLASSIC, OPENMETRICS
from taba.server import parameters
from taba.server.answering import Answering
from taba.server.parameters import ParameterError
from taba.server.service import Service

MEDIA = {
    OPENMETRICS: "application/openmetrics-text; version=1.0.0; charset=utf-8",
    CLASSIC: "text/plain; version=0.0.4; charset=utf-8",
}
WINDOW = "5m"
"""What gauges and windowed values are of, unless a scrape asks for another: as long as Prometheus looks back itself."""
EVERYTHING = ("*", "taba.*")
GZIP_LEVEL = 1
"""The least: a text of series compresses well, and a scrape waits for it."""


def routes(metrics: Metrics) -> list[BaseRoute]:
    """The route of this module."""
    return [Route("/metrics", metrics.get, methods=["GET"])]


class Metrics:
    """Answers scrapes."""

    def __init__(self, service: Service, answering: Answering) -> None:
        self._service = service
        self._answering = answering
        self.exposition = Exposition(service.store, service.catalogue, service.tiers, service.reader, service.clock)
        self._rounds: dict[object, Rounds] = {}
        # Texts are made one at a time: those that wait must not hold the threads of other questions.
        self._turn = asyncio.Lock()

    async def get(self, request: Request) -> Response:
        """GET /metrics"""
        question = asked(request)
        zipped = accepts_gzip(request.headers.get("accept-encoding", ""))
        body = await self._shared((question, zipped), lambda: self._body(question, zipped=zipped))
        headers = {"Vary": "Accept, Accept-Encoding"} | ({"Content-Encoding": "gzip"} if zipped else {})
        return Response(body, headers=headers, media_type=MEDIA[question.form])

    async def _shared(self, key: object, work: Callable[[], bytes]) -> bytes:
        rounds = self._rounds.setdefault(key, Rounds())
        try:
            return await rounds.next(lambda: self._in_turn(work))
        finally:
            if rounds.idle:
                self._rounds.pop(key, None)

    async def _in_turn(self, work: Callable[[], bytes]) -> bytes:
        async with self._turn:
            return await self._answering.worked_out(work)

    def _body(self, question: Question, *, zipped: bool) -> bytes:
        # First what is complete, then what is there: a text never says more of itself than it holds.
        # All tabs that are there now: a series that another server has shown already must not be missing here.
        self._service.freshness.catch_up()
        complete = self._service.completeness()
        told = {
            "taba_complete_to_timestamp_seconds": complete.complete_to,
            "taba_clients_current": complete.current,
            "taba_clients_known": complete.known,
        }
        most = self._service.settings.limits.answer_rows
        try:
            body = self.exposition.text(question, told, most)
        except TooManySamples as error:
            raise ParameterError(
                f"tab: there would be {error.args[0]} samples, and at most {most} are given (limits.answer_rows): "
                "ask for fewer tabs, or for a limit of tabs"
            ) from None
        return gzip.compress(body, GZIP_LEVEL, mtime=0) if zipped else body


def asked(request: Request) -> Question:
    """What a request asks for; raises ParameterError."""
    fields = request.query_params
    parameters.known(fields, "tab", "window", "limit")
    tabs = parameters.selection(fields).tabs if fields.getlist("tab") else EVERYTHING
    window = parameters.one(fields, "window") or WINDOW
    limit = parameters.one(fields, "limit")
    if limit is not None and not (re.fullmatch("[0-9]{1,9}", limit) and int(limit)):
        raise ParameterError(f"limit: {limit!r} is not a number of tabs: write a whole number from 1 on")
    form = negotiated(request.headers.get("accept", ""))
    seconds = parameters.duration("window", window)
    return Question(tuple(tabs), window, seconds, None if limit is None else int(limit), form)


def negotiated(accept: str) -> str:
    """The format that an Accept header prefers; the classic one where it names none of the two."""
    best, form = 0.0, CLASSIC
    for media, options in _items(accept):
        if media == "application/openmetrics-text" and options.get("version", "1.0.0") in ("1.0.0", "0.0.1"):
            offered = OPENMETRICS
        elif media in ("text/plain", "text/*", "*/*"):
            offered = CLASSIC
        else:
            continue
        if _quality(options) > best:
            best, form = _quality(options), offered
    return form


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header takes gzip."""
    found = dict(_items(accept_encoding))
    return _quality(found.get("gzip", found.get("*", {"q": "0"}))) > 0


def _items(header: str) -> list[tuple[str, dict[str, str]]]:
    """The items of such a header, each with its options."""
    found = []
    for item in header.split(","):
        name, *options = (part.strip() for part in item.split(";"))
        pairs = (option.partition("=") for option in options)
        found.append((name.lower(), {key.strip().lower(): value.strip(' "') for key, _, value in pairs}))
    return found


def _quality(options: dict[str, str]) -> float:
    try:
        return float(options.get("q", "1"))
    except ValueError:
        return 0.0


class Rounds:
    """The same work for many who ask: who comes while it is done shares the next round, which begins after he came."""

    def __init__(self) -> None:
        self._current: asyncio.Task[bytes] | None = None
        self._next: asyncio.Task[bytes] | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody waits for a round."""
        return self._current is None and self._next is None

    async def next(self, work: Callable[[], Awaitable[bytes]]) -> bytes:
        """What the next round gives; who leaves before it ends does not end it."""
        if self._next is None:
            self._next = asyncio.create_task(self._round(work))
            # Where all who waited have left, nobody is told of its error.
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._next)

    async def _round(self, work: Callable[[], Awaitable[bytes]]) -> bytes:
        if self._current is not None:
            await asyncio.wait([self._current])
        self._current, self._next = self._next, None
        try:
            return await work()
        finally:
            self._current = None
