"""Questions about States: which tabs, which time, grouped how; answered a type at a time, as a table.

Every answer is a row: the tab (or the group of tabs), the client where it is a Projection, the window or the
slice of a series, and the handler's columns. Strings among those hold JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from taba.handlers.base import Handler
from taba.handlers.registry import Registry
from taba.matching import client_pattern
from taba.states.catalogue import Catalogue
from taba.states.fold import merge, project
from taba.states.reading import Reader
from taba.states.tiers import CLIENTS, FLEET

ALL = "*"
PART_ROWS = 500_000
"""States that are merged at once, or those of one shard: while Polars merges more, what is folded waits, and memory
grows with what is asked."""


@dataclass(frozen=True, slots=True)
class Window:
    """The slices that begin in [start, stop), in seconds since 1970, under the name that the answer gives them."""

    name: str
    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for: tabs and clients by globs; `by` groups tabs by these tags (None: each tab alone).

    `among` is a regular expression, as Polars takes them, that clients have to fit too.
    """

    tabs: Sequence[str]
    client: str | None = None
    by: Sequence[str] | None = None
    per_client: bool = False
    among: str | None = None

    @property
    def view(self) -> str:
        """Whether the fleet's States suffice, or the clients' are needed."""
        some = self.per_client or self.client not in (None, ALL) or self.among is not None
        return CLIENTS if some else FLEET

    @property
    def keys(self) -> list[str]:
        """The columns that an answer belongs to."""
        return ["tab", "client"] if self.per_client else ["tab"]


