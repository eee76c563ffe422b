"""Runs a server until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from taba.config import Settings
from taba.handlers.registry import HandlerError
from taba.listening import BACKLOG, StartError, at_hangup, listen, url
from taba.locks.file import TokensError
from taba.locks.protection import protection
from taba.locks.tls import Certificate, certificate
from taba.server.app import make_app
from taba.server.connection import SWEEP_SECONDS, Bounds, Connection, protocol
from taba.server.intake import REFUSED
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
    inside: Callable[[str, str], None] | None = None,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called with the URL once requests are taken.

    `listening` is a socket that listens already, in the place of one of our own. `inside` is called before `ready`, for
    what runs in this process and sends to the server: with a URL that no certificate stands before, and a token.
    `alive` is called every SWEEP_SECONDS from then on, by what takes requests up.

    At SIGHUP the server takes the settings that `reload` gives; where that raises a ConfigError, the old ones hold.
    Raises StartError, and StoreError where the data cannot be used.
    """
    shown = certificate(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    listening = listening or listen(settings.host, settings.port, protection(settings))
    try:
        service = Service(settings)
        check(service, settings)
    except (HandlerError, WatchError, TokensError) as error:
        raise StartError(str(error)) from error
    where = url(listening, "https" if shown else "http")
    bounds = Bounds(lambda: service.settings.limits, lambda cause: _note_ended(service, cause))
    config = uvicorn.Config(
        make_app(service),
        http=protocol(bounds),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=BACKLOG,
    )
    # What is in this process needs no TLS, nor a certificate that has this machine's name.
    aside = listen("127.0.0.1", 0, protection(settings)) if shown and inside else None
    _spare_the_collector()
    if reload is not None:
        at_hangup(partial(_reload, service, reload))

    def begun() -> None:
        if inside is not None:
            inside(url(aside) if aside else where, service.gate.keys.inner())
        ready(where)

    _Server(config, begun, alive, service, shown, aside).run(sockets=[listening])


def _note_ended(service: Service, cause: str) -> None:
    service.intake.note(f"{REFUSED}{{cause={cause}}}", "counter", 1)


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


class _Server(uvicorn.Server):
    """A uvicorn server that tells when it takes requests.

    Told to stop, it ends the process as one that has done its work, and not as one that was killed.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        alive: Callable[[], None],
        service: Service,
        certificate: Certificate | None,
        aside: socket.socket | None,
    ) -> None:
        """`aside` is a socket for this process alone, without TLS."""
        super().__init__(config)
        self._ready = ready
        self._alive = alive
        self._service = service
        self._certificate = certificate
        self._aside = aside
        self._sweeper: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests, and say so."""
        # uvicorn would leave half-made TLS connections for a minute, so the sockets are opened here.
        await super().startup([])
        if self.started:
            loop = asyncio.get_running_loop()
            for opened in sockets or ():
                self.servers.append(await self._opened(opened, self._certificate))
            if self._aside is not None:
                self.servers.append(await self._opened(self._aside, None))
            self._sweeper = loop.create_task(self._sweep())
            self._ready()

    async def _opened(self, opened: socket.socket, certificate: Certificate | None) -> asyncio.Server:
        """A server at a socket, with TLS where there is a certificate."""
        tls = certificate.context if certificate else None
        patience = self._service.settings.limits.head_s if certificate else None
        return await asyncio.get_running_loop().create_server(
            self._made, sock=opened, ssl=tls, backlog=BACKLOG, ssl_handshake_timeout=patience
        )

    def _made(self) -> asyncio.Protocol:
        """A connection, as uvicorn makes them."""
        made: Any = self.config.http_protocol_class
        return made(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    async def _sweep(self) -> None:
        """Every now and then: say so, end what takes too long, and take what has changed on the disk."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = loop.time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.sweep(now, now - before)
            before = now
            self._alive()
            self._service.gate.tidy()
            if self._certificate is not None:
                self._certificate.look()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, and end those that would go on for ever."""
        self._service.leave()
        await super().shutdown(sockets)
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop once the requests under way are answered; at a second interrupt, at once."""
        del frame
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
