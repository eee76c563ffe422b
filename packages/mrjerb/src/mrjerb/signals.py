"""Signals that ask a run to end: it does so in good order, and what is being tidied up is not cut short by another."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signalled(KeyboardInterrupt):
    """A signal that asks this process to end. Like Ctrl-C, it passes by all that catches errors."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def heard() -> Iterator[None]:
    """SIGTERM and SIGHUP are raised as Ctrl-C is. What was ignored from outside, as by nohup, stays ignored."""
    before: dict[int, Any] = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, _raise)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held(*, pass_on: bool = True) -> Iterator[None]:
    """No signal to end interrupts the block; one that came is passed on behind it, unless it then comes too late."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before: dict[int, Any] = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN and handler is not None:
            signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
    if came and pass_on and (handler := before[came[0]]) is not None and callable(handler):
        handler(came[0], None)


def exit_code(error: KeyboardInterrupt) -> int:
    """What a shell says of a process that such a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + (error.number if isinstance(error, Signalled) else signal.SIGINT)


def _raise(number: int, _: Any) -> None:
    raise Signalled(number)
