"""Lets pages of the origins that the setting `origins` lists record: `POST /v1/events`, and nothing else.

Everything else stays as a browser has it: a page of another origin hears no answer, and none of its requests that
need a question first are sent.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taba import origins
from taba.frame import CONTENT_TYPE
from taba.server.service import Service

EVENTS = "/v1/events"


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
        if not origins.is_listed(origin, self._service.settings.origins):
            await self._app(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=origins.preflight(origin))(scope, receive, send)
        else:
            await self._app(_admitted(scope), receive, _telling(send, origin))


JUDGED = (b"origin", b"sec-fetch-site", b"cookie")
"""What says which page a request is from, and for whom it speaks: nobody behind need ask again, nor believe it."""


def _admitted(scope: Scope) -> Scope:
    """The request as a program's would be, its body frames where it says that it is plain text."""

    def meant(name: bytes, value: bytes) -> bytes:
        plain = name == b"content-type" and origins.is_plain(value.decode("latin-1"))
        return CONTENT_TYPE.encode() if plain else value

    return {**scope, "headers": [(name, meant(name, value)) for name, value in scope["headers"] if name not in JUDGED]}


def _telling(send: Send, origin: str) -> Send:
    """`send`, with what lets the page hear the answer."""
    allowing = [(name.encode(), value.encode("latin-1")) for name, value in origins.allowing(origin).items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *allowing]}
        await send(message)

    return sending
