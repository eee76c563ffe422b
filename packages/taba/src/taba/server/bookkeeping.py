"""What Taba counts of its clients: as events of its own that are folded with theirs, so exactly as often, and as
entries for the store's accounts.

taba.client.events                      counter   events taken, by client, at the time they came
taba.client.late                        counter   those of them that were older than LATE_SECONDS when they came
taba.client.dropped{reason=…,tab=…}     counter   events lost, by client: here or in the client before
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from taba import names
from taba.frame import Frame
from taba.locks.patterns import NOT_ALLOWED
from taba.server.rules import Rules
from taba.server.submissions import Submission
from taba.states.catalogue import Catalogue
from taba.store.protocol import Entry, TabEntry

EVENTS = "taba.client.events"
LATE = "taba.client.late"
DROPPED = "taba.client.dropped"
LATE_SECONDS = 10.0
"""An event comes late that is older than this when it comes: answers had said that they were complete without it, for
a client that is silent for so long is no longer waited for."""
MOST = 1 << 53
"""Lost events that one entry of a frame may tell of: whole numbers are exact up to here."""

_SCHEMA: dict[str, Any] = {
    "submission": pl.UInt32,
    "tab": pl.Categorical,
    "type": pl.Categorical,
    "shard": pl.UInt32,
    "parameter": pl.Float64,
    "client": pl.Categorical,
    "time": pl.Float64,
    "number": pl.Float64,
    "text": pl.String,
}
_Row = tuple[int, TabEntry, str, float, float, None]
"""(submission, tab, client, time, number, text)"""
_Lost = tuple[int, str, str, str, int]
"""(submission, reason, name, client, count)"""
Entries = dict[int, list[Entry]]
"""What each submission adds to accounts."""


def own_events(
    submissions: Sequence[Submission],
    counts: Mapping[tuple[int, str], int],
    late: Mapping[tuple[int, str], int],
    bad: pl.DataFrame,
    catalogue: Catalogue,
    rules: Rules,
    now: float,
) -> tuple[pl.DataFrame, dict[str, TabEntry], Entries]:
    """What Taba counts of its clients, as events of its own; the tabs of them that are new; and the entries.

    `counts` has how many events are taken by (submission, client), also of a frame of which none is, and `late` how
    many of them came late; a few rows for each request, whatever the number of its events.
    """
    frames = [(number, one) for number, submission in enumerate(submissions) for one in submission.frames]
    lost = [
        (number, re.sub(r"[^a-z0-9_]", "_", reason)[:64] or "unknown", name, client, min(count, MOST))
        for number, reason, name, client, count in (*_refused_here(submissions, bad), *_lost_in_clients(frames))
    ]
    rows = [*_taken(EVENTS, counts, now), *_taken(LATE, late, now), *_dropped(lost, catalogue, rules, now)]
    tabs = {row[1].tab: row[1] for row in rows}
    columns = [
        [row[0] for row in rows],
        [row[1].tab for row in rows],
        [row[1].type for row in rows],
        [catalogue.shard_of(row[1].name) for row in rows],
        [None] * len(rows),
        *([row[place] for row in rows] for place in range(2, 6)),
    ]
    table = pl.DataFrame(dict(zip(_SCHEMA, columns, strict=True)), schema=_SCHEMA)
    new = {tab: entry for tab, entry in tabs.items() if not catalogue.knows(tab)}
    return table, new, _entries(submissions, counts, lost, now)


def _entries(
    submissions: Sequence[Submission], counts: Mapping[tuple[int, str], int], lost: Iterable[_Lost], now: float
) -> Entries:
    """An entry for each frame; and one for each client of a request without frames."""
    dropped: defaultdict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for number, reason, _, client, count in lost:
        dropped[number, client][reason] += count
    entries: Entries = {}
    for number, submission in enumerate(submissions):
        for one in submission.frames:
            of = (number, one.header.client)
            entries[number] = [_of_frame(one, counts.get(of, 0), dropped.pop(of, {}))]
    unframed = {of for of in (*counts, *dropped) if of[0] not in entries and not submissions[of[0]].own}
    for of in unframed:
        (request,) = submissions[of[0]].receipts
        entry = Entry(of[1], "", 0, 0, now, now, None, None, counts.get(of, 0), dropped.get(of, {}), request=request)
        entries.setdefault(of[0], []).append(entry)
    return entries


def _of_frame(one: Frame, folded: int, dropped: dict[str, int]) -> Entry:
    header = one.header
    return Entry(
        header.client,
        header.epoch,
        header.lowest(),
        header.sequence,
        header.start,
        header.stop,
        header.began,
        header.recorded,
        folded,
        dropped,
        header.closing,
    )


def _taken(tab: str, counts: Mapping[tuple[int, str], int], now: float) -> Iterator[_Row]:
    """How many events were taken of each client; 0 says that it is alive."""
    entry = TabEntry(tab, tab, "counter")
    for (number, client), taken in counts.items():
        yield number, entry, client, now, float(taken), None


def _dropped(lost: Sequence[_Lost], catalogue: Catalogue, rules: Rules, now: float) -> Iterator[_Row]:
    """Events lost, by client, reason and name: by the rules here, or in the client before."""
    # Of names that have no tab only as many are told as there may be tabs; the others are unnamed.
    strange = sorted({name for _, _, name, _, _ in lost if catalogue.type_of(name) is None})
    beyond = set(strange[max(rules.limits.tabs - len(catalogue), 0) :])
    for number, reason, name, client, count in lost:
        shown = name if name not in beyond and re.fullmatch(names.NAME_PATTERN, name) else "unnamed"
        entry = TabEntry(names.join(DROPPED, {"reason": reason, "tab": shown}), DROPPED, "counter")
        yield number, entry, client, now, float(count), None


def _refused_here(submissions: Sequence[Submission], bad: pl.DataFrame) -> Iterator[_Lost]:
    if not bad.is_empty():
        name = pl.coalesce(pl.col("name"), pl.col("written").str.extract(f"^({names.NAME_PATTERN})"), pl.lit(""))
        client = pl.col("client").fill_null("unknown")
        yield from bad.group_by("submission", "reason", lost=name, by=client).len().iter_rows()
    for number, submission in enumerate(submissions):
        if submission.denied and submission.denied.count:
            yield number, NOT_ALLOWED, "", submission.denied.client, submission.denied.count
        if submission.lost is not None:
            for (client, name, reason), count in submission.lost.items():
                yield number, reason, name, client, count
        elif submission.refused:
            yield number, "unreadable", "", "unknown", len(submission.refused)


def _lost_in_clients(frames: Sequence[tuple[int, Frame]]) -> Iterator[_Lost]:
    for number, one in frames:
        if (drops := one.header.drops) is not None:
            for tab, reason, count in zip(drops.names, drops.reasons, drops.counts, strict=True):
                yield number, reason, names.split(tab)[0], one.header.client, count
