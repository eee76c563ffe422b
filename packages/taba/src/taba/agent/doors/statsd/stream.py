"""StatsD on a connection: lines, which may come in any pieces."""

from __future__ import annotations

import asyncio
from typing import cast

from taba.agent.doors.statsd.ear import Ear
from taba.agent.doors.statsd.names import client_at

MOST_LINE = 64 << 10
"""Octets of a line; one that is longer is counted as unreadable, and left out up to its end."""


class Stream(asyncio.Protocol):
    """One connection. What comes without an end of the line at its end is a line too."""

    def __init__(self, ear: Ear, open_: set[Stream], most: int) -> None:
        """Of connections there are at most `most`; those that there are, are in `open_`."""
        self._ear = ear
        self._open = open_
        self._most = most
        self._rest = b""
        self._skips = False
        self._client = ""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or close it where there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._open) >= self._most:
            self._transport.abort()
            return
        self._open.add(self)
        self._client = client_at(transport.get_extra_info("peername"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Take what came last."""
        del exc
        self._open.discard(self)
        if self._rest and not self._skips:
            self._ear.take(self._rest + b"\n", self._client)
        self._rest = b""

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take the lines that have an end."""
        if self not in self._open:
            return
        whole, newline, rest = data.rpartition(b"\n")
        if not newline:
            self._keep(data)
            return
        if self._skips:
            _, _, whole = whole.partition(b"\n")
            self._skips = False
        else:
            whole = self._rest + whole
        self._rest = b""
        if whole and not self._ear.take(whole + b"\n", self._client):
            self._pause()
        self._keep(rest)

    def _keep(self, part: bytes) -> None:
        """Keep the beginning of a line, unless it is too long."""
        if self._skips:
            return
        self._rest += part
        if len(self._rest) > MOST_LINE:
            self._rest, self._skips = b"", True
            self._ear.take(b"", self._client)

    def _pause(self) -> None:
        transport, loop = self._transport, asyncio.get_running_loop()
        if transport is None or transport.is_closing():
            return
        transport.pause_reading()
        self._ear.when_relieved(lambda: _soon(loop, transport))


def _soon(loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
    """Have a transport read again, from any thread."""

    def resume() -> None:
        if not transport.is_closing():
            transport.resume_reading()

    if not loop.is_closed():
        loop.call_soon_threadsafe(resume)
