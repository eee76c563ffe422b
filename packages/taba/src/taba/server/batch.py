"""Submissions -> one table of events that keep the rules, and one of those that do not, with the reasons.

All steps are on columns. `entries` are what a frame's header lists (a tab and how many of the values are its own);
an event of a JSON body is an entry of one value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl

from taba.frame import Frame
from taba.handlers.registry import Registry
from taba.server.bookkeeping import for_folding, own_events
from taba.server.rules import Rules, check, resolve
from taba.server.submissions import Submission
from taba.states.catalogue import Catalogue
from taba.store.protocol import TabEntry

_ENTRY_SCHEMA: dict[str, Any] = {
    "submission": pl.UInt32,
    "index": pl.UInt32,
    "client": pl.String,
    "start": pl.Float64,
    "stop": pl.Float64,
    "written": pl.String,
    "full_type": pl.String,
    "count": pl.UInt32,
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Events to fold (EVENT_SCHEMA with submission, type and shard), new tabs by how they were written, refusals.

    `accepted` has the number of events by submission; `rejected` the columns submission, index, error.
    """

    events: pl.DataFrame
    tabs: dict[str, TabEntry]
    accepted: dict[int, int]
    rejected: pl.DataFrame


def assemble(
    submissions: Sequence[Submission], catalogue: Catalogue, registry: Registry, rules: Rules, now: float
) -> Batch:
    """All submissions' events as one batch, with Taba's own events about them."""
    frames = [(number, one) for number, sub in enumerate(submissions) for one in sub.frames]
    numbers = _number_entries(frames)
    texts = _text_entries(frames)
    values = _float_column(frames)
    text_values = pl.Series(
        list(chain.from_iterable(one.header.texts.values for _, one in frames if one.header.texts)),
        dtype=pl.String,
    )
    parts = [
        _expanded(numbers, values.alias("number")).with_columns(text=pl.lit(None, dtype=pl.String)),
        _expanded(texts, text_values.alias("text")).with_columns(number=pl.lit(None, dtype=pl.Float64)),
        *_json_events(submissions),
    ]
    events = pl.concat(parts, how="diagonal")
    resolved, new = resolve(events.select("written", "full_type").unique(), catalogue, registry, rules)
    meant = events.join(resolved, on=["written", "full_type"], how="left", nulls_equal=True)
    checked = check(meant, rules, [number for number, submission in enumerate(submissions) if submission.own])
    good = checked.filter(pl.col("reason").is_null())
    bad = checked.filter(pl.col("reason").is_not_null())
    own, own_tabs = own_events(submissions, frames, good, bad, catalogue, rules, now)
    folded = pl.concat([for_folding(good), own], how="vertical")
    accepted = dict(good.group_by("submission").len().iter_rows())
    return Batch(folded, new | own_tabs, accepted, bad.select("submission", "index", "error"))


def _number_entries(frames: Sequence[tuple[int, Frame]]) -> pl.DataFrame:
    headers = [(number, one.header, one.header) for number, one in frames if one.header.names]
    return _entries(headers)


def _text_entries(frames: Sequence[tuple[int, Frame]]) -> pl.DataFrame:
    return _entries([(number, one.header, one.header.texts) for number, one in frames if one.header.texts])


def _entries(parts: Sequence[tuple[int, Any, Any]]) -> pl.DataFrame:
    """The parallel lists of many headers, one below the other; (submission, header, what holds the lists)."""
    if not parts:
        return pl.DataFrame(schema=_ENTRY_SCHEMA)
    per_part = pl.DataFrame(
        {
            "submission": [number for number, _, _ in parts],
            "client": [header.client for _, header, _ in parts],
            "start": [header.start for _, header, _ in parts],
            "stop": [header.stop for _, header, _ in parts],
            "length": [len(lists.names) for _, _, lists in parts],
        },
        schema_overrides={"submission": pl.UInt32, "start": pl.Float64, "stop": pl.Float64},
    ).with_columns(index=pl.int_ranges(pl.col("length"), dtype=pl.UInt32))
    lists = pl.DataFrame(
        {
            "written": list(chain.from_iterable(lists.names for _, _, lists in parts)),
            "full_type": list(chain.from_iterable(lists.types for _, _, lists in parts)),
            "count": pl.Series(list(chain.from_iterable(lists.counts for _, _, lists in parts)), dtype=pl.UInt32),
        }
    )
    # A header with empty lists has no entry; exploding would give it one.
    rows = per_part.filter(pl.col("length") > 0).explode("index").drop("length")
    return pl.concat([rows, lists], how="horizontal").select(list(_ENTRY_SCHEMA))


def _float_column(frames: Sequence[tuple[int, Frame]]) -> pl.Series:
    raw = b"".join(one.values for _, one in frames)
    if not raw:
        return pl.Series([], dtype=pl.Float64)
    shape = pl.Array(pl.Float64, len(raw) // 8)
    return pl.Series([raw]).bin.reinterpret(dtype=shape, endianness="little").explode()


def _expanded(entries: pl.DataFrame, values: pl.Series) -> pl.DataFrame:
    """One row for each value; an entry's values are spread evenly over its time, in their order."""
    if entries["count"].n_unique() <= 1 and entries.height == len(values):
        rows = entries.with_columns(time=(pl.col("start") + pl.col("stop")) / 2)
    else:
        place = pl.int_ranges(pl.col("count"), dtype=pl.UInt32)
        rows = entries.with_columns(place=place).explode("place")
        rows = rows.with_columns(place=(pl.col("place") + 0.5) / pl.col("count"))
        rows = rows.with_columns(time=pl.col("start") + (pl.col("stop") - pl.col("start")) * pl.col("place"))
        rows = rows.drop("place")
    return rows.drop("count", "start", "stop").with_columns(values)


def _json_events(submissions: Sequence[Submission]) -> Iterator[pl.DataFrame]:
    for number, submission in enumerate(submissions):
        if submission.events is not None:
            yield submission.events.rename({"start": "time"}).with_columns(submission=pl.lit(number, dtype=pl.UInt32))
