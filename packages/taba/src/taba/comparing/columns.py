"""States in tables -> the columns that are compared, a row for each client."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from taba.comparing.counts import Tally
from taba.comparing.ranks import Histogram
from taba.comparing.spread import Column
from taba.handlers.base import Handler
from taba.states.fold import merge

CLIENT = pl.col("client").cast(pl.String)


def tally(handler: Handler, states: pl.DataFrame | None, exposure: pl.DataFrame) -> Tally:
    """A group's counts. `exposure` has its clients and what each is counted for: client, exposure.

    A client without States has recorded nothing. `states` are of one tab; None: nobody has recorded anything.
    """
    if states is None:
        nothing = np.zeros(exposure.height)
        return Tally(nothing, nothing, _floats(exposure["exposure"]))
    merged = merge(handler, states.with_columns(CLIENT), ["client"])
    has_values = {"total", "min", "max"} <= set(merged.columns)
    wanted = [
        pl.col("count").cast(pl.Float64),
        pl.col("total" if has_values else "count").cast(pl.Float64).alias("sum"),
    ]
    held = exposure.join(merged.select("client", *wanted), on="client", how="left", maintain_order="left")
    count, total = (_floats(held[name].fill_null(0.0)) for name in ("count", "sum"))
    if not has_values:
        return Tally(count, total, _floats(held["exposure"]))
    inside = merged.join(exposure, on="client", how="semi")
    low, high = inside.select(pl.col("min").min(), pl.col("max").max()).row(0)
    low, high = (np.nan if value is None else float(value) for value in (low, high))
    return Tally(count, total, _floats(held["exposure"]), low, high)


def histograms(
    handler: Handler, groups: Sequence[pl.DataFrame | None], clients: Sequence[Sequence[str]]
) -> list[Histogram]:
    """Each group's events by client, as in `clients`, and bin; all groups with the same bins."""
    (cell,) = handler.cells
    merged = [
        None if states is None else merge(handler, states.with_columns(CLIENT), ["client"]).sort("client", cell)
        for states in groups
    ]
    kept = [states[cell] for states in merged if states is not None]
    bins = pl.concat(kept).unique().sort() if kept else pl.Series(dtype=pl.Int32)
    places = pl.DataFrame({cell: bins}).with_row_index("bin_place")
    return [_histogram(cell, states, places, names) for states, names in zip(merged, clients, strict=True)]


def _histogram(cell: str, states: pl.DataFrame | None, places: pl.DataFrame, clients: Sequence[str]) -> Histogram:
    counts = np.zeros((len(clients), places.height))
    low, high = np.full(places.height, np.nan), np.full(places.height, np.nan)
    if states is not None:
        rows = pl.DataFrame({"client": clients}, schema={"client": pl.String}).with_row_index("client_place")
        placed = states.join(rows, on="client").join(places, on=cell)
        counts[placed["client_place"].to_numpy(), placed["bin_place"].to_numpy()] = placed["count"].to_numpy()
        ends = placed.group_by("bin_place").agg(pl.col("min").min(), pl.col("max").max())
        low[ends["bin_place"].to_numpy()] = ends["min"].to_numpy()
        high[ends["bin_place"].to_numpy()] = ends["max"].to_numpy()
    return Histogram(counts, low, high)


def _floats(column: pl.Series) -> Column:
    return column.cast(pl.Float64).to_numpy()
