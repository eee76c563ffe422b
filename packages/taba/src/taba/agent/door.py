"""What an agent answers.

POST /v1/events    frames; answered once they are on the disk
GET /ping          200 while the agent takes frames, 503 with the reason while it does not
GET /v1/status     what it holds, where it sends, how the lanes do

What the doors of other protocols take besides is theirs: see `taba.agent.doors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

import msgspec

from taba import names
from taba.agent.agent import Agent
from taba.agent.connection import Handle, Request, Respond
from taba.agent.guard import EVENTS, PING, STATUS, Guard
from taba.agent.permitted import Permitted, permitted
from taba.agent.writer import BusyError, WriteError
from taba.compression import PackedTooLargeError, PackingError, in_words, unpack
from taba.frame import CONTENT_TYPE, Frame, FrameError, decode
from taba.headers import parse
from taba.locks import limits
from taba.locks.gate import LockedError
from taba.locks.patterns import NOT_ALLOWED, patterns
from taba.locks.tokens import Token

_encode = msgspec.json.encode
_CONTENT_TYPE = CONTENT_TYPE.encode()
TOLD = 100
"""Frames of one request that are told of one by one."""


class _RefusedError(Exception):
    """Why a request is not taken, with the status that says so."""

    def __init__(self, status: int, cause: str, why: str, seconds: float = 0.0) -> None:
        super().__init__(why)
        self.status = status
        self.cause = cause
        self.seconds = seconds


class Door:
    """Answers requests; nothing that comes in harms what comes beside it."""

    def __init__(self, agent: Agent, guard: Guard, others: Mapping[tuple[str, str], Handle] | None = None) -> None:
        """`others` are what further doors answer, by method and path."""
        self._agent = agent
        self._guard = guard
        self._others = others or {}

    def body_limit(self) -> int:
        """The most bytes that a body may have, as the settings say now."""
        return min(self._agent.settings.body_mb << 20, self._agent.spool.largest())

    def handle(self, request: Request, respond: Respond) -> None:
        """Answer one request, now or once its frames are on the disk."""
        try:
            holder = self._entered(request)
            if request.path == EVENTS and request.method == "POST":
                self._events(request, respond, holder)
                return
            other = self._others.get((request.method, request.path))
            if other is not None:
                if holder is not None:
                    request.charge = partial(self._guard.gate.meters.charge, holder, limits.EVENTS)
                other(request, respond)
                return
            method, give = _ROUTES.get(request.path) or self._missing(request.path)
            if request.method not in (method, "HEAD" if method == "GET" else method):
                raise _RefusedError(405, "method", f"{request.path} does not take {request.method}")
            status, answer = give(self._agent)
            if request.path != STATUS and not self._guard.tells(request):
                # Everybody may ask this; why it is as it is, is for those who may read.
                answer = {"status": "ok" if status == 200 else "failing"}
            respond(status, _encode(answer))
        except _RefusedError as refusal:
            self._refuse(refusal, respond)

    def _entered(self, request: Request) -> Token | None:
        """Whose request it is. Raises _RefusedError."""
        try:
            return self._guard.enter(request)
        except LockedError as error:
            raise _RefusedError(error.status, error.cause, str(error), error.seconds) from None

    def _missing(self, path: str) -> NoReturn:
        """Raises what says that there is no such path, or not for such a method."""
        methods = [method for method, known in self._others if known == path]
        if methods:
            raise _RefusedError(405, "method", f"{path} takes {' and '.join(methods)} alone")
        known = ", ".join([*_ROUTES, *(known for _, known in self._others)])
        raise _RefusedError(404, "path", f"there is no {path} here: an agent has {known}")

    def _refuse(self, refusal: _RefusedError, respond: Respond) -> None:
        self._agent.counts.add(f"refused{{cause={refusal.cause}}}")
        respond(refusal.status, _encode({"error": str(refusal)}), wait=refusal.seconds)

    def _events(self, request: Request, respond: Respond, holder: Token | None) -> None:
        body = _unpacked(request, self.body_limit)
        frames = _frames(body)
        found = self._permitted(frames, body, holder)
        frames, body = found.frames, found.body
        rejected = b',"rejected":%b}' % _rejected(found)
        if not frames:
            respond(200, b'{"accepted":0' + rejected)
            return

        def done(error: Exception | None, events: int, duplicates: int) -> None:
            if error is not None:
                self._refuse(_unwritten(error), respond)
            elif duplicates == len(frames):
                respond(200, b'{"accepted":%d,"duplicate":true' % events + rejected)
            else:
                respond(200, b'{"accepted":%d' % events + rejected)

        try:
            self._agent.take(frames, body, b"taba-source" in request.headers, done)
        except (BusyError, WriteError) as error:
            raise _unwritten(error) from None

    def _permitted(self, frames: list[Frame], body: bytes, holder: Token | None) -> Permitted:
        """What the token may write of frames; what it may not is counted."""
        if holder is None:
            return Permitted(frames, body)
        events = sum(one.header.events() for one in frames)
        self._guard.gate.meters.charge(holder, limits.EVENTS, events)
        own = patterns(holder)
        found = Permitted(frames, body) if own.are_any else permitted(frames, body, own, holder.id)
        if found.foreign:
            self._agent.counts.add(f"drops{{cause={NOT_ALLOWED},token={holder.id}}}", found.foreign)
        return found


def _ping(agent: Agent) -> tuple[int, dict[str, Any]]:
    return (503 if agent.trouble else 200), {"status": agent.trouble or "ok"}


_ROUTES: dict[str, tuple[str, Callable[[Agent], tuple[int, dict[str, Any]]]]] = {
    EVENTS: ("POST", _ping),
    PING: ("GET", _ping),
    STATUS: ("GET", lambda agent: (200, agent.status())),
}


def _unwritten(error: Exception) -> _RefusedError:
    return _RefusedError(503, "busy" if isinstance(error, BusyError) else "spool", f"{error}; send this again")


def _unpacked(request: Request, limit: Callable[[], int]) -> bytes:
    body = request.body
    try:
        if request.too_large:
            raise PackedTooLargeError(f"the body has more than {in_words(limit())}")
        if encoding := request.headers.get(b"content-encoding"):
            body = unpack(body, encoding.decode("latin-1").lower(), limit())
    except PackedTooLargeError as error:
        why = f"{error} (agent.body_mb, and half of agent.spool_mb): send it in parts"
        raise _RefusedError(413, "too_large", why) from None
    except PackingError as error:
        raise _RefusedError(400, "invalid", str(error)) from None
    kind = request.headers.get(b"content-type", b"")
    if kind != _CONTENT_TYPE and kind.partition(b";")[0].strip().lower() != _CONTENT_TYPE:
        shown = kind.decode("latin-1")
        why = f"Content-Type {shown!r} is not taken: an agent takes {CONTENT_TYPE}; send JSON to a server"
        raise _RefusedError(400, "invalid", why)
    return body


def _rejected(found: Permitted) -> bytes:
    """What is told of what was not taken."""
    if not found.denied:
        return b"[]"
    told = _encode([{"index": index, "error": error} for index, error in found.denied[:TOLD]])
    return told + b',"rejected_total":%d' % max(found.events + found.foreign, len(found.denied))


def _frames(body: bytes) -> list[Frame]:
    try:
        frames = list(decode(body, parse))
        for one in frames:
            names.check_client(one.header.client)
    except (FrameError, names.NameRuleError) as error:
        raise _RefusedError(400, "invalid", str(error)) from None
    if not frames:
        raise _RefusedError(400, "invalid", "the body holds no frame")
    return frames
