"""Runs a server until it is told to stop."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from taba.config import Settings
from taba.handlers.registry import HandlerError
from taba.listening import BACKLOG, StartError, at_hangup, listen, url
from taba.server.app import make_app
from taba.server.live.stream import TRANSPORT
from taba.server.service import Service
from taba.server.watches.watching import check
from taba.watches.declared import WatchError

__all__ = ["StartError", "serve"]

log = logging.getLogger(__name__)

STOP_SECONDS = 5
"""How long requests that are under way may take once the server was told to stop."""


def serve(
    settings: Settings,
    ready: Callable[[str], None],
    reload: Callable[[], Settings] | None = None,
    listening: socket.socket | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called with the URL once requests are taken.

    `listening` is a socket that listens already, in the place of one of our own.

    At SIGHUP the server takes the settings that `reload` gives; where that raises a ConfigError, the old ones hold.
    Raises StartError, and StoreError where the data cannot be used.
    """
    listening = listening or listen(settings.host, settings.port)
    try:
        service = Service(settings)
        check(service, settings)
    except (HandlerError, WatchError) as error:
        raise StartError(str(error)) from error
    where = url(listening)
    config = uvicorn.Config(
        make_app(service),
        http=_Protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=BACKLOG,
    )
    _spare_the_collector()
    if reload is not None:
        at_hangup(partial(_reload, service, reload))
    _Server(config, lambda: ready(where), service.leave).run(sockets=[listening])


def _reload(service: Service, reload: Callable[[], Settings]) -> None:
    try:
        settings = reload()
        check(service, settings)
    except ValueError as error:
        log.error("the settings stay as they were: %s", error)  # noqa: TRY400 (the text says it all)
        return
    restart = service.reload(settings)
    log.info("the settings were read again%s", f"; {', '.join(restart)} need a restart" if restart else "")


def _spare_the_collector() -> None:
    """Have Python look for cycles rarely: what a batch makes has none, and a look took up to 54 ms under load."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


class _Protocol(HttpToolsProtocol):
    """HTTP on a connection; who answers a request may have the connection itself, to cut off who does not read."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        extensions: dict[str, Any] = {TRANSPORT: self.transport}
        self.scope["extensions"] = extensions


class _Server(uvicorn.Server):
    """A uvicorn server that tells when it takes requests.

    Told to stop, it ends the process as one that has done its work, and not as one that was killed.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], leave: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._leave = leave

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, and end those that would go on for ever."""
        self._leave()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop once the requests under way are answered; at a second interrupt, at once."""
        del frame
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
