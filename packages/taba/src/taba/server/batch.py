"""Submissions -> one table of events that keep the rules, and one of those that do not, with the reasons.

All steps are on columns. `entries` are what a frame's header lists (a tab and how many of the values are its own);
an event of a JSON body is an entry of one value. An entry says which tab it means by a number: a row of the catalogue.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl

from taba.frame import Frame
from taba.handlers.registry import Registry
from taba.server.bookkeeping import Entries, own_events
from taba.server.rules import Rules, check, resolve
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


@dataclass(frozen=True, slots=True)
class Batch:
    """Events to fold (EVENT_SCHEMA with submission, type and shard), new tabs by how they were written, refusals.

    `accepted` has the number of events by submission; `rejected` the columns submission, index, error; `entries` what
    each submission adds to accounts.
    """

    events: pl.DataFrame
    tabs: dict[str, TabEntry]
    accepted: dict[int, int]
    rejected: pl.DataFrame
    entries: Entries


def assemble(
    submissions: Sequence[Submission], catalogue: Catalogue, registry: Registry, rules: Rules, now: float
) -> Batch:
    """All submissions' events as one batch, with Taba's own events about them."""
    frames = [(number, one) for number, submission in enumerate(submissions) for one in submission.frames]
    numbers = TabNumbers(catalogue)
    events = pl.concat([_numbers(frames, numbers), _texts(frames, numbers), *_json_events(submissions, numbers)])
    tabs, new = resolve(numbers.unknown, catalogue, registry, rules)
    own_submissions = [number for number, submission in enumerate(submissions) if submission.own]
    good, bad = check(events, tabs, rules, own_submissions)
    # A tab comes to be with the first of its events that is taken, and not with one that is refused.
    used = set(good.filter(pl.col("tab_number") >= len(catalogue))["tab"].cast(pl.String)) if new else set()
    new = {written: entry for written, entry in new.items() if entry.tab in used}
    accepted = good.group_by("submission", "client").len()
    own, own_tabs, entries = own_events(submissions, frames, accepted, bad, catalogue, rules, now)
    by_submission = dict(accepted.group_by("submission").agg(pl.col("len").sum()).iter_rows())
    rejected = bad.select("submission", "index", "error")
    return Batch(pl.concat([good.select(own.columns), own]), new | own_tabs, by_submission, rejected, entries)


class TabNumbers:
    """A number for each tab of a batch: its row in the catalogue, or, beyond those, its place among the unknown.

    Tabs that are known cost one look-up each and no more; `unknown` are (tab as written, type) pairs.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._known = catalogue.rows
        self._base = len(catalogue)
        self._places: dict[tuple[str, str | None], int] = {}

    @property
    def unknown(self) -> list[tuple[str, str | None]]:
        """The pairs that are not in the catalogue, by their numbers."""
        return list(self._places)

    def of(self, written: list[str], types: list[Any]) -> pl.Series:
        """The numbers of tabs, given as written and with their types."""
        numbers: list[Any] = list(map(self._known.get, written))
        if None in numbers:
            for place, number in enumerate(numbers):
                if number is None:
                    pair = (written[place], types[place])
                    numbers[place] = self._base + self._places.setdefault(pair, len(self._places))
        return pl.Series(array("I", numbers), dtype=pl.UInt32)


def _numbers(frames: Sequence[tuple[int, Frame]], numbers: TabNumbers) -> pl.DataFrame:
    """The events of frames whose values are numbers."""
    raw = b"".join(one.values for _, one in frames)
    if not raw:
        return pl.DataFrame(schema=_EVENT_SCHEMA)
    shape = pl.Array(pl.Float64, len(raw) // 8)
    values = pl.Series([raw]).bin.reinterpret(dtype=shape, endianness="little").explode()
    entries = _entries([(number, one.header, one.header) for number, one in frames if one.header.names], numbers)
    return _expanded(entries, number=values, text=pl.lit(None, dtype=pl.String))


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
    written = list(chain.from_iterable(some.names for some in lists))
    types = list(chain.from_iterable(some.types for some in lists))
    counts = array("I", chain.from_iterable(some.counts for some in lists))
    return of_parts.explode("index").with_columns(
        tab_number=numbers.of(written, types),
        named=_categories(types),
        count=pl.Series(counts, dtype=pl.UInt32),
    )


def _categories(texts: list[str]) -> pl.Series:
    """Few different texts, as categories: each text costs one look-up."""
    codes = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    return pl.Series(list(codes), dtype=pl.Categorical)[pl.Series(array("I", map(codes.__getitem__, texts)))]


def _expanded(entries: pl.DataFrame, **values: pl.Series | pl.Expr) -> pl.DataFrame:
    """One row for each value; an entry's values are spread evenly over its time, in their order."""
    place = pl.lit(0.5)
    if entries["count"].max() != 1:
        entries = entries.with_columns(place=pl.int_ranges(pl.col("count"), dtype=pl.UInt32)).explode("place")
        place = (pl.col("place") + 0.5) / pl.col("count")
    time = pl.col("start") + (pl.col("stop") - pl.col("start")) * place
    return entries.with_columns(**values, time=time).select(list(_EVENT_SCHEMA))


def _json_events(submissions: Sequence[Submission], numbers: TabNumbers) -> Iterator[pl.DataFrame]:
    for number, submission in enumerate(submissions):
        if submission.events is not None:
            events = submission.events
            yield events.with_columns(
                submission=pl.lit(number, dtype=pl.UInt32),
                tab_number=numbers.of(events["written"].to_list(), events["full_type"].to_list()),
                named=pl.col("full_type").cast(pl.Categorical),
            ).select(list(_EVENT_SCHEMA))
