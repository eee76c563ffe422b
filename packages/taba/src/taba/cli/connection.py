"""Speaking HTTP with a server; what goes wrong becomes a Failure that says what to do."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from taba.cli.failure import USAGE, Failure
from taba.client.settings import DEFAULT_SERVER
from taba.locks.outgoing import not_trusted, of_person

DEFAULT = DEFAULT_SERVER
TIMEOUT = 30.0
"""Seconds that an answer may take."""
OVERLOADED = frozenset({429, 503})

Parameters = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came; `retry_after` is in seconds."""

    status: int
    body: bytes
    retry_after: float = 0.0

    def json(self) -> Any:
        """The body's JSON; None where it is none."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None


class Connection:
    """One kept connection to the server at `url`. Not for several threads."""

    def __init__(self, url: str) -> None:
        written = url if "://" in url else f"http://{url}"
        parts = urlsplit(written)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in ("http", "https") or not host:
            raise Failure(f"--server {url}: expected an address such as {DEFAULT}", USAGE)
        self.url = written.rstrip("/")
        self._path = parts.path.rstrip("/")
        try:
            self.credentials = of_person()
            if parts.scheme == "https":
                context = self.credentials.context()
                self._http = http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)
            else:
                self._http = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        except ValueError as error:
            raise Failure(f"TABA_TOKEN: {error}", USAGE) from None
        except OSError as error:
            raise Failure(str(error)) from None
        self._reached = False

    def get(self, path: str, parameters: Parameters = ()) -> bytes:
        """The body of a good answer; Failure otherwise."""
        query = urlencode(list(parameters))
        answer = self._asked("GET", f"{path}?{query}" if query else path)
        if answer.status == 200:
            return answer.body
        raise self._failure(path, answer)

    @contextmanager
    def lines(self, path: str, parameters: Parameters, headers: Mapping[str, str]) -> Iterator[Iterator[bytes]]:
        """The lines of a good answer, each as it comes, without an end where it has none; Failure otherwise.

        What breaks off later raises OSError or HTTPException.
        """
        try:
            self._http.connect()
            self._http.request("GET", f"{self._path}{path}?{urlencode(list(parameters))}", headers=self._with(headers))
            response = self._http.getresponse()
            body = response.read() if response.status != 200 else b""
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise self._unreachable(error) from None
        try:
            if response.status != 200:
                raise self._failure(path, Answer(response.status, body))
            yield iter(response.readline, b"")
        finally:
            response.close()
            self._http.close()

    def post(self, path: str, body: bytes, headers: Mapping[str, str], patience: float) -> dict[str, Any]:
        """The JSON of a good answer; Failure otherwise. The headers must make repeating it harmless.

        A server that is busy, or that is away after it was there, is asked again for `patience` seconds.
        """
        deadline = time.monotonic() + patience
        pause = 0.1
        while True:
            answer, failure = self._tried(path, body, headers)
            if answer is not None and answer.status == 200:
                decoded = answer.json()
                if isinstance(decoded, dict):
                    return decoded
                raise self._stranger(path, answer)
            if time.monotonic() + pause > deadline:
                raise failure
            if not self._reached or (answer is not None and answer.status not in OVERLOADED):
                raise failure
            time.sleep(max(pause, min(answer.retry_after if answer else 0.0, 10.0)))
            pause = min(pause * 2, 5.0)

    def _tried(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[Answer | None, Failure]:
        try:
            answer = self._asked("POST", path, body, headers)
        except Failure as failure:
            return None, failure
        return answer, self._failure(path, answer)

    def _asked(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        # A kept connection may have been closed by the server meanwhile; then a new one is tried, once.
        fresh = self._http.sock is None
        try:
            return self._exchange(method, path, body, headers or {})
        except TimeoutError:
            self._http.close()
            raise Failure(f"the Taba server at {self.url} did not answer within {TIMEOUT:.0f} s") from None
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            if not fresh:
                return self._asked(method, path, body, headers)
            raise self._unreachable(error) from None

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        if self._http.sock is None:
            self._http.connect()
            self._reached = True
        self._http.request(method, self._path + path, body, self._with(headers))
        response = self._http.getresponse()
        content = response.read()
        try:
            retry_after = float(response.headers.get("Retry-After", 0))
        except ValueError:
            retry_after = 1.0
        return Answer(response.status, content, retry_after)

    def _with(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {**headers, **self.credentials.headers()}

    def _unreachable(self, error: Exception) -> Failure:
        if isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
            return Failure(f"{self.url} does not speak HTTP: is it a Taba server?")
        if distrusted := not_trusted(self.url, error):
            return Failure(distrusted)
        reason = "" if isinstance(error, ConnectionRefusedError) else f" ({error})"
        return Failure(f"no Taba server at {self.url}{reason}: start one with 'taba up'")

    def _failure(self, path: str, answer: Answer) -> Failure:
        decoded = answer.json()
        text = decoded.get("error") if isinstance(decoded, dict) else None
        if not isinstance(text, str):
            return self._stranger(path, answer)
        return Failure(text, USAGE if answer.status == 400 else 1)

    def _stranger(self, path: str, answer: Answer) -> Failure:
        return Failure(
            f"{self.url} answers {path} with status {answer.status} and not as a Taba server does: is --server right?"
        )
