"""The arithmetic of comparisons: against scipy's own tests, exact sums, and laws that hold for all numbers."""

import math
from fractions import Fraction

import numpy as np
import pytest
from fleets import numbers
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from taba.comparing import counts, ranks, spread, tails
from taba.comparing.terms import Effect, Terms
from taba.comparing.verdicts import holm, judged, overall
from taba.handlers.base import Compared
from taba.handlers.counter import Counter
from taba.handlers.registry import HandlerError, check
from taba.handlers.uniques import Uniques

FEW = st.integers(0, 60)
SIZES = st.integers(60, 400)


def p(z):
    return spread.unknown().p(z)


@given(FEW, SIZES, FEW, SIZES)
def test_fishers_p_is_twice_the_smaller_exact_tail(x1, n1, x2, n2):
    """Summed with fractions, without any rounding."""
    hits, size = x1 + x2, n1 + n2
    chances = [Fraction(math.comb(n1, k) * math.comb(n2, hits - k), math.comb(size, hits)) for k in range(hits + 1)]
    exact = min(1, 2 * min(sum(chances[x1:]), sum(chances[: x1 + 1])))
    z = tails.shares(x1, n1, x2, n2)
    assert p(z) == pytest.approx(float(exact), rel=1e-8)
    assert p(tails.shares(x2, n2, x1, n1)) == pytest.approx(float(exact), rel=1e-8)


@given(FEW, SIZES, FEW, SIZES)
def test_the_p_of_rates_is_that_of_scipys_binomial_test(x1, n1, x2, n2):
    """One-sided both ways, the smaller doubled."""
    share = n1 / (n1 + n2)
    one_sided = [stats.binomtest(x1, x1 + x2, share, side).pvalue for side in ("less", "greater")] if x1 + x2 else [1]
    assert p(tails.rates(x1, n1, x2, n2)) == pytest.approx(min(1, 2 * min(one_sided)), rel=1e-8)


@pytest.mark.parametrize(
    ("x1", "n1", "x2", "n2"),
    [
        (5_829_225, 11_521_918, 5_760_959, 11_521_918),
        (900, 10**9, 1100, 10**9),
        (10**11, 10**12, 10**11 + 10**6, 10**12),
    ],
)
def test_large_counts_have_a_p(x1, n1, x2, n2):
    """Where scipy has been slow, or its functions give NaN: near the normal limit, in a moment."""
    expected = (x1 / n1 - x2 / n2) / math.sqrt((x1 + x2) / (n1 + n2) * (1 - (x1 + x2) / (n1 + n2)) * (1 / n1 + 1 / n2))
    assert tails.shares(x1, n1, x2, n2) == pytest.approx(expected, rel=0.02)
    rates = tails.rates(x1, n1, x2, n2)
    assert math.isfinite(rates)
    assert (rates > 0) == (x1 * n2 > x2 * n1)


def test_where_p_is_too_small_for_a_number_z_is_not():
    """It goes on growing, so that the clients' spread can divide it."""
    found = [tails.rates(1000 * factor, 1, 1000, 1) for factor in (1, 2, 4, 8, 16, 1000)]
    assert found == sorted(found)
    assert found[-1] > 400
    both = tails.shares(9_000, 10_000, 1_000, 10_000), tails.shares(90_000, 100_000, 10_000, 100_000)
    assert 100 < both[0] < both[1] < math.inf


@given(st.integers(0, 1000), st.integers(1000, 10**7), st.floats(0.0001, 0.4))
def test_limits_hold_the_value_and_are_clopper_and_pearsons(x, n, tail):
    low, high = tails.share_limits(x, n, tail)
    assert 0 <= low <= x / n <= high <= 1
    known = stats.binomtest(x, n).proportion_ci(1 - 2 * tail, "exact")
    assert (low, high) == pytest.approx((known.low, known.high), rel=1e-6)
    low, high = tails.rate_limits(x, n, tail)
    assert low <= x / n <= high


