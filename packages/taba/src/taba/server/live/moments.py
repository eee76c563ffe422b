"""The answers to a question at one moment after the other, and what differs between two of them. Pure.

A moment holds the answers as rows, each with the number of the moment at which it last changed. So what a reader lacks
that saw an earlier moment, whichever, is one filter over these: nothing is kept for each reader, and no past updates.
What has gone is remembered too, for a while: a reader of before that gets all there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from taba.server import formats

TIME = "bucket"
MOST_GONE = 10_000
"""What has gone that is remembered at most, beside as many as there are."""
NULL = "null"


@dataclass(frozen=True, slots=True)
class Shape:
    """What answers look like: by tab, or by tab and client; each a list of points, or not."""

    names: tuple[str, ...]
    points: bool = False

    @property
    def keys(self) -> list[str]:
        """What tells rows apart."""
        return [*self.names, TIME] if self.points else [*self.names]

    @property
    def schema(self) -> dict[str, Any]:
        """The columns of rows, without when they changed."""
        return {name: pl.Int64 if name == TIME else pl.String for name in self.keys} | {"json": pl.String}


@dataclass(frozen=True, slots=True)
class Moment:
    """The answers at a moment. `number` rises by one from each to the next."""

    shape: Shape
    number: int
    head: Mapping[str, Any]
    rows: pl.DataFrame
    """The shape's keys, `json`, and `changed`: the number of the moment at which the row came to be as it is."""
    gone: pl.DataFrame
    """The shape's names of what is there no more, and `changed`."""
    since: int
    """Who saw no moment from this one on can only be told all there is."""

    @property
    def quiet(self) -> bool:
        """Whether nothing differs from the moment before, but for the head."""
        return self.since < self.number and not (self._changed(self.rows) or self._changed(self.gone))

    def _changed(self, rows: pl.DataFrame) -> bool:
        return bool((rows["changed"] == self.number).any())

    def update(self, seen: int | None) -> tuple[str, bytes]:
        """The event, and the data of it, for a reader that saw the moment `seen` last; None: that has seen nothing."""
        missed = 0 if seen is None else self.number - seen - 1
        head = {**self.head, "missed": missed} if missed > 0 else self.head
        if seen is None or not self.since <= seen <= self.number:
            return "answers", formats.with_tabs(head, self._joined(self.rows))
        changed = self.rows.filter(pl.col("changed") > seen)
        return "changes", formats.with_tabs(head, self._joined(changed, self.gone.filter(pl.col("changed") > seen)))

    def _joined(self, rows: pl.DataFrame, gone: pl.DataFrame | None = None) -> pl.DataFrame:
        """Rows, and null for what has gone, by tab."""
        joined = formats.nested(rows.drop("changed"), self.shape.keys, self.shape.points, len(self.shape.names))
        if gone is None or gone.is_empty():
            return formats.nested(joined, self.shape.names, points=False)
        # A tab that has gone as a whole is told so once, and not client by client.
        left = gone.join(self.rows, on="tab", how="semi")
        nulls = left.select(*self.shape.names, json=pl.lit(NULL))
        some = formats.nested(pl.concat([joined, nulls]), self.shape.names, points=False)
        whole = gone.join(left, on="tab", how="anti").select("tab", json=pl.lit(NULL)).unique()
        return pl.concat([some, whole])


def first(shape: Shape, head: Mapping[str, Any], pieces: Sequence[pl.DataFrame]) -> Moment:
    """The first moment of a question."""
    rows = _rows(shape, pieces).with_columns(changed=pl.lit(1, pl.Int64))
    return Moment(shape, 1, head, rows, rows.select(*shape.names, "changed").clear(), since=1)


def following(before: Moment, head: Mapping[str, Any], pieces: Sequence[pl.DataFrame]) -> Moment:
    """The moment after another one."""
    shape, number = before.shape, before.number + 1
    same = (pl.col("json") == pl.col("json_before")).fill_null(False)
    rows = (
        _rows(shape, pieces)
        .join(before.rows, on=shape.keys, how="left", suffix="_before", maintain_order="left")
        .with_columns(changed=pl.when(same).then("changed").otherwise(pl.lit(number)))
        .drop("json_before")
    )
    torn = head.get("step") != before.head.get("step") or (shape.points and _torn(before, rows, head))
    names = list(shape.names)
    left = before.rows.join(rows, on=names, how="anti").select(names).unique()
    gone = pl.concat([before.gone, left.with_columns(changed=pl.lit(number, pl.Int64))])
    gone = gone.join(rows, on=names, how="anti").unique(names, keep="last", maintain_order=True)
    since = number if torn else before.since
    most = rows.height + MOST_GONE
    if gone.height > most:
        since = max(since, int(gone["changed"][-most - 1]))
        gone = gone.tail(most)
    return Moment(shape, number, head, rows, gone, since)


def _torn(before: Moment, rows: pl.DataFrame, head: Mapping[str, Any]) -> bool:
    """Whether points have gone from the midst of a series: a reader drops only those before its beginning."""
    inside = before.rows.filter(pl.col(TIME) >= head["from"])
    lost = inside.join(rows, on=before.shape.keys, how="anti").join(rows, on=list(before.shape.names), how="semi")
    return not lost.is_empty()


def _rows(shape: Shape, pieces: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of several types in one table."""
    empty = pl.DataFrame(schema=shape.schema)
    casts = [pl.col(name).cast(kind) for name, kind in shape.schema.items()]
    return pl.concat([empty, *(some.select(casts) for some in pieces)])


def event(name: str, data: bytes, identity: str = "") -> bytes:
    """A server-sent event; its data is one line."""
    told = f"id: {identity}\n" if identity else ""
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), told.encode(), data)


def failure(name: str, text: str) -> bytes:
    """An event that says what is wrong."""
    return event(name, msgspec.json.encode({"error": text}))
