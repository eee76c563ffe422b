"""Frames -> the tombstones that go in their place when they have to be dropped. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import NamedTuple

from taba.agent.salvage import pieces, readable
from taba.frame import Drops, Header, encode
from taba.tombstone import tombstone

FULL = "spool_full"
CORRUPT = "spool_corrupt"
REFUSED = "refused"


class Graves(NamedTuple):
    """Encoded tombstones, and how many events are lost with the frames that they stand for."""

    body: bytes
    events: int


class Alone:
    """Frames that may have come to a server on another way, so that their tombstones must be their own.

    That is so for the first that comes of an epoch: it may repeat what went unanswered elsewhere. Only so many are
    remembered; beyond that, a loss may stay in flight.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._frames: dict[tuple[str, str, int], None] = {}

    def __contains__(self, header: Header) -> bool:
        return (header.client, header.epoch, header.sequence) in self._frames

    def add(self, header: Header) -> None:
        """Remember a frame."""
        self._frames[header.client, header.epoch, header.sequence] = None
        if len(self._frames) > self._limit:
            del self._frames[next(iter(self._frames))]


def graves(body: bytes, reason: str, alone: Callable[[Header], bool]) -> Graves:
    """Tombstones for the frames in `body`.

    Frames of an epoch that follow one another share one, but for those that must be `alone`: they may have reached a
    server, which could not tell then what to count for the rest.
    """
    runs: list[list[Header]] = []
    events = 0
    for header in sorted(_headers(body), key=attrgetter("client", "epoch", "sequence")):
        if runs and _follows(header, runs[-1][-1]) and not (alone(header) or alone(runs[-1][-1])):
            runs[-1].append(header)
        else:
            runs.append([header])
        events += sum(header.counts) + (sum(header.texts.counts) if header.texts else 0)
    return Graves(b"".join(encode(tombstone(run, reason)) for run in runs), events)


def _follows(header: Header, before: Header) -> bool:
    first = header.lowest()
    return (header.client, header.epoch, first) == (before.client, before.epoch, before.sequence + 1)


def _headers(body: bytes) -> Iterator[Header]:
    return filter(None, map(readable, pieces(body)))


class _Last(NamedTuple):
    """What must be known of an epoch's last frame, and how many damages lie before it."""

    sequence: int
    stop: float
    recorded: int | None
    damages: int


class Missing:
    """Which frames were lost with damaged bytes, by what lies before and behind these.

    That can be told because a client's frames come in order. Their tombstones say how many events they held, as the
    frames around them count; of which tabs, nobody knows.
    """

    def __init__(self) -> None:
        self.tombstones: list[Header] = []
        self._damages = 0
        self._last: dict[tuple[str, str], _Last] = {}

    @property
    def damaged(self) -> bool:
        """Whether there was any."""
        return self._damages > 0

    def note_damage(self) -> None:
        """Here are bytes that are no frame."""
        self._damages += 1

    def note_later(self, header: Header) -> None:
        """Here is a frame that came since: of an epoch that was there, it may tell what is missing; once."""
        source = (header.client, header.epoch)
        if source in self._last:
            self.note(header)
            del self._last[source]

    def note(self, header: Header) -> None:
        """Here is a frame of the spool."""
        source = (header.client, header.epoch)
        before = self._last.get(source)
        first = header.lowest()
        if before is not None and before.damages < self._damages and first > before.sequence + 1:
            self.tombstones.append(_between(before, header, first))
        if before is None or header.sequence > before.sequence:
            self._last[source] = _Last(header.sequence, header.stop, header.recorded, self._damages)

    def forget(self) -> None:
        """Nothing more can be told: all is in order, or frames come out of it."""
        self._damages = 0
        self._last.clear()
        self.tombstones.clear()


def _between(before: _Last, after: Header, first: int) -> Header:
    """A tombstone for the frames between two of one epoch; `first` is the first that `after` stands for."""
    lost = 0
    if before.recorded is not None and after.recorded is not None:
        lost = max(after.recorded - after.events() - before.recorded, 0)
    return Header(
        after.client,
        after.epoch,
        first - 1,
        before.stop,
        max(before.stop, after.start),
        drops=Drops(["unknown"], [CORRUPT], [lost]) if lost else None,
        began=after.began,
        recorded=None if before.recorded is None else before.recorded + lost,
        first=before.sequence + 1,
    )
