"""One question on its way: when to try again, what a failure means, and the answer. No I/O, shared by both clients.

A question is repeated, after a pause that doubles, where no connection came about or it broke, and where the server
is too busy (429, 503; then not before its Retry-After, and not at all where that is longer than any pause). An answer
that takes too long is not asked for again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic
from urllib.parse import urlsplit

import httpx
import msgspec

from taba.client.settings import DEFAULT_SERVER
from taba.locks.outgoing import Credentials, not_trusted, of_person
from taba.query.errors import QueryError, UnreachableError
from taba.query.questions import A, Question

TIMEOUT = 30.0
"""Seconds that an answer may take."""
RETRIES = 2
PAUSE = 0.1
"""Seconds before the first repetition."""
LONGEST_PAUSE = 10.0
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""A watch holds a connection as long as it lasts: there may be as many as a program likes."""
BUSY = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Target:
    """Which server, and what is said to it with each question."""

    url: str
    credentials: Credentials
    retries: int

    @property
    def headers(self) -> dict[str, str]:
        """For every request."""
        return self.credentials.headers()

    @property
    def verify(self) -> Any:
        """Which certificates an httpx client trusts, and which it has itself; read now. Raises QueryError."""
        if not self.url.startswith("https:"):
            return True
        try:
            return self.credentials.context()
        except OSError as error:
            raise QueryError(str(error)) from None

    def __repr__(self) -> str:
        return f"Target({self.url!r})"  # a token is nobody's to read


def target(
    url: str | None,
    token: str | None,
    retries: int,
    environment: Mapping[str, str] = os.environ,
    *,
    ca: str | None = None,
) -> Target:
    """The server that is meant: `url`, else TABA_SERVER, else the default.

    `token`, else TABA_TOKEN, goes with each question; `ca`, else TABA_CA, is trusted.
    Raises QueryError for what cannot be one.
    """
    origin = "url" if url else "TABA_SERVER"
    given = url or environment.get("TABA_SERVER") or DEFAULT_SERVER
    written = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(written)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise QueryError(f"{origin}: {given!r} is not an address such as {DEFAULT_SERVER}", field=origin)
    try:
        credentials = of_person(environment, token=token, ca=ca)
    except ValueError as error:
        raise QueryError(str(error)) from None
    return Target(written.rstrip("/"), credentials, retries)


class Exchange(Generic[A]):
    """Tells, try by try, whether to wait and ask again; raises where that is of no use."""

    def __init__(self, target: Target, question: Question[A]) -> None:
        self._target = target
        self._question = question
        self._tried = 0

    def failed(self, error: httpx.HTTPError) -> float:
        """After a failure: seconds to wait before asking again. Raises UnreachableError."""
        if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout | httpx.PoolTimeout):
            raise UnreachableError(f"the Taba server at {self._target.url} did not answer in time") from error
        pause = self._pause(0.0)
        if pause is None:
            raise unreachable(self._target.url, error) from error
        return pause

    def refused(self, response: httpx.Response) -> float | None:
        """After an answer: None where it is good, else seconds to wait before asking again. Raises QueryError."""
        status = response.status_code
        if status == 200 or (self._question.always and status in BUSY):
            return None
        pause = self._pause(retry_after(response)) if status in BUSY else None
        if pause is None:
            raise refusal(self._target.url, self._question.path, status, response.content)
        return pause

    def read(self, response: httpx.Response) -> A:
        """The answer; raises QueryError where the body is none."""
        try:
            return self._question.read(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise stranger(self._target.url, self._question.path, response.status_code) from None

    def _pause(self, least: float) -> float | None:
        self._tried += 1
        if self._tried > self._target.retries or least > LONGEST_PAUSE:
            return None
        return max(least, min(PAUSE * 2 ** (self._tried - 1), LONGEST_PAUSE))


def retry_after(response: httpx.Response) -> float:
    """The seconds that the server asks to wait; 0 where it says nothing that can be read."""
    try:
        return max(float(response.headers.get("Retry-After", 0)), 0.0)
    except ValueError:
        return 1.0


def unreachable(url: str, error: Exception) -> UnreachableError:
    """No server, in words."""
    if isinstance(error, httpx.ProtocolError) and not isinstance(error, httpx.RemoteProtocolError):
        return UnreachableError(f"{url} does not speak HTTP: is it a Taba server?")
    if distrusted := not_trusted(url, error):
        return UnreachableError(distrusted)
    reason = str(error)
    return UnreachableError(f"no Taba server at {url}{f' ({reason})' if reason else ''}: start one with 'taba up'")


def refusal(url: str, path: str, status: int, body: bytes) -> QueryError:
    """What the server says against a question, with the field that it names."""
    try:
        decoded: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        decoded = None
    text = decoded.get("error") if isinstance(decoded, dict) else None
    if not isinstance(text, str):
        return stranger(url, path, status)
    field, colon, _ = text.partition(": ")
    named = bool(colon) and status == 400 and field.isidentifier()
    return QueryError(text, status=status, field=field if named else None)


def stranger(url: str, path: str, status: int) -> QueryError:
    """An answer that no Taba server gives."""
    text = f"{url} answers {path} with status {status} and not as a Taba server does: is the address right?"
    return QueryError(text, status=status)
