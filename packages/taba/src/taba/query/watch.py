"""Live answers for programs that wait: a thread reads the stream, an iterator gives the newest answer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self

import httpx

from taba.query.events import RETRY, Decoder
from taba.query.following import SILENCE, Following
from taba.query.merging import W


class Watch(Generic[W]):
    """An iterator over live answers; the stream is opened with the first step, and closed when this is forgotten.

    Each step waits for an answer that is newer than the one before. It ends after `timeout` seconds, or when it is
    closed, which any thread may do. While the server is away the last answer comes again with its `trouble` told, and
    the connection is tried until the server is back. Steps raise QueryError where the server refuses the question.
    """

    def __init__(self, http: httpx.Client, following: Following[W], timeout: float, total: float | None) -> None:
        self._stream = _Stream(http, following, timeout)
        self._total = total
        self._deadline: float | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> W:
        if self._deadline is None:
            self._deadline = time.monotonic() + (threading.TIMEOUT_MAX / 2 if self._total is None else self._total)
        answer = self._stream.next(self._deadline)
        if answer is None:
            self.close()
            raise StopIteration
        return answer

    def close(self) -> None:
        """End it; a step that waits ends at once."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class _Stream(Generic[W]):
    """What the thread and the iterator share; it does not know the iterator, so that one can be forgotten."""

    def __init__(self, http: httpx.Client, following: Following[W], timeout: float) -> None:
        self._http = http
        self._following = following
        self._timeout = httpx.Timeout(timeout, read=max(timeout, SILENCE))
        self._changed = threading.Condition()
        self._closed = False
        self._failure: Exception | None = None
        self._response: httpx.Response | None = None
        self._started = False

    def next(self, deadline: float) -> W | None:
        """The next answer; None where it is closed, or too late. Raises what the stream failed of, once."""
        with self._changed:
            self._start()
            while True:
                remaining = deadline - time.monotonic()
                if self._failure is not None:
                    failure, self._failure, self._closed = self._failure, None, True
                    raise failure
                if self._closed or remaining <= 0:
                    return None
                answer = self._following.give()
                if answer is not None:
                    return answer
                self._changed.wait(remaining)

    def close(self) -> None:
        """End the thread. What it waits for is cut off."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if self._response is not None:
                _cut(self._response)

    def _start(self) -> None:
        if not self._started and not self._closed:
            self._started = True
            threading.Thread(target=self._run, name="taba-watch", daemon=True).start()

    def _run(self) -> None:
        try:
            while not self._closed:
                self._wait(self._connected())
        except Exception as error:
            with self._changed:
                self._failure = None if self._closed else error
                self._changed.notify_all()

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed, seconds)

    def _connected(self) -> float:
        """Read over one connection until it ends; the seconds to wait before the next."""
        decoder = Decoder()
        failure: httpx.HTTPError | None = None
        try:
            with self._http.stream(
                "GET",
                self._following.url,
                params=self._following.parameters,
                headers=self._following.headers,
                timeout=self._timeout,
            ) as response:
                if response.status_code != 200:
                    response.read()
                    return self._changing(lambda: self._following.refused(response))
                self._read(response, decoder)
        except httpx.HTTPError as error:
            failure = error
        return self._changing(lambda: self._following.broke(failure, decoder.retry))

    def _read(self, response: httpx.Response, decoder: Decoder) -> None:
        with self._changed:
            self._response = response
            if self._closed:
                return
        try:
            for piece in response.iter_bytes():
                events = decoder.feed(piece)
                with self._changed:
                    for event in events:
                        self._following.take(event)
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._response = None

    def _changing(self, change: Callable[[], float]) -> float:
        with self._changed:
            return RETRY if self._closed else change()


def _cut(response: httpx.Response) -> None:
    """End a connection that another thread reads from."""
    stream = response.extensions.get("network_stream")
    found = stream.get_extra_info("socket") if stream is not None else None
    if isinstance(found, socket.socket):
        with contextlib.suppress(OSError):
            found.shutdown(socket.SHUT_RDWR)
