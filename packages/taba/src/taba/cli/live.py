"""A live answer: a question that is watched, as the answer that its own route would give now.

What the server sends is in docs/live.md. The merge is pure; a thread reads, so that who draws waits for nothing.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from taba.cli.connection import Connection, Parameters
from taba.cli.failure import USAGE, Failure

PATH = "/v1/live"
RETRY_SECONDS = 1.0
_NOT_OF_ANSWERS = ("tabs", "missed")


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event."""

    name: str
    identity: str
    data: Any


def events(lines: Iterator[bytes]) -> Iterator[Event]:
    """The events in a stream's lines. Comments and other fields are passed over, as is an event that is cut off."""
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.rstrip(b"\r\n").partition(b":")
        if line.strip():
            fields[name] = value.removeprefix(b" ")
        elif b"data" in fields:
            kind, identity = (fields.get(field, b"").decode() for field in (b"event", b"id"))
            yield Event(kind, identity, msgspec.json.decode(fields[b"data"]))
            fields = {}


def merged(held: Mapping[str, Any] | None, event: Event, of: str) -> dict[str, Any]:
    """The answer that a reader holds after an event, `answers` or `changes`."""
    data: dict[str, Any] = event.data
    head = {name: value for name, value in data.items() if name not in _NOT_OF_ANSWERS}
    if event.name == "answers" or held is None:
        return head | {"tabs": data["tabs"]}
    tabs = _merged(held["tabs"], data["tabs"], by_client=of == "projections")
    if of == "series":
        tabs = {tab: _from(points, data["from"]) for tab, points in tabs.items()}
    return head | {"tabs": dict(sorted(tabs.items()))}


def _merged(held: Mapping[str, Any], changed: Mapping[str, Any], *, by_client: bool) -> dict[str, Any]:
    """By name: null takes out, points are merged by their time, clients within their tab; else what is new counts."""
    found = dict(held)
    for name, value in changed.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, list):
            points = {point["time"]: point for point in (*found.get(name, ()), *value)}
            found[name] = [points[moment] for moment in sorted(points)]
        elif by_client:
            found[name] = dict(sorted(_merged(found.get(name, {}), value, by_client=False).items()))
        else:
            found[name] = value
    return found


def _from(points: list[dict[str, Any]], start: float) -> list[dict[str, Any]]:
    return [point for point in points if point["time"] >= start]


class LiveAnswer(threading.Thread):
    """Reads a live answer until the program ends. A server that goes away is waited for, and asked where it was."""

    def __init__(self, url: str, parameters: Parameters, tell: Callable[[], None]) -> None:
        """`tell` is called whenever there is something new in what follows; `failure` ends it."""
        super().__init__(name="taba-live", daemon=True)
        self._connection = Connection(url)
        self._parameters = list(parameters)
        self._of = dict(self._parameters).get("of", "aggregates")
        self._tell = tell
        self._headers: dict[str, str] = {}
        self.answer: dict[str, Any] | None = None
        self.turns = 0
        """How often the answer came anew."""
        self.trouble = ""
        """Why it is not up to date at the moment."""
        self.failure: Failure | None = None

    def run(self) -> None:
        """Read, and read again."""
        while self.failure is None:
            try:
                self._read()
            except Failure as failure:
                # Who never had an answer will hardly get one by waiting.
                if self.answer is None or failure.code == USAGE:
                    self.failure = failure
                self.trouble = str(failure)
            except (OSError, http.client.HTTPException, msgspec.DecodeError):
                self.trouble = f"{self._connection.url} went away; it is waited for"
            self._tell()
            if self.failure is None:
                time.sleep(RETRY_SECONDS)

    def _read(self) -> None:
        with self._connection.lines(PATH, self._parameters, self._headers) as lines:
            for event in events(lines):
                if event.name == "trouble":
                    self.trouble = event.data["error"]
                elif event.name == "error":
                    self.failure = Failure(event.data["error"])
                elif event.name in ("answers", "changes"):
                    self.answer = merged(self.answer, event, self._of)
                    self._headers = {"Last-Event-ID": event.identity}
                    self.trouble = ""
                    self.turns += 1
                self._tell()
        self.trouble = f"{self._connection.url} has ended the stream; it is asked again"
