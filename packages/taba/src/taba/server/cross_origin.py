"""Lets pages of the origins that the setting `origins` lists record: `POST /v1/events`, and nothing else.

A page in a browser may send a few kinds of request anywhere without asking, but hears an answer from another origin
only where that says so (https://fetch.spec.whatwg.org, "CORS protocol"). The client for browsers sends frames as
text/plain, which is among these kinds, because what is sent while a page is being left cannot wait for a question to
be answered. So text/plain is read as frames from listed origins alone; from all others it is no kind that is taken.

Everything else stays as a browser has it: a page of another origin hears no answer, and none of its requests that need
a question first are sent. This stands before the locks, which ask a page for a token like any program.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taba.frame import CONTENT_TYPE
from taba.server.service import Service

EVENTS = "/v1/events"
ANY = "*"
PLAIN = b"text/plain"
"""The Content-Type by which a listed origin's page sends frames."""
PREFLIGHT_SECONDS = 86_400
"""For how long a browser need not ask again."""
JUDGED = (b"origin", b"sec-fetch-site", b"cookie")
"""What says which page a request is from, and for whom it speaks: nobody behind need ask again, nor believe it."""


class CrossOrigin:
    """Answers a listed origin's question, and says in answers that its pages may hear them."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is none of a listed origin's events."""
        if scope["type"] != "http" or scope["path"] != EVENTS:
            await self._app(scope, receive, send)
            return
        origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), "")
        if not is_listed(origin, self._service.settings.origins):
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=_preflight(origin))(scope, receive, send)
        else:
            await self._app(_admitted(scope), receive, _telling(send, origin))


def is_listed(origin: str, origins: Iterable[str]) -> bool:
    """Whether the field Origin names one of `origins`, as `https://shop.example`."""
    asked = origin.strip().lower()
    return bool(asked) and any(one == ANY or one.rstrip("/").lower() == asked for one in origins)


def _admitted(scope: Scope) -> Scope:
    """The request as a program's would be, its body frames where it says that it is plain text."""

    def meant(name: bytes, value: bytes) -> bytes:
        plain = name == b"content-type" and value.partition(b";")[0].strip().lower() == PLAIN
        return CONTENT_TYPE.encode() if plain else value

    return {**scope, "headers": [(name, meant(name, value)) for name, value in scope["headers"] if name not in JUDGED]}


def _allowing(origin: str) -> dict[str, str]:
    """What every answer to a listed origin's page says, so that the page hears it."""
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "retry-after",
        "vary": "origin",
    }


def _preflight(origin: str) -> dict[str, str]:
    """What a browser is told that asks before it sends, as it does for a token or another Content-Type."""
    return _allowing(origin) | {
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "authorization, content-type, content-encoding, taba-source, taba-sequence",
        "access-control-max-age": str(PREFLIGHT_SECONDS),
    }


def _telling(send: Send, origin: str) -> Send:
    """`send`, with what lets the page hear the answer."""
    allowing = [(name.encode(), value.encode("latin-1")) for name, value in _allowing(origin).items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *allowing]}
        await send(message)

    return sending
