"""A request's token against what the request needs: who comes in, and what the others are told.

    open     everybody
    read     a token with `read`, or with `admin`
    write    a token with `write`; what it may not write is refused event by event
    admin    a token with `admin`

Where there is no file of tokens everybody may do everything: then the door is on this machine alone, or its owner said
that it is to be open (see `taba.listening`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from taba.locks.keys import Keys
from taba.locks.limits import Meters
from taba.locks.tokens import Token, TokenError, id_of


class Scope(StrEnum):
    """What a request needs."""

    OPEN = "open"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class LockedError(Exception):
    """Why a request is not let in; `cause` is how that is counted, `token` whose it was, where that is known."""

    def __init__(self, status: int, cause: str, text: str, *, token: str = "", seconds: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.cause = cause
        self.token = token
        self.seconds = seconds


class Gate:
    """Lets requests in. For one thread, that of the event loop."""

    def __init__(self, keys: Keys, clock: Callable[[], float] = time.monotonic) -> None:
        self.keys = keys
        self.meters = Meters(clock)

    @property
    def locked(self) -> bool:
        """Whether a token is asked for."""
        self.keys.look()
        return self.keys.asked_for

    def tidy(self) -> None:
        """Now and then: take the tokens as they are, and forget what those used that are no more."""
        self.keys.look()
        self.meters.keep(self.keys.known)

    def enter(self, given: str | None, scope: Scope) -> Token | None:
        """The token of who comes in; None where none is asked for. Raises LockedError."""
        if scope is Scope.OPEN or not self.locked:
            return None
        token = self.known(given)
        if not permits(token, scope):
            told = f"the token {token.id} may not {_told(scope)}: it has {token.scopes or 'no scope'}"
            raise LockedError(403, "scope", told, token=token.id)
        over = self.meters.admit(token)
        if over is not None:
            told = f"the token {token.id} uses {over}: send this again later"
            raise LockedError(429, over.limit, told, token=token.id, seconds=over.seconds)
        return token

    def may_read(self, given: str | None) -> bool:
        """Whether somebody may be told what only readers are told."""
        if not self.locked:
            return True
        token = self.keys.find(given) if given else None
        return token is not None and permits(token, Scope.READ)

    def known(self, given: str | None) -> Token:
        """The token that was given. Raises LockedError."""
        if not given:
            told = "this needs a token: send it as Authorization: Bearer TOKEN; `taba token create` makes one"
            raise LockedError(401, "no_token", told)
        token = self.keys.find(given)
        if token is None:
            raise LockedError(401, "bad_token", _why_not(given))
        return token


def permits(token: Token, scope: Scope) -> bool:
    """Whether a token is good for what needs `scope`."""
    match scope:
        case Scope.OPEN:
            return True
        case Scope.READ:
            return token.read or token.admin
        case Scope.WRITE:
            return bool(token.write)
        case Scope.ADMIN:
            return token.admin


def bearer(field: bytes | None) -> str | None:
    """The token in a field Authorization; None where there is none."""
    if field is None:
        return None
    kind, _, text = field.decode("latin-1").strip().partition(" ")
    return text.strip() if kind.lower() == "bearer" else None


def _told(scope: Scope) -> str:
    return "do this, which needs admin" if scope is Scope.ADMIN else scope.value


def _why_not(given: str) -> str:
    """What is wrong, as far as it helps nobody who guesses."""
    try:
        return f"the token {id_of(given)} is not known here: it was revoked or has expired, or is another server's"
    except TokenError as error:
        return str(error)
