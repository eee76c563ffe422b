"""OpenTelemetry's metrics over HTTP: `POST /v1/metrics`, in protobuf or JSON.

A request is answered once it is in the journal: then it counts, whatever ends (see `taba.agent.journal`). It is
unpacked, read and translated on that one's thread: an agent's event loop has others to serve.

Answers are as the protocol says (https://opentelemetry.io/docs/specs/otlp/#otlphttp): 200 with what was refused of the
points; 400, 413 and 415 for what is never taken; 503 with Retry-After for what is to be sent again.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b
from types import ModuleType
from typing import Any

import msgspec

from taba.agent.agent import Agent
from taba.agent.book import Book, Outcome, Work
from taba.agent.connection import Handle, Request, Respond
from taba.agent.journal import Journal
from taba.agent.writer import BusyError
from taba.compression import PackedTooLargeError, PackingError, in_words, unpack
from taba.dialects.otlp import messages
from taba.dialects.otlp.translation import Translation
from taba.settings import Agent as Settings

log = logging.getLogger(__name__)

METRICS = "/v1/metrics"
JSON, PROTOBUF = b"application/json", b"application/x-protobuf"
MOST_BYTES = 4 << 20
"""What a request may have unpacked, as gRPC has it: messages without content take thirty times their size in memory."""
INVALID, INTERNAL, UNAVAILABLE = 3, 13, 14
"""Codes of google.rpc.Code."""


class RefusedError(Exception):
    """Why a request is not taken, with the status that says so."""

    def __init__(self, status: int, cause: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.cause = cause


class Otlp:
    """The door."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._journal = Journal(agent, "otlp")

    @property
    def routes(self) -> Mapping[tuple[str, str], Handle]:
        """See Door."""
        return {("POST", METRICS): self._handle}

    async def start(self) -> None:
        """See Door."""
        await self._journal.start()

    async def stop(self) -> None:
        """See Door."""
        await self._journal.stop()

    def reload(self, settings: Settings) -> None:
        """See Door: settings are read where they are used."""

    def _handle(self, request: Request, respond: Respond) -> None:
        kind = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        kind = PROTOBUF if kind == b"application/protobuf" else kind

        def done(error: Exception | None, answer: bytes) -> None:
            request.charge(export.points)
            if error is None:
                respond(200, answer, kind)
            else:
                self._refuse(error, respond, kind)

        try:
            if kind not in (JSON, PROTOBUF):
                shown = kind.decode("latin-1")
                raise RefusedError(
                    415, "invalid", f"Content-Type {shown!r} is not taken: send application/x-protobuf or JSON"
                )
            limit = min(MOST_BYTES, self._agent.spool.largest())
            if request.too_large:
                raise _too_large(f"the body has more than {in_words(min(self._agent.settings.body_mb << 20, limit))}")
            export = _Export(request, kind == JSON, limit, self._agent)
            self._journal.submit(Work(export.run, export.digest, len(request.body)), done)
        except (RefusedError, BusyError) as error:
            self._refuse(error, respond, kind)

    def _refuse(self, error: Exception, respond: Respond, kind: bytes) -> None:
        match error:
            case RefusedError():
                status, cause, code = error.status, error.cause, INVALID if error.status < 500 else INTERNAL
            case BusyError():
                status, cause, code = 503, "busy", UNAVAILABLE
            case _:
                status, cause, code = 503, "spool", UNAVAILABLE
        self._agent.counts.add(f"refused{{cause={cause}}}")
        why = f"{error}; send this again" if status == 503 else str(error)
        if kind == PROTOBUF:
            respond(status, _status(code, why), PROTOBUF)
        else:
            respond(status, msgspec.json.encode({"code": code, "message": why}))


class _Export:
    """One request, read on the journal's thread."""

    def __init__(self, request: Request, as_json: bool, limit: int, agent: Agent) -> None:
        self._request = request
        self._json = as_json
        self._limit = limit
        self._agent = agent
        self._plain = b""
        self.points = 0
        """How many it told, once it was entered."""

    def digest(self) -> bytes:
        """What tells the request from every other: senders that repeat one pack it anew. Raises RefusedError."""
        encoding = self._request.headers.get(b"content-encoding", b"").decode("latin-1").lower()
        try:
            self._plain = unpack(self._request.body, encoding, self._limit)
            if len(self._plain) > self._limit:
                raise PackedTooLargeError(f"the body has more than {in_words(self._limit)}")
        except PackedTooLargeError as error:
            raise _too_large(str(error)) from None
        except PackingError as error:
            raise RefusedError(400, "invalid", str(error)) from None
        return blake2b(self._plain, digest_size=16, person=b"json" if self._json else b"protobuf").digest()

    def run(self, book: Book) -> Outcome:
        """Enter what it tells. Raises RefusedError."""
        try:
            return self._entered(book)
        except messages.MessageError as error:
            refused = RefusedError(400, "invalid", str(error))
        except sqlite3.Error:
            raise  # all that waits is sent again
        except Exception as error:
            log.exception("an export request failed")
            refused = RefusedError(500, "failed", f"the agent failed at this: {error!r}; its log says how")
        raise refused  # here, so that it does not keep the other one, and with that all that was read, in memory

    def _entered(self, book: Book) -> Outcome:
        reader, request = self._read()
        taken = Translation(reader, book, self._agent.settings.otlp_tags, time.time_ns())
        taken.take(request)
        self.points = taken.points
        counts = Counter({"otlp.points": taken.points, "otlp.tags_left_out": taken.left_out})
        for reason, count in taken.reasons().items():
            counts[f"otlp.rejected{{reason={reason}}}"] = count
        for verdict, count in taken.verdicts.items():
            counts[f"otlp.series{{verdict={verdict}}}"] = count
        self._agent.counts.add_all({name: count for name, count in counts.items() if count})
        return Outcome(taken.gathering.heard(), self._answer(taken.rejected, taken.why()))

    def _read(self) -> tuple[messages.Reader, Any]:
        if self._json:
            return messages.JsonReader(), messages.read(self._plain)
        protobuf = _protobuf()
        return protobuf.ProtobufReader(), protobuf.read(self._plain)

    def _answer(self, rejected: int, why: str) -> bytes:
        if not self._json:
            return _protobuf().answer(rejected, why)
        if not (rejected or why):
            return b"{}"
        partial = {"rejectedDataPoints": str(rejected), "errorMessage": why}
        return msgspec.json.encode({"partialSuccess": partial})


def _protobuf() -> ModuleType:
    """Protobuf takes time and memory to be imported: those who send none need none."""
    from taba.dialects.otlp import protobuf

    return protobuf


def _too_large(why: str) -> RefusedError:
    return RefusedError(413, "too_large", f"{why}: send it in parts (max_export_batch_size, or the batch processor)")


def _status(code: int, why: str) -> bytes:
    """google.rpc.Status in protobuf: two fields."""
    text = why.encode()[:1000]
    size = bytes([len(text)]) if len(text) < 128 else bytes([len(text) & 127 | 128, len(text) >> 7])
    return bytes([0x08, code, 0x12]) + size + text
