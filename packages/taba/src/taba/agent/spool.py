"""The spool: frames on disk from when they are taken until a server has them. Safe for threads.

    SPOOL/0000000001.frames …       segments, the highest number the newest
    SPOOL/aside/                    copies of bytes that were no frames any more, and of frames that servers refused

What is appended is *fresh*: it stays in memory too, so that a lane can send it at once. What no lane fetched within a
moment, because servers are away or behind, is *backlog*: it is on the disk alone, and a lane of its own reads it from
there, oldest first. So memory is bounded whatever waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from taba.agent.aside import Aside
from taba.agent.fresh import Bundle, Fresh, Part
from taba.agent.graves import CORRUPT, FULL, Alone, Graves, Missing, graves
from taba.agent.salvage import pieces, readable, sound_prefix
from taba.agent.segment import FULL_DISK, Segment
from taba.agent.segments import Segments
from taba.frame import Header, encode

log = logging.getLogger(__name__)

FRESH_SECONDS = 5.0
"""What waited longer for a lane is backlog. A server that stands still for less costs no more than that time."""
REST_SECONDS = 30.0
"""How long a segment that cannot be read is left alone before it is tried again."""
DENSE_AT_ONCE = 4
"""Segments full of tombstones that are read at once to join these."""


class SpoolFullError(Exception):
    """There is no room for what was to be appended; nothing of it was."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bytes on disk, bytes of fresh frames in memory; whether the oldest frames go when the disk's are reached."""

    disk: int
    memory: int
    drop_oldest: bool


