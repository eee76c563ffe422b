"""Frames in the name of programs that speak another protocol: what a door heard becomes what its clients recorded.

A door (StatsD, OTLP, …) makes a `Heard` for each client and second, and sends them through an Outlet of its own. The
outlet numbers them, for each client by itself, and has them written to the spool. What has a number is written, sooner
or later, in its order: so no number is ever missing, and none is used twice. A door whose senders say nothing between
two messages makes an outlet that is `closing`: nobody waits for such a client in `complete_to`.

All methods are for the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from taba.agent.agent import Agent
from taba.agent.writer import BusyError, WriteError
from taba.dialects.heard import Heard
from taba.frame import Frame, Header, encode, pack_values

__all__ = ["Heard", "Outlet", "Place"]

AGAIN_SECONDS = 0.5
"""After so long, what could not be written is tried again."""
HELD_BYTES = 16 << 20
"""What may wait to be written; beyond that nothing more is numbered."""


@dataclass(slots=True)
class Place:
    """Where a client's epoch stands: its last number, and how many events were recorded in it up to there."""

    began: float
    sequence: int = 0
    recorded: int = 0


def numbered(heard: Heard, place: Place, epoch: str, closing: bool) -> Frame:
    """The next frame of an epoch, whose place moves on."""
    place.sequence += 1
    place.recorded += heard.events()
    header = Header(
        heard.client,
        epoch,
        place.sequence,
        heard.start,
        heard.stop,
        heard.names,
        heard.types,
        heard.counts,
        texts=heard.texts,
        drops=heard.drops,
        closing=closing,
        began=place.began,
        recorded=place.recorded,
        weights=bool(heard.weights),
        errors=heard.errors,
    )
    return Frame(header, pack_values(heard.numbers) + pack_values(heard.weights))


def encoded(frames: Sequence[Frame]) -> bytes:
    """The frames' bytes, one behind the other."""
    return b"".join(encode(one.header, bytes(one.values)) for one in frames)


class Outlet:
    """Numbers and writes what one door heard."""

    def __init__(self, agent: Agent, epoch: str, *, closing: bool, places: dict[str, Place] | None = None) -> None:
        """`epoch` is new for each start of the door, or else `places` tells where its clients stand."""
        self._agent = agent
        self._epoch = epoch
        self._closing = closing
        self._places = {} if places is None else places
        self._waiting: list[tuple[list[Frame], bytes, Callable[[], None]]] = []
        self._held = 0
        self._writing = False

    def send(self, heard: Sequence[Heard], written: Callable[[], None] = lambda: None) -> None:
        """Have it written; `written` is called once it is on the disk. Raises BusyError: then nothing was taken."""
        self.check()
        self.write([self.numbered(one) for one in heard], written)

    def check(self) -> None:
        """Raise BusyError while more waits than may wait."""
        if self._held > HELD_BYTES:
            trouble = self._agent.trouble or "the spool is slower than what comes"
            raise BusyError(f"no more can be kept until what waits is written: {trouble}")

    def numbered(self, heard: Heard) -> Frame:
        """Its frame. What is numbered has to be written."""
        place = self._places.setdefault(heard.client, Place(heard.start))
        return numbered(heard, place, self._epoch, self._closing or heard.closing)

    def write(
        self, frames: Sequence[Frame], written: Callable[[], None] = lambda: None, body: bytes | None = None
    ) -> None:
        """Have frames that are numbered written; `body` is they encoded, where they are already."""
        if body is None:
            body = encoded(frames)
        self._held += len(body)
        self._waiting.append((list(frames), body, written))
        self._next()

    @property
    def empty(self) -> bool:
        """Whether all is written."""
        return not self._waiting

    def _next(self) -> None:
        if self._writing or not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        frames = [one for some, _, _ in waiting for one in some]

        def done(error: Exception | None, _events: int, _duplicates: int) -> None:
            self._writing = False
            if error is not None:
                self._put_back(waiting)
                return
            self._held -= sum(len(body) for _, body, _ in waiting)
            for _, _, written in waiting:
                written()
            self._next()

        self._writing = True
        try:
            self._agent.take(frames, b"".join(body for _, body, _ in waiting), False, done)
            self._agent.writer.hand_over()
        except (BusyError, WriteError):
            self._writing = False
            self._put_back(waiting)

    def _put_back(self, waiting: list[tuple[list[Frame], bytes, Callable[[], None]]]) -> None:
        self._waiting = [*waiting, *self._waiting]
        asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._next)
