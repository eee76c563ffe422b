"""`counter`: how many, how much, how often."""

import polars as pl

from taba.handlers.base import NUMBER, SECONDS, Compared, Handler, Measure, count_sum, counted, summed

COUNT = count_sum(pl.col("count"))
TOTAL = pl.col("total").sum()

SUMMARY = {
    "count": counted(),
    "total": summed(NUMBER),
    "min": Measure(NUMBER.min(), "min"),
    "max": Measure(NUMBER.max(), "max"),
}
SUMMARY_ANSWER = {
    "count": COUNT,
    "total": TOTAL,
    "mean": TOTAL / COUNT,
    "min": pl.col("min").min(),
    "max": pl.col("max").max(),
}


class Counter(Handler):
    """Count, total, mean, min and max of the values; `rate` is the total per second of the window."""

    type = "counter"
    measures = SUMMARY
    projection = SUMMARY_ANSWER | {"rate": TOTAL / SECONDS}
    empty = {"count": 0, "total": 0.0, "rate": 0.0}
    compare = Compared.COUNTS
