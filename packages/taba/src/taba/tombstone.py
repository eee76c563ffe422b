"""What stands in the place of frames that were given up: what they held, by tab, as lost. Standard library only.

Where a frame cannot be kept (its sender's memory or spool is full, or the receiver refuses it), a tombstone goes in
its place, with its sequence. The receiver takes either the frame or its tombstone, whichever comes first, by the
number that both have. So an event is folded or counted as lost and never both, even where nobody knows any more
whether the frame had arrived. Frames of one epoch that follow one another share a tombstone.

A tombstone's report is bounded, however many frames and tombstones went into it: where it has more names than
MAX_NAMED, those that lost most are named, and what the rest lost is added up, by reason, under the name OTHER.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import repeat

from taba.frame import Drops, Header

MAX_NAMED = 1_000
"""How many losses, by tab and reason, a tombstone names."""
OTHER = "other"

Loss = tuple[str, str, int]
"""Tab, reason, count."""


def losses(header: Header, reason: str) -> Iterator[Loss]:
    """What is lost with a frame: its events for `reason`, and those that it was to report for reasons of their own."""
    for lists in (header, header.texts):
        if lists is not None:
            yield from zip(lists.names, repeat(reason), lists.counts, strict=False)
    if header.drops is not None:
        yield from zip(header.drops.names, header.drops.reasons, header.drops.counts, strict=True)


def tombstone(headers: Sequence[Header], reason: str, named: int = MAX_NAMED) -> Header:
    """One header in the place of frames of one epoch, whose sequences follow one another and ascend.

    Any of `headers` may be a tombstone itself. `named` bounds the losses that are named by tab and reason.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for header in headers:
        for tab, why, count in losses(header, reason):
            counts[tab, why] += count
    first, last = headers[0], headers[-1]
    return Header(
        last.client,
        last.epoch,
        last.sequence,
        first.start,
        last.stop,
        drops=_drops(counts if len(counts) <= named else _bounded(counts, named)),
        closing=last.closing,
        began=last.began,
        recorded=last.recorded,
        first=first.lowest(),
    )


def _bounded(counts: Counter[tuple[str, str]], named: int) -> Counter[tuple[str, str]]:
    """The greatest counts as they are, and the rest of each reason as one."""
    found: Counter[tuple[str, str]] = Counter()
    for place, ((tab, reason), count) in enumerate(counts.most_common()):
        found[tab if place < named else OTHER, reason] += count
    return found


def _drops(counts: Counter[tuple[str, str]]) -> Drops | None:
    if not counts:
        return None
    return Drops([tab for tab, _ in counts], [reason for _, reason in counts], list(counts.values()))
