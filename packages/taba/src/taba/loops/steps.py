"""An awaitable whose steps are timed: what a task runs between two of its waits.

It stands between a coroutine and its task, which sees no difference. Tasks that it starts have steps of their own,
and count as waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from time import perf_counter
from typing import Any, TypeVar

from taba.loops.turns import Turns

T = TypeVar("T")


class Steps(Generator[Any, Any, T]):
    """Runs `work` and tells `turns` of each step; to be awaited once, and told to run already."""

    def __init__(self, work: Awaitable[T], turns: Turns) -> None:
        self._work = work.__await__()
        self._turns = turns

    def __await__(self) -> Generator[Any, Any, T]:
        return self

    def send(self, value: Any) -> Any:
        """Go on with what was waited for."""
        self._turns.goes_on(perf_counter())
        try:
            return next(self._work) if value is None else self._work.send(value)
        finally:
            self._turns.yields(perf_counter())

    def throw(self, *error: Any) -> Any:
        """Go on with an exception, as when the task is cancelled."""
        self._turns.goes_on(perf_counter())
        try:
            return self._work.throw(*error)
        finally:
            self._turns.yields(perf_counter())

    def close(self) -> None:
        """End it where it stands."""
        self._work.close()
