"""`counter`: how many, how much, how often."""

import polars as pl

from taba.handlers.base import COUNT_EVENTS, NUMBER, SECONDS, Compared, Handler, Measure

COUNT = pl.col("count").sum()
TOTAL = pl.col("total").sum()

SUMMARY = {
    "count": Measure(COUNT_EVENTS, "sum"),
    "total": Measure(NUMBER.sum(), "sum"),
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
