"""Threads and locks as the interpreter has them, whatever gevent has put in their place.

A watchdog that were a greenlet would be held up by what it watches. gevent keeps what it replaces, and is asked for it
only where the program has loaded it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any


def is_patched() -> bool:
    """Whether gevent has replaced this process's threads by greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and monkey.is_module_patched("threading")


def new_lock() -> Any:
    """A lock that threads wait for, and not greenlets."""
    return _original("allocate_lock")()


def start_thread(function: Callable[[], None], name: str) -> None:
    """Run `function` in a thread of the operating system that ends with the process."""
    if is_patched():
        _original("start_new_thread")(function, ())
    else:
        threading.Thread(target=function, name=name, daemon=True).start()


def ident_of_thread() -> Callable[[], int]:
    """What `threading.get_ident` is where it does not tell greenlets apart."""
    return _original("get_ident")


def _original(name: str) -> Callable[..., Any]:
    import _thread

    monkey = sys.modules.get("gevent.monkey")
    return getattr(_thread, name) if monkey is None else monkey.get_original("_thread", name)
