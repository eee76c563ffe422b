"""`POST /v1/events`, as a bare ASGI application: it is called a thousand times for each query, so it is kept lean."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from taba.server import parameters, submissions
from taba.server.intake import Outcome, StoppingError
from taba.server.service import Service
from taba.server.submissions import BadRequest, TooLarge

INLINE_BYTES = 64 << 10
"""Bodies up to this size are read on the event loop; larger ones in a thread, so that others need not wait."""


class Events:
    """Takes events, and answers once they are in the store."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def _client(self, query: bytes) -> str | None:
        """The parameter `client`, the only one there is."""
        if not query:
            return None
        fields = QueryParams(query)
        parameters.known(fields, "client")
        return parameters.one(fields, "client")

    def _answer(self, outcome: Outcome) -> bytes:
        answer: dict[str, object] = {
            "accepted": outcome.accepted,
            "rejected": [{"index": index, "error": error} for index, error in outcome.rejected],
        }
        if outcome.rejected_total > len(outcome.rejected):
            answer["rejected_total"] = outcome.rejected_total
        if outcome.duplicate:
            answer["duplicate"] = True
        return msgspec.json.encode(answer)

    @property
    def _body_limit(self) -> int:
        """In bytes; it holds before and after decompression."""
        return self._service.settings.limits.body_mb << 20

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises what a request can be refused with; others turn it into an answer."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        client = self._client(scope["query_string"])
        body = await self._body(headers, receive)
        read = partial(self._read, headers, body, client)
        read_here = len(body) <= INLINE_BYTES
        try:
            outcome = await self._service.intake.submit(read() if read_here else await run_in_threadpool(read))
        except asyncio.CancelledError:
            raise StoppingError(
                "the server stopped before it knew whether this was stored: send the same again, with its number"
            ) from None
        answer = self._answer(outcome)
        fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": answer})

    def _read(self, headers: Mapping[str, str], body: bytes, client: str | None) -> list[submissions.Submission]:
        content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        plain = submissions.decompress(body, headers.get("content-encoding", "").lower(), self._body_limit)
        return submissions.read(content_type, plain, headers, client, self._service.clock())

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """The body, read no further than the limit."""
        told = headers.get("content-length", "")
        if told.isdigit() and int(told[:20]) > self._body_limit:
            raise self._too_large()
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("the body is cut off")
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size > self._body_limit:
                raise self._too_large()
            parts.append(part)
        return b"".join(parts) if len(parts) > 1 else parts[0]

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body has more than {self._body_limit >> 20} MB (limits.body_mb): send it in parts")
