"""`top`: the most frequent values.

A State keeps the counts of its CAPACITY most frequent values; the others are added up in one row without a
value. `bound` is how many times a value may have occurred beyond the count that is shown (or, for a value
that is not shown, in all): what was trimmed of any one value never exceeds it. Bounds add up when States
merge, as in mergeable summaries (Agarwal et al., PODS 2012).
"""

from collections.abc import Sequence

import polars as pl

from taba.handlers.base import (
    MOST_COUNT,
    TEXT,
    Handler,
    Measure,
    Value,
    count_sum,
    counted,
    first,
    json_list,
    json_text,
)

CAPACITY = 1000
SHOWN = 20

COUNT = pl.col("count")
TRACKED = pl.col("label").is_not_null()


class Top(Handler):
    """The count of all events, the most frequent values with theirs, and the bound on what was trimmed."""

    type = "top"
    value = Value.TEXT
    cells = {"label": TEXT}
    measures = {"count": counted(), "bound": Measure(pl.lit(0, dtype=pl.UInt64), "count")}
    projection = {
        "count": count_sum(COUNT),
        "values": json_list(
            first(
                pl.format('{{"value":{},"count":{}}}', json_text(pl.col("label")), COUNT)
                .filter(TRACKED)
                .sort_by(COUNT.filter(TRACKED), descending=True, maintain_order=True),
                SHOWN,
            )
        ),
        "bound": count_sum(pl.col("bound")),
    }
    empty = {"count": 0, "values": "[]", "bound": 0}

    def trim(self, states: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
        """Keep the CAPACITY most frequent labels of each State; the least frequent go into its last row."""
        place = pl.int_range(pl.len()).over(keys)
        # The row without a label comes last: it takes no label's place.
        ranked = states.sort(~TRACKED, "count", "label", descending=[False, True, False]).with_columns(
            place=pl.when(TRACKED).then(place)
        )
        trimmed = ranked.filter(pl.col("place") >= CAPACITY)
        if trimmed.is_empty():
            return states
        rest = trimmed.group_by(keys).agg(
            count_sum(COUNT).alias("count"),
            bound=(COUNT.max() + count_sum(pl.col("bound"))).clip(upper_bound=MOST_COUNT),
        )
        rest = rest.with_columns(label=pl.lit(None, dtype=pl.String)).select(states.columns)
        kept = ranked.filter(pl.col("place").is_null() | (pl.col("place") < CAPACITY)).drop("place")
        merged = [measure.merged(name) for name, measure in self.measures.items()]
        return pl.concat([kept, rest]).group_by(*keys, "label").agg(merged)
