"""Samples of Prometheus' series -> what their clients recorded, by what the book knows of the series.

Counters and histograms are told as what they came to since they began, and what is recorded is what they grew by. Where
a series is seen for the first time, all of it counts

    - where it began, as its sample or a series NAME_created says, while this door was open already;
    - or where its target, the client and its job, was heard at an earlier time without it: then it is new there.

Otherwise counting begins with it. In a remote write NAME_created may come in another request than NAME_total: then what
was not counted at first is kept until the other is there.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from taba.agent.book import Book
from taba.dialects.buckets import Buckets, BucketsError, weigh
from taba.dialects.cumulative import Recorded, Verdict
from taba.dialects.gathering import Gathering
from taba.dialects.heard import Heard
from taba.dialects.prometheus.kinds import GAUGE_TYPE, PARTS, Meaning, Role
from taba.dialects.prometheus.native import is_stale
from taba.dialects.prometheus.parts import Parts, buckets_of

FUTURE = 600_000
"""So far ahead of the agent's clock a sample may be, in milliseconds."""
NANOS = 1_000_000
"""In a millisecond."""
SPREAD = 60_000
"""By so much the times of one page may differ, where its samples have times of their own; in milliseconds."""
NOT_FINITE, BAD_TIME, BAD_VALUE, NO_ROOM = "not_finite", "bad_time", "bad_value", "series"
UNTYPED = "type_unknown"

_pack = msgspec.msgpack.encode
_parts = msgspec.msgpack.Decoder(Parts).decode


class _Uncounted(msgspec.Struct, array_like=True):
    """What a series stood at when counting began with it."""

    time: int
    value: float | None
    buckets: tuple[tuple[float, ...], tuple[float, ...], tuple[int, ...]] | None = None


_uncounted = msgspec.msgpack.Decoder(_Uncounted).decode


@dataclass(slots=True)
class Told:
    """A sample and what its series is. Times are in milliseconds since 1970; `since` is 0 where it is not told.

    `value` is a number, or a native histogram's buckets and the sum of its values.
    """

    meaning: Meaning
    value: float | tuple[Buckets, float | None]
    time: int
    since: int = 0


