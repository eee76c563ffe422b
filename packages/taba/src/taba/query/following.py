"""What is known of a live stream: the newest answer, what was not given yet, and what to do when it breaks. Pure.

The newest answer is all that is kept. Who asks seldom gets the newest each time, and hears how many it missed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Generic

import httpx
import msgspec

from taba.query import exchange
from taba.query.errors import QueryError
from taba.query.events import RETRY, Event
from taba.query.exchange import Target
from taba.query.merging import Merger, W
from taba.query.questions import Parameters

PATH = "/v1/live"
SILENCE = 30.0
"""Seconds without a byte after which a stream is taken for dead; the server says something every 10 s."""
LONGEST_PAUSE = 10.0


class Following(Generic[W]):
    """One question, followed over as many connections as it takes."""

    def __init__(self, target: Target, parameters: Parameters, merger: Merger[W]) -> None:
        self.url = target.url + PATH
        self.parameters = tuple(parameters)
        self._target = target
        self._merger = merger
        self._answer: W | None = None
        self._last_id: str | None = None
        self._tried = 0
        self._given = True
        self._waiting = False  # a change that was not given, beside trouble
        self._changed: frozenset[str] = frozenset()
        self._missed = 0

    @property
    def headers(self) -> dict[str, str]:
        """For the next connection."""
        resume = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        return {"Accept": "text/event-stream", "Cache-Control": "no-store", **self._target.headers, **resume}

    def take(self, event: Event) -> None:
        """An event that came. Raises QueryError where the server says that there will be no more, or nonsense."""
        try:
            self._taken(event)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise QueryError(f"{self.url} sends what a Taba server does not: {error}") from None
        self._tried = 0

    def _taken(self, event: Event) -> None:
        if event.kind == "answers":
            before = self._answer.tabs.keys() if self._answer else frozenset[str]()
            answer = self._merger.whole(event.data)
            self._fresh(replace(answer, changed=before | answer.tabs.keys()))
        elif event.kind == "changes" and self._answer is not None:
            self._fresh(self._merger.changed(self._answer, event.data))
        elif event.kind == "error":
            raise QueryError(_text(event.data))
        elif event.kind == "trouble":
            self._troubled(_text(event.data))
        if event.id is not None and event.kind in ("answers", "changes"):
            self._last_id = event.id

    def _fresh(self, answer: W) -> None:
        self._missed += answer.missed
        if answer.changed:
            self._missed += self._waiting
            self._waiting = True
        self._changed |= answer.changed
        self._answer = answer
        self._given = False

    def _troubled(self, text: str) -> None:
        if self._answer is not None and self._answer.trouble != text:
            self._answer = replace(self._answer, trouble=text)
            self._given = False

    def broke(self, error: httpx.HTTPError | None, retry: float = RETRY) -> float:
        """After a connection ended: seconds to wait before the next. Raises UnreachableError if there never was one."""
        failure = exchange.unreachable(self._target.url, error or httpx.ReadError("it ended the stream"))
        return self._again(failure, retry)

    def refused(self, response: httpx.Response) -> float:
        """After a bad answer, whose body was read: seconds to wait before trying again. Raises QueryError."""
        failure = exchange.refusal(self._target.url, PATH, response.status_code, response.content)
        if response.status_code not in exchange.BUSY:
            raise failure
        return self._again(failure, max(exchange.retry_after(response), exchange.PAUSE))

    def _again(self, failure: QueryError, pause: float) -> float:
        self._tried += 1
        if self._answer is None and self._tried > self._target.retries:
            raise failure
        self._troubled(str(failure))
        least = exchange.PAUSE if self._answer is None else pause
        return min(least * 2 ** min(self._tried - 1, 10), LONGEST_PAUSE)

    def give(self) -> W | None:
        """The newest answer; None where it was given already."""
        if self._given or self._answer is None:
            return None
        answer = replace(self._answer, changed=self._changed, missed=self._missed)
        self._given, self._waiting, self._changed, self._missed = True, False, frozenset(), 0
        return answer


class _Error(msgspec.Struct):
    error: str


def _text(data: bytes) -> str:
    return msgspec.json.decode(data, type=_Error).error
