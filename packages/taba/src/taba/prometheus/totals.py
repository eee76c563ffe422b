"""What counters, histograms and tops have come to since a fixed time: numbers that only rise, the same on every server.

A store's States are of slices of time, and slices that no tier keeps any more end. So a total is counted from a fixed
begin that all servers know by the clock alone: time is cut into periods of half of what the fleet's tiers keep (a year
by default), and the begin is where the present one began. All that came since then is still kept, so a total never
falls within a period; at its end all totals begin anew at zero, which Prometheus takes for the restart of a counter, as
it is. A period is a multiple of every tier's width, so that no slice lies across a begin, however coarse it becomes.

Chunks never change. What a chunk adds is worked out once, and a total adds up what its shard's chunks add: of a store
that has grown, only the new chunks are read. A sum of float64 depends a little on the order, which changes when chunks
are merged: totals are `steady`, so that this does not look like a fall.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from taba.handlers.base import count_sum
from taba.handlers.registry import Registry
from taba.prometheus.buckets import with_rungs
from taba.states.fold import SLICE
from taba.states.reading import ATTEMPTS, Reader
from taba.states.tiers import FLEET, RAW, Ladder, Tiers
from taba.store.protocol import ChunkInfo, Store, StoreError

DIGITS = 10
"""Significant digits of a total that is no whole number. Sums that differ by their order alone agree in 14."""
WHOLE = 10.0**DIGITS
ROUNDING = 1e-9
"""A sum that is less than it was by at most this part of it has fallen by rounding alone."""
READ_ROWS = 500_000
"""States that are read at once."""
PERIODS_KEPT = 2
"""Periods that the tiers keep: one that runs, and one for what is still to come when it ends."""

COUNT, TOTAL, LEAST = count_sum(pl.col("count")), pl.col("total").sum(), pl.col("min").min()
KEYS: dict[str, list[str]] = {"counter": ["tab"], "percentile": ["tab", "rung"], "top": ["tab"]}
"""The types that have totals, and what a total is of."""
SUMS: dict[str, list[pl.Expr]] = {
    "counter": [COUNT, TOTAL, LEAST],
    "percentile": [COUNT, TOTAL, LEAST],
    "top": [COUNT],
}
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "tab": pl.Categorical,
    "rung": pl.UInt16,
    "count": pl.UInt64,
    "total": pl.Float64,
    "min": pl.Float64,
}
_COLUMNS = {"counter": ["tab", "count", "total", "min"], "percentile": [*_SCHEMA], "top": ["tab", "count"]}


def period(steps: Ladder) -> int:
    """How long totals of tabs with these tiers run from zero, in seconds."""
    widest = math.lcm(*(tier.width for tier in steps))
    return max(steps[-1].keep // PERIODS_KEPT // widest, 1) * widest


def begins(tiers: Tiers, now: float) -> dict[str, int]:
    """Since when totals are counted, by policy."""
    return {policy: math.floor(now / period(steps)) * period(steps) for policy, steps in tiers.fleet.items()}


def steady(total: pl.Expr) -> pl.Expr:
    """`total`, not finer than sums of float64 agree on in whatever order; never falling where `total` does not.

    Whole numbers stay as they are, and others become DIGITS significant digits, or whole.
    """
    return pl.when(total.abs() < WHOLE).then(total.round_sig_figs(DIGITS)).otherwise(total.round())


@dataclass(slots=True)
class _Held:
    """What is known of one type in one shard."""

    parts: dict[int, pl.DataFrame] = field(default_factory=dict)
    """By chunk, what it adds."""
    total: pl.DataFrame | None = None


class Totals:
    """The totals of a store, brought up to date when asked. Not for several threads at once."""

    def __init__(self, store: Store, registry: Registry, reader: Reader, tiers: Tiers) -> None:
        self._store = store
        self._registry = registry
        self._reader = reader
        self._tiers = tiers
        self._held: dict[tuple[int, str], _Held] = {}
        self._merged: dict[str, pl.DataFrame] = {}
        self.begins: dict[str, int] = {}
        """Since when totals are counted, by policy."""
        self.versions: dict[str, int] = dict.fromkeys(KEYS, 0)
        """Changes with each type's totals."""

    def update(self, now: float) -> None:
        """Take in all that is in the store. Raises StoreError, ChunkError; what is known then stays as it was."""
        fresh = begins(self._tiers, now)
        if fresh != self.begins:
            self._held, self._merged, self.begins = {}, {}, fresh
            self.versions = {name: version + 1 for name, version in self.versions.items()}
        for shard in range(self._store.shards):
            self._update_shard(shard)

    def of(self, type_name: str) -> pl.DataFrame:
        """The totals of a type, by KEYS: (count, total, min), or those of them that the type has."""
        if type_name not in self._merged:
            found = [
                held.total for (_, kind), held in self._held.items() if kind == type_name and held.total is not None
            ]
            columns = _COLUMNS[type_name]
            empty = pl.DataFrame(schema={name: _SCHEMA[name] for name in columns})
            self._merged[type_name] = pl.concat([empty, *(one.select(columns) for one in found)])
        return self._merged[type_name]

    def _update_shard(self, shard: int) -> None:
        for _ in range(ATTEMPTS):
            infos = self._wanted(shard)
            if self._take(shard, infos):
                return
        raise StoreError(f"shard {shard} changed {ATTEMPTS} times while it was read: try again")

    def _wanted(self, shard: int) -> dict[str, list[ChunkInfo]]:
        """The chunks with something to add, by type."""
        first = min(self.begins.values())
        found: dict[str, list[ChunkInfo]] = {name: [] for name in KEYS}
        for info in self._store.chunks(shard):
            if info.type in found and info.view in (RAW, FLEET) and info.stop > first:
                found[info.type].append(info)
        return found

    def _take(self, shard: int, infos: Mapping[str, Sequence[ChunkInfo]]) -> bool:
        """Bring a shard's totals to what these chunks add; false where one of them is gone."""
        fresh: dict[str, dict[int, pl.DataFrame]] = {}
        for name, some in infos.items():
            known = self._known(shard, name).parts
            found = self._parts(name, [info for info in some if info.id not in known])
            if found is None:
                return False
            fresh[name] = found
        for name, some in infos.items():
            self._add(shard, name, {info.id for info in some}, fresh[name])
        return True

    def _known(self, shard: int, name: str) -> _Held:
        return self._held.setdefault((shard, name), _Held())

    def _parts(self, name: str, infos: Sequence[ChunkInfo]) -> dict[int, pl.DataFrame] | None:
        """What each of the chunks adds; None where one is gone."""
        found = {}
        for some in _by_rows(infos):
            loaded = self._reader.load(some, keep=False)
            if loaded is None:
                return None
            found |= {info.id: self._part(name, states) for info, states in zip(some, loaded, strict=True)}
        return found

    def _part(self, name: str, states: pl.DataFrame) -> pl.DataFrame:
        parts = [some.filter(self.begins[policy] <= SLICE) for policy, some in self._tiers.by_policy(states)]
        counted = pl.concat(parts)
        if name == "percentile":
            counted = with_rungs(counted)
        return _summed(name, [counted])

    def _add(self, shard: int, name: str, there: set[int], fresh: Mapping[int, pl.DataFrame]) -> None:
        held = self._known(shard, name)
        gone = held.parts.keys() - there
        if not gone and not fresh:
            return
        held.parts = {key: part for key, part in held.parts.items() if key in there} | dict(fresh)
        if gone or held.total is None:
            total = _summed(name, [held.parts[key] for key in sorted(held.parts)])
            held.total = total if held.total is None else not_below(name, total, held.total)
        else:
            held.total = _summed(name, [held.total, *fresh.values()])
        self._merged.pop(name, None)
        self.versions[name] += 1


def _by_rows(infos: Sequence[ChunkInfo]) -> Iterator[list[ChunkInfo]]:
    """The chunks, some at a time: as many as have READ_ROWS States together."""
    some: list[ChunkInfo] = []
    for info in infos:
        some.append(info)
        if sum(one.rows for one in some) >= READ_ROWS:
            yield some
            some = []
    if some:
        yield some


def _summed(name: str, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Parts added up, in their order."""
    columns = _COLUMNS[name]
    if not parts:
        return pl.DataFrame(schema={column: _SCHEMA[column] for column in columns})
    whole = pl.concat([part.select(columns) for part in parts])
    return whole.group_by(KEYS[name], maintain_order=True).agg(SUMS[name])


def not_below(name: str, total: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """`total`, but no sum is less than `before` by rounding alone."""
    if "total" not in total.columns:
        return total
    joined = total.join(before.select(*KEYS[name], before="total"), on=KEYS[name], how="left", maintain_order="left")
    fallen = pl.col("before") - pl.col("total")
    rounded = (fallen > 0) & (fallen <= ROUNDING * pl.col("before").abs())
    kept = pl.when(rounded).then("before").otherwise("total").alias("total")
    return joined.with_columns(kept).drop("before")
