"""GET /v1/compare: are some clients like others, or a time like another? Reads States; the statistics are elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from taba.handlers.base import Compared, Handler
from taba.server import formats
from taba.server.answering import Answering
from taba.server.compared import Asked, Rounded, Span, asked
from taba.server.groups import Read, read
from taba.server.parameters import ParameterError
from taba.server.service import Service
from taba.states.query import Selection
from taba.states.tiers import CLIENTS, FLEET

if TYPE_CHECKING:
    # Numpy and scipy are loaded with the first comparison.
    from taba.comparing.terms import Tested

MOST_TABS = 200
"""Tabs that are compared at once: each takes some milliseconds, and makes the others' tests the stricter."""


def routes(service: Service, answering: Answering) -> list[BaseRoute]:
    """The route of comparisons."""

    async def compare(request: Request) -> Response:
        return await answering.answered(partial(_answer, service, answering, request))

    return [Route("/v1/compare", compare, methods=["GET"])]


def _answer(service: Service, answering: Answering, request: Request) -> tuple[bytes, str]:
    head = answering.head()
    now = service.clock()
    end = min(float(str(head["complete_to"])), now)
    question = asked(request.query_params, end, now - service.tiers.reach(CLIENTS), partial(_rounded, service, now))
    tabs, left_out, unmatched = _tabs(service, question)
    one, other = read(service, question)
    tested: dict[str, Tested] = {}
    for handler, names in _by_handler(service, tabs):
        tested |= _tested(handler, names, question, one, other)
    return _written(request, head, question, tested, left_out, unmatched)


def _rounded(service: Service, now: float, kept_apart: bool) -> Rounded:
    """A time -> the whole slices in it, so that two times of one length are the same number of slices."""
    width_at = partial(service.tiers.width_at, CLIENTS if kept_apart else FLEET, now=now)

    def rounded(start: float, stop: float) -> Span:
        first, last = width_at(start), width_at(stop)
        return Span(math.ceil(start / first) * first, math.floor(stop / last) * last)

    return rounded


def _tabs(service: Service, question: Asked) -> tuple[pl.DataFrame, dict[str, str], list[str]]:
    """The tabs to compare (tab, type), why others are left out, and the globs that fit no tab.

    Raises ParameterError where a tab that is named, and no glob, cannot be compared, or where none is left.
    """
    selection = question.selection
    unmatched = [glob for glob in selection.tabs if service.query.groups(Selection([glob])).is_empty()]
    found = service.query.groups(selection)
    types = {handler.type for handler in service.registry if handler.compare is not None}
    fits = pl.col("type").cast(pl.String).is_in(types)
    others = {tab: f"its type {kind} is not compared" for tab, kind in found.filter(~fits).iter_rows()}
    for tab, why in others.items():
        if tab in selection.tabs or tab.partition("{")[0] in selection.tabs:
            raise ParameterError(f"tab: {tab}: {why}; {' and '.join(sorted(types))} are")
    if question.per is not None:
        counted_by = set(service.query.groups(Selection([question.per], by=selection.by))["tab"])
        others |= {tab: "the others are counted by it" for tab in found["tab"] if tab in counted_by}
        fits &= ~pl.col("tab").is_in(counted_by)
    if others and len(others) == found.height:
        raise ParameterError(f"tab: no tab is left to compare; {next(iter(others))}: {next(iter(others.values()))}")
    kept = found.filter(fits)
    if kept.height > MOST_TABS:
        raise ParameterError(f"tab: {kept.height} tabs match; at most {MOST_TABS} are compared at once")
    return kept, others, unmatched


def _by_handler(service: Service, tabs: pl.DataFrame) -> Iterable[tuple[Handler, list[str]]]:
    for (kind,), some in tabs.partition_by("type", as_dict=True).items():
        handler = service.registry.get(str(kind))
        assert handler is not None
        yield handler, some["tab"].cast(pl.String).to_list()


def _tested(handler: Handler, tabs: Sequence[str], question: Asked, one: Read, other: Read) -> dict[str, Tested]:
    """The tests of the tabs of one type."""
    from taba.comparing import columns, counts, ranks

    states = [group.states.get(handler.type, {}) for group in (one, other)]
    terms, same = question.terms, question.same_clients
    if handler.compare is Compared.COUNTS:
        exposures = one.exposure, other.exposure

        def test(tab: str) -> Tested:
            first, second = (
                columns.tally(handler, found.get(tab), each) for found, each in zip(states, exposures, strict=True)
            )
            return counts.compare(first, second, terms, per=question.per, same_clients=same)
    else:
        clients = [group.present["client"].to_list() for group in (one, other)]

        def test(tab: str) -> Tested:
            first, second = columns.histograms(handler, [held.get(tab) for held in states], clients)
            return ranks.compare(first, second, terms, same_clients=same)

    return {tab: test(tab) for tab in tabs}


def _written(
    request: Request,
    head: Mapping[str, Any],
    question: Asked,
    tested: Mapping[str, Tested],
    left_out: Mapping[str, str],
    unmatched: Sequence[str],
) -> tuple[bytes, str]:
    from taba.comparing import verdicts

    tabs = verdicts.judged(tested, question.terms)
    tabs |= {glob: verdicts.missing(f"nothing was ever recorded to {glob}: is it written so?") for glob in unmatched}
    told = [str(tab["verdict"]) for tab in tabs.values()]
    one, other, terms = question.one.span, question.other.span, question.terms
    fields = {
        **head,
        "verdict": verdicts.overall(told),
        "reason": verdicts.summary({tab: str(found["verdict"]) for tab, found in tabs.items()}),
        "confidence": terms.confidence,
        "least": terms.least,
        "margin": terms.margin,
        "rare": terms.rare,
        "from": one.start,
        "to": one.stop,
        "against_from": other.start,
        "against_to": other.stop,
    }
    form = formats.accepted(request.headers.get("accept", ""))
    ordered = dict(sorted(tabs.items()))
    if form == formats.JSON:
        return msgspec.json.encode({**fields, "tabs": ordered, "left_out": dict(left_out)}), form
    rows = [(tab, found["verdict"], found["p"], found["reason"]) for tab, found in ordered.items()]
    schema = {"tab": pl.String, "verdict": pl.String, "p": pl.Float64, "reason": pl.String}
    return formats.rows(form, fields, "tabs", pl.DataFrame(rows, schema=schema, orient="row")), form
