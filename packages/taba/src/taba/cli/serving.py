"""What the commands that serve share: logging, how they end, and telling systemd how they are.

systemd sets NOTIFY_SOCKET for a service of `Type=notify`: a datagram socket that takes lines such as `READY=1`.
A name that begins with `@` is one without a file.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

log = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")


class OneLine(logging.Formatter):
    """A message is one line, whatever somebody from elsewhere has put into it: what ends lines, or is for terminals, is
    written as in Python. Only a traceback may follow on lines of its own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line."""
        line = super().formatMessage(record)
        if line.isprintable():
            return line
        return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)


def start_logging(level: str, *, worker: bool = False) -> None:
    """Messages go to standard error from here on, from the least urgent `level` on; those of a worker with its id."""
    who = "[%(process)d] " if worker else ""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(f"%(asctime)s %(levelname)s {who}%(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], force=worker)
    set_level(level)


def set_level(level: str) -> None:
    """The least urgent message from here on."""
    logging.getLogger().setLevel(level.upper())
    # Which libraries start and stop beneath us is news for those who debug.
    logging.getLogger("uvicorn").setLevel(logging.WARNING if level == "info" else logging.NOTSET)


def notify(state: str) -> None:
    """Tell systemd, where it started this process and wants to know."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.connect("\0" + address[1:] if address.startswith("@") else address)
            told.sendall(state.encode())
    except OSError as error:
        log.warning("systemd cannot be told %s: %s", state.partition("\n")[0], error.strerror or error)


def reloading(load: Callable[[], Loaded]) -> Callable[[], Loaded]:
    """`load`, with systemd told before and after."""

    def told() -> Loaded:
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            return load()
        finally:
            notify("READY=1")

    return told


def before_the_end(act: Callable[[], None]) -> None:
    """Act as soon as the process is told to end, while it still serves; told again, it ends at once.

    To be called where the process handles SIGINT and SIGTERM already.
    """
    acted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _first(act, acted, signal.getsignal(number)))


def _first(act: Callable[[], None], acted: threading.Event, following: Any) -> Callable[..., None]:
    def both(*arguments: Any) -> None:
        if not acted.is_set():
            acted.set()
            act()
        if callable(following):
            following(*arguments)

    # In a thread, because the process needs this one to serve.
    return lambda *arguments: threading.Thread(target=both, args=arguments, daemon=True).start()