class Query:
    """Answers questions from a store's chunks; every method may run in any thread."""

    def __init__(self, registry: Registry, catalogue: Catalogue, reader: Reader) -> None:
        self._registry = registry
        self._catalogue = catalogue
        self._reader = reader

    def windows(self, selection: Selection, windows: Sequence[Window]) -> Iterator[tuple[Handler, pl.DataFrame]]:
        """For each type the answers over `windows`, with the column `window`. Nested windows share their work."""
        yield from self.answers(self._catalogue.match(selection.tabs), selection, windows, {})

    def answers(
        self, tabs: pl.DataFrame, selection: Selection, windows: Sequence[Window], instead: Mapping[str, Handler]
    ) -> Iterator[tuple[Handler, pl.DataFrame]]:
        """The same of tabs that are given, as in the catalogue; `instead` are handlers that answer for a type's own."""
        start, stop = min(w.start for w in windows), max(w.stop for w in windows)
        for own, parts in self.chosen(tabs, selection, start, stop):
            handler = instead.get(own.type, own)
            answers = [_over_windows(handler, states, selection, windows) for states in parts]
            if answers:
                yield handler, pl.concat(answers)

    def series(self, selection: Selection, start: int, stop: int, step: int) -> Iterator[tuple[Handler, pl.DataFrame]]:
        """For each type the answers over slices of `step` seconds from `start`, with the column `bucket`.

        A client's answer may have a time of its own; in a series its slice's takes that place.
        """
        bucket = ((pl.col("slice").cast(pl.Int64) - start) // step * step + start).alias("bucket")
        keys = [*selection.keys, "bucket"]
        fleet = not selection.per_client
        # What expires within a slice that has not ended yet is still there.
        until = pl.min_horizontal(pl.col("bucket") + step, stop)
        for handler, parts in self.states(selection, start, stop):
            answers = [
                project(handler, states.with_columns(bucket), keys, seconds=step, until=until, fleet=fleet)
                for states in parts
            ]
            if answers:
                yield handler, pl.concat(answers).drop("time", strict=False).sort(keys).pipe(_filled, handler)

    def seen(self, tabs: Sequence[str], start: float, stop: float, of: str) -> pl.DataFrame:
        """For each `of` ("tab" or "client"), of the clients' States in [start, stop): how many of the other, and when.

        Columns: `of`, others, last (the last slice). Millions of pairs of a tab and a client are not made for it.
        """
        other = "client" if of == "tab" else "tab"
        parts = [pl.DataFrame(schema={of: pl.Categorical, "others": pl.UInt32, "last": pl.UInt32})]
        for _, found in self.states(Selection(tabs, per_client=True), start, stop):
            counted = {"others": pl.col(other).n_unique(), "last": pl.col("slice").max()}
            parts += [states.group_by(of).agg(**counted) for states in found]
        # All of a tab lies in one part, so a client's tabs add up.
        return pl.concat(parts).group_by(of).agg(pl.col("others").sum(), pl.col("last").max())

    def last_seen(self, tabs: Sequence[str], stop: float) -> pl.DataFrame:
        """(tab, last slice) of each tab that is kept at all."""
        parts = [pl.DataFrame(schema={"tab": pl.Categorical, "last": pl.UInt32})]
        for _, found in self.states(Selection(tabs), 0, stop):
            parts += [states.group_by("tab").agg(last=pl.col("slice").max()) for states in found]
        return pl.concat(parts)

    def groups(self, selection: Selection) -> pl.DataFrame:
        """The tabs or groups of them that a selection asks for, whether or not anything is kept: tab, type."""
        matched = self._catalogue.match(selection.tabs)
        return matched.select(tab=_group(selection.by), type="type").unique().sort("tab")

    def states(
        self, selection: Selection, start: float, stop: float
    ) -> Iterator[tuple[Handler, Iterator[pl.DataFrame]]]:
        """For each type the States in question, one by one, their `tab` replaced by the group it belongs to.

        They come in parts, each with all States of its groups: a group is of one name, whose tabs lie in one shard.
        """
        yield from self.chosen(self._catalogue.match(selection.tabs), selection, start, stop)

    def chosen(
        self, tabs: pl.DataFrame, selection: Selection, start: float, stop: float
    ) -> Iterator[tuple[Handler, Iterator[pl.DataFrame]]]:
        """The same of tabs that are given: their columns tab, type and shard, as in the catalogue."""
        for (type_name,), some in tabs.partition_by("type", as_dict=True).items():
            handler = self._registry.get(str(type_name))
            if handler is not None:
                yield handler, self._parts(handler, some, selection, start, stop)

    def _parts(
        self, handler: Handler, tabs: pl.DataFrame, selection: Selection, start: float, stop: float
    ) -> Iterator[pl.DataFrame]:
        """The States of some tabs of one type, a few shards at a time."""
        held: list[pl.DataFrame] = []
        for (shard,), some in tabs.partition_by("shard", as_dict=True).items():
            found = self._of_shard(int(str(shard)), handler, some, selection, start, stop)
            if found is not None:
                held.append(found)
            if sum(states.height for states in held) >= PART_ROWS:
                yield pl.concat(held)
                held = []
        if held:
            yield pl.concat(held)

    def _of_shard(
        self, shard: int, handler: Handler, tabs: pl.DataFrame, selection: Selection, start: float, stop: float
    ) -> pl.DataFrame | None:
        """The States of a shard's tabs; None: none are there."""
        whole = tabs.height > 1 and tabs.height == self._tabs_in(shard, handler.type)
        select = _selector(tabs, selection, whole=whole)
        found = self._reader.states(shard, handler.type, selection.view, start, stop, select)
        if found is not None and whole and selection.by is None:
            # A chunk may hold a tab already that was not in the catalogue a moment ago.
            found = found.filter(pl.col("tab").is_in(tabs["tab"].cast(pl.Categorical).implode()))
        return found

    def _tabs_in(self, shard: int, type_name: str) -> int:
        known = self._catalogue.frame
        of_type = (pl.col("shard") == shard) & (pl.col("type") == type_name)
        return int(known.select((of_type & (pl.col("written") == pl.col("tab"))).sum()).item())


def _selector(tabs: pl.DataFrame, selection: Selection, *, whole: bool) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """What picks the States in question out of a chunk's, and names their group. `whole`: all tabs are wanted."""
    wanted = tabs.select(pl.col("tab").cast(pl.Categorical), group=_group(selection.by)).with_columns(
        pl.col("group").cast(pl.Categorical)
    )
    one = wanted["tab"][0] if wanted.height == 1 else None

    def select(states: pl.DataFrame) -> pl.DataFrame:
        if one is not None:
            states = states.filter(pl.col("tab") == one)
        elif not whole:
            states = states.filter(pl.col("tab").is_in(wanted["tab"].implode()))
        if selection.client is not None and selection.client != ALL:
            states = _of_clients(states, client_pattern(selection.client))
        if selection.among is not None:
            states = _of_clients(states, selection.among)
        if selection.by is not None:
            columns = states.columns
            states = states.join(wanted, on="tab").drop("tab").rename({"group": "tab"}).select(columns)
        return states

    return select


def _of_clients(states: pl.DataFrame, pattern: str) -> pl.DataFrame:
    clients = states.select(pl.col("client").unique())
    fits = pl.col("client").cast(pl.String).str.contains(pattern)
    return states.join(clients.filter(fits), on="client", how="semi")


def _group(by: Sequence[str] | None) -> pl.Expr:
    """The group's written form: the name, and of its tags those in `by`."""
    if by is None:
        return pl.col("tab")
    name = pl.col("tab").str.extract(r"^([^{]*)")
    tags = [pl.col("tab").str.extract(rf"[{{,]({re.escape(tag)}=[^,}}]*)") for tag in sorted(set(by))]
    if not tags:
        return name
    inside = pl.concat_str(tags, separator=",", ignore_nulls=True)
    return pl.when(inside == "").then(name).otherwise(pl.format("{}{{{}}}", name, inside))


def _over_windows(
    handler: Handler, states: pl.DataFrame, selection: Selection, windows: Sequence[Window]
) -> pl.DataFrame:
    """The answers over each window: the States are merged once, by the shortest window that holds them."""
    keys, fleet = selection.keys, not selection.per_client
    nested = len({window.stop for window in windows}) == 1
    ordered = sorted(windows, key=lambda window: -window.start)
    if nested and len(ordered) > 1:
        beyond = [(pl.col("slice") < window.start).cast(pl.UInt8) for window in ordered]
        states = merge(handler, states.with_columns(reach=pl.sum_horizontal(beyond)), [*keys, "reach"])
    present = states.select(keys).unique()
    answers = []
    for index, window in enumerate(ordered):
        inside = pl.col("reach") <= index if nested and len(ordered) > 1 else _inside(window)
        held = states.filter(inside)
        length = window.stop - window.start
        answered = project(handler, held, keys, seconds=length, until=window.stop, fleet=fleet)
        whole = present.join(answered, on=keys, how="left", maintain_order="left")
        answers.append(whole.with_columns(window=pl.lit(window.name)))
    return _filled(pl.concat(answers), handler)


def _inside(window: Window) -> pl.Expr:
    return pl.col("slice").is_between(window.start, window.stop, closed="left")


def _filled(answers: pl.DataFrame, handler: Handler) -> pl.DataFrame:
    """What the handler says of nothing, in the place of nulls."""
    filled = [pl.col(name).fill_null(value) for name, value in handler.empty.items() if name in answers.columns]
    return answers.with_columns(filled)
