"""Runs an agent until it is told to stop: in a process of its own, or in a thread beside a server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import threading
from collections.abc import Callable
from functools import partial

import uvloop

from taba.agent.agent import Agent
from taba.agent.connection import Listener
from taba.agent.door import Door
from taba.agent.doors import made
from taba.agent.guard import Guard
from taba.agent.identity import SpoolError
from taba.listening import BACKLOG, StartError, at_hangup, listen, listen_unix, url
from taba.locks.gate import Gate
from taba.locks.keys import Keys
from taba.locks.outgoing import Credentials
from taba.locks.protection import protection
from taba.locks.tls import certificate
from taba.settings import Agent as Settings

__all__ = ["AgentThread", "StartError", "serve"]

log = logging.getLogger(__name__)

STOP_SECONDS = 5
"""How long requests that are under way may take once the agent was told to stop."""
POLL_SECONDS = 0.01
IDLE_SECONDS, SWEEP_SECONDS = 60.0, 0.5
"""A connection on which nothing happens for so long is ended; how often that is looked at."""


def serve(settings: Settings, ready: Callable[[str], None], reload: Callable[[], Settings] | None = None) -> None:
    """Run until SIGINT or SIGTERM; `ready` is called with the URL once frames are taken.

    At SIGHUP the agent takes the settings that `reload` gives. Raises StartError.
    """
    process = _Process(settings, ready)
    gc.collect()
    gc.freeze()
    if reload is not None:
        at_hangup(partial(process.reload, reload))
    process.run()


class AgentThread:
    """An agent in a thread of this process. Its settings may name the port 0; `url` is where it listens then."""

    def __init__(self, settings: Settings, credentials: Credentials | None = None) -> None:
        """`credentials` are for the servers, in the place of those that the settings say."""
        self.url = ""
        self._settings = settings
        self._credentials = credentials
        self._process: _Process | None = None
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run, name="taba-agent", daemon=True)

    def start(self) -> None:
        """Return once frames are taken. Raises StartError."""
        self._process = _Process(self._settings, self._note, self._credentials)
        self._thread.start()
        self._listens.wait()

    def stop(self) -> None:
        """Take no more, send what is spooled as long as `drain_s` allows, and end."""
        if self._process is not None:
            self._process.stop()
            self._thread.join()

    def reload(self, settings: Settings) -> list[str]:
        """Take other settings; the names of those that changed and need a restart. Raises ValueError."""
        return self._process.take(settings) if self._process else []

    def _run(self) -> None:
        assert self._process is not None
        try:
            self._process.run()
        finally:
            self._listens.set()

    def _note(self, where: str) -> None:
        self.url = where
        self._listens.set()


class _Process:
    """The agent with its sockets and its event loop."""

    def __init__(
        self, settings: Settings, ready: Callable[[str], None], credentials: Credentials | None = None
    ) -> None:
        self._certificate = certificate(settings.tls_cert, settings.tls_key, settings.tls_client_ca, "agent.")
        self._sockets = [listen(settings.host, settings.port, protection(settings))]
        try:
            self._gate = Gate(Keys(settings.tokens))
            self.agent = Agent(settings, credentials)
            if settings.socket is not None:
                self._sockets.append(listen_unix(settings.socket))
        except (SpoolError, ValueError) as error:
            self._sockets[0].close()
            raise StartError(str(error)) from error
        except StartError:
            self._sockets[0].close()
            raise
        try:
            self._doors = made(self.agent)
        except StartError:
            for one in self._sockets:
                one.close()
            raise
        others = {way: handle for one in self._doors for way, handle in one.routes.items()}
        self._guard = Guard(self._gate, settings)
        door = Door(self.agent, self._guard, others)
        self._listener = Listener(door.handle, door.body_limit, self.agent.handled, settings.connections)
        self._path = settings.socket
        self._ready = ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def run(self) -> None:
        """Take frames until told to stop, then drain."""
        self.agent.start()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        finally:
            self.agent.stop()

    def stop(self) -> None:
        """Have `run` return; from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def _serve(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._stopping.set)
        tcp, *unix = self._sockets
        tls = self._certificate.context if self._certificate else None
        patience = self._listener.head_seconds if tls else None
        servers = [
            await loop.create_server(self._listener, sock=tcp, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=patience)
        ]
        # A unix socket has its file's owner and mode for protection, and nobody to listen on the way.
        servers += [await loop.create_unix_server(self._listener, sock=one, backlog=BACKLOG) for one in unix]
        for one in self._doors:
            await one.start()
        self._ready(url(tcp, "https" if tls else "http"))
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), SWEEP_SECONDS)
            self._listener.sweep(IDLE_SECONDS)
            self._gate.tidy()
            if self._certificate is not None:
                self._certificate.look()
        for server in servers:
            server.close()
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
        await self._finished()
        for one in self._doors:
            await one.stop()

    async def _finished(self) -> None:
        """Return once all that was asked is answered, or after STOP_SECONDS."""
        self._listener.finish()
        deadline = asyncio.get_running_loop().time() + STOP_SECONDS
        while self._listener.connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_SECONDS)

    def reload(self, load: Callable[[], Settings]) -> None:
        """Take new settings; what is wrong with them is logged, and the old ones hold."""
        try:
            restart = self.take(load())
        except ValueError as error:
            log.error("the settings stay as they were: %s", error)  # noqa: TRY400
            return
        log.info("the settings are read again%s", f"; {', '.join(restart)} need a restart" if restart else "")

    def take(self, settings: Settings) -> list[str]:
        """Take other settings; which changed ones need a restart. Raises ValueError: then none hold."""
        restart = self.agent.reload(settings)
        self._guard.settings = self.agent.settings
        if self._loop is not None:
            for one in self._doors:
                self._loop.call_soon_threadsafe(one.reload, self.agent.settings)
        return restart
