"""`GET /tabs`, `/projection`, `/clients`, `/names` and `/types`, as the original's own tools ask them.

    name      tabs, with commas between; all but Taba's own where it is left out
    client    clients, likewise
    re        if it is there, `name` and `client` are a regular expression each, which has to fit from the beginning

Answers are lines of text; or JSON, where Accept asks for `application/json`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import polars as pl
from starlette.requests import Request
from starlette.responses import Response

from taba import names
from taba.dialects.original.types import clean_client, clean_name
from taba.handlers.base import json_text
from taba.server import parameters
from taba.server.answering import Answering
from taba.server.formats import JSON, PLAIN
from taba.server.original.shapes import INSTEAD, OLD_NAMES, windows_of, written
from taba.server.parameters import ParameterError
from taba.server.service import Service
from taba.states.query import Selection
from taba.states.tiers import CLIENTS

MOST_PATTERN = 20_000
"""Characters of a regular expression, or of a list."""
Asked = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for; None: all."""

    tabs: Sequence[str] | str | None
    """Tabs; or, as text, a regular expression over them."""
    clients: str | None
    """A regular expression over clients."""
    as_json: bool

    def form(self) -> str:
        """The media type of the answer."""
        return JSON if self.as_json else PLAIN


class Asking:
    """One method for each route."""

    def __init__(self, service: Service, answering: Answering) -> None:
        self._service = service
        self._answering = answering

    def routes(self) -> dict[str, Asked]:
        """What answers at which path."""
        return {
            "/tabs": self._route(self._tabs, "name", "client", "re"),
            "/projection": self._route(self._projection, "name", "client", "re"),
            "/clients": self._route(self._clients, "client", "re"),
            "/names": self._route(self._names, "name", "client", "re"),
            "/types": self._route(self._types, "name", "re"),
        }

    def _route(self, answer: Callable[[Question], bytes], *known: str) -> Asked:
        async def asked(request: Request) -> Response:
            parameters.known(request.query_params, *known)
            question = _question(request)
            return await self._answering.answered(lambda: (answer(question), question.form()))

        return asked

    def _tabs(self, question: Question) -> bytes:
        answers = self._answers(question, ["tab"])
        if question.as_json:
            return _object(zip(_quoted(answers["tab"]), answers["json"], strict=True))
        return "".join(f"{tab}: {json}\n" for tab, json in answers.select("tab", "json").iter_rows()).encode()

    def _projection(self, question: Question) -> bytes:
        answers = self._answers(question, ["tab", "client"])
        if not question.as_json:
            rows = answers.select("client", "tab", "json").sort("client", "tab").iter_rows()
            return "".join(f"({client}, {tab}): {json}\n" for client, tab, json in rows).encode()
        pair = pl.format("{}: {}", json_text(pl.col("client")), "json").str.join(", ")
        of_tabs = answers.group_by("tab", maintain_order=True).agg(json=pl.format("{{{}}}", pair))
        return _object(zip(_quoted(of_tabs["tab"]), of_tabs["json"], strict=True))

    def _answers(self, question: Question, keys: list[str]) -> pl.DataFrame:
        """The keys and the `json` of each answer, sorted."""
        now, future = self._service.clock(), self._service.settings.limits.future_s
        selection = Selection((), per_client=len(keys) > 1, among=question.clients)
        most = self._service.settings.limits.answer_rows
        parts = [pl.DataFrame(schema=dict.fromkeys([*keys, "json"], pl.String))]
        for (kind,), tabs in self._chosen(question).partition_by("type", as_dict=True).items():
            windows = windows_of(str(kind), now, future)
            for handler, table in self._service.query.answers(tabs, selection, windows, INSTEAD):
                parts += [written(handler, table, keys)] if table.height else []
                if sum(part.height for part in parts) > most:
                    raise ParameterError(
                        f"name: the answer would have more than {most} rows (limits.answer_rows): ask for fewer tabs"
                    )
        return pl.concat(parts).sort(keys)

    def _chosen(self, question: Question) -> pl.DataFrame:
        """The tabs that are asked for, as the catalogue has them."""
        tab, name = pl.col("tab"), pl.col("name")
        match question.tabs:
            case None:
                fits = ~tab.str.starts_with(names.OWN_PREFIX)
            case str() as pattern:
                fits = tab.str.contains(pattern)
            case listed:
                fits = tab.is_in(listed) | name.is_in(listed)
        return self._service.catalogue.frame.filter(fits & (pl.col("written") == tab))

    def _clients(self, question: Question) -> bytes:
        clients = self._service.clients("*")["client"]
        return _listed(clients.filter(clients.str.contains(question.clients or "")), question)

    def _names(self, question: Question) -> bytes:
        tabs = self._chosen(question)
        if question.clients is None:
            return _listed(tabs["tab"], question)
        now, future = self._service.clock(), self._service.settings.limits.future_s
        selection = Selection((), per_client=True, among=question.clients)
        begin = now - self._service.tiers.reach(CLIENTS)
        found = self._service.query.chosen(tabs, selection, begin, now + future)
        recorded = {tab for _, parts in found for states in parts for tab in states["tab"].unique()}
        return _listed(recorded, question)

    def _types(self, question: Question) -> bytes:
        expires = (pl.col("type") == "gauge") & pl.col("parameter").is_not_null()
        old = pl.when(expires).then(pl.lit("ExpiryGauge")).otherwise(pl.col("type").replace(OLD_NAMES))
        types = self._chosen(question).select("tab", old=old).sort("tab")
        if question.as_json:
            return msgspec.json.encode(dict(types.iter_rows()))
        return "".join(f"{tab}: {old}\n" for tab, old in types.iter_rows()).encode()


def _question(request: Request) -> Question:
    fields = request.query_params
    by_pattern = parameters.one(fields, "re") is not None
    name, client = parameters.one(fields, "name"), parameters.one(fields, "client")
    tabs: Sequence[str] | str | None = None
    clients = None
    if name:
        tabs = _pattern("name", name) if by_pattern else [clean_name(one) for one in _split("name", name)]
    if client and by_pattern:
        clients = _pattern("client", client)
    elif client:
        clients = f"^(?:{'|'.join(re.escape(clean_client(one)) for one in _split('client', client))})$"
    accept = request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip().lower()
    return Question(tabs, clients, accept in (JSON, "application/json-detailed"))


def _split(field: str, text: str) -> list[str]:
    return _bounded(field, text).split(",")


def _pattern(field: str, text: str) -> str:
    """A regular expression that fits from the beginning; of the kind whose time does not explode."""
    pattern = f"^(?:{_bounded(field, text)})"
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        why = re.search(r"error: (?!regex)(.*)", str(error))
        told = why[1] if why else "it cannot be read"
        raise ParameterError(f"{field}: {text[:80]!r} is not a regular expression: {told}") from None
    return pattern


def _bounded(field: str, text: str) -> str:
    if len(text) > MOST_PATTERN:
        raise ParameterError(f"{field}: {len(text)} characters; at most {MOST_PATTERN} are taken")
    return text


def _quoted(texts: pl.Series) -> pl.Series:
    return texts.to_frame("text").select(json_text(pl.col("text"))).to_series()


def _object(pairs: Iterable[tuple[str, str]]) -> bytes:
    """A JSON object of keys and values that are JSON already."""
    return f"{{{', '.join(f'{key}: {value}' for key, value in pairs)}}}".encode()


def _listed(texts: Iterable[str], question: Question) -> bytes:
    ordered = sorted(texts)
    return msgspec.json.encode(ordered) if question.as_json else "".join(f"{text}\n" for text in ordered).encode()
