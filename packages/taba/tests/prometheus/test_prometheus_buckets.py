"""The bounds of histograms, and that the sketch's bins lie below them as is said."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from taba.handlers.percentile import GAMMA, Percentile
from taba.prometheus.buckets import BOUNDS, LADDER, with_rungs

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def first_bound(values: list[float]) -> list[float]:
    """The first bound whose bucket counts each value."""
    bins = pl.DataFrame({"number": values}).select(bin=Percentile.cells["bin"], value="number")
    return with_rungs(bins).join(LADDER, on="rung").sort("value")["bound"].to_list()


def test_every_value_up_to_a_bound_is_counted_below_it():
    """Whole numbers fall on bounds all the time: what equals a bound belongs to it."""
    assert first_bound(list(BOUNDS)) == list(BOUNDS)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_a_bucket_counts_no_value_beyond_a_bins_width(values: list[float]):
    """The stated error: a bucket's values exceed its bound by less than a bin's width."""
    for value, bound in zip(sorted(values), first_bound(values), strict=True):
        exact = next((one for one in BOUNDS if value <= one), float("inf"))
        assert bound <= exact
        if bound < exact:
            assert value <= (bound * GAMMA if bound > 0 else bound / GAMMA) * (1 + (1e-9 if bound > 0 else -1e-9))


def test_the_ladder_is_ascending_and_ends_with_infinity():
    """Buckets are cumulative: bins must ascend with the bounds, and the last must hold all."""
    assert LADDER["bound"].is_sorted()
    assert LADDER["bin"].is_sorted()
    assert LADDER["bin"].n_unique() == LADDER.height
    assert LADDER["bound"][-1] == float("inf")
