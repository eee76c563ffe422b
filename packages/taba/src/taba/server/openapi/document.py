"""The description put together, and served at /v1/openapi.json."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from taba import __version__
from taba.server import parameters
from taba.server.openapi.operations import OPERATIONS, Operation, content
from taba.server.openapi.schemas import SCHEMAS, named

PATH = "/v1/openapi.json"
ERRORS = {
    400: "the request cannot be understood; nothing was done",
    401: "the server asks for a token, and none came that is good",
    403: "the token may not do this, a page from elsewhere asks, or the name that it was asked by is not the server's",
    404: "there is no such thing",
    405: "the call does not take this method",
    413: "the body is too large; nothing was taken",
    422: "the question is understood and cannot be answered",
    429: "too many do this at once, or the token's rate is reached: repeat it after Retry-After seconds",
    503: "the store fails, or too much waits: repeat it after Retry-After seconds",
}
_ERROR = {"application/json": {"schema": named("Error")}}


def routes() -> list[BaseRoute]:
    """The route of the description."""
    body = msgspec.json.format(msgspec.json.encode(document()), indent=1)

    async def served(request: Request) -> Response:
        parameters.known(request.query_params)
        return Response(body, media_type="application/json")

    return [Route(PATH, served, methods=["GET"])]


def document() -> dict[str, Any]:
    """The whole description, in OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Taba",
            "version": __version__,
            "description": "Events become answers within a second, counted exactly once.",
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _described(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {"operationId": operation.name, "summary": operation.text}
    told["parameters"] = [field.described(name) for name, field in operation.fields.items()]
    if operation.body is not None:
        told["requestBody"] = {"required": True, "content": operation.body}
    told["responses"] = {"200": {"description": "as asked", "content": content(operation)}}
    for status in sorted({400, 401, 403, 429, *operation.errors}):
        told["responses"][str(status)] = {"description": ERRORS[status], "content": _ERROR}
    return told
