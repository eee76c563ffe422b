"""Which sequences of a source have been seen: the greatest one, and the gaps below it. Pure.

A source's sequences rise and mostly arrive in order, so the gaps are few. They are bounded: of more than MAX_GAPS
the oldest are closed, that is, counted as seen, because a source that far ahead no longer repeats them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from taba.store.protocol import MAX_GAPS


@dataclass(frozen=True, slots=True)
class Seen:
    """All sequences from 1 to `last` but those in `gaps`."""

    last: int = 0
    gaps: frozenset[int] = frozenset()

    def __contains__(self, sequence: int) -> bool:
        return sequence <= self.last and sequence not in self.gaps

    def add(self, sequences: Iterable[int]) -> Seen:
        """With `sequences` seen too."""
        last, gaps = self.last, set(self.gaps)
        for sequence in sorted(sequences):
            if sequence > last:
                gaps.update(range(max(last + 1, sequence - MAX_GAPS), sequence))
                last = sequence
            gaps.discard(sequence)
        if len(gaps) > MAX_GAPS:
            gaps = set(sorted(gaps)[-MAX_GAPS:])
        return Seen(last, frozenset(gaps))

    def written(self) -> str:
        """The gaps as text."""
        return ",".join(map(str, sorted(self.gaps)))

    @staticmethod
    def read(last: int, gaps: str) -> Seen:
        """What `written` wrote."""
        return Seen(last, frozenset(map(int, gaps.split(","))) if gaps else frozenset())
