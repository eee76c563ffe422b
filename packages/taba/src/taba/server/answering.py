"""How every question is answered: in a thread, a few at a time, with a head that says how complete it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import anyio
import polars as pl
from starlette.requests import Request
from starlette.responses import Response

from taba.server import formats
from taba.server.parameters import ParameterError
from taba.server.service import Service

T = TypeVar("T")

QUERIES = 4
"""Queries that run at once; more wait their turn."""


class Answering:
    """What the routes that answer questions share."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._queries = anyio.CapacityLimiter(QUERIES)

    def head(self) -> dict[str, object]:
        """What every answer says of itself. To be called before what is answered is read."""
        return self._service.completeness().head()

    def formatted(
        self,
        request: Request,
        head: Mapping[str, object],
        found: formats.Answers,
        levels: list[str],
        *,
        points: bool = False,
    ) -> tuple[bytes, str]:
        """Answers in the format that the request asks for, and its name; raises ParameterError for too many."""
        size = sum(table.height for _, table in found)
        most = self._service.settings.limits.answer_rows
        if size > most:
            raise ParameterError(
                f"tab: the answer would have {size} rows, and at most {most} are given "
                "(limits.answer_rows): ask for fewer tabs, clients or windows"
            )
        form = formats.accepted(request.headers.get("accept", ""))
        return formats.answers(form, head, found, levels, points=points), form

    async def answered(self, answer: Callable[[], tuple[bytes, str]]) -> Response:
        """What `answer` gives, a body and its media type, worked out in a thread."""
        body, form = await self.worked_out(answer)
        return Response(body, media_type=form)

    async def worked_out(self, answer: Callable[[], T]) -> T:
        """The same, of anything."""
        try:
            return await anyio.to_thread.run_sync(answer, limiter=self._queries)
        except pl.exceptions.PanicException as error:
            raise RuntimeError(f"the query panicked: {error}") from error
