"""Events -> States -> fewer States -> answers: the arithmetic that every type shares. No I/O, no clock.

    fold      events                          -> States by (tab, client, slice of one second)
    merge     States, the keys to merge by    -> States by those keys
    project   States, the keys of an answer   -> one row of answers for each key

The handler's declaration says how; all of it runs as group-bys over columns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from taba.handlers.base import EVENT_SCHEMA, EXACT, INEXACT_SCHEMA, Handler
from taba.handlers.registry import HandlerError

CLIENT_KEYS = ("tab", "client", "slice")
FLEET_KEYS = ("tab", "slice")
SLICE = pl.col("slice")


def fold(handler: Handler, events: pl.DataFrame, keys: Sequence[str] = ()) -> pl.DataFrame:
    """States of one second each, from events (columns as EVENT_SCHEMA) and further `keys` that they carry.

    Events may have the columns of INEXACT_SCHEMA too.
    """
    keys = [*keys, *CLIENT_KEYS]
    cells = [expression.alias(name) for name, expression in handler.cells.items()]
    inexact = "weight" in events.columns
    measures = [measure.folded(name, inexact=inexact) for name, measure in handler.measures.items()]
    rows = events.with_columns(pl.col("time").floor().cast(pl.UInt32).alias("slice"))
    if not inexact:
        # A type may ask for weights wherever it likes.
        asked = {name for expression in (*cells, *measures) for name in expression.meta.root_names()}
        rows = rows.with_columns(value.alias(name) for name, value in EXACT.items() if name in asked)
    if not cells:
        return handler.trim(rows.group_by(keys).agg(measures), keys)
    # A cell may have the name of an event's column, which the measures still mean.
    named = [cell.alias(f"cell {name}") for name, cell in zip(handler.cells, cells, strict=True)]
    states = rows.with_columns(named).group_by(*keys, *(f"cell {name}" for name in handler.cells))
    return handler.trim(states.agg(measures).rename({f"cell {name}": name for name in handler.cells}), keys)


def merge(handler: Handler, states: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """States with equal `keys` and cells become one; columns outside them are left out."""
    measures = [measure.merged(name) for name, measure in handler.measures.items()]
    return handler.trim(states.group_by(*keys, *handler.cells).agg(measures), keys)


def coarsen(handler: Handler, states: pl.DataFrame, width: int, keys: Sequence[str]) -> pl.DataFrame:
    """States of slices of `width` seconds; `keys` hold "slice"."""
    return merge(handler, states.with_columns((SLICE // width * width).cast(pl.UInt32)), keys)


def project(
    handler: Handler,
    states: pl.DataFrame,
    keys: Sequence[str],
    *,
    seconds: float,
    until: float | pl.Expr,
    fleet: bool,
    only: Collection[str] | None = None,
) -> pl.DataFrame:
    """The answers for each of `keys`, from States of a window of `seconds` that ends at `until`.

    `fleet` tells whether the States are many clients' (an Aggregate) or one's (a Projection). `only` are the answer's
    columns that are worked out; None: all of them.
    """
    columns = handler.aggregate if fleet and handler.aggregate is not None else handler.projection
    if only is not None:
        columns = {name: column for name, column in columns.items() if name in only}
    merged = merge(handler, states, keys)
    if handler.cells:
        merged = merged.sort(list(handler.cells))
    end = pl.lit(until, dtype=pl.Float64) if isinstance(until, int | float) else until.cast(pl.Float64)
    timed = merged.with_columns(end.alias("until"), pl.lit(seconds, dtype=pl.Float64).alias("seconds"))
    return timed.group_by(keys).agg([column.alias(name) for name, column in columns.items()])


def verify(handler: Handler) -> None:
    """Raise HandlerError unless the handler's expressions fold, merge and project (no events at all)."""
    try:
        fold(handler, pl.DataFrame(schema={**EVENT_SCHEMA, **INEXACT_SCHEMA}))
        states = fold(handler, pl.DataFrame(schema=EVENT_SCHEMA))
        for fleet in (False, True):
            project(handler, states, ["tab"], seconds=60.0, until=0.0, fleet=fleet)
    except Exception as error:
        raise HandlerError(f"the handler of type {handler.type!r} cannot fold and project: {error}") from error