@given(st.lists(st.integers(0, 5), min_size=5, max_size=30), st.lists(st.integers(0, 5), min_size=5, max_size=30))
def test_the_rank_test_is_scipys(first, second):
    """With ties, its normal limit without a correction for continuity."""
    bins = [np.bincount(values, minlength=6).astype(float)[None, :] for values in (first, second)]
    ends = np.arange(6.0)
    groups = [ranks.Histogram(counts, ends + 1, ends + 1) for counts in bins]
    finding, _ = ranks._rank(*groups, Terms(), pairs=False)
    if len({*first, *second}) > 1:
        known = stats.mannwhitneyu(first, second, use_continuity=False, method="asymptotic")
        assert finding.p == pytest.approx(known.pvalue, rel=1e-6, abs=1e-12)
        assert finding.effect.delta == pytest.approx(2 * known.statistic / len(first) / len(second) - 1)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holms_p_are_in_order_and_never_smaller(ps):
    adjusted = holm(ps)
    assert all(one >= before for one, before in zip(adjusted, ps, strict=True))
    assert sorted(adjusted) == [adjusted[place] for place in sorted(range(len(ps)), key=lambda place: ps[place])]
    assert all(one <= 1 for one in adjusted)


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**7)), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**7)), min_size=1, max_size=5),
    st.booleans(),
)
def test_any_counts_get_a_verdict(first, second, by_time):
    """No numbers make it fail; what is beyond and within are never both so."""
    one, other = (numbers(*np.array(group, dtype=float).T) for group in (first, second))
    tested = counts.compare(one, other, Terms(), per=None if by_time else "requests")
    found = judged({"tab": tested}, Terms())["tab"]
    assert found["reason"]
    assert found["p"] is None or 0 <= found["p"] <= 1
    for finding in tested.findings:
        effect = finding.effect
        assert isinstance(effect, Effect)
        assert not (effect.beyond(0.1001) and effect.within(0.1))
        assert effect.ratio is None or effect.low <= effect.ratio * (1 + 1e-9)
        assert effect.ratio is None or effect.ratio <= effect.high * (1 + 1e-9)


@given(st.integers(50, 3000), st.floats(0.01, 100), st.floats(0, 3), st.integers(1, 4))
def test_any_distributions_get_a_verdict(size, scale, sigma, clients):
    """Wide ones and ones of a single value; values below zero too."""
    random = np.random.default_rng(size)
    values = np.sort(random.normal(0, sigma, (clients + 1, size)) * scale, axis=1).round(1)
    steps = np.unique(values)
    held = np.stack([np.bincount(np.searchsorted(steps, row), minlength=len(steps)) for row in values]).astype(float)
    one, other = ranks.Histogram(held[:1], steps, steps), ranks.Histogram(held[1:], steps, steps)
    found = judged({"tab": ranks.compare(one, other, Terms())}, Terms())["tab"]
    assert found["reason"]
    assert 0 <= found["p"] <= 1
    assert found["client"]["p50"] == pytest.approx(np.sort(values[0])[int(0.5 * (size - 1))], abs=scale)


def test_the_verdict_over_all_is_the_worst():
    assert overall(["same", "same"]) == "same"
    assert overall(["same", "not enough data"]) == "not enough data"
    assert overall(["not enough data", "different"]) == "different"
    assert overall([]) == "not enough data"


def test_clients_that_differ_make_a_test_stricter():
    """The same pair of counts, among clients that are alike and among some that are not."""
    alike = counts.compare(
        numbers(np.array(1300), np.array(600)), numbers(np.full(10, 1000), np.full(10, 600)), Terms()
    )
    fleet = np.array([700, 1300, 900, 1100, 1000, 600, 1400, 1000, 950, 1050])
    apart = counts.compare(numbers(np.array(1300), np.array(600)), numbers(fleet, np.full(10, 600)), Terms())
    assert alike.findings[0].p < 0.001
    assert apart.findings[0].p > 0.1
    assert apart.spread > 10 > alike.spread


def test_a_handler_that_cannot_be_compared_as_it_says_is_refused():
    """Its States must have the columns that are compared."""

    class Wrong(Uniques):
        type = "wrong"
        compare = Compared.RANKS

    class Strange(Counter):
        type = "strange"
        compare = "counts"

    with pytest.raises(HandlerError, match="needs one cell whose order"):
        check(Wrong)
    with pytest.raises(HandlerError, match="compare must be"):
        check(Strange)
