"""Histograms of others: what is recorded for them adds up, lies in the right bucket, and says how wrong it can be."""

import math
from bisect import bisect_left
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba.dialects.buckets import Buckets, BucketsError, Weighed, explicit, exponential, less, weigh

BOUNDS = (0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0)
VALUES = st.lists(st.floats(0, 400, allow_subnormal=False), min_size=1, max_size=40)


def bucketed(values: list[float], bounds: tuple[float, ...] = BOUNDS) -> Buckets:
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    return explicit(bounds, counts)


def exponentially(values: list[float], scale: int) -> Buckets:
    """As an SDK counts them; values that are bounds are not among ours."""
    positive = Counter(math.ceil(math.log2(value) * 2.0**scale) - 1 for value in values if value > 0)
    negative = Counter(math.ceil(math.log2(-value) * 2.0**scale) - 1 for value in values if value < 0)
    return exponential(scale, values.count(0), 0.0, list(positive.items()), list(negative.items()))


def total(weighed: Weighed) -> float:
    return math.fsum(number * weight for number, weight in zip(weighed.numbers, weighed.weights, strict=True))


def errors(weighed: Weighed, values: list[float]) -> float:
    """The greatest relative error, when the numbers stand for the values in their order."""
    stands = sorted(zip(weighed.numbers, weighed.weights, strict=True))
    numbers = [number for number, weight in stands for _ in range(int(weight))]
    return max(
        abs(number - value) / abs(value) if value else float(number != 0)
        for number, value in zip(numbers, sorted(values), strict=True)
    )


@given(VALUES, st.booleans())
def test_what_stands_for_a_histogram_has_its_count_and_sum_and_lies_within_the_error_told(
    values: list[float], told: bool
) -> None:
    """Totals and means are exact; a percentile is in its bucket, within the error."""
    ends = {"least": min(values), "most": max(values), "least_in": True, "most_in": True} if told else {}
    weighed = weigh(bucketed(values), math.fsum(values), **ends)  # type: ignore[arg-type]
    assert sum(weighed.weights) == len(values)
    assert total(weighed) == pytest.approx(math.fsum(values), rel=1e-9, abs=1e-9)
    assert weighed.error == 1 or errors(weighed, values) <= weighed.error + 1e-9
    if told:
        assert (min(weighed.numbers), max(weighed.numbers)) == pytest.approx((min(values), max(values)))


@given(st.lists(st.floats(-1e4, 1e4).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=60), st.integers(-2, 6))
def test_an_exponential_histogram_with_negative_values_keeps_its_error(values: list[float], scale: int) -> None:
    """Any scale, any sign: the error told holds, and without a sum it is that of the scale."""
    buckets = exponentially(values, scale)
    weighed = weigh(buckets, math.fsum(values))
    assert total(weighed) == pytest.approx(math.fsum(values), rel=1e-6, abs=1e-6)
    assert weighed.error == 1 or errors(weighed, values) <= weighed.error + 1e-6
    base = 2.0**2.0**-scale
    alone = weigh(buckets, None)
    assert alone.error == pytest.approx((base - 1) / (base + 1))
    assert errors(alone, values) <= alone.error + 1e-6


def test_what_only_the_bucket_is_known_of_says_so() -> None:
    """The bucket from 0 and the one without end are never told as if they were known."""
    assert weigh(explicit((0.0, 5.0), (0, 4, 0)), 8.0).error == 1
    beyond = weigh(explicit((0.0, 5.0), (0, 0, 4)), 80.0)
    assert (list(beyond.numbers), list(beyond.weights), beyond.error) == ([20.0], [4.0], 1)
    assert weigh(explicit((0.0, 5.0), (0, 0, 4)), 80.0, 10.0, 30.0).error == pytest.approx(1.0)
    assert weigh(explicit((10.0, 20.0), (0, 4, 0)), 60.0).error == pytest.approx(0.5)
    assert weigh(exponential(0, 7, 0.0, []), 0.0) == weigh(exponential(0, 7, 0.0, []), None)
    assert weigh(explicit((5.0,), (0, 1)), 7.25).numbers[0] == 7.25
    assert weigh(Buckets(), 0.0).error == 0


@given(VALUES, VALUES, st.sampled_from([BOUNDS, BOUNDS[::2], (0.0, 25.0, 300.0), ()]))
def test_a_difference_holds_what_came_since_also_where_bounds_changed(
    before: list[float], came: list[float], other: tuple[float, ...]
) -> None:
    """No value is lost or made by a difference; in buckets that both know it is what came."""
    found = less(bucketed(before + came), bucketed(before, other))
    assert found is not None
    assert found.count == len(came)
    common = bucketed(came, tuple(bound for bound in BOUNDS if bound in other))
    assert all(high in {*BOUNDS, *other, math.inf} for high in found.highs)
    assert less(found, Buckets()) == found
    for low, high in pairwise([-math.inf, *(set(other) & set(BOUNDS) and sorted(set(other) & set(BOUNDS))), math.inf]):
        within = sum(
            count for a, b, count in zip(found.lows, found.highs, found.counts, strict=True) if low <= a and b <= high
        )
        wanted = sum(
            count
            for a, b, count in zip(common.lows, common.highs, common.counts, strict=True)
            if low <= a and b <= high
        )
        assert within == wanted


def test_a_coarser_scale_is_compared_with_the_finer_one_before() -> None:
    """SDKs halve the resolution as the range grows: that is no reset."""
    values = [1.1, 2.3, 9.7, 33.0]
    came = [1.2, 70.5, 5000.0]
    found = less(exponentially(values + came, 1), exponentially(values, 3))
    assert found == exponentially(came, 1)


def test_a_bucket_that_lost_values_is_a_reset() -> None:
    """Also where the count grew."""
    assert less(explicit((1.0,), (5, 0)), explicit((1.0,), (0, 1))) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: explicit((1.0, 1.0), (1, 1, 1)),
        lambda: explicit((math.nan,), (1, 1)),
        lambda: explicit((1.0,), (1,)),
        lambda: explicit((1.0,), (1, -1)),
        lambda: exponential(21, 0, 0.0, [(0, 1)]),
        lambda: exponential(0, 0, math.nan, [(0, 1)]),
        lambda: exponential(0, 0, 0.0, [(index, 1) for index in range(3000)]),
    ],
)
def test_what_makes_no_histogram_is_refused(make: object) -> None:
    """With the reason, and never taken for another."""
    with pytest.raises(BucketsError):
        make()  # type: ignore[operator]


@given(st.integers(-10, 20), st.integers(-(2**31), 2**31 - 1), st.integers(1, 2**53))
def test_the_ends_of_a_float_are_no_trouble(scale: int, index: int, count: int) -> None:
    """Any index of any scale gives finite numbers."""
    buckets = exponential(scale, 1, 0.0, [(index, count)], [(index, count)])
    for sum_told in (None, 0.0, 1e308):
        assert all(map(math.isfinite, weigh(buckets, sum_told).numbers))
