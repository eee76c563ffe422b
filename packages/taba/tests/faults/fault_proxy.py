"""A TCP proxy that misbehaves when told: one link between two parts, on loopback.

    pass      bytes go both ways at once
    refuse    nobody listens; what was connected is reset
    lose      requests go through; the first byte of an answer resets both sides, so the answer is lost
    hang      connections are accepted, and nothing goes through until the mode changes
    delay     each piece of bytes waits first

`cut` resets what is connected now, in any mode. All links of a `Wire` share one thread.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any

RESET = struct.pack("ii", 1, 0)
PIECE = 1 << 16


class Wire:
    """The thread in which links run."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults-wire", daemon=True)
        self._thread.start()
        self._links: list[Link] = []

    def link(self, target: int, port: int = 0) -> "Link":
        """A link to a port; it passes. Its own port stays the same while it lives."""
        link = Link(self, target, port)
        self._links.append(link)
        return link

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something in the thread, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        """End all links and the thread."""
        for link in self._links:
            link.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


class Link:
    """One listening port and the connections that came to it. The methods may be called from any thread."""

    def __init__(self, wire: Wire, target: int, port: int) -> None:
        self._wire = wire
        self._target = target
        self.port = port
        self.mode = "refuse"
        self.there = 0
        """Bytes that went to the target."""
        self.back = 0
        """Bytes that came back from it, lost ones included."""
        self._seconds = 0.0
        self._connections: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._listening: asyncio.Server | None = None
        self.forward()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def forward(self) -> None:
        """All is well."""
        self._wire.run(self._become("pass"))

    def refuse(self) -> None:
        """Nobody listens."""
        self._wire.run(self._become("refuse"))

    def lose(self) -> None:
        """Answers are lost."""
        self._wire.run(self._become("lose"))

    def hang(self) -> None:
        """Nothing goes through; what is on its way arrives when the mode changes."""
        self._wire.run(self._become("hang"))

    def delay(self, seconds: float) -> None:
        """Each piece of bytes waits for so long."""
        self._seconds = seconds
        self._wire.run(self._become("delay"))

    def cut(self) -> None:
        """Reset all connections now."""
        self._wire.run(self._cut())

    async def _become(self, mode: str) -> None:
        self.mode = mode
        if mode == "refuse":
            if self._listening is not None:
                self._listening.close()
                self._listening = None
            await self._cut()
        elif self._listening is None:
            self._listening = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=128)
            self.port = self._listening.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        tasks = list(self._connections)
        for task in tasks:
            _reset(self._connections[task])
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        sides = self._connections[task] = [writer]
        try:
            await self._connect(reader, sides)
        except (OSError, asyncio.CancelledError):
            _reset(sides)
        finally:
            del self._connections[task]
            for side in sides:
                side.close()

    async def _connect(self, reader: asyncio.StreamReader, sides: list[asyncio.StreamWriter]) -> None:
        await self._hold()
        back, there = await asyncio.open_connection("127.0.0.1", self._target)
        sides.append(there)
        ways = [
            asyncio.ensure_future(self._pump(reader, there, "there")),
            asyncio.ensure_future(self._pump(back, sides[0], "back")),
        ]
        try:
            # Once one side has ended or failed, the other has nobody to talk to: HTTP needs no half-open links.
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        while piece := await reader.read(PIECE):
            setattr(self, way, getattr(self, way) + len(piece))
            await self._hold()
            if self.mode == "delay":
                await asyncio.sleep(self._seconds)
            if self.mode == "lose" and way == "back":
                raise ConnectionResetError("the answer is lost")
            writer.write(piece)
            await writer.drain()

    async def _hold(self) -> None:
        while self.mode == "hang":
            await asyncio.sleep(0.02)


def _reset(sides: list[asyncio.StreamWriter]) -> None:
    """End connections as a crash of the network does, with RST."""
    for side in sides:
        raw: socket.socket = side.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        side.transport.abort()
