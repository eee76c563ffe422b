"""A type of your own, `ewma`: how many events a second, those of a minute ago counting 37 % (1/e) of those of now.

taba up --handlers docs/examples/ewma.py
"""

import polars as pl

from taba.handlers import Handler, Measure

SECONDS = 60
LAST = pl.col("last")


def faded(weight: pl.Expr, since: pl.Expr, now: pl.Expr) -> pl.Expr:
    """What is left at `now` of a weight that was whole at the time `since`."""
    return (weight * ((since - now) / SECONDS).exp()).sum()


class Ewma(Handler):
    """Exponentially weighted moving average of the values per second. State: a weight, and the time it holds for."""

    type = "ewma"
    measures = {
        "weight": Measure(
            fold=faded(pl.col("number"), pl.col("time"), pl.col("time").max()),
            merge=faded(pl.col("weight"), LAST, LAST.max()),
        ),
        "last": Measure(fold=pl.col("time").max(), merge="max"),
    }
    projection = {"rate": faded(pl.col("weight"), LAST, pl.col("until").first()) / SECONDS}
    empty = {"rate": 0.0}
