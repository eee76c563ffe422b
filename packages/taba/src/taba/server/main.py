"""Runs a server until it is told to stop."""

from __future__ import annotations

import gc
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from taba.config import Settings
from taba.handlers.registry import HandlerError
from taba.server.app import make_app
from taba.server.service import Service

log = logging.getLogger(__name__)

STOP_SECONDS = 5
"""How long requests that are under way may take once the server was told to stop."""


class StartError(Exception):
    """The server cannot start; the text says why and what to do."""


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called with the URL once requests are taken.

    Raises StartError, and StoreError where the data cannot be used.
    """
    listening = _listen(settings.host, settings.port)
    try:
        service = Service(settings)
    except HandlerError as error:
        raise StartError(str(error)) from error
    host, port = listening.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    app = make_app(service, settings.limits, lambda: ready(url))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=2048,
    )
    _spare_the_collector()
    _Server(config).run(sockets=[listening])


def _spare_the_collector() -> None:
    """Have Python look for cycles rarely: what a batch makes has none, and a look took up to 54 ms under load."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


class _Server(uvicorn.Server):
    """Told to stop, it ends the process as one that has done its work, and not as one that was killed."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop once the requests under way are answered; at a second interrupt, at once."""
        del frame
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}; name another with --port") from error
    if not ipaddress.ip_address(listening.getsockname()[0]).is_loopback:
        log.warning("%s can be reached from other machines, and anyone who reaches it may read and write", host)
    return listening
