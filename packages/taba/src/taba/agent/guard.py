"""The agent's door: which requests come in, before anything looks at what they ask; `taba.server.locked` is a server's.

    1  on loopback it is asked by names of this machine alone                 403
    2  a page from elsewhere writes nothing                                   403
    3  what is not /ping needs a token, where there are tokens                401, and 403 for another's scope
    4  a token's rates hold                                                   429, with Retry-After

What a token may not write of frames is taken out of them: see `taba.agent.permitted`. The doors of other protocols
name tabs and clients themselves, so a token that is limited to some is not taken there.
"""

from __future__ import annotations

from taba.agent.connection import Request
from taba.locks import limits
from taba.locks.gate import Gate, LockedError, Scope, bearer
from taba.locks.origins import SAFE_METHODS, is_foreign, is_loopback, is_own, unknown_name
from taba.locks.patterns import patterns
from taba.locks.tokens import Token
from taba.settings import Agent as Settings

EVENTS, PING, STATUS = "/v1/events", "/ping", "/v1/status"
SCOPES = {
    ("POST", EVENTS): Scope.WRITE,
    ("GET", EVENTS): Scope.OPEN,
    ("GET", PING): Scope.OPEN,
    ("GET", STATUS): Scope.ADMIN,
}
"""What the agent's own calls need; `GET /v1/events` says that it is none. All other calls are of other protocols."""


class Guard:
    """Lets requests in."""

    def __init__(self, gate: Gate, settings: Settings) -> None:
        self.gate = gate
        self.settings = settings
        self._loopback = is_loopback(settings.host)

    def enter(self, request: Request) -> Token | None:
        """The token of who comes in; None where none is asked for. Raises LockedError."""
        host = _text(request.headers.get(b"host", b""))
        if self._loopback and not is_own(host, self.settings.hosts):
            raise LockedError(403, "host", unknown_name(host, "agent", "agent.hosts"))
        origin, site = request.headers.get(b"origin"), request.headers.get(b"sec-fetch-site")
        if request.method not in SAFE_METHODS and is_foreign(
            None if origin is None else _text(origin), host, None if site is None else _text(site)
        ):
            raise LockedError(403, "origin", f"a page at {_text(origin or b'another site')[:200]!r} may not do this")
        scope, own = scope_of(request)
        token = self.gate.enter(bearer(request.headers.get(b"authorization")), scope)
        if token is not None:
            if not own and not patterns(token).are_any:
                told = f"the token {token.id} is limited to some tabs or clients, and {request.path} names its own"
                raise LockedError(403, "scope", told, token=token.id)
            self.gate.meters.charge(token, limits.BYTES, len(request.body))
        return token

    def tells(self, request: Request) -> bool:
        """Whether whoever asks may be told what only readers are told."""
        return self.gate.may_read(bearer(request.headers.get(b"authorization")))


def scope_of(request: Request) -> tuple[Scope, bool]:
    """What a call needs, and whether it is one of the agent's own."""
    found = SCOPES.get(("GET" if request.method == "HEAD" else request.method, request.path))
    own = request.path in (EVENTS, PING, STATUS)
    return found or (Scope.OPEN if own else Scope.WRITE), own


def _text(field: bytes) -> str:
    return field.decode("latin-1")
