"""A gate that many pass at once, until one wants to be alone behind it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import Condition, get_ident
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Gate:
    """Calls pass it side by side; who is `alone` waits for those inside, and keeps all others out until done.

    A thread that is inside may enter again, and who is alone may enter too.
    """

    def __init__(self) -> None:
        self._changed = Condition()
        self._inside: dict[int, int] = {}
        self._owner: int | None = None

    def enter(self) -> None:
        """Goes inside, together with others; `leave` follows, whatever happens."""
        me = get_ident()
        with self._changed:
            while me not in self._inside and self._owner not in (None, me):
                self._changed.wait()
            self._inside[me] = self._inside.get(me, 0) + 1

    def leave(self) -> None:
        me = get_ident()
        with self._changed:
            self._inside[me] -= 1
            if not self._inside[me]:
                del self._inside[me]
                self._changed.notify_all()

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Inside, together with others."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside, with nobody else. A thread that is inside already must not ask for it, unless it is alone."""
        me = get_ident()
        with self._changed:
            outermost = self._owner != me
            while self._owner not in (None, me):
                self._changed.wait()
            self._owner = me
        try:
            with self._changed:  # Ctrl-C in here opens the gate again, too
                while any(thread != me for thread in self._inside):
                    self._changed.wait()
            yield
        finally:
            with self._changed:
                if outermost:
                    self._owner = None
                    self._changed.notify_all()


class Gated(Protocol):
    """What has a gate."""

    gate: Gate


Self = TypeVar("Self", bound=Gated)


def through_gate(
    method: Callable[Concatenate[Self, Arguments], Result],
) -> Callable[Concatenate[Self, Arguments], Result]:
    """A method that passes the gate of its object, together with others."""

    @wraps(method)
    def passed(self: Any, *args: Arguments.args, **named: Arguments.kwargs) -> Result:
        gate = self.gate
        gate.enter()  # not as a context manager, which costs a reader of many days more than the gate itself
        try:
            return method(self, *args, **named)
        finally:
            gate.leave()

    return passed
