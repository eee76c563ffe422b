"""What the store keeps of each epoch of a client: which frames it has seen, and what became of the events. Pure.

    recorded = folded + dropped + in flight

A frame says how many events were recorded in its epoch up to it and with it. So the frames around a gap tell how many
events the missing frames between them hold: that many are in flight. A frame that does not say it is taken at its own
word: then the events that are missing with a gap are not known, and count as none.

What came without frames has no numbers. It is in the account of its client's epoch "", where nothing is in flight.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from operator import attrgetter

import msgspec

from taba.sequences import MAX_GAPS
from taba.store.protocol import Entry

FORGOTTEN = "forgotten"
"""The reason under which the events of gaps are lost that are too many to be remembered."""
OTHER = "other"
MAX_REASONS = 32
"""Reasons that an account tells apart; what is lost for further ones counts as OTHER."""


class Gap(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Frames from `first` to `last` that have not been seen; their events were recorded from `since` on.

    `before` and `after` are how many events were recorded up to the gap and up to its end; None where nobody said.
    """

    first: int
    last: int
    since: float
    before: int | None
    after: int | None

    @property
    def events(self) -> int:
        """How many events the missing frames hold; 0 where it is not known."""
        return 0 if self.before is None or self.after is None else max(self.after - self.before, 0)


class Account(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """All that is known of one epoch of a client. Times are seconds since 1970.

    `last` is the greatest sequence seen, and `gaps` those below it that were not, ascending; `stop` is until when the
    frame `last` goes. The client began the epoch at `began` (None: it does not say), the store first heard of it at
    `begun` and last at `heard`. `closed` tells that the epoch's closing frame was seen.

    `told` is the number that the frame `last` said was recorded, None where it did not; `offset` is how many of these
    were recorded before anybody counted here.
    """

    client: str
    epoch: str
    last: int = 0
    stop: float = 0.0
    folded: int = 0
    dropped: dict[str, int] = {}
    gaps: tuple[Gap, ...] = ()
    began: float | None = None
    begun: float = 0.0
    heard: float = 0.0
    closed: bool = False
    told: int | None = 0
    offset: int = 0

    @property
    def lost(self) -> int:
        """Events dropped, for any reason."""
        return sum(self.dropped.values())

    @property
    def in_flight(self) -> int:
        """Events in the frames that are missing."""
        return sum(gap.events for gap in self.gaps)

    @property
    def recorded(self) -> int:
        """Events recorded, as the client says; as they were counted here where it says nothing."""
        return self.folded + self.lost + self.in_flight if self.told is None else self.told - self.offset

    @property
    def complete_to(self) -> float:
        """Until when every frame of the epoch is here."""
        return self.gaps[0].since if self.gaps else self.stop

    @property
    def ended(self) -> bool:
        """Whether the epoch is over and all of it is here."""
        return self.closed and not self.gaps

    def takes(self, entry: Entry) -> bool:
        """Whether none of the frames that the entry stands for has been seen."""
        return not entry.sequence or entry.first > self.last or self._gap_around(entry) is not None

    def add(self, entry: Entry, now: float) -> Account:
        """With an entry that it takes, heard at the time `now`."""
        if not entry.sequence:
            placed = msgspec.structs.replace(self, told=None)
        elif entry.first > self.last:
            placed = self._extended(entry)
        else:
            placed = self._filled(entry)
        return msgspec.structs.replace(
            placed,
            folded=self.folded + entry.folded,
            dropped=_sum(placed.dropped, entry.dropped) if entry.dropped else placed.dropped,
            began=self.began if entry.began is None else entry.began,
            begun=self.begun or now,
            heard=now,
            closed=self.closed or entry.closing,
        )

    def _gap_around(self, entry: Entry) -> int | None:
        """The place of the gap that holds all of the entry's frames."""
        place = bisect_right(self.gaps, entry.first, key=attrgetter("first")) - 1
        return place if place >= 0 and entry.sequence <= self.gaps[place].last else None

    def _extended(self, entry: Entry) -> Account:
        """With frames beyond all that were seen; those between are missing."""
        before = _recorded_before(entry)
        gaps, dropped = self.gaps, self.dropped
        if entry.first > self.last + 1:
            begin = entry.start if entry.began is None else entry.began
            gaps = (*gaps, Gap(self.last + 1, entry.first - 1, self.stop if self.last else begin, self.told, before))
            gaps, dropped = _within_bound(gaps, dropped)
        offset = self.offset
        if self.told is None and before is not None:
            offset = before - self.recorded
        return msgspec.structs.replace(
            self,
            last=entry.sequence,
            stop=entry.stop,
            gaps=gaps,
            dropped=dropped,
            told=entry.recorded,
            offset=offset,
        )

    def _filled(self, entry: Entry) -> Account:
        """With frames that were missing: their gap shrinks, or splits."""
        place = self._gap_around(entry)
        assert place is not None
        gap = self.gaps[place]
        before = _recorded_before(entry)
        left = Gap(gap.first, entry.first - 1, gap.since, gap.before, before)
        right = Gap(entry.sequence + 1, gap.last, entry.stop, entry.recorded, gap.after)
        rest = tuple(part for part in (left, right) if part.first <= part.last)
        gaps, dropped = _within_bound(self.gaps[:place] + rest + self.gaps[place + 1 :], self.dropped)
        offset = self.offset
        if None in (gap.before, gap.after, before):
            # These events were in no number so far.
            offset -= entry.events + sum(part.events for part in rest) - gap.events
        return msgspec.structs.replace(self, gaps=gaps, dropped=dropped, offset=offset)


def _recorded_before(entry: Entry) -> int | None:
    """How many events were recorded before the first of the entry's frames."""
    return None if entry.recorded is None else entry.recorded - entry.events


def _within_bound(gaps: tuple[Gap, ...], dropped: dict[str, int]) -> tuple[tuple[Gap, ...], dict[str, int]]:
    """At most MAX_GAPS gaps: the frames of older ones count as seen, and their events as lost."""
    gone = sum(gap.events for gap in gaps[:-MAX_GAPS])
    return gaps[-MAX_GAPS:], _sum(dropped, {FORGOTTEN: gone}) if gone else dropped


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The counts of both, by reason."""
    both = dict(one)
    for reason, count in other.items():
        known = reason in both or reason == FORGOTTEN or len(both) < MAX_REASONS
        both[reason if known else OTHER] = both.get(reason if known else OTHER, 0) + count
    return both
