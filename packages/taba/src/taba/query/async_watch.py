"""Live answers for asyncio: a task reads the stream, an iterator gives the newest answer."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Generic, Self

import httpx

from taba.query.events import Decoder
from taba.query.following import SILENCE, Following
from taba.query.merging import W


class AsyncWatch(Generic[W]):
    """As `Watch`, to be iterated with `async for`. It belongs to one event loop."""

    def __init__(self, http: httpx.AsyncClient, following: Following[W], timeout: float, total: float | None) -> None:
        self._stream = _Stream(http, following, timeout)
        self._total = total
        self._deadline: float | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> W:
        if self._deadline is None and self._total is not None:
            self._deadline = asyncio.get_running_loop().time() + self._total
        answer = await self._stream.next(self._deadline)
        if answer is None:
            await self.close()
            raise StopAsyncIteration
        return answer

    async def close(self) -> None:
        """End it; a step that waits ends at once."""
        await self._stream.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        self._stream.forget()


class _Stream(Generic[W]):
    """What the task and the iterator share; it does not know the iterator, so that one can be forgotten."""

    def __init__(self, http: httpx.AsyncClient, following: Following[W], timeout: float) -> None:
        self._http = http
        self._following = following
        self._timeout = httpx.Timeout(timeout, read=max(timeout, SILENCE))
        self._changed = asyncio.Event()
        self._closed = False
        self._failure: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def next(self, deadline: float | None) -> W | None:
        """The next answer; None where it is closed, or too late. Raises what the stream failed of, once."""
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._run(), name="taba-watch")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while True:
                    if self._failure is not None:
                        failure, self._failure, self._closed = self._failure, None, True
                        raise failure
                    if self._closed or self._late(deadline):
                        return None
                    answer = self._following.give()
                    if answer is not None:
                        return answer
                    self._changed.clear()
                    await self._changed.wait()
        return None

    def _late(self, deadline: float | None) -> bool:
        return deadline is not None and asyncio.get_running_loop().time() >= deadline

    async def close(self) -> None:
        """End the task, and wait until it has."""
        self._closed = True
        self._changed.set()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            # Not awaited by itself: its cancellation could not be told from that of who closes.
            await asyncio.wait([self._task])

    def forget(self) -> None:
        """End the task where nobody waits for it."""
        self._closed = True
        if self._task is not None and not self._task.done() and not self._task.get_loop().is_closed():
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    async def _run(self) -> None:
        try:
            while not self._closed:
                pause = await self._connected()
                self._changed.set()
                await asyncio.sleep(pause)
        except Exception as error:
            self._failure = error
            self._changed.set()

    async def _connected(self) -> float:
        """Read over one connection until it ends; the seconds to wait before the next."""
        decoder = Decoder()
        failure: httpx.HTTPError | None = None
        try:
            async with self._http.stream(
                "GET",
                self._following.url,
                params=self._following.parameters,
                headers=self._following.headers,
                timeout=self._timeout,
            ) as response:
                if response.status_code != 200:
                    await response.aread()
                    return self._following.refused(response)
                await self._read(response, decoder)
        except httpx.HTTPError as error:
            failure = error
        return self._following.broke(failure, decoder.retry)

    async def _read(self, response: httpx.Response, decoder: Decoder) -> None:
        async for piece in response.aiter_bytes():
            for event in decoder.feed(piece):
                self._following.take(event)
            self._changed.set()
