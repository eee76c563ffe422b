"""/api/v1: the part of Prometheus' HTTP interface that a Grafana browses and draws with, answered from States.

Paths, parameters, answers and errors are Prometheus' (https://prometheus.io/docs/prometheus/latest/querying/api/).
Answers say in its fields `infos` and `warnings` how complete they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import numpy as np
import polars as pl
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from taba import __version__
from taba.prometheus import answers
from taba.prometheus.naming import Naming
from taba.prometheus.promql.evaluate import evaluate, mentions_client
from taba.prometheus.promql.parser import parse
from taba.prometheus.promql.syntax import CLIENT, NAME, Matcher
from taba.prometheus.promql.tokens import QueryError
from taba.prometheus.promql.vectors import ExecutionError, Integers, Result, Vector
from taba.prometheus.series import LATE, Known, late_labels, tag_labels
from taba.prometheus.source import LOOKBACK, Source
from taba.server import prometheus_parameters as parameters
from taba.server.answering import Answering
from taba.server.completeness import LIVE_SECONDS, Completeness
from taba.server.prometheus_parameters import InvalidParameter
from taba.server.service import Service
from taba.states.chunks import ChunkError
from taba.store import StoreError

PREFIX = "/api/v1"
ANSWERS_LIKE = "2.42.0"
"""The Prometheus whose interface this is; programs look for the version to know what they may ask."""
MAX_BODY = 1 << 20
LISTED_SECONDS = 3600.0
"""Series are listed as they were within this time, unless `start` says another."""

Work = Callable[[QueryParams], bytes]


def routes(service: Service, answering: Answering, naming: Callable[[], Naming]) -> list[BaseRoute]:
    """The routes of this module. `naming` gives the names of all tabs, as `/metrics` has them."""
    calls = Calls(service, naming)
    both, get = ["GET", "POST"], ["GET"]
    answered: list[tuple[str, Work, list[str]]] = [
        ("/query", calls.query, both),
        ("/query_range", calls.query_range, both),
        ("/series", calls.series, both),
        ("/labels", calls.labels, both),
        ("/metadata", calls.metadata, get),
        ("/status/buildinfo", _buildinfo, get),
        ("/rules", _no_rules, get),
        ("/alerts", _no_alerts, get),
        ("/query_exemplars", _none, both),
    ]
    found: list[BaseRoute] = [
        Route(PREFIX + path, _endpoint(answering, work), methods=methods) for path, work, methods in answered
    ]
    return [*found, Route(PREFIX + "/label/{name}/values", _values_endpoint(answering, calls), methods=get)]


def _endpoint(answering: Answering, work: Work) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        return await _answered(answering, request, work)

    return answer


def _values_endpoint(answering: Answering, calls: Calls) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        name = request.path_params["name"]
        return await _answered(answering, request, lambda fields: calls.label_values(name, fields))

    return answer


async def _answered(answering: Answering, request: Request, work: Work) -> Response:
    """What `work` makes of the request's fields, or the error as Prometheus tells it."""
    try:
        fields = await _fields(request)
        body, status = await answering.worked_out(lambda: work(fields)), 200
    except ExecutionError as error:
        body, status = answers.refused("execution", str(error)), 422
    except QueryError as error:
        body, status = answers.refused("bad_data", str(error)), 400
    except (StoreError, ChunkError) as error:
        body, status = answers.refused("unavailable", str(error)), 503
    return Response(body, status, media_type="application/json")


async def _fields(request: Request) -> QueryParams:
    """The fields of the form, if there is one, and then those of the query string."""
    body = bytearray()
    if request.method == "POST":
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise QueryError(f"the form has more than {MAX_BODY} bytes")
    try:
        form = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise QueryError(f"the form cannot be read: {error}") from None
    return QueryParams([*form, *request.query_params.multi_items()])


