"""`/v1/session`: how the dashboard's browser is given a token to keep, because a page's streams cannot send fields.

POST     {"token": "…"}    a cookie with the token: for this server alone, out of reach of scripts (HttpOnly), sent with
                           no request that another site causes (SameSite=Strict), and over TLS alone where it came so
GET                        whether a token is asked for, and what the browser's own may do
DELETE                     the cookie is forgotten

Nothing of it is kept here: so every process knows it, and it ends when the token is revoked.
"""

from __future__ import annotations

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from taba.locks.gate import Gate, LockedError, Scope, permits
from taba.locks.tokens import Token
from taba.server import parameters
from taba.server.locked import COOKIE, credentials
from taba.server.submissions import BadRequest

PATH = "/v1/session"
KEPT_SECONDS = 30 * 86_400
MOST_BYTES = 10_000


class _Body(msgspec.Struct):
    token: str


def routes(gate: Gate) -> list[BaseRoute]:
    """The three calls."""
    sessions = Sessions(gate)
    return [
        Route(PATH, sessions.told, methods=["GET"]),
        Route(PATH, sessions.begin, methods=["POST"]),
        Route(PATH, sessions.end, methods=["DELETE"], include_in_schema=False),
    ]


class Sessions:
    """One method for each call."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def told(self, request: Request) -> Response:
        """GET /v1/session"""
        parameters.known(request.query_params)
        return _json({"locked": self._gate.locked, **_told(self._known(credentials(request.scope)))})

    async def begin(self, request: Request) -> Response:
        """POST /v1/session"""
        parameters.known(request.query_params)
        given = await _token(request)
        try:
            token = self._gate.known(given)
        except LockedError as error:
            return _json({"error": str(error)}, 401)
        if not permits(token, Scope.READ):
            told = f"the token {token.id} may only write: the dashboard needs one that may read"
            return _json({"error": told}, 403)
        answer = _json({"locked": self._gate.locked, **_told(token)})
        answer.set_cookie(
            COOKIE,
            given,
            max_age=KEPT_SECONDS,
            path=_folder(request),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    async def end(self, request: Request) -> Response:
        """DELETE /v1/session"""
        answer = _json({"locked": self._gate.locked, **_told(None)})
        answer.delete_cookie(COOKIE, path=_folder(request), httponly=True, samesite="strict")
        return answer

    def _known(self, given: str | None) -> Token | None:
        return self._gate.keys.find(given) if given else None


async def _token(request: Request) -> str:
    """The token in the body. Raises BadRequest."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                raise BadRequest("the body has more bytes than a token")
        if kind != "application/json":
            raise BadRequest(f"Content-Type {kind!r} is not taken: send application/json")
        return msgspec.json.decode(body, type=_Body).token.strip()
    except (msgspec.DecodeError, UnicodeDecodeError, ClientDisconnect):
        # Not with the decoder's words, which may hold what was sent.
        raise BadRequest('the body must be {"token": "…"}') from None


def _told(token: Token | None) -> dict[str, object]:
    return {
        "token": token.id if token else None,
        "scopes": token.scopes.split(", ") if token and token.scopes else [],
        "expires": token.expires if token else None,
    }


def _folder(request: Request) -> str:
    """The path at which the page is: below another one, where a proxy says so by its root_path."""
    return request.scope.get("root_path") or "/"


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, {"Cache-Control": "no-store"}, "application/json")
