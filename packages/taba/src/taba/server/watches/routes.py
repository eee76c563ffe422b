"""GET /v1/watches: how the watches are, or how a watch with a rule would begin."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from taba.matching import client_pattern
from taba.server import formats, parameters
from taba.server.answering import Answering
from taba.server.parameters import ParameterError
from taba.server.service import Service
from taba.server.watches.readings import fields_of
from taba.server.watches.shown import written
from taba.server.watches.watching import Look, Watching
from taba.watches.rule import Rule, RuleError, check_fields, parse


def routes(service: Service, answering: Answering, watching: Watching) -> list[BaseRoute]:
    """The route of the watches."""

    async def watches(request: Request) -> Response:
        """GET /v1/watches"""
        fields = request.query_params
        parameters.known(fields, "match", "rule")
        tried = parameters.one(fields, "rule")
        if tried is not None and parameters.one(fields, "match") is not None:
            raise ParameterError("match: give either the watches that are wanted, or a rule to try")
        rule = None if tried is None else _rule(service, tried)
        glob = parameters.client_glob(fields, "match")

        def answer() -> tuple[bytes, str]:
            head = answering.head()
            look = _matching(watching.shown(), glob) if rule is None else watching.tried(rule)
            form = formats.accepted(request.headers.get("accept", ""))
            return written(form, head, look), form

        return await answering.answered(answer)

    return [Route("/v1/watches", watches, methods=["GET"])]


def _rule(service: Service, text: str) -> Rule:
    try:
        rule = parse(text)
        check_fields(rule, fields_of(service.registry))
    except RuleError as error:
        raise ParameterError(f"rule: {error}") from None
    return rule


def _matching(look: Look, glob: str) -> Look:
    """A look at the watches whose name matches."""
    # Not Python's regular expressions, which a glob of many stars would keep busy for ever.
    named = pl.Series([told.watch.name for told in look.told], dtype=pl.String)
    fits = named.str.contains(client_pattern(glob))
    return replace(look, told=[told for told, fit in zip(look.told, fits, strict=True) if fit])