@dataclass(frozen=True, slots=True)
class _Asking:
    """What a question is answered from, and how complete that is."""

    source: Source
    complete: Completeness

    def told(self, stop: int) -> tuple[list[str], list[str]]:
        """(infos, warnings) of an answer up to a time in milliseconds."""
        notes = sorted(self.source.notes)
        missing = min(stop / 1000, self.source.now) - self.complete.complete_to
        current, known = self.complete.current, self.complete.known
        if missing <= 0 and current == known:
            return notes, []
        at = datetime.fromtimestamp(self.complete.complete_to, UTC).isoformat(timespec="milliseconds")
        text = f"complete to {at}, {current} of {known} clients"
        return (notes, [text]) if missing > LIVE_SECONDS else ([*notes, text], [])


class Calls:
    """One method for each call: its fields -> its answer. Raises QueryError, StoreError, ChunkError."""

    def __init__(self, service: Service, naming: Callable[[], Naming]) -> None:
        self._service = service
        self._naming = naming
        self._known: tuple[object, object, Known | None] = (None, None, None)

    def query(self, fields: QueryParams) -> bytes:
        """/api/v1/query"""
        asking = self._asking(fields)
        time = parameters.moment(fields, "time", asking.source.now)
        result = self._result(fields, asking, np.array([time], dtype=np.int64))
        return self._told(asking, time, *_limited(fields, result), lambda some: answers.instant(some, time))

    def query_range(self, fields: QueryParams) -> bytes:
        """/api/v1/query_range"""
        times = parameters.steps(fields)
        asking = self._asking(fields)
        result = self._result(fields, asking, times)
        return self._told(
            asking, int(times[-1]), *_limited(fields, result), lambda some: answers.over_time(some, times)
        )

    def series(self, fields: QueryParams) -> bytes:
        """/api/v1/series"""
        selectors = parameters.selectors(fields, needed=True)
        asking = self._asking(fields)
        span = parameters.span(fields, asking.source.now, LISTED_SECONDS)
        parts = [
            asking.source.listed(matchers, span.start, span.stop, by_client=mentions_client(matchers))
            for matchers in selectors
        ]
        labels = pl.concat(parts, how="diagonal").unique(maintain_order=True)
        self._not_too_many(labels.height)
        cut = parameters.limit(fields)
        return answers.answered(answers.label_sets(labels.head(cut) if cut else labels), (), _cut(labels.height, cut))

    def labels(self, fields: QueryParams) -> bytes:
        """/api/v1/labels"""
        known = self._asking(fields).source.known
        names: set[str] = set()
        for matchers in parameters.selectors(fields) or [()]:
            chosen = known.select(matchers)
            if not chosen.is_empty():
                tags = [name for name in tag_labels(chosen) if chosen[name].null_count() < chosen.height]
                names |= {NAME, CLIENT, *tags, *late_labels(chosen)}
        return _listed(fields, sorted(names))

    def label_values(self, name: str, fields: QueryParams) -> bytes:
        """/api/v1/label/{name}/values"""
        parameters.label(name)
        asking = self._asking(fields)
        span = parameters.span(fields, asking.source.now, LISTED_SECONDS)
        values: set[str] = set()
        for matchers in parameters.selectors(fields) or [()]:
            values |= self._values(asking.source, name, matchers, span)
        self._not_too_many(len(values))
        return _listed(fields, sorted(values))

    def _values(self, source: Source, name: str, matchers: tuple[Matcher, ...], span: parameters.Span) -> set[str]:
        if name == NAME and all(matcher.label not in LATE for matcher in matchers):
            return set(source.known.names(matchers))
        if name == CLIENT and not matchers:
            return set(self._service.clients("*")[CLIENT])
        if name in LATE or any(matcher.label in LATE for matcher in matchers):
            by_client = name == CLIENT or mentions_client(matchers)
            found = source.listed(matchers, span.start, span.stop, by_client=by_client)
        else:
            found = source.known.select(matchers)
        return set(found[name].drop_nulls().unique()) if name in found.columns else set()

    def metadata(self, fields: QueryParams) -> bytes:
        """/api/v1/metadata"""
        found = self._asking(fields).source.known.metadata()
        metric, cut = parameters.text(fields, "metric"), parameters.limit(fields)
        if metric:
            found = {name: entries for name, entries in found.items() if name == metric}
        return answers.answered(msgspec.json.encode(dict(list(found.items())[:cut])))

    def _asking(self, fields: QueryParams) -> _Asking:
        """To be called before anything is read: what comes later makes an answer more complete than it says."""
        service = self._service
        complete = service.completeness()
        lookback = parameters.length(fields, "lookback_delta")
        if lookback is not None and lookback <= 0:
            raise InvalidParameter("lookback_delta", "it must be more than 0")
        seconds = LOOKBACK if lookback is None else lookback / 1000
        now = service.clock()
        # What is missing for long is missing: then windows end where they are asked to, and the answer has a warning.
        settled = complete.complete_to if now - complete.complete_to <= LIVE_SECONDS else now
        source = Source(service.query, self._known_now(), service.tiers, now, settled, seconds)
        return _Asking(source, complete)

    def _known_now(self) -> Known:
        """The series that there are; made anew where tabs are new, or named otherwise."""
        naming, frame = self._naming(), self._service.catalogue.frame
        held = self._known
        if held[0] is naming and held[1] is frame and held[2] is not None:
            return held[2]
        known = Known(naming, frame)
        self._known = (naming, frame, known)
        return known

    def _result(self, fields: QueryParams, asking: _Asking, times: Integers) -> Result:
        query = parameters.text(fields, "query")
        try:
            expression = parse(query or "")
        except QueryError as error:
            raise InvalidParameter("query", str(error)) from None
        if expression.kind == "range vector":
            raise InvalidParameter("query", "a range vector cannot be shown: use rate(…) or increase(…) of it")
        return evaluate(expression, asking.source, times)

    def _told(
        self, asking: _Asking, stop: int, result: Result, cut: list[str], written: Callable[[Result], bytes]
    ) -> bytes:
        if isinstance(result, Vector):
            self._not_too_many(int(result.present.sum()))
        infos, warnings = asking.told(stop)
        return answers.answered(written(result), infos, [*warnings, *cut])

    def _not_too_many(self, size: int) -> None:
        most = self._service.settings.limits.answer_rows
        if size > most:
            raise ExecutionError(
                f"the answer would have {size} values, and at most {most} are given (limits.answer_rows): "
                "select fewer series, or take a longer step"
            )


