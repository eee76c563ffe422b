"""Which sequences of a source have been seen: the greatest one, and the gaps below it. Pure; standard library only.

    gaps = [ gap *( "," gap ) ]        ascending
    gap  = first "-" last              whole numbers that have not been seen, both ends included

A source's sequences rise and mostly arrive in order, so the gaps are few; a gap may be of any length, as when the
newest are sent before a backlog. Their number is bounded: of more than MAX_GAPS the oldest are closed, that is,
counted as seen, because a source that far ahead no longer repeats them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

MAX_GAPS = 1024
"""How many gaps in a source's sequences are remembered; older ones count as seen."""

Gap = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """All sequences from 1 to `last` but those in `gaps`, which ascend."""

    last: int = 0
    gaps: tuple[Gap, ...] = ()

    def __contains__(self, sequence: int) -> bool:
        return sequence <= self.last and self._gap_of(sequence) is None

    def add(self, sequences: Iterable[int]) -> Seen:
        """With `sequences` seen too."""
        seen = self
        for sequence in sorted(sequences):
            seen = seen._with(sequence)
        return seen

    def _with(self, sequence: int) -> Seen:
        if sequence > self.last:
            missed = ((self.last + 1, sequence - 1),) if sequence > self.last + 1 else ()
            return Seen(sequence, (self.gaps + missed)[-MAX_GAPS:])
        place = self._gap_of(sequence)
        if place is None:
            return self
        first, last = self.gaps[place]
        left = tuple(gap for gap in ((first, sequence - 1), (sequence + 1, last)) if gap[0] <= gap[1])
        return Seen(self.last, (self.gaps[:place] + left + self.gaps[place + 1 :])[-MAX_GAPS:])

    def _gap_of(self, sequence: int) -> int | None:
        """The place of the gap that the sequence lies in; None where it has been seen."""
        place = bisect_right(self.gaps, (sequence, 1 << 63)) - 1
        return place if place >= 0 and self.gaps[place][0] <= sequence <= self.gaps[place][1] else None

    def written(self) -> str:
        """The gaps as text."""
        return ",".join(f"{first}-{last}" for first, last in self.gaps)

    @staticmethod
    def read(last: int, gaps: str) -> Seen:
        """What `written` wrote."""
        pairs = (gap.split("-") for gap in gaps.split(",") if gap)
        return Seen(last, tuple((int(first), int(end)) for first, end in pairs))
