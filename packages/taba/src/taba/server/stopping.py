"""What a server that stops tells those whose questions it has not answered: to ask again."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RETRY_AFTER = "1"


class Stopping:
    """Answers 503 in the place of the application where its work is broken off before it has begun to answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises CancelledError where an answer had begun, which then ends in its middle."""
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:
            if begun or scope["type"] != "http":
                raise
            told = msgspec.json.encode({"error": "the server stopped before this was answered: ask again"})
            answer = Response(told, 503, {"Retry-After": RETRY_AFTER}, media_type="application/json")
            await answer(scope, receive, send)
