"""The servers that frames go to: which one next, which ones are away, and when they are back. Safe for threads.

A server that fails is away: no lane asks it for anything until it answers `GET /ping` with 200, which a thread of its
own asks for again and again. A server that says 429 or 503 is left alone for as long as it says.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from taba.client.link import NONE, Address, Link, parse_address
from taba.locks.outgoing import Credentials

SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 0.4
"""Seconds between two pings of a server that is away: short, because answers are to be current once it is back."""
PING_SECONDS = 2.0
LONGEST_RETRY_AFTER = 60.0
SMOOTHING = 0.2
"""How much one answer's time counts in the mean."""


@dataclass(slots=True)
class Server:
    """What is known of one server. `seconds` is the mean time of its answers, `not_before` on the pool's clock."""

    address: Address
    up: bool = True
    under_way: int = 0
    not_before: float = 0.0
    failures: int = 0
    answers: int = 0
    seconds: float = 0.0
    error: str = ""
    gone: bool = False


def pause(failures: int, chance: float) -> float:
    """Seconds to wait after that many failures in a row, from 1; `chance` is from 0 to 1."""
    longest = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2.0 ** min(failures - 1, 10))
    return longest * (1 - chance / 2)


class Servers:
    """The pool. `acquire` gives a server to a lane, which gives it back with `answered`, `busy` or `failed`."""

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        credentials: Credentials = NONE,
    ) -> None:
        """Raises ValueError for what is no address."""
        self._clock = clock
        self._chance = chance
        self.credentials = credentials
        self._changed = threading.Condition()
        self._closed = False
        self._servers = [Server(address) for address in _parsed(addresses)]

    def __len__(self) -> int:
        return len(self._servers)

    def known(self) -> list[Server]:
        """All servers, for whoever tells of them."""
        return list(self._servers)

    def replace(self, addresses: Sequence[str]) -> None:
        """Use these from now on; those that stay keep what is known of them. Raises ValueError, and changes nothing."""
        parsed = _parsed(addresses)
        with self._changed:
            present = {server.address: server for server in self._servers}
            self._servers = [present.pop(address, None) or Server(address) for address in parsed]
            for server in present.values():
                server.gone = True
            self._changed.notify_all()

    def acquire(self, wait: float, avoid: Server | None = None) -> Server | None:
        """The server with the least under way, rather not `avoid`; None where there is none within `wait` seconds."""
        deadline = self._clock() + wait
        with self._changed:
            while not self._closed:
                now = self._clock()
                ready = [one for one in self._servers if one.up and one.not_before <= now]
                if ready:
                    chosen = min(ready, key=lambda one: (one is avoid, one.under_way, self._chance()))
                    chosen.under_way += 1
                    return chosen
                if now >= deadline:
                    return None
                soonest = min((one.not_before for one in self._servers if one.up), default=deadline)
                self._changed.wait(max(min(soonest, deadline) - now, 0.001))
        return None

    def wait(self, seconds: float) -> bool:
        """Whether a server can be asked now or within so many seconds."""
        server = self.acquire(seconds)
        if server is None:
            return False
        with self._changed:
            server.under_way -= 1
        return True

    def alternative(self, server: Server) -> bool:
        """Whether another server could be asked at this moment."""
        now = self._clock()
        return any(one is not server and one.up and one.not_before <= now for one in self._servers)

    def answered(self, server: Server, seconds: float) -> None:
        """It took what it was given."""
        with self._changed:
            server.under_way -= 1
            server.failures = 0
            server.error = ""
            server.answers += 1
            server.seconds += (seconds - server.seconds) * (SMOOTHING if server.answers > 1 else 1)

    def busy(self, server: Server, seconds: float, why: str) -> None:
        """It says that it should be asked again after so many seconds."""
        with self._changed:
            server.under_way -= 1
            server.error = why
            server.not_before = self._clock() + min(seconds, LONGEST_RETRY_AFTER)
            self._changed.notify_all()

    def failed(self, server: Server, why: str) -> None:
        """No answer came, or one that helps nobody: it is away until a ping says otherwise."""
        with self._changed:
            server.under_way -= 1
            server.error = why
            server.failures += 1
            if server.up:
                try:
                    threading.Thread(target=self._watch, args=(server,), name="taba-ping", daemon=True).start()
                except RuntimeError:  # no more threads here: lanes try it themselves, after a while
                    server.not_before = self._clock() + LONGEST_PAUSE
                else:
                    server.up = False

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _watch(self, server: Server) -> None:
        """Ping a server until it is back."""
        link = Link(server.address, credentials=self.credentials)
        while not (self._closed or server.gone):
            with self._changed:
                self._changed.wait_for(lambda: self._closed, pause(server.failures, self._chance()))
            error = _ping(link)
            with self._changed:
                if error is None:
                    server.up = True
                    self._changed.notify_all()
                    return
                server.error = error
                server.failures += 1


def _ping(link: Link) -> str | None:
    """What is wrong with the server; None where it is well."""
    try:
        answer = link.ping(PING_SECONDS)
    except Exception as error:  # whatever keeps an answer from coming
        return str(error) or type(error).__name__
    return None if answer.status == 200 else f"status {answer.status} {answer.text[:200]}".strip()


def _parsed(addresses: Sequence[str]) -> list[Address]:
    written = [address if "://" in address else f"http://{address}" for address in addresses]
    if not written:
        raise ValueError("agent.servers is empty: name a server or more, as http://127.0.0.1:8300")
    return list(dict.fromkeys(parse_address(address, "agent.servers") for address in written))
