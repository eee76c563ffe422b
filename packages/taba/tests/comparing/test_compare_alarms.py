"""What a comparison promises, on simulated fleets: few false alarms, and the changes that matter are seen."""

import numpy as np
import pytest
from fleets import distributions, numbers, tally

from taba.comparing import counts
from taba.comparing.terms import DIFFERENT, SAME, UNKNOWN, Terms
from taba.comparing.verdicts import judged

RUNS = 1000
MOST_ALARMS = {1000: 20, 300: 9}
"""Of so many runs at 1 %: more alarms than these come up once in a thousand times."""
TERMS = Terms()


def verdict(tested, terms=TERMS):
    return judged({"tab": tested}, terms)["tab"]["verdict"]


def assert_few_alarms(results, allowed=1):
    """As many of the results as the level allows have a p below it, whatever the effect."""
    found = [judged({"tab": tested}, TERMS)["tab"]["p"] for tested in results]
    assert sum(p is not None and p < TERMS.level for p in found) <= allowed * MOST_ALARMS[len(found)]


@pytest.mark.parametrize("clients", [1, 3, 20])
@pytest.mark.parametrize("mean", [2, 40, 2000])
def test_counters_without_a_difference_raise_few_alarms(clients, mean):
    """Rare events and frequent ones, against one client and against many."""
    random = np.random.default_rng(clients * 10_000 + mean)
    seconds = np.full(clients + 1, 600.0)
    events = random.poisson(mean, (RUNS, clients + 1))
    results = (counts.compare(numbers(run[0], seconds[0]), numbers(run[1:], seconds[1:]), TERMS) for run in events)
    assert_few_alarms(results)


@pytest.mark.parametrize(("share", "clients"), [(0.002, 1), (0.002, 10), (0.3, 10), (0.97, 3)])
def test_shares_without_a_difference_raise_few_alarms(share, clients):
    """Errors among requests: rare ones, common ones, and a share near 1."""
    random = np.random.default_rng(7)
    requests = random.integers(500, 5000, (RUNS, clients + 1))
    events = random.binomial(requests, share)
    results = (
        counts.compare(numbers(hits[0], sizes[0]), numbers(hits[1:], sizes[1:]), TERMS, per="requests")
        for hits, sizes in zip(events, requests, strict=True)
    )
    assert_few_alarms(results)


@pytest.mark.parametrize("mean", [40, 2000, 100_000])
def test_a_fleet_whose_clients_differ_raises_few_alarms(mean):
    """Clients vary by 10 % of themselves: a test that knew only chance would call nine of ten different."""
    random = np.random.default_rng(mean)
    rates = mean * np.exp(random.normal(0, 0.1, (RUNS, 11)))
    events = random.poisson(rates)
    results = [
        counts.compare(numbers(run[0], np.array(600.0)), numbers(run[1:], np.full(10, 600.0)), TERMS) for run in events
    ]
    assert_few_alarms(results, allowed=2)


@pytest.mark.parametrize(("clients", "runs"), [(1, 300), (5, RUNS)])
def test_percentiles_without_a_difference_raise_few_alarms(clients, runs):
    """A thousand fleets with one distribution, of four tests each."""
    random = np.random.default_rng(clients)
    values = [random.lognormal(3, 0.5, (runs, 200)) for _ in range(clients + 1)]
    assert_few_alarms(distributions(values))


def test_values_of_a_few_steps_raise_few_alarms():
    """Many events in one bin: ties are counted as such."""
    random = np.random.default_rng(3)
    values = [random.integers(1, 4, (300, 150)).astype(float) for _ in range(3)]
    assert_few_alarms(distributions(values))


def test_a_canary_whose_errors_rise_from_none_is_caught():
    """0.5 % of 20,000 requests fail on the canary, none elsewhere, of one client and of many."""
    for others in (1, 2, 19):
        canary = tally([100], [20_000.0])
        fleet = tally([0] * others, [20_000.0] * others)
        assert verdict(counts.compare(canary, fleet, TERMS, per="requests")) == DIFFERENT
        assert verdict(counts.compare(canary, fleet, TERMS)) == DIFFERENT


