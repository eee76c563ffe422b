"""Submissions -> one table of events that keep the rules, and one of those that do not, with the reasons.

All steps are on columns. `entries` are what a frame's header lists (a tab and how many of the values are its own);
an event of a JSON body is an entry of one value. An entry says which tab it means by a number: a row of the catalogue.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl

from taba.frame import Frame
from taba.handlers.base import EXACT, INEXACT_SCHEMA
from taba.handlers.registry import Registry
from taba.listed import Listed
from taba.server.allowed import barred, unused
from taba.server.bookkeeping import LATE_SECONDS, Entries, own_events
from taba.server.client_tabs import ClientTabs
from taba.server.rules import Rules, beyond_client, check, resolve
from taba.server.submissions import Submission
from taba.states.catalogue import Catalogue
from taba.store.protocol import TabEntry

_EVENT_SCHEMA: dict[str, Any] = {
    "submission": pl.UInt32,
    "index": pl.UInt32,
    "client": pl.Categorical,
    "tab_number": pl.UInt32,
    "named": pl.Categorical,
    "time": pl.Float64,
    "number": pl.Float64,
    "text": pl.String,
}
_ONE = struct.pack("<d", 1.0)


@dataclass(frozen=True, slots=True)
class Batch:
    """Events to fold (EVENT_SCHEMA with submission, type and shard; INEXACT_SCHEMA where any frame has weights or
    errors), new tabs by how they were written, refusals.

    `accepted` has the number of events by submission; `rejected` the columns submission, index, error; `entries` what
    each submission adds to accounts.
    """

    events: pl.DataFrame
    tabs: dict[str, TabEntry]
    accepted: dict[int, int]
    rejected: pl.DataFrame
    entries: Entries


def assemble(
    submissions: Sequence[Submission],
    catalogue: Catalogue,
    registry: Registry,
    rules: Rules,
    client_tabs: ClientTabs,
    now: float,
) -> Batch:
    """All submissions' events as one batch, with Taba's own events about them."""
    frames = [(number, one) for number, submission in enumerate(submissions) for one in submission.frames]
    numbers = TabNumbers(catalogue)
    events = _together([_numbers(frames, numbers), _texts(frames, numbers), *_json_events(submissions, numbers)])
    foreign = barred(events, submissions, catalogue, numbers.unknown)
    skipped = () if foreign is None else unused(events, foreign, len(catalogue))
    tabs, new = resolve(numbers.unknown, catalogue, registry, rules, skipped)
    own_submissions = [number for number, submission in enumerate(submissions) if submission.own]
    good, bad = check(events, tabs, registry, rules, own_submissions, foreign)
    beyond = client_tabs.beyond(good["tab"], good["client"], rules.limits.client_tabs)
    if beyond is not None:
        bad = pl.concat([bad, beyond_client(good.filter(beyond), tabs, rules)])
        good = good.filter(~beyond)
    # A tab comes to be with the first of its events that is taken, and not with one that is refused.
    used = set(good.filter(pl.col("tab_number") >= len(catalogue))["tab"].cast(pl.String)) if new else set()
    new = {written: entry for written, entry in new.items() if entry.tab in used}
    accepted = dict(good["submission"].value_counts().iter_rows())
    counts, late = _by_client(good, accepted, submissions), _late(good, own_submissions, now)
    own, own_tabs, entries = own_events(submissions, counts, late, bad, catalogue, rules, now)
    rejected = bad.select("submission", "index", "error")
    if "weight" in good.columns:
        own = own.with_columns(**EXACT)
    return Batch(pl.concat([good.select(own.columns), own]), new | own_tabs, accepted, rejected, entries)


def _together(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """All events in one table; weights and errors are columns of it where any part has them."""
    if not any("weight" in part.columns for part in parts):
        return pl.concat(parts)
    return pl.concat(parts, how="diagonal").with_columns(
        pl.col("weight").fill_null(1.0), pl.col("error").fill_null(0.0)
    )


def _by_client(
    good: pl.DataFrame, accepted: Mapping[int, int], submissions: Sequence[Submission]
) -> dict[tuple[int, str], int]:
    """How many events are taken, by (submission, client): of a frame, which has one client, also where it is none."""
    counts = {
        (number, one.header.client): accepted.get(number, 0)
        for number, submission in enumerate(submissions)
        for one in submission.frames
    }
    loose = [number for number, submission in enumerate(submissions) if submission.events is not None]
    if loose:
        of_loose = good.filter(pl.col("submission").is_in(loose)).group_by("submission", "client").len()
        counts |= {(number, client): taken for number, client, taken in of_loose.iter_rows()}
    return counts


def _late(good: pl.DataFrame, own_submissions: Sequence[int], now: float) -> dict[tuple[int, str], int]:
    """How many of the events that are taken came late, by (submission, client)."""
    oldest = good["time"].min()
    if not isinstance(oldest, float) or oldest >= now - LATE_SECONDS:
        return {}
    theirs = good.filter((pl.col("time") < now - LATE_SECONDS) & ~pl.col("submission").is_in(own_submissions))
    rows = theirs.group_by("submission", pl.col("client").cast(pl.String)).len().iter_rows()
    return {(number, client): count for number, client, count in rows}


class TabNumbers:
    """A number for each tab of a batch: its row in the catalogue, or, beyond those, its place among the unknown.

    Tabs that are known are found in columns; `unknown` are (tab as written, type) pairs.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._row_of = catalogue.row_of
        self._known = catalogue.rows
        self._base = len(catalogue)
        self._places: dict[tuple[str, str | None], int] = {}

    @property
    def unknown(self) -> list[tuple[str, str | None]]:
        """The pairs that are not in the catalogue, by their numbers."""
        return list(self._places)

    def of(self, written: pl.Series, types: pl.Series) -> pl.Series:
        """The numbers of tabs, given as written and with their types."""
        numbers = written.alias("written").to_frame().select(self._row_of).to_series()
        if numbers.null_count():
            places = numbers.is_null().arg_true()
            pairs = zip(written[places], types[places].cast(pl.String), strict=True)
            numbers = numbers.scatter(places, [self._number(*pair) for pair in pairs])
        return numbers

    def _number(self, written: str, kind: str | None) -> int:
        number = self._known.get(written)
        return self._base + self._places.setdefault((written, kind), len(self._places)) if number is None else number