@dataclass(slots=True)
class Refused:
    """How many samples could not be taken, by reason, and what one of each says. `histograms` are native ones."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    histograms: int = 0

    def add(self, reason: str, why: str, samples: int = 1, histograms: int = 0) -> None:
        """Some more; `histograms` are among the samples."""
        self.counts[reason] += samples
        self.histograms += histograms
        self.examples.setdefault(reason, why)

    def __str__(self) -> str:
        """For a person."""
        return "; ".join(f"{count} ({reason}), as {self.examples[reason]}" for reason, count in self.counts.items())


class Taking:
    """What one request or page comes to. For the journal's thread, within a transaction."""

    def __init__(self, book: Book, *, apart: bool = False, now: int | None = None) -> None:
        """`apart` says that what belongs together may come in several requests. `now` is in milliseconds since 1970."""
        self._book = book
        self._apart = apart
        self._now = time.time_ns() // NANOS if now is None else now
        self._gathered = Gathering()
        self._begun: dict[tuple[str, str], int] = {}
        self._met: set[tuple[str, str]] = set()
        self._first: dict[str, int] = {}
        self._assembled: dict[tuple[str, str], Parts] = {}
        self._targets: dict[tuple[str, str], str] = {}
        self.refused = Refused()

    def take(self, samples: Iterable[Told]) -> list[Heard]:
        """All samples of a request or page: what their clients recorded."""
        others = []
        for one in samples:
            if not 0 < one.time <= self._now + FUTURE:
                self._refuse(one, BAD_TIME, f"the time {one.time} ms is not from 1970 until now")
            elif one.meaning.role is Role.CREATED:
                self._note_beginning(one)
            else:
                others.append(one)
        self._look_up_targets(others)
        begun = self._begun.items() if self._apart else ()
        for (client, tab), since in begun:
            self._count_uncounted(client, tab, since)
        for one in others:
            self._take(one)
        for (client, tab), parts in self._assembled.items():
            self._assemble(client, tab, parts)
        for (client, tab), since in begun:
            if (client, tab) not in self._met:
                self._keep_beginning(client, tab, since)
        return self._gathered.heard()

    def lose(self, client: str, tab: str, reason: str, at: int | None = None) -> None:
        """A sample that is lost before anything was made of it."""
        if at is None or not 0 < at <= self._now + FUTURE:
            at = self._now
        self._gathered.drop(client, at * NANOS, tab, reason)

    def _refuse(self, one: Told, reason: str, why: str) -> None:
        meaning = one.meaning
        told = f"{meaning.tabs[0]} of {meaning.client}: {why}"
        self.refused.add(reason, told, histograms=isinstance(one.value, tuple))
        self.lose(meaning.client, meaning.tabs[0], reason, one.time)

    def _note_beginning(self, one: Told) -> None:
        if not isinstance(one.value, tuple) and 0 < one.value * 1000 <= self._now + FUTURE:
            for tab in one.meaning.tabs:
                self._begun[one.meaning.client, tab] = round(one.value * 1000)

    def _take(self, one: Told) -> None:
        meaning, value = one.meaning, one.value
        tab = meaning.tabs[0]
        if isinstance(value, tuple):
            buckets, total = value
            self._grow(one, tab, total, buckets)
        elif is_stale(value):
            if meaning.role in PARTS:
                self._parts_of(meaning, tab).end(meaning.role, meaning.bound)
        elif meaning.role in PARTS:
            self._add_part(one, tab, value)
        elif not math.isfinite(value):
            self.lose(meaning.client, tab, NOT_FINITE, one.time)
        elif meaning.role is Role.UNCLEAR:
            self._watch(one, tab, value)
        elif meaning.role is Role.GAUGE:
            self._gathered.add(meaning.client, one.time * NANOS, tab, GAUGE_TYPE, [value])
        elif value < 0:
            self._refuse(one, BAD_VALUE, f"{value} is no sum of events")
        else:
            self._grow(one, tab, value)

    # Classic histograms.

    def _parts_of(self, meaning: Meaning, tab: str) -> Parts:
        key = meaning.client, tab
        parts = self._assembled.get(key)
        if parts is None:
            note = self._book.note(meaning.client, f"parts\n{tab}")
            parts = self._assembled[key] = Parts() if note is None else _parts(note)
            self._targets[key] = meaning.target
        return parts

    def _add_part(self, one: Told, tab: str, value: float) -> None:
        meaning = one.meaning
        parts = self._parts_of(meaning, tab)
        parts.since = max(parts.since, one.since)
        try:
            parts.add(meaning.role, meaning.bound, value, one.time)
        except BucketsError as error:
            self._refuse(one, BAD_VALUE, str(error))

    def _assemble(self, client: str, tab: str, parts: Parts) -> None:
        meaning = Meaning(Role.BUCKET, client, (tab,), target=self._targets[client, tab])
        for at, told in parts.whole():
            one = Told(meaning, 0.0, at, parts.since)
            try:
                buckets, total = buckets_of(told)
            except BucketsError as error:
                self._refuse(one, BAD_VALUE, str(error))
            else:
                self._grow(one, tab, total, buckets)
        self._book.keep(client, f"parts\n{tab}", _pack(parts))

    # What adds up.

    def _watch(self, one: Told, tab: str, value: float) -> None:
        """Should it be a counter, counting begins here; one that is new at its target will count whole."""
        begun = self._book.note(one.meaning.client, f"begun\n{tab}") is not None
        if one.time <= self._first[one.meaning.target] and not begun:
            now = Recorded(0, one.time * NANOS, value)
            verdict, _ = self._book.increase(one.meaning.client, tab, now, appeared=False)
            if verdict is Verdict.BEGINNING:
                self._keep_uncounted(one.meaning.client, tab, now)
        self.lose(one.meaning.client, tab, UNTYPED, one.time)

    def _grow(self, one: Told, tab: str, value: float | None, buckets: Buckets | None = None) -> None:
        """Record what a series grew by."""
        client = one.meaning.client
        self._met.add((client, tab))
        since = one.since or self._begun.get((client, tab), 0)
        now = Recorded(0, one.time * NANOS, value, buckets)
        verdict, grown = self._book.increase(
            client,
            tab,
            now,
            appeared=False,
            settled=one.time > self._first[one.meaning.target],
            since=since * NANOS,
        )
        if verdict is Verdict.REFUSED:
            self._refuse(one, NO_ROOM, "more series than are remembered (agent.series)")
        elif verdict is Verdict.BEGINNING:
            if self._apart:
                self._begin(client, tab, now)
        elif grown is not None:
            self._record(client, tab, one.time, grown)

    def _record(self, client: str, tab: str, at: int, grown: Recorded) -> None:
        if grown.buckets is not None:
            weighed = weigh(grown.buckets, grown.value)
            if weighed.numbers:
                self._gathered.add(
                    client, at * NANOS, tab, "percentile", weighed.numbers, weighed.weights, weighed.error
                )
        elif grown.value:
            self._gathered.add(client, at * NANOS, tab, "counter", [float(grown.value)])

    def _look_up_targets(self, samples: Iterable[Told]) -> None:
        """When each target was heard first; of one that says times of its own, when a page must have been whole."""
        times: dict[str, set[int]] = {}
        for one in samples:
            times.setdefault(one.meaning.target, set()).add(one.time)
        for target, heard in times.items():
            client, _, job = target.partition("\n")
            note = self._book.note(client, f"target\n{job}")
            if note is None:
                self._first[target] = max(heard) + (SPREAD if len(heard) > 1 else 0)
                self._book.keep(client, f"target\n{job}", b"%d" % self._first[target])
            else:
                self._first[target] = int(note)

    # Beginnings that are told apart from their series, perhaps in a request of their own.

    def _begin(self, client: str, tab: str, now: Recorded) -> None:
        """Counting begins with a series, unless it is known since when it counts."""
        since = self._book.note(client, f"since\n{tab}")
        if since is not None and self._book.counts_whole(client, int(since) * NANOS):
            self._record(client, tab, now.time // NANOS, now)
        else:
            self._keep_uncounted(client, tab, now)

    def _keep_uncounted(self, client: str, tab: str, now: Recorded) -> None:
        buckets = now.buckets and (now.buckets.lows, now.buckets.highs, now.buckets.counts)
        self._book.keep(client, f"begun\n{tab}", _pack(_Uncounted(now.time // NANOS, now.value, buckets)))

    def _count_uncounted(self, client: str, tab: str, since: int) -> None:
        """It is told since when a series counts: what it stood at as it was first seen counts, where that is new."""
        note = self._book.note(client, f"begun\n{tab}")
        if note is None:
            return
        stood = _uncounted(note)
        if since <= stood.time and self._book.counts_whole(client, since * NANOS):
            buckets = None if stood.buckets is None else Buckets(*stood.buckets)
            self._record(client, tab, stood.time, Recorded(0, stood.time * NANOS, stood.value, buckets))
        self._book.keep(client, f"begun\n{tab}", None)
        self._met.add((client, tab))

    def _keep_beginning(self, client: str, tab: str, since: int) -> None:
        """The series may come in the next request."""
        name, written = f"since\n{tab}", b"%d" % since
        if self._book.note(client, name) != written:
            self._book.keep(client, name, written)
