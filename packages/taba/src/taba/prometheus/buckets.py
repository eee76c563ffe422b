"""The bounds that a percentile's histogram has in Prometheus, and which of the sketch's bins lie below each.

    bounds    1, 1.5, 2, 2.5, 3.5, 5, 7.5 in each decade from 1e-9 to 1e12; the same below zero; and zero
              of the unit in which the values were recorded

A bound's bucket counts the bins up to the one that holds the bound. So all values up to the bound are in it, and of
those above only such as exceed it by less than 2.03 %, which is a bin's width (the sketch tells no closer: its
estimates are within 1 % of a value). Which bins these are never changes, so a bucket's count only rises.

Of all bounds a family has those that its values reach: from the greatest below its least value to the least above its
greatest, on each side of zero. They grow with what is recorded, and are the same for all tabs of a name.
"""

from __future__ import annotations

import polars as pl

from taba.handlers.base import NUMBER
from taba.handlers.percentile import Percentile

MANTISSAS = ("1", "1.5", "2", "2.5", "3.5", "5", "7.5")
DECADES = range(-9, 13)
POSITIVE = tuple(float(f"{digits}e{power}") for power in DECADES for digits in MANTISSAS)
BOUNDS = (*(-bound for bound in reversed(POSITIVE)), 0.0, *POSITIVE)
"""All bounds, ascending; beyond the last is infinity."""


def ladder() -> pl.DataFrame:
    """All bounds and infinity, ascending: (rung, bound, bin). `bin` is the last bin that a bound's bucket counts."""
    bounds = pl.DataFrame({"number": BOUNDS}).select(
        rung=pl.int_range(pl.len(), dtype=pl.UInt16), bound=NUMBER, bin=Percentile.cells["bin"]
    )
    top = pl.DataFrame({"rung": [len(BOUNDS)], "bound": [float("inf")], "bin": [2**31 - 1]}, schema=bounds.schema)
    return pl.concat([bounds, top])


LADDER = ladder()


def with_rungs(states: pl.DataFrame) -> pl.DataFrame:
    """Percentile States with the column `rung`: the first bound whose bucket counts the State's bin."""
    ordered = states.sort("bin")
    return ordered.join_asof(LADDER.select("rung", "bin"), on="bin", strategy="forward", check_sortedness=False)
