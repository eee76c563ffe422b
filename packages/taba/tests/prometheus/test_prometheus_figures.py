"""Sums, last values and windows by columns, beside the same worked out one by one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba.prometheus.buckets import BOUNDS
from taba.prometheus.figures import Statistics, cumulative, last_values, reached, up_to
from taba.prometheus.promql.vectors import ExecutionError
from taba.prometheus.windows import begins, windows
from taba.states.tiers import ladder

LADDER = ladder(["1s for 10m", "10s for 6h", "1m for 2d"])
NOW = 1_000_000_007.3
AGES = st.integers(0, 3 * 86_400_000)
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(-9, 9)), max_size=30)


def width_at(time: int) -> int:
    """The width of the slice that a time (seconds) is in."""
    return next((tier.width for tier in LADDER if tier.cutoff(NOW) <= time), LADDER[-1].width)


@given(st.lists(AGES, min_size=1, max_size=9), st.integers(1, 10_000_000))
def test_windows_are_of_whole_slices_that_ended(ages: list[int], length: int):
    """A window ends with the last slice that ended, is never empty, and begins with the slice that was asked for."""
    times = np.array(sorted(int(NOW * 1000) - age for age in ages))
    starts, ends = windows(LADDER, times, length, NOW)
    for time, start, end in zip(times.tolist(), starts.tolist(), ends.tolist(), strict=True):
        width = width_at(time // 1000)
        assert end % width == 0
        assert time - width * 1000 < end * 1000 <= time
        assert start % width_at(start) == 0
        assert start < end
        first = (time - length) // 1000
        assert start == min(
            first // width_at(first) * width_at(first), (end - 1) // width_at(end - 1) * width_at(end - 1)
        )


@given(st.lists(AGES, min_size=1, max_size=20))
def test_later_times_are_never_in_earlier_slices(ages: list[int]):
    """Where the tiers change, too: a series never goes back in time."""
    times = np.array(sorted(int(NOW * 1000) - age for age in ages))
    assert (np.diff(begins(LADDER, times, NOW)) >= 0).all()


@given(ROWS, st.lists(st.integers(0, 50), min_size=2, max_size=6, unique=True))
def test_sums_between_edges(rows: list[tuple[int, int, int]], edges: list[int]):
    """The difference of two columns is the sum of what lies between their edges."""
    edges.sort()
    row, time, weight = (np.array([one[place] for one in rows], dtype=np.int64) for place in range(3))
    found = cumulative(row, time, weight.astype(float), np.array(edges), 4)
    for one in range(4):
        for first, last in ((0, -1), (0, 1), (-2, -1)):
            inside = (row == one) & (time >= edges[first]) & (time < edges[last])
            assert found[one, last] - found[one, first] == weight[inside].sum()


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(1, 30)), max_size=20, unique_by=lambda x: x[:2]
    ),
    st.lists(st.integers(0, 60), min_size=1, max_size=8, unique=True),
)
def test_the_last_value_holds_until_it_expires(rows: list[tuple[int, int, int]], steps: list[int]):
    """At each step a key's newest value that is not later, unless its time is over: then none, and no older one."""
    rows.sort()
    steps.sort()
    keys, times, lasts = (np.array([one[place] for one in rows], dtype=np.int64) for place in range(3))
    pairs = [
        pair
        for some, at in last_values(keys, times.astype(float), (times + lasts).astype(float), np.array(steps) * 1000)
        for pair in zip(some.tolist(), at.tolist(), strict=True)
    ]
    expected = []
    for place, step in enumerate(steps):
        for key in set(keys.tolist()):
            newest = [row for row in range(len(rows)) if keys[row] == key and times[row] <= step][-1:]
            expected += [(row, place) for row in newest if step < times[row] + lasts[row]]
    assert sorted(pairs) == sorted(expected)


def test_too_many_values_of_single_clients_are_refused():
    """What would be spread over too many steps is refused before it is."""
    many = np.arange(10_000)
    with pytest.raises(ExecutionError, match="values of single clients"):
        list(last_values(many, np.zeros(10_000), np.full(10_000, 1e9), np.arange(10_000) * 1000))


def test_statistics_pass_over_texts():
    """What is no number has a holder, and neither sum nor mean."""
    found = Statistics(2, 2)
    found.add(np.array([0, 0, 1]), np.array([0, 0, 1]), np.array([2.0, 4.0, np.nan]))
    told = {name: [table.tolist() for table in found.figure(name)] for name in ("sum", "mean", "min", "max", "clients")}
    assert told["mean"][1] == [[True, False], [False, False]]
    assert [told[name][0][0][0] for name in told] == [6, 3, 2, 4, 2]
    assert told["clients"] == [[[2, 0], [0, 1]], [[True, False], [False, True]]]


def test_bounds_reach_one_below_the_least_value_on_each_side_of_zero():
    """Without a bound below, a quantile would be drawn towards zero; and nothing lies between both sides but zero."""
    zero, top = BOUNDS.index(0.0), len(BOUNDS)
    states = pl.DataFrame(
        {"name": ["a", "a", "b", "b", "c"], "rung": [zero + 5, zero + 7, zero - 9, zero, top]},
        schema_overrides={"rung": pl.UInt16},
    )
    found = reached(states, "name")
    rungs = {name: found.filter(pl.col("name") == name)["rung"].to_list() for name in "abc"}
    assert rungs["a"] == [zero + 4, zero + 5, zero + 6, zero + 7, top]
    assert rungs["b"] == [zero - 10, zero - 9, zero, top]
    assert rungs["c"] == [top]


def test_buckets_add_up_within_their_own_histogram():
    """The first bucket of a histogram begins anew."""
    counts = np.array([[1.0], [2.0], [3.0], [5.0], [7.0]])
    assert up_to(counts, np.array([0, 3])).ravel().tolist() == [1, 3, 6, 5, 12]
