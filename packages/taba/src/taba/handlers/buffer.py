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
    json_list,
    json_value,
)

CAPACITY = 100
NEWEST_FIRST = {"by": ("at", "number", "text"), "descending": True, "nulls_last": True}


class Buffer(Handler):
    """The newest values, newest first, and how many are kept; a State keeps the last CAPACITY."""

    type = "buffer"
    value = Value.ANY
    cells = {"at": TIME, "number": NUMBER, "text": TEXT}
    measures = {"count": Measure(COUNT_EVENTS, "sum")}
    projection = {
        "count": pl.col("count").sum(),
        "values": json_list(
            pl.format('{{"time":{},"value":{}}}', pl.col("at"), json_value(pl.col("number"), pl.col("text")))
            .repeat_by("count")
            .explode()
            .sort_by(pl.col("at").repeat_by("count").explode(), descending=True, maintain_order=True)
            .head(CAPACITY)
        ),
    }
    empty = {"count": 0, "values": "[]"}

    def trim(self, states: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
        """Keep the CAPACITY newest distinct entries of each State."""
        newest = states.sort("at", "number", "text", descending=True, nulls_last=True)
        return newest.filter(pl.int_range(pl.len()).over(keys) < CAPACITY)
