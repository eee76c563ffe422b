"""StatsD's door: sockets, the thread that listens, and the frames of the clients that are heard."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from taba.agent.agent import Agent
from taba.agent.connection import Handle
from taba.agent.doors.statsd.ear import QUIET_SECONDS, Ear
from taba.agent.doors.statsd.lost import Lost
from taba.agent.doors.statsd.sockets import bind_all
from taba.agent.doors.statsd.stream import Stream
from taba.agent.outlet import Heard, Outlet
from taba.agent.writer import BusyError
from taba.dialects.statsd.addresses import Address
from taba.settings import Agent as Settings

if TYPE_CHECKING:
    from taba.agent.doors.statsd.intake import Intake
    from taba.dialects.statsd.gathered import Gathered

log = logging.getLogger(__name__)

WAITING = 8
"""Flushes that may wait for the event loop; the thread that listens waits then, and the kernel keeps what comes."""
TELL_SECONDS = 1.0
"""After so long it is tried again to tell what was lost."""
STOP_SECONDS = 5.0
POLL_SECONDS = 0.01


class StatsD:
    """The door. A client is heard from its first packet on, until it has sent nothing for QUIET_SECONDS."""

    def __init__(self, agent: Agent, addresses: list[Address]) -> None:
        """Bind the sockets. Raises StartError."""
        self._agent = agent
        self._sockets = bind_all(addresses, insecure=agent.settings.insecure)
        datagrams = [one for one in self._sockets if one.address.scheme != "tcp"]
        self._ear = Ear(datagrams, partial(_intake, agent.settings), self._flushed)
        self._outlet = Outlet(agent, agent.identity.epoch, closing=False)
        self._servers: list[asyncio.Server] = []
        self._connections: set[Stream] = set()
        self._heard: dict[str, float] = {}
        self._lost = Lost()
        self._lost_until = 0.0
        self._telling: asyncio.TimerHandle | None = None
        self._room = threading.Semaphore(WAITING)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = False

    @property
    def routes(self) -> Mapping[tuple[str, str], Handle]:
        """Nothing over HTTP."""
        return {}

    async def start(self) -> None:
        """Begin to listen."""
        if not self._sockets:
            return
        self._loop = loop = asyncio.get_running_loop()
        most = self._agent.settings.connections
        for one in self._sockets:
            if one.address.scheme == "tcp":
                made = partial(Stream, self._ear, self._connections, most)
                self._servers.append(await loop.create_server(made, sock=one.socket))
        self._agent.told["statsd"] = self._told
        self._ear.start()

    async def stop(self) -> None:
        """Take what has come, and have it in the spool."""
        if self._loop is None:
            return
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)  # what the connections had comes to the ear
        self._ending = True
        await asyncio.to_thread(self._ear.stop)
        deadline = self._loop.time() + STOP_SECONDS
        await asyncio.sleep(0)
        while (self._lost or not self._outlet.empty) and self._loop.time() < deadline:
            await asyncio.sleep(POLL_SECONDS)
        if lost := self._outlet.events + self._lost.events:
            log.error("%d events of StatsD end with the agent: the spool did not take them", lost)
        for one in self._sockets:
            one.close()

    def reload(self, settings: Settings) -> None:
        """Nothing of it changes without a restart."""

    def _told(self) -> dict[str, Any]:
        intake = self._ear.intake
        return {
            "listens": [
                {"address": str(one.address), "room_bytes": 0 if one.address.scheme == "tcp" else one.room}
                for one in self._sockets
            ],
            "connections": len(self._connections),
            "clients": len(self._heard),
            "tabs": len(intake.gatherer.series) if intake else 0,
        }

    def _flushed(self, gathered: Sequence[Gathered], start: float, stop: float, counts: Mapping[str, int]) -> None:
        """Hand a flush over to the event loop; in the thread that listens."""
        self._agent.counts.add_all({f"statsd.{name}": count for name, count in counts.items()})
        heard = [_heard(one, start, stop) for one in gathered]
        said = {one.client for one in gathered if one.second is None}
        self._heard |= dict.fromkeys((one.client for one in gathered), stop)
        for client, last in list(self._heard.items()):
            closing = self._ending or not last <= stop < last + QUIET_SECONDS
            if client not in said:
                heard.append(Heard(client, start, stop))
            if closing:
                del self._heard[client]
                next(one for one in reversed(heard) if one.client == client).closing = True
        if heard and self._loop is not None:
            self._room.acquire()
            self._loop.call_soon_threadsafe(self._send, heard)

    def _send(self, heard: Sequence[Heard]) -> None:
        self._room.release()
        for one in heard:
            self._lost.tell(one)
        self._hand_on(heard)

    def _hand_on(self, heard: Sequence[Heard]) -> None:
        """Have it written, or count it as lost, to tell of it later."""
        try:
            self._outlet.send(heard)
        except BusyError:
            for one in heard:
                self._lost_until = max(self._lost_until, one.stop)
                self._agent.counts.add("statsd.drops{cause=busy}", self._lost.add(one))
            self._tell_later()

    def _tell_later(self) -> None:
        if self._loop is not None and self._telling is None:
            self._telling = self._loop.call_later(TELL_SECONDS, self._tell_lost)

    def _tell_lost(self) -> None:
        """Tell what was lost, also of clients that say nothing more."""
        self._telling = None
        at = self._lost_until
        heard = [Heard(client, at, at, closing=client not in self._heard) for client in self._lost.clients]
        for one in heard:
            self._lost.tell(one)
        self._hand_on(heard)


def _intake(settings: Settings) -> Intake:
    """What reads, with all that it imports."""
    from taba.agent.doors.statsd.intake import Intake
    from taba.dialects.statsd.lines import Reader

    return Intake(Reader(settings.statsd_client_tag or "", settings.statsd_signs == "change"))


def _heard(gathered: Gathered, start: float, stop: float) -> Heard:
    if gathered.second is not None:
        start, stop = gathered.second, gathered.second + 1
    return Heard(
        gathered.client,
        start,
        stop,
        gathered.names,
        gathered.types,
        gathered.counts,
        gathered.numbers,
        gathered.weights,
        texts=gathered.texts,
        drops=gathered.drops,
    )