class Spool:
    """`dropped` is called with the cause and the events of frames that had to go."""

    def __init__(
        self,
        folder: Path,
        bounds: Bounds,
        *,
        sync: bool = True,
        in_order: bool = True,
        dropped: Callable[[str, int], None] = lambda cause, events: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the spool in a folder that is locked for us. Nothing is read yet, see `recover`.

        `in_order` says that each epoch's frames came in order, so that what damage has cost can be told from the rest.
        """
        self.folder = folder
        self.bounds = bounds
        self.aside = Aside(folder / "aside")
        self._sync = sync
        self._in_order = in_order
        self._dropped = dropped
        self._clock = clock
        self._lock = threading.RLock()
        self._fresh_came = threading.Condition(self._lock)
        self._backlog_came = threading.Condition(self._lock)
        self._gathering = False
        self._ended = False
        self._segments = Segments(folder)
        self._fresh = Fresh()
        self.missing = Missing()
        self.alone = Alone()
        self._backlog_since: float | None = clock() if self._segments.bytes else None

    # What is there.

    @property
    def bytes(self) -> int:
        """The size of all segments."""
        with self._lock:
            return self._segments.bytes

    @property
    def waiting(self) -> int:
        """Bytes of frames that no server has yet."""
        with self._lock:
            return self._segments.unsettled

    @property
    def backlog(self) -> int:
        """Bytes that wait on the disk alone."""
        with self._lock:
            return self._segments.free

    def backlog_age(self) -> float:
        """Seconds since there was no backlog."""
        with self._lock:
            return 0.0 if self._backlog_since is None else self._clock() - self._backlog_since

    # In: called by one thread, the writer.

    def append(self, bodies: Sequence[bytes]) -> None:
        """Write whole frames, and return once they are on the disk. Raises SpoolFullError, OSError: then none are."""
        body = b"".join(bodies)
        with self._lock:
            self._expire()
            self._make_room(len(body))
        self._write(body, fresh=True)

    def _write(self, body: bytes, fresh: bool) -> None:
        with self._lock:
            segment = self._segments.newest(self.bounds.disk)
        start, stop = segment.append(body, self._sync)  # outside the lock: lanes need not wait for the disk
        with self._lock:
            segment.size = stop
            if fresh:
                self._fresh.add(Part(segment, start, stop), body, self._clock())
                self._expire()
            self._note_backlog()
            if self._fresh and not self._gathering:  # each thread that wakes for nothing costs as much as a frame
                self._fresh_came.notify()

    def _expire(self) -> None:
        """What is fresh no longer, or too much to be kept in memory, becomes backlog."""
        self._fresh.expire(self._clock() - FRESH_SECONDS, self.bounds.memory)
        self._note_backlog()

    def _note_backlog(self) -> None:
        if not self.backlog:
            self._backlog_since = None
        else:
            self._backlog_came.notify_all()
            if self._backlog_since is None:
                self._backlog_since = self._clock()

    # Room.

    def largest(self) -> int:
        """The most bytes that can be appended at once: a half, so that no two requests block each other."""
        return self.bounds.disk // 2

    def _make_room(self, wanted: int) -> None:
        self._segments.remove_settled()
        while self.bytes + wanted > self.bounds.disk:
            if not self.bounds.drop_oldest or not self._drop_oldest():
                megabytes = self.bounds.disk >> 20
                raise SpoolFullError(f"the spool holds {megabytes} MB, as much as it may (agent.spool_mb)")

    def make_room_on_disk(self) -> bool:
        """The disk is full: whether the oldest frames went for what comes."""
        with self._lock:
            return self.bounds.drop_oldest and self._drop_oldest()

    def _drop_oldest(self) -> bool:
        """Put tombstones in the place of the oldest frames that no lane has; whether that made room."""
        idle = [one for one in self._segments if not (one.taken or one.is_settled) and self._readable(one)]
        dense = [one for one in idle if one.dense]
        for victim in [one for one in idle if not one.dense]:
            if self._bury([victim]):
                return True
            if not self._readable(victim):
                continue
            # It holds tombstones mostly. Those of segments that follow one another join to fewer.
            victim.dense = True
            dense.append(victim)
            if len(dense) > 1 and self._bury(dense[-DENSE_AT_ONCE:]):
                return True
        return False

    def _bury(self, victims: Sequence[Segment]) -> bool:
        buried = self._graves(victims)
        if buried is None:
            return False
        if len(buried.body) > sum(victim.size for victim in victims) // 2:
            return False
        gone = list(victims)
        try:
            self._write(buried.body, fresh=False)
        except OSError as error:
            largest = max(victims, key=attrgetter("size"))
            if error.errno not in FULL_DISK:
                raise
            if len(buried.body) > largest.size:
                return False
            largest.overwrite(buried.body)
            gone.remove(largest)
        self._dropped(FULL, buried.events)
        for victim in gone:
            victim.settle(0, victim.size)
        self._segments.remove_settled()
        return True

    def _leave_alone(self, segment: Segment, error: OSError) -> None:
        segment.rests_until = self._clock() + REST_SECONDS
        log.error("%s cannot be read and is left alone for now: %s", segment.path, error.strerror)

    def _readable(self, segment: Segment) -> bool:
        """Whether it could be read, as far as is known."""
        return segment.rests_until <= self._clock()

    def _graves(self, victims: Sequence[Segment]) -> Graves | None:
        """What is to stand in their place; None where one cannot be read."""
        bodies = {True: b"", False: b""}
        for victim in victims:
            victim.seal()
            try:
                bodies[victim.maybe_sent] += b"".join(victim.read(*free) for free in victim.free())
            except OSError as error:
                self._leave_alone(victim, error)
                return None
        alone = {True: lambda header: True, False: self.alone.__contains__}
        both = [graves(body, FULL, alone[maybe_sent]) for maybe_sent, body in bodies.items()]
        return Graves(b"".join(one.body for one in both), sum(one.events for one in both))

    # Out: called by the lanes.

    def take_fresh(self, most: int, wait: float, gather: float = 0.0) -> Bundle | None:
        """The oldest fresh frames, about `most` bytes of them; None where there are none within `wait` seconds.

        Where there were none at first, `gather` seconds pass for others to come after the first one.
        """
        if not self._await_fresh(wait, gather):
            return None
        with self._lock:
            self._expire()
            self._gathering = False
            bundle = self._fresh.take(most)
            if self._fresh:
                self._fresh_came.notify()
            return bundle

    def _await_fresh(self, wait: float, gather: float) -> bool:
        """Whether there is something fresh, now or within `wait` seconds; in the second case, after gathering.

        One lane gathers at a time, and what it gathers is left to it.
        """
        with self._lock:
            if self._fresh and not self._gathering:
                return True
            if not self._fresh_came.wait_for(lambda: (self._fresh and not self._gathering) or self._ended, wait):
                return False
            self._gathering = True
        time.sleep(gather)
        return True

    def wait_for_backlog(self, seconds: float) -> None:
        """Return once there is a backlog, or after so many seconds."""
        with self._lock:
            self._backlog_came.wait_for(lambda: self._oldest() or self._ended, seconds)

    def wake(self) -> None:
        """Let nobody wait for frames any more."""
        with self._lock:
            self._ended = True
            self._fresh_came.notify_all()
            self._backlog_came.notify_all()

    def take_backlog(self, most: int) -> Bundle | None:
        """The oldest frames of the backlog, about `most` bytes of them; None where there is none."""
        while (free := self._take_oldest()) is not None:
            segment, start, stop = free
            try:
                bundle = self._read(segment, start, stop, most)
            except OSError as error:
                with self._lock:
                    segment.taken.remove(start, stop)
                    self._leave_alone(segment, error)
                continue
            with self._lock:
                segment.taken.remove(bundle.parts[0].stop if bundle else start, stop)
                self._note_backlog()
            if bundle:
                return bundle
        return None

    def _take_oldest(self) -> tuple[Segment, int, int] | None:
        with self._lock:
            self._expire()
            oldest = self._oldest()
            if oldest is not None:
                segment, start, stop = oldest
                segment.taken.add(start, stop)
            return oldest

    def _oldest(self) -> tuple[Segment, int, int] | None:
        """The oldest bytes that nobody has."""
        for segment in filter(self._readable, self._segments):
            for start, stop in segment.free():
                return segment, start, stop
        return None

    def _read(self, segment: Segment, start: int, stop: int, most: int) -> Bundle | None:
        """The frames at the beginning of the bytes; None where there are none, and then that is taken care of."""
        data = segment.read(start, min(stop, start + most))
        size, _ = sound_prefix(data)
        if not size:
            # One frame that is larger than a bundle should be, or bytes that are no frame.
            data = segment.read(start, stop)
            first = next(pieces(data), None)
            if first is None or first.header is None:
                self._set_aside(segment, start, data[: first.stop] if first else b"", stop)
                return None
            size = first.stop
        return Bundle(data[:size], [Part(segment, start, start + size)], self._clock())

    def _set_aside(self, segment: Segment, start: int, bad: bytes, stop: int) -> None:
        """Bytes that are no frames: keep a copy, and go on behind them. Without `bad` the file was cut short."""
        if bad:
            self.aside.keep(f"{segment.path.stem}-{start}.bad", bad)
        log.warning(
            "%s: %d bytes from byte %d on are no frames and are passed over; a copy is in %s",
            segment.path,
            len(bad) or stop - start,
            start,
            self.aside.folder,
        )
        with self._lock:
            segment.settle(start, start + len(bad) if bad else stop)
            self._segments.remove_settled()

    def recover(self, known: Callable[[Header], None]) -> None:
        """Read through what an earlier run left, once, before anything else: `known` is told of each frame.

        What is damaged is set aside. Where it is plain which frames were there, because their neighbours are,
        tombstones go in their place.
        """
        lost = self.missing
        for segment in self._segments:
            data = segment.read(0, segment.size)
            if self._sync:
                segment.sync()  # a repetition of what is found here is answered as if it were on the disk
            for piece in pieces(data):
                header = readable(piece)
                if header is not None:
                    known(header)
                    lost.note(header)
                else:
                    lost.note_damage()
                    self._set_aside(segment, piece.start, data[piece.start : piece.stop], segment.size)
            segment.size = min(segment.size, len(data))
        if not (lost.damaged and self._in_order):
            lost.forget()
        if found := self.bury_missing():
            try:
                self._write(b"".join(map(encode, found)), fresh=False)
            except OSError as error:
                if error.errno not in FULL_DISK:
                    raise
                # They are written with what comes next; what fills the disk must be sent all the same.
            else:
                self.buried_missing(found)
        with self._lock:
            self._segments.remove_settled()
            self._note_backlog()

    def bury_missing(self, *frames: Header) -> list[Header]:
        """Tombstones for what is known to be lost with damaged bytes, now that `frames` came too."""
        for header in frames:
            self.missing.note_later(header)
        return list(self.missing.tombstones)

    def buried_missing(self, those: Sequence[Header]) -> None:
        """These tombstones are on the disk."""
        found = [one for one in self.missing.tombstones if one in those]
        self.missing.tombstones = [one for one in self.missing.tombstones if one not in those]
        self._dropped(CORRUPT, sum(one.events() for one in found))

    def settle(self, bundle: Bundle) -> None:
        """The bundle's frames are in a store."""
        with self._lock:
            for part in bundle.parts:
                part.segment.settle(part.start, part.stop)
            self._segments.remove_settled()
            self._note_backlog()

    def release(self, bundle: Bundle) -> None:
        """No lane has the bundle any more, and it is not settled: it is backlog."""
        with self._lock:
            for part in bundle.parts:
                part.segment.taken.remove(part.start, part.stop)
                part.segment.maybe_sent = True
            self._note_backlog()

    def close(self) -> None:
        """Write no more; what is wholly settled goes."""
        with self._lock:
            self._segments.seal()
            self._segments.remove_settled()