def _numbers(frames: Sequence[tuple[int, Frame]], numbers: TabNumbers) -> pl.DataFrame:
    """The events of frames whose values are numbers."""
    if not any(one.values for _, one in frames):
        return pl.DataFrame(schema=_EVENT_SCHEMA)
    entries = _entries([(number, one.header, one.header) for number, one in frames if one.header.names], numbers)
    text = pl.lit(None, dtype=pl.String)
    if not any(one.header.weights or one.header.errors for _, one in frames):
        return _expanded(entries, number=_floats(one.values for _, one in frames), text=text)
    errors = chain.from_iterable(one.header.errors or [0.0] * len(one.header.names) for _, one in frames)
    entries = entries.with_columns(error=pl.Series(list(errors), dtype=pl.Float64))
    values = _floats(one.values[: 8 * one.count] for _, one in frames)
    return _expanded(entries, number=values, text=text, weight=_floats(_weights(one) for _, one in frames))


def _floats(parts: Iterable[bytes | memoryview]) -> pl.Series:
    """Little-endian floats in as many pieces, one below the other."""
    raw = b"".join(parts)
    shape = pl.Array(pl.Float64, len(raw) // 8)
    return pl.Series([raw]).bin.reinterpret(dtype=shape, endianness="little").explode()


def _weights(one: Frame) -> bytes | memoryview:
    return one.values[8 * one.count :] if one.header.weights else _ONE * one.count


def _texts(frames: Sequence[tuple[int, Frame]], numbers: TabNumbers) -> pl.DataFrame:
    """The events of frames whose values are texts."""
    parts = [(number, one.header, texts) for number, one in frames if (texts := one.header.texts) and texts.names]
    if not parts:
        return pl.DataFrame(schema=_EVENT_SCHEMA)
    values = pl.Series(list(chain.from_iterable(texts.values for _, _, texts in parts)), dtype=pl.String)
    return _expanded(_entries(parts, numbers), number=pl.lit(None, dtype=pl.Float64), text=values)


def _entries(parts: Sequence[tuple[int, Any, Any]], numbers: TabNumbers) -> pl.DataFrame:
    """The parallel lists of many headers, one below the other; (submission, header, what holds the lists)."""
    lists = [lists for _, _, lists in parts]
    of_parts = pl.DataFrame(
        {
            "submission": pl.Series([number for number, _, _ in parts], dtype=pl.UInt32),
            "client": pl.Series([header.client for _, header, _ in parts], dtype=pl.Categorical),
            "start": pl.Series([header.start for _, header, _ in parts], dtype=pl.Float64),
            "stop": pl.Series([header.stop for _, header, _ in parts], dtype=pl.Float64),
            # A header's texts are counted on from its names.
            "first": pl.Series([0 if some is header else len(header.names) for _, header, some in parts]),
            "length": pl.Series([len(some.names) for some in lists]),
        }
    ).with_columns(index=pl.int_ranges("first", pl.col("first") + pl.col("length"), dtype=pl.UInt32))
    named = _categories([some.types for some in lists])
    counts = array("I", chain.from_iterable(some.counts for some in lists))
    columns = [
        numbers.of(_texts_of([some.names for some in lists]), named).alias("tab_number"),
        named.alias("named"),
        pl.Series("count", counts, dtype=pl.UInt32),
    ]
    return of_parts.explode("index").hstack(columns)


def _texts_of(lists: Sequence[Iterable[str]]) -> pl.Series:
    """All texts of the lists, one below the other."""
    listed = [one for one in lists if isinstance(one, Listed)]
    if len(listed) == len(lists):
        return _split(listed).explode()
    return pl.Series(list(chain.from_iterable(lists)), dtype=pl.String)


def _categories(lists: Sequence[Iterable[str]]) -> pl.Series:
    """All texts of lists of which most are alike, as categories."""
    listed = [one for one in lists if isinstance(one, Listed)]
    if len(listed) < len(lists):
        return _texts_of(lists).cast(pl.Categorical)
    different = {one.raw: one for one in listed}
    codes = dict(zip(different, range(len(different)), strict=True))
    texts = _split(list(different.values())).cast(pl.List(pl.Categorical))
    return texts[pl.Series([codes[one.raw] for one in listed], dtype=pl.UInt32)].explode()


def _split(lists: Sequence[Listed]) -> pl.Series:
    """The texts of each list."""
    return pl.Series([one.raw[2:-2] for one in lists], dtype=pl.Binary).cast(pl.String).str.split('","')


def _expanded(entries: pl.DataFrame, **values: pl.Series | pl.Expr) -> pl.DataFrame:
    """One row for each value; an entry's values are spread evenly over its time, in their order."""
    place = pl.lit(0.5)
    if entries["count"].max() != 1:
        entries = entries.with_columns(place=pl.int_ranges(pl.col("count"), dtype=pl.UInt32)).explode("place")
        place = (pl.col("place") + 0.5) / pl.col("count")
    time = pl.col("start") + (pl.col("stop") - pl.col("start")) * place
    rows = entries.with_columns(**values, time=time)
    return rows.select(*_EVENT_SCHEMA, *(name for name in INEXACT_SCHEMA if name in rows.columns))


def _json_events(submissions: Sequence[Submission], numbers: TabNumbers) -> Iterator[pl.DataFrame]:
    for number, submission in enumerate(submissions):
        if submission.events is not None:
            events = submission.events
            yield events.with_columns(
                submission=pl.lit(number, dtype=pl.UInt32),
                tab_number=numbers.of(events["written"], events["full_type"]),
                named=pl.col("full_type").cast(pl.Categorical),
            ).select(list(_EVENT_SCHEMA))
