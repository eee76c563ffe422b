"""What Taba counts of its clients, as events of its own that are folded with theirs, so exactly as often.

taba.client.events                      counter   events taken, by client, at the time they came
taba.client.dropped{reason=…,tab=…}     counter   events lost, by client: here or in the client before
taba.client.complete_to                 gauge     until when the client has sent all, or "closed"
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from taba import names
from taba.frame import Frame
from taba.server.rules import Rules
from taba.server.submissions import Submission
from taba.states.catalogue import Catalogue
from taba.store.protocol import TabEntry

EVENTS = "taba.client.events"
DROPPED = "taba.client.dropped"
COMPLETE_TO = "taba.client.complete_to"
CLOSED = "closed"
"""The value of COMPLETE_TO for a client that has said that it ends."""

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
_Row = tuple[int, TabEntry, str, float, float | None, str | None]
"""(submission, tab, client, time, number, text)"""


def own_events(
    submissions: Sequence[Submission],
    frames: Sequence[tuple[int, Frame]],
    accepted: pl.DataFrame,
    bad: pl.DataFrame,
    catalogue: Catalogue,
    rules: Rules,
    now: float,
) -> tuple[pl.DataFrame, dict[str, TabEntry]]:
    """What Taba counts of its clients, as events of its own, and the tabs of them that are new.

    `accepted` has (submission, client, len); a few rows for each request, whatever the number of its events.
    """
    rows = [
        *_taken(frames, accepted, now),
        *_dropped(submissions, frames, bad, catalogue, rules, now),
        *_completeness(frames),
    ]
    rows = [row for row in rows if rules.oldest <= row[3] <= rules.newest]
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
    return table, {tab: entry for tab, entry in tabs.items() if not catalogue.knows(tab)}


def _taken(frames: Sequence[tuple[int, Frame]], accepted: pl.DataFrame, now: float) -> Iterator[_Row]:
    """How many events were taken of each client; 0 says that it is alive."""
    counts = {(number, one.header.client): 0 for number, one in frames}
    counts |= {(number, client): taken for number, client, taken in accepted.iter_rows()}
    entry = TabEntry(EVENTS, EVENTS, "counter")
    for (number, client), taken in counts.items():
        yield number, entry, client, now, float(taken), None


def _dropped(
    submissions: Sequence[Submission],
    frames: Sequence[tuple[int, Frame]],
    bad: pl.DataFrame,
    catalogue: Catalogue,
    rules: Rules,
    now: float,
) -> Iterator[_Row]:
    """Events lost, by client, reason and name: by the rules here, or in the client before."""
    lost = [*_refused_here(submissions, bad), *_lost_in_clients(frames)]
    # Of names that have no tab only as many are told as there may be tabs; the others are unnamed.
    strange = sorted({name for _, _, name, _, _ in lost if catalogue.type_of(name) is None})
    beyond = set(strange[max(rules.tabs - len(catalogue), 0) :])
    for number, reason, name, client, count in lost:
        shown = name if name not in beyond and re.fullmatch(names.NAME_PATTERN, name) else "unnamed"
        tags = {"reason": re.sub(r"[^a-z0-9_]", "_", reason)[:64] or "unknown", "tab": shown}
        entry = TabEntry(names.join(DROPPED, tags), DROPPED, "counter")
        yield number, entry, client, now, float(min(count, MOST)), None


_Lost = tuple[int, str, str, str, int]
"""(submission, reason, name, client, count)"""


def _refused_here(submissions: Sequence[Submission], bad: pl.DataFrame) -> Iterator[_Lost]:
    name = pl.coalesce(pl.col("name"), pl.col("written").str.extract(f"^({names.NAME_PATTERN})"), pl.lit(""))
    client = pl.col("client").cast(pl.String).fill_null("unknown")
    yield from bad.group_by("submission", "reason", lost=name, by=client).len().iter_rows()
    for number, submission in enumerate(submissions):
        if submission.refused:
            yield number, "unreadable", "", "unknown", len(submission.refused)


def _lost_in_clients(frames: Sequence[tuple[int, Frame]]) -> Iterator[_Lost]:
    for number, one in frames:
        if (drops := one.header.drops) is not None:
            for tab, reason, count in zip(drops.names, drops.reasons, drops.counts, strict=True):
                yield number, reason, names.split(tab)[0], one.header.client, count


def _completeness(frames: Sequence[tuple[int, Frame]]) -> Iterator[_Row]:
    """Until when each frame's client has sent all that it recorded."""
    entry = TabEntry(COMPLETE_TO, COMPLETE_TO, "gauge")
    for number, one in frames:
        header = one.header
        complete_to, closed = (None, CLOSED) if header.closing else (header.stop, None)
        # A client may close at the very moment of its last frame, and has closed then.
        moment = math.nextafter(header.stop, math.inf) if header.closing else header.stop
        yield number, entry, header.client, moment, complete_to, closed
