"""The doors for protocols that others made: each turns what comes into frames, through an Outlet of its own.

What a message means is decided in `taba.dialects`, without I/O; a door listens, keeps what has to be kept from one
message to the next, and answers. A door is imported where it is made, so that an agent without it is none the larger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from taba.agent.agent import Agent
from taba.agent.connection import Handle
from taba.dialects.statsd.addresses import parse
from taba.settings import Agent as Settings


class Door(Protocol):
    """One protocol's door. All is called on the agent's event loop, but for being made."""

    @property
    def routes(self) -> Mapping[tuple[str, str], Handle]:
        """What it answers over HTTP, by method and path; nothing where it has sockets of its own."""
        ...

    async def start(self) -> None:
        """Begin to take what comes."""
        ...

    async def stop(self) -> None:
        """Take no more, and return once what was taken is in the spool."""
        ...

    def reload(self, settings: Settings) -> None:
        """Take other settings."""
        ...


def made(agent: Agent) -> list[Door]:
    """The doors that an agent's settings ask for. Raises StartError."""
    from taba.agent.doors.original import Original
    from taba.agent.doors.otlp import Otlp
    from taba.agent.doors.prometheus.remote_write import RemoteWrite
    from taba.agent.doors.prometheus.scraping import Scraping

    doors: list[Door] = [Otlp(agent), RemoteWrite(agent), Scraping(agent), Original(agent)]
    if addresses := parse(agent.settings.statsd):
        from taba.agent.doors.statsd.door import StatsD

        doors.append(StatsD(agent, addresses))
    return doors
