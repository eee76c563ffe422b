"""What was seen of each source, brought from one kind of store to the other. Pure.

A store that takes an append whole (SQLite) has one set of marks, and where frames are concerned their accounts are
the marks. A store of shards has marks in each shard, of frames too (source = client, space, epoch), and beside its
accounts, under `requests`, marks of what came without frames.

From whole to shards: whatever the whole store has seen, every shard has.

From shards to whole: a frame is seen where its account has it, and a request without frames where any shard's accounts
have it. For an account is written when all shards have their part, so everything of these is there. What some shard
has seen and no account has is UNSETTLED: a server ended between the two. Sent again to the shards it would be
completed; a whole store can only count all of it again or nothing. So whoever moves it has to say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import NamedTuple

from taba.sequences import MAX_GAPS, Seen
from taba.store.accounts import Account

FORGOTTEN_SECONDS = 86_400
"""Marks that are this much older than the newest, of a source without an account: the account was forgotten."""
_OWN_SOURCE = re.compile(r"server/[0-9a-f]{32}|watches/[0-9a-f]{16}")
"""The source of what servers record themselves: under a name that no other start has, so that nothing is sent again;
or, of a watch, in one shard alone and in no account."""

Range = tuple[int, int]
"""Whole numbers, both ends included."""


class Mark(NamedTuple):
    """What was seen of a source, and when it was heard last."""

    seen: Seen
    heard: float


Marks = Mapping[str, Mark]
"""By source."""


@dataclass(frozen=True, slots=True)
class ShardMarks:
    """Marks of what reached a shard, and of what is in the accounts that lie there."""

    receipts: Marks = field(default_factory=dict)
    requests: Marks = field(default_factory=dict)


def of_account(account: Account) -> Mark:
    """The frames that an account has seen."""
    return Mark(Seen(account.last, tuple((gap.first, gap.last) for gap in account.gaps)), account.heard)


def for_shards(receipts: Marks, accounts: Iterable[Account]) -> ShardMarks:
    """A whole store's marks as each shard has to have them."""
    framed = {f"{account.client} {account.epoch}": of_account(account) for account in accounts if account.last}
    return ShardMarks(_whole_seconds(_either([receipts, framed])), _whole_seconds(receipts))


def for_whole(shards: Iterable[ShardMarks]) -> dict[str, Mark]:
    """The marks of shards as a whole store has them, beside its accounts."""
    receipts: list[Marks] = []
    for one in shards:
        own = {source: mark for source, mark in one.receipts.items() if _OWN_SOURCE.fullmatch(source)}
        receipts += [own, one.requests]
    return _either(receipts)


def unsettled(shards: Iterable[ShardMarks], accounts: Iterable[Account]) -> dict[str, int]:
    """How many numbers of each source some shard has seen and no account has."""
    reached: dict[str, list[Range]] = {}
    settled: dict[str, list[Range]] = {}
    heard: dict[str, float] = {}
    for one in shards:
        for source, mark in one.receipts.items():
            reached.setdefault(source, []).extend(_surely(mark.seen))
            heard[source] = max(mark.heard, heard.get(source, 0.0))
        for source, mark in one.requests.items():
            settled.setdefault(source, []).extend(_ranges(mark.seen))
    for account in accounts:
        settled.setdefault(f"{account.client} {account.epoch}", []).extend(_ranges(of_account(account).seen))
    recent = max(heard.values(), default=0.0) - FORGOTTEN_SECONDS
    found = {
        source: _missing(ranges, settled.get(source, []))
        for source, ranges in reached.items()
        if not _OWN_SOURCE.fullmatch(source) and (source in settled or heard[source] >= recent)
    }
    return {source: count for source, count in found.items() if count}


def _either(some: Iterable[Marks]) -> dict[str, Mark]:
    """What any of them has seen."""
    by_source: dict[str, list[Mark]] = {}
    for marks in some:
        for source, mark in marks.items():
            by_source.setdefault(source, []).append(mark)
    return {source: _together(marks) for source, marks in by_source.items()}


def _together(marks: list[Mark]) -> Mark:
    if all(mark.seen == marks[0].seen for mark in marks):
        return Mark(marks[0].seen, max(mark.heard for mark in marks))
    seen = _united(chain.from_iterable(_ranges(mark.seen) for mark in marks))
    ends = [(0, 0), *seen]
    gaps = [(before[1] + 1, after[0] - 1) for before, after in pairwise(ends) if before[1] + 1 < after[0]]
    return Mark(Seen(ends[-1][1], tuple(gaps[-MAX_GAPS:])), max(mark.heard for mark in marks))


def _whole_seconds(marks: Marks) -> dict[str, Mark]:
    """As shards keep the time."""
    return {source: Mark(mark.seen, float(int(mark.heard))) for source, mark in marks.items()}


def _ranges(seen: Seen) -> list[Range]:
    """What was seen as ranges, ascending."""
    begins = [1, *(last + 1 for _, last in seen.gaps)]
    ends = [*(first - 1 for first, _ in seen.gaps), seen.last]
    return [(first, last) for first, last in zip(begins, ends, strict=True) if first <= last]


def _surely(seen: Seen) -> list[Range]:
    """As `_ranges`, without the numbers that count as seen because their gaps became too many."""
    known = seen.gaps[0][0] if len(seen.gaps) >= MAX_GAPS else 1
    return [(first, last) for first, last in _ranges(seen) if first >= known]


def _united(ranges: Iterable[Range]) -> list[Range]:
    """Ranges in one another's order, those that touch as one."""
    united: list[Range] = []
    for first, last in sorted(ranges):
        if united and first <= united[-1][1] + 1:
            united[-1] = (united[-1][0], max(last, united[-1][1]))
        else:
            united.append((first, last))
    return united


def _missing(ranges: Iterable[Range], known: Iterable[Range]) -> int:
    """How many numbers of `ranges` are not in `known`."""
    held = _united(known)
    both = _united([*_united(ranges), *held])
    return sum(last - first + 1 for first, last in both) - sum(last - first + 1 for first, last in held)
