"""`percentile`: a distribution, from a sketch whose relative error is at most 1 %.

Values are counted in bins whose bounds grow by the factor GAMMA, so that the middle of a bin is within
ERROR of every value in it (DDSketch: Masson, Rim and Lee, VLDB 2019, section 2). A bin also keeps the least
and the greatest value that fell into it, and an estimate never leaves them; so p0 and p100 are exact.

Where the values themselves are not, as those of another program's histogram, a State keeps the greatest error that was
said of them. An estimate x of a value v that stands for u has |x - v| <= ERROR |v| and |v - u| <= said |u|, so
|x - u| <= ((1 + ERROR) (1 + said) - 1) |u|.
"""

import math

import polars as pl

from taba.handlers.base import ERROR as SAID
from taba.handlers.base import NUMBER, SECONDS, Compared, Handler, Measure
from taba.handlers.counter import COUNT, SUMMARY, SUMMARY_ANSWER

ERROR = 0.01
GAMMA = (1 + ERROR) / (1 - ERROR)
OFFSET = 40_000
"""Above the largest bin number of a float64 (37,225), so that signs can be told apart."""
QUANTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}

BIN = pl.col("bin")
MAGNITUDE = (NUMBER.abs().log() / math.log(GAMMA)).ceil() + OFFSET
MIDDLE = (((BIN.abs() - OFFSET) * math.log(GAMMA)).exp() * (2 / (1 + GAMMA)) * BIN.sign()).clip(
    pl.col("min"), pl.col("max")
)


def quantile(q: float) -> pl.Expr:
    """The estimate for the value whose rank, counted from 0, is nearest to q (n - 1), the lower of two."""
    many = pl.col("count").cast(pl.Float64)  # weights may add up to more than a whole number holds
    rank = (q * (many.sum() - 1) - 0.5).ceil()
    return MIDDLE.get((many.cum_sum() <= rank).sum())


class Percentile(Handler):
    """Count, total, mean, min, max and the percentiles; `rate` is events per second of the window."""

    type = "percentile"
    version = 2
    cells = {"bin": pl.when(NUMBER == 0).then(0).otherwise(MAGNITUDE * NUMBER.sign()).cast(pl.Int32)}
    measures = SUMMARY | {"error": Measure(pl.lit(0.0), "max", inexact=SAID.max())}
    projection = (
        SUMMARY_ANSWER
        | {"rate": COUNT / SECONDS}
        | {name: quantile(q) for name, q in QUANTILES.items()}
        | {"error": ERROR + (1 + ERROR) * pl.col("error").max()}
    )
    empty = {"count": 0, "total": 0.0, "rate": 0.0, "error": ERROR}
    compare = Compared.RANKS

    def upgrade(self, states: pl.DataFrame, version: int) -> pl.DataFrame:
        """Up to version 1 all values were exact."""
        del version
        return states.with_columns(error=pl.lit(0.0))
