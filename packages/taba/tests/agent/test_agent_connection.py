"""Connections: what comes within a moment is handled together, and all of it is answered."""

import asyncio
import time
from collections.abc import Callable

import uvloop

from taba.agent.connection import Listener

REQUEST = b"POST /v1/events HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"
REST = 0.02
LONG_REST = 0.4
"""Where a rest for each request must be told from a machine that is slow."""
COMMIT = 0.005
"""Seconds after which a request is answered, as if it was on the disk then."""


def _served(ask: Callable[[int], object], rest: float = REST) -> list[tuple[int, int]]:
    """How many requests had come at the end of each turn, and how many of them waited for their answers, while `ask`
    ran with the server's port, in a thread."""
    turns: list[tuple[int, int]] = []
    handled: list[bytes] = []

    def end_of_turn() -> float:
        turns.append((len(handled), listener.waiting))
        return rest

    def handle(request, respond) -> None:
        handled.append(request.body)
        asyncio.get_running_loop().call_later(COMMIT, respond, 200, b"{}")

    listener = Listener(handle, lambda: 10, end_of_turn, 1000)

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(listener, "127.0.0.1", 0)
        await asyncio.to_thread(ask, server.sockets[0].getsockname()[1])
        server.close()

    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(run())
    return turns


def _asking(connections: int, apart: float, seconds: list[float]) -> Callable[[int], None]:
    """Connections that are opened at once, and then ask once each; `seconds` is told how long either took."""

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, after: float) -> None:
        await asyncio.sleep(after)
        writer.write(REQUEST)
        assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200 OK")

    async def run(port: int) -> None:
        begun = time.monotonic()
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
        await asyncio.gather(*(ask(*one, 0) for one in opened))
        met = time.monotonic()
        await asyncio.gather(*(ask(*one, number * apart) for number, one in enumerate(opened)))
        seconds.extend((met - begun, time.monotonic() - met))
        for _, writer in opened:
            writer.close()

    return lambda port: asyncio.run(run(port))


def test_requests_of_one_moment_are_handled_together() -> None:
    seconds: list[float] = []
    turns = _served(_asking(100, 0.002, seconds))
    assert turns[-1][0] == 200
    several = [come for come, waiting in turns if come > 100 and waiting > 1]
    assert len(several) <= seconds[1] / REST + 2, "a turn takes so long at least"


def test_who_comes_does_not_wait_for_a_turn_each() -> None:
    seconds: list[float] = []
    _served(_asking(200, 0, seconds), LONG_REST)
    assert seconds[0] < 200 * LONG_REST / 4


def test_who_sends_alone_is_answered_at_once() -> None:
    """As a program does that catches up, frame by frame, or a person who tries it."""

    async def ask(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(20):
            writer.write(REQUEST)
            await reader.readuntil(b"{}")
        writer.close()

    begun = time.monotonic()
    _served(lambda port: asyncio.run(ask(port)), LONG_REST)
    assert time.monotonic() - begun < 20 * LONG_REST / 4
