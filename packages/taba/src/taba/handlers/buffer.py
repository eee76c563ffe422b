"""`buffer`: the last values themselves, with their times."""

from collections.abc import Sequence

import polars as pl

from taba.handlers.base import (
    COUNT_EVENTS,
    NUMBER,
    TEXT,
    TIME,
    Handler,
    Measure,
    Value,
    first,
    json_list,
    json_value,
)

CAPACITY = 100
SHOWN = pl.col("count").clip(upper_bound=CAPACITY)


class Buffer(Handler):
    """The newest values, newest first, and how many are kept; a State keeps the last CAPACITY."""

    type = "buffer"
    value = Value.ANY
    cells = {"at": TIME, "number": NUMBER, "text": TEXT}
    measures = {"count": Measure(COUNT_EVENTS, "sum")}
    projection = {
        "count": pl.col("count").sum().clip(upper_bound=CAPACITY),
        "values": json_list(
            first(
                pl.format('{{"time":{},"value":{}}}', pl.col("at"), json_value(pl.col("number"), pl.col("text")))
                .repeat_by(SHOWN)
                .explode()
                .reverse(),
                CAPACITY,
            )
        ),
    }
    empty = {"count": 0, "values": "[]"}

    def trim(self, states: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
        """Keep the CAPACITY newest distinct entries of each State."""
        newest = states.sort("at", "number", "text", descending=True, nulls_last=True)
        return newest.filter(pl.int_range(pl.len()).over(keys) < CAPACITY)
