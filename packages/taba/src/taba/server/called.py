"""Under which names a server is asked: one that only this machine reaches answers no page from elsewhere.

A page in a browser on this machine may ask its own site's server alone. But whoever owns the site's name may have it
mean 127.0.0.1 while the page is open (DNS rebinding), and then the page reads, and writes, what it finds there. What it
cannot change is the name that it asks for, which is in the field Host:

    answered    no Host; an IP address; a name of one word, as localhost; one that ends with .localhost; and those of
                the setting `hosts`, where * is any name
    403         any other name, where the server listens on loopback
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from taba.server.service import Service

_PORT = re.compile(r":[0-9]*$")
ANY = "*"


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


def is_loopback(host: str) -> bool:
    """Whether the setting `host` means this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_own(host: str, further: Iterable[str]) -> bool:
    """Whether the field Host names a server on loopback; `further` are names that do so too."""
    name = _PORT.sub("", host.strip()).rstrip(".").lower()
    if "." not in name or name.endswith(".localhost"):
        # Nobody on the internet owns such a name. An IPv6 address in brackets has no point, or is none of a name's.
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return any(one == ANY or one.lower() == name for one in further)
    return True


def _refusal(host: str) -> Response:
    told = (
        f"this server listens on loopback and is not known as {host[:200]!r}: ask for it as localhost, "
        "or list the name in the setting hosts"
    )
    return Response(msgspec.json.encode({"error": told}), 403, media_type="application/json")
