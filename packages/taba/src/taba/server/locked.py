"""The server's door: which requests come in, before anything looks at what they ask.

    1  a page from elsewhere writes nothing                                   403
    2  a call that is not open needs a token, where there are tokens          401, and 403 for another's scope
    3  a token's rates hold                                                   429, with Retry-After

A token comes in the field Authorization, or in the cookie that `POST /v1/session` gave a browser; never in the
address, which is written into logs. The cookie counts only for a request of which the browser says that the server's
own page made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.cookies import CookieError, SimpleCookie
from math import ceil

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taba.locks import limits
from taba.locks.gate import Gate, LockedError, bearer
from taba.locks.origins import SAFE_METHODS, is_foreign, is_told_own
from taba.locks.tokens import Token
from taba.server.allowed import HOLDER
from taba.server.intake import REFUSED
from taba.server.scopes import scope_of
from taba.server.service import Service

COOKIE = "taba_session"
SAFE = [(b"x-content-type-options", b"nosniff"), (b"cross-origin-resource-policy", b"same-origin")]
"""With every answer: what is JSON is read as nothing else, and by no other site's page."""


class Locked:
    """Lets requests in to the application."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fields = _fields(scope)
        try:
            holder = self._entered(scope, fields)
        except LockedError as error:
            await self._refuse(error, send)
            return
        HOLDER.set(holder)
        if holder is not None and holder.bytes_per_s is not None:
            receive = _counted(receive, self._service.gate, holder)
        await self._app(scope, receive, _with_safe_headers(send))

    def _entered(self, scope: Scope, fields: dict[bytes, bytes]) -> Token | None:
        method, path = scope["method"], scope["path"]
        origin, host, site = _page(fields)
        if method not in SAFE_METHODS and is_foreign(origin, host or "", site):
            raise LockedError(403, "origin", f"a page at {(origin or 'another site')[:200]!r} may not do this here")
        return self._service.gate.enter(credentials(scope), scope_of(method, path))

    async def _refuse(self, error: LockedError, send: Send) -> None:
        tags = f"status={error.status},token={error.token}" if error.token else f"status={error.status}"
        cause = "limit" if error.status == 429 else "cause"
        self._service.intake.note(f"{REFUSED}{{{cause}={error.cause},{tags}}}", "counter", 1)
        body = msgspec.json.encode({"error": str(error)})
        await send({"type": "http.response.start", "status": error.status, "headers": refusal_headers(error, body)})
        await send({"type": "http.response.body", "body": body})


def refusal_headers(error: LockedError, body: bytes) -> list[tuple[bytes, bytes]]:
    """What is said beside the reason; the connection ends, for of the body nothing is read."""
    found = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        *SAFE,
    ]
    if error.status == 401:
        found.append((b"www-authenticate", b'Bearer realm="taba"'))
    if error.status == 429:
        found.append((b"retry-after", b"%d" % max(ceil(error.seconds), 1)))
    return found


def credentials(scope: Scope) -> str | None:
    """The token that came with a request; None where none did, or none that counts."""
    fields = _fields(scope)
    given = bearer(fields.get(b"authorization"))
    if given is None and is_own_page(scope["method"], *_page(fields)):
        return session(fields)
    return given


def is_own_page(method: str, origin: str | None, host: str | None, site: str | None) -> bool:
    """Whether a cookie may speak for whoever sent it: a write needs the browser's word that it is our own page's."""
    if method in SAFE_METHODS:
        return not is_foreign(origin, host or "", site)
    return is_told_own(origin, host or "", site)


def session(fields: dict[bytes, bytes]) -> str | None:
    """The token that a browser was given to keep."""
    written = fields.get(b"cookie")
    if written is None:
        return None
    try:
        found = SimpleCookie(written.decode("latin-1")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def _fields(scope: Scope) -> dict[bytes, bytes]:
    """A request's fields; of those that come twice, the first, which is also what a proxy looks at."""
    return dict(reversed(scope["headers"]))


def _page(fields: dict[bytes, bytes]) -> tuple[str | None, str | None, str | None]:
    """What a request says of the page that it is from: Origin, Host and Sec-Fetch-Site."""
    return _text(fields.get(b"origin")), _text(fields.get(b"host")), _text(fields.get(b"sec-fetch-site"))


def _text(field: bytes | None) -> str | None:
    return None if field is None else field.decode("latin-1")


def _counted(receive: Receive, gate: Gate, holder: Token) -> Receive:
    """What a request brings, with its bytes taken from its token's allowance."""

    async def counted() -> Message:
        message = await receive()
        gate.meters.charge(holder, limits.BYTES, len(message.get("body", b"")))
        return message

    return counted


def _with_safe_headers(send: Send) -> Send:
    async def safe(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_missing(message.get("headers", ()))]
        await send(message)

    return safe


def _missing(headers: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    present = {name.lower() for name, _ in headers}
    return (field for field in SAFE if field[0] not in present)
