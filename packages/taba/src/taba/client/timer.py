"""Times a block or a function, in milliseconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from threading import get_ident
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Timer:
    """A context manager and a decorator, also for async functions; records even what raises.

    One timer may be used by several threads and asyncio tasks at a time, and within itself.
    """

    __slots__ = ("_record", "_started")

    def __init__(self, record: Callable[[float], None]) -> None:
        self._record = record
        self._started: dict[object, list[float]] = {}

    def __enter__(self) -> Timer:
        self._started.setdefault(_who(), []).append(perf_counter())
        return self

    def __exit__(self, *error: object) -> None:
        stopped = perf_counter()
        who = _who()
        if who not in self._started:  # a generator may be entered in one thread and left in another
            who = next(iter(self._started))
        starts = self._started[who]
        self._record((stopped - starts.pop()) * 1000)
        if not starts:
            del self._started[who]

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """`function`, timed each time it is called."""
        from inspect import iscoroutinefunction

        if iscoroutinefunction(function):
            return _timed_async(function, self._record)
        return _timed(function, self._record)


def _timed(function: Callable[P, R], record: Callable[[float], None]) -> Callable[P, R]:
    @wraps(function)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        started = perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            record((perf_counter() - started) * 1000)

    return timed


def _timed_async(function: Callable[P, Any], record: Callable[[float], None]) -> Callable[P, Any]:
    @wraps(function)
    async def timed(*args: P.args, **kwargs: P.kwargs) -> Any:
        started = perf_counter()
        try:
            return await function(*args, **kwargs)
        finally:
            record((perf_counter() - started) * 1000)

    return timed


def _who() -> object:
    """The asyncio task that runs, or else the thread."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            return asyncio.current_task() or get_ident()
        except (RuntimeError, AttributeError):  # no loop runs in this thread, or asyncio is being imported
            pass
    return get_ident()
