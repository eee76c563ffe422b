"""`uniques`: how many distinct values, by HyperLogLog.

A value's 64-bit hash picks one of 4,096 registers, which keeps the greatest rank (leading zeros + 1) of the
hash's other 52 bits. The estimate is Ertl's improved raw estimator ("New cardinality estimation algorithms for
HyperLogLog sketches", 2017, section 2.3), which needs no correction by tables at any size.
"""

import math

import polars as pl

from taba.handlers.base import TEXT, Handler, Measure, Value
from taba.handlers.hashing import hash64

PRECISION = 12
REGISTERS = 1 << PRECISION
ERROR = round(2 * 1.04 / math.sqrt(REGISTERS), 4)
"""Two standard errors, relative: about 95 of 100 answers are within it."""

HASH = TEXT.map_batches(hash64, return_dtype=pl.UInt64, is_elementwise=True)
REST = HASH // pl.lit(REGISTERS, dtype=pl.UInt64)
RANK = (REST.bitwise_leading_zeros() + (1 - PRECISION)).cast(pl.UInt8)


def _sigma(share: pl.Expr) -> pl.Expr:
    """Ertl's sigma: share + the sum over k >= 1 of share^(2^k) 2^(k-1); 20 terms suffice for 1 - 1/4096."""
    terms = [share.pow(2**k) * float(2 ** (k - 1)) for k in range(1, 21)]
    return pl.sum_horizontal(share, *terms)


def estimate() -> pl.Expr:
    """Distinct values from a group's registers, those that never were set being absent."""
    unset = (REGISTERS - pl.len().cast(pl.Float64)) / REGISTERS
    harmonic = (pl.lit(0.5).pow(pl.col("rank").cast(pl.Float64))).sum() + REGISTERS * _sigma(unset)
    return (REGISTERS**2 / (2 * math.log(2)) / harmonic).round().cast(pl.UInt64)


class Uniques(Handler):
    """The number of distinct values, and the relative error within which it is in 95 of 100 cases."""

    type = "uniques"
    value = Value.TEXT
    cells = {"register": (HASH % REGISTERS).cast(pl.UInt16)}
    measures = {"rank": Measure(RANK.max(), "max")}
    projection = {"uniques": estimate(), "error": pl.lit(ERROR)}
    empty = {"uniques": 0, "error": ERROR}