def _limited(fields: QueryParams, result: Result) -> tuple[Result, list[str]]:
    """The series that have values, at most as many as `limit` says."""
    cut = parameters.limit(fields)
    if not isinstance(result, Vector):
        return result, []
    some = result.narrowed()
    if cut is None or some.series <= cut:
        return some, []
    return some.take(np.arange(cut)), _cut(some.series, cut)


def _cut(size: int, limit: int | None) -> list[str]:
    return ["results truncated due to limit"] if limit is not None and size > limit else []


def _listed(fields: QueryParams, names: Sequence[str]) -> bytes:
    cut = parameters.limit(fields)
    return answers.answered(msgspec.json.encode(names[:cut]), (), _cut(len(names), cut))


def _buildinfo(_: QueryParams) -> bytes:
    told = dict.fromkeys(("revision", "branch", "buildUser", "buildDate", "goVersion"), "")
    return _data({"version": f"{ANSWERS_LIKE}+taba.{__version__}"} | told)


def _no_rules(_: QueryParams) -> bytes:
    """Grafana asks for rules to know their names; there are none of Prometheus' here."""
    return _data({"groups": []})


def _no_alerts(_: QueryParams) -> bytes:
    return _data({"alerts": []})


def _none(_: QueryParams) -> bytes:
    """No exemplars are kept."""
    return _data([])


def _data(data: Mapping[str, Any] | list[Any]) -> bytes:
    return answers.answered(msgspec.json.encode(data))