def test_such_a_canary_is_caught_nearly_always():
    """The same in 200 runs, with 0.1 % of errors everywhere else, which vary between clients."""
    random, caught = np.random.default_rng(5), 0
    for _ in range(200):
        hits = random.binomial(20_000, np.array([0.005, *(0.001 * np.exp(random.normal(0, 0.2, 10)))]))
        tested = counts.compare(
            numbers(hits[0], np.array(20_000)), numbers(hits[1:], np.full(10, 20_000)), TERMS, per="requests"
        )
        caught += verdict(tested) == DIFFERENT
    assert caught >= 198


@pytest.mark.parametrize(("canary", "other"), [(1, 0), (0, 1), (2, 0), (1, 2)])
def test_an_error_or_two_are_no_alarm(canary, other):
    """What one request in 20,000 does says nothing; and so rare a thing is the same."""
    tested = counts.compare(tally([canary], [20_000.0]), tally([other], [20_000.0]), TERMS, per="requests")
    assert verdict(tested) == SAME


def test_a_tail_that_moves_alone_is_caught():
    """p99 is 10 % higher and the median where it was: from 40,000 events of each of 11 clients."""
    random, caught = np.random.default_rng(11), 0
    normal = [random.standard_normal((10, 40_000)) for _ in range(11)]
    values = [np.exp(3 + 0.5 * part) for part in normal]
    beyond = np.clip((normal[0] - 1.2816) / (2.3263 - 1.2816), 0, None)
    values[0] = values[0] * 1.1**beyond
    for tested in distributions(values):
        found = judged({"tab": tested}, TERMS)["tab"]
        assert found["effect"]["p50"]["low"] < 1 < found["effect"]["p50"]["high"]
        caught += found["verdict"] == DIFFERENT
    assert caught >= 9


def test_the_same_is_only_said_where_a_difference_would_have_shown():
    """With few events nobody knows; with many it is the same."""
    random = np.random.default_rng(13)
    few = [random.lognormal(3, 0.5, (20, 300)) for _ in range(6)]
    many = [random.lognormal(3, 0.5, (5, 30_000)) for _ in range(9)]
    assert {verdict(tested) for tested in distributions(few)} == {UNKNOWN}
    assert [verdict(tested) for tested in distributions(many)].count(SAME) >= 4


def test_a_shift_of_a_fifth_is_never_called_the_same():
    """`same` rules out more than the margin of a tenth."""
    random = np.random.default_rng(17)
    values = [random.lognormal(3, 0.5, (50, 2000)) for _ in range(8)]
    values[0] = values[0] * 1.2
    assert SAME not in {verdict(tested) for tested in distributions(values)}


def test_a_difference_too_small_to_matter_is_no_alarm():
    """2 % more of millions of events: seen, and the same."""
    tested = counts.compare(
        numbers(np.array(10_200_000), np.array(600)), numbers(np.array(10_000_000), np.array(600)), TERMS
    )
    assert tested.findings[0].p < 1e-100
    assert verdict(tested) == SAME


def test_totals_are_tested_beside_counts():
    """As many events, each ten times as large for a tenth of them: the total shows it, the count does not."""
    random = np.random.default_rng(19)
    small = random.choice([1.0, 2.0], 5000)
    large = np.where(random.random(5000) < 0.5, 2.0, small)
    groups = [
        counts.Tally(np.array([5000.0]), np.array([values.sum()]), np.array([600.0]), 1.0, 2.0)
        for values in (large, small)
    ]
    found = judged({"tab": counts.compare(*groups, TERMS)}, TERMS)["tab"]
    assert found["verdict"] == DIFFERENT
    assert found["effect"]["total"]["p"] < 0.01 < found["effect"]["count"]["p"]
