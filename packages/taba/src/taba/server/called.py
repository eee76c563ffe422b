"""Under which names a server is asked: one that only this machine reaches answers no page from elsewhere.

Which names those are is told in `taba.locks.origins`.
"""

from __future__ import annotations

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from taba.locks.origins import is_loopback, is_own, unknown_name
from taba.server.service import Service


class Called:
    """Lets through what asks for the server by one of its names."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._loopback = is_loopback(service.settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 in the place of the application where it is not one of them."""
        if scope["type"] == "http" and self._loopback:
            host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
            if not is_own(host, self._service.settings.hosts):
                await _refusal(host)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _refusal(host: str) -> Response:
    told = unknown_name(host, "server", "hosts")
    return Response(msgspec.json.encode({"error": told}), 403, media_type="application/json")
