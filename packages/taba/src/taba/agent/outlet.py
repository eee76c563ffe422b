"""Frames in the name of programs that speak another protocol: what a door heard becomes what its clients recorded.

A door (StatsD, OTLP, …) makes a `Heard` for each client and second, and sends them through an Outlet of its own. The
outlet numbers them, for each client by itself, and has them written to the spool. What has a number is written, sooner
or later, in its order: so no number is ever missing, and none is used twice. A door whose senders say nothing between
two messages makes an outlet that is `closing`: nobody waits for such a client in `complete_to`.

Of clients only so many are remembered. Those that are closed are forgotten first, the oldest before the others; one
that is heard again then has a new epoch, because nobody knows its last number any more.

All methods are for the event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from taba.agent.agent import Agent
from taba.agent.graves import FULL, graves
from taba.agent.salvage import pieces
from taba.agent.writer import BusyError, WriteError
from taba.dialects.heard import PART_BYTES, Heard, parts
from taba.frame import Frame, Header, decode, encode, pack_values
from taba.headers import parse, write

__all__ = ["Heard", "Outlet", "Place", "parts"]

AGAIN_SECONDS = 0.5
"""After so long, what could not be written is tried again."""
HELD_BYTES = 16 << 20
"""What may wait to be written; beyond that nothing more is numbered."""


MOST_PLACES = 10_000
"""Clients of one outlet that are remembered, beside those that are not closed."""
BATCH_BYTES = 4 << 20
"""About what is written at once."""


@dataclass(slots=True)
class Place:
    """Where a client's epoch stands: its last number, and how many events were recorded in it up to there.

    `epoch` is the epoch's name, where not all places of its keeper have the same. `closed`: the last frame said so.
    """

    began: float
    sequence: int = 0
    recorded: int = 0
    epoch: str = ""
    closed: bool = False


@dataclass(slots=True)
class _Batch:
    """Frames that are written at once, as they are encoded, and what is called then."""

    frames: list[Frame]
    body: bytes
    written: Callable[[], None]


def _nothing() -> None:
    """Nobody waits."""


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
    return b"".join(encode(one.header, bytes(one.values), write) for one in frames)


class Outlet:
    """Numbers and writes what one door heard."""

    def __init__(self, agent: Agent, epoch: str, *, closing: bool) -> None:
        """`epoch` is new for each start of the door."""
        self._agent = agent
        self._epoch = epoch
        self._closing = closing
        self._places: dict[str, Place] = {}
        self._forgot = 0
        self._waiting: deque[_Batch] = deque()
        self._held = 0
        self._writing = False

    def send(self, heard: Sequence[Heard], written: Callable[[], None] = _nothing) -> None:
        """Have it written; `written` is called once it is on the disk. Raises BusyError: then nothing was taken."""
        self.check()
        self.write([self._numbered(part) for one in heard for part in parts(one, part_bytes(self._agent))], written)

    def check(self) -> None:
        """Raise BusyError while more waits than may wait."""
        if self._held > HELD_BYTES:
            trouble = self._agent.trouble or "the spool is slower than what comes"
            raise BusyError(f"no more can be kept until what waits is written: {trouble}")

    def _numbered(self, heard: Heard) -> Frame:
        """Its frame. What is numbered has to be written."""
        place = self._places.pop(heard.client, None)
        if place is None:
            if len(self._places) >= MOST_PLACES:
                self._forget()
            place = Place(heard.start, epoch=f"{self._epoch}.{self._forgot}" if self._forgot else self._epoch)
        self._places[heard.client] = place  # the last of all: it was heard last
        place.closed = self._closing or heard.closing
        return numbered(heard, place, place.epoch, place.closed)

    def _forget(self) -> None:
        """Forget a tenth of the clients, of those that are closed; who comes anew from here on has another epoch."""
        closed = [client for client, place in self._places.items() if place.closed][: MOST_PLACES // 10]
        for client in closed:
            del self._places[client]
        self._forgot += bool(closed)

    def write(self, frames: Sequence[Frame], written: Callable[[], None] = _nothing, body: bytes | None = None) -> None:
        """Have frames that are numbered written; `body` is they encoded, where they are already."""
        if body is None:
            body = encoded(frames)
        batches = self._batches(list(frames), body)
        batches[-1].written = written
        self._held += sum(len(one.body) for one in batches)
        self._waiting.extend(batches)
        self._next()

    def _batches(self, frames: list[Frame], body: bytes) -> list[_Batch]:
        """The frames, as many together as may be written at once."""
        most = min(BATCH_BYTES, self._agent.spool.largest())
        if len(body) <= most:
            return [_Batch(frames, body, _nothing)]
        found: list[_Batch] = []
        begin = size = 0
        cut = [piece.start for piece in pieces(body)]
        for place, (start, stop) in enumerate(pairwise([*cut, len(body)])):
            if place > begin and size + stop - start > most:
                found.append(_Batch(frames[begin:place], body[cut[begin] : start], _nothing))
                begin, size = place, 0
            size += stop - start
        return [*found, _Batch(frames[begin:], body[cut[begin] :], _nothing)]

    def _fitting(self, batch: _Batch) -> _Batch:
        """Itself, or a tombstone for a frame that the spool can never hold."""
        if len(batch.body) <= self._agent.spool.largest():
            return batch
        buried = graves(batch.body, FULL, alone=lambda _: True)
        self._agent.counts.add(f"drops{{cause={FULL}}}", buried.events)
        return _Batch(list(decode(buried.body, parse)), buried.body, batch.written)

    @property
    def empty(self) -> bool:
        """Whether all is written."""
        return not self._waiting

    @property
    def events(self) -> int:
        """How many events wait to be written."""
        return sum(frame.header.events() for one in self._waiting for frame in one.frames)

    def _next(self) -> None:
        """Have what comes first written; nothing overtakes it, so numbers stay in their order."""
        if self._writing or not self._waiting:
            return
        some = self._taken()

        def done(error: Exception | None, _events: int, _duplicates: int) -> None:
            self._writing = False
            if error is not None:
                self._again()
                return
            for _ in range(len(some)):
                self._waiting.popleft()
            self._held -= sum(len(one.body) for one in some)
            for one in some:
                one.written()
            self._next()

        self._writing = True
        frames = [frame for one in some for frame in one.frames]
        try:
            self._agent.take(frames, b"".join(one.body for one in some), False, done)
            self._agent.writer.hand_over()
        except (BusyError, WriteError):
            self._writing = False
            self._again()

    def _taken(self) -> list[_Batch]:
        """The first batches, as many as may be written at once; the bounds may be others than they were."""
        most, size = min(BATCH_BYTES, self._agent.spool.largest()), 0
        first = self._waiting[0]
        self._waiting[0] = self._fitting(first)
        self._held -= len(first.body) - len(self._waiting[0].body)
        some: list[_Batch] = []
        for one in self._waiting:
            size += len(one.body)
            if some and size > most:
                break
            some.append(one)
        return some

    def _again(self) -> None:
        asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._next)


def part_bytes(agent: Agent) -> int:
    """About how large one frame may be, so that the spool has room for it."""
    return min(PART_BYTES, agent.spool.largest() // 8)
