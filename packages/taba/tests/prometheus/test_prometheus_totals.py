"""Totals only rise: over compaction, ageing, restarts, and from one server to another on the same store."""

from __future__ import annotations

import random
from itertools import accumulate
from operator import mul

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_world import Samples, counters, exposition, key, samples, text_of
from world import World, tiers

from taba.config import TierPattern
from taba.prometheus.totals import Totals, begins, not_below, period, steady
from taba.states import tiers as tiers_module
from taba.states.reading import ChunkCache, Reader
from taba.states.tiers import Tiers

NOW = 1_795_000_000.0
DAY = 86_400.0
SHORT = tiers(["1s for 2m"], ["1s for 2m", "10s for 10m", "1m for 4h"])


def fallen(before: Samples, after: Samples) -> dict[object, tuple[float, float | None]]:
    """The samples that are less than they were, or gone."""
    return {key: (value, after.get(key)) for key, value in counters(before).items() if after.get(key, -1.0) < value}


def test_the_begin_is_the_same_for_all_and_lasts():
    """A begin depends on the clock and on the tiers alone, and all slices since then are kept."""
    fleet = tiers_module.ladder(["1s for 10m", "10s for 6h", "1m for 2d", "15m for 30d", "1d for 2y"])
    assert period(fleet) == 365 * DAY
    both = Tiers({"": fleet}, {"": fleet})
    starts = {begins(both, NOW + hours * 3600)[""] for hours in range(0, 365 * 24, 24)}
    assert len(starts) == 2
    assert all(start % DAY == 0 for start in starts)
    assert NOW - min(starts) < 365 * DAY


@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(2, 5000))
def test_no_slice_lies_across_a_begin(factors: list[int], keep: int):
    """Or its States would be out of the total once they are merged into a slice that began before."""
    widths = list(accumulate(factors, mul))
    steps = tiers_module.ladder([f"{width}s for {keep * widths[-1]}s" for width in widths])
    assert all(period(steps) % width == 0 for width in widths)
    begin = begins(Tiers({"": steps}, {"": steps}), NOW)[""]
    for second in (begin, begin + 1, begin + period(steps) // 2):
        assert all(second // width * width >= begin for width in widths)


@given(st.floats(-1e18, 1e18), st.floats(0, 1e18))
def test_steady_numbers_never_fall_where_the_sum_does_not(total: float, more: float):
    """What makes small differences disappear must not make a fall of a rise."""
    first, second = pl.DataFrame({"t": [total, total + more]}).select(steady(pl.col("t")))["t"]
    assert first <= second


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=50), st.randoms())
def test_steady_numbers_do_not_depend_on_the_order(cents: list[int], random_: random.Random):
    """Chunks are merged in another order than they came in; a total in cents must not fall by that."""
    values = [cent / 100 for cent in cents]
    shuffled = random_.sample(values, len(values))
    sums = pl.DataFrame({"t": [sum(values), sum(shuffled), sum(sorted(values))]}).select(steady(pl.col("t")))["t"]
    assert sums.n_unique() == 1
    assert sums[0] == pytest.approx(sum(cents) / 100, abs=1e-6)


def test_a_fall_by_rounding_is_none():
    """A sum of the same numbers in another order is not less than it was; a true fall stays one."""
    before = pl.DataFrame({"tab": ["a", "b", "c"], "total": [0.30000000000000004, 5.0, -1.0]})
    after = pl.DataFrame({"tab": ["c", "b", "a", "d"], "total": [-2.0, 4.0, 0.3, 1.0]})
    found = not_below("counter", after, before)
    assert found.rows() == [("c", -2.0), ("b", 4.0), ("a", 0.30000000000000004), ("d", 1.0)]


def test_whole_numbers_are_exact():
    """Counts beyond ten digits must not lose their ends."""
    numbers = [0.0, 1.0, 9_999_999_999.0, 10_000_000_001.0, float(2**53)]
    assert pl.DataFrame({"t": numbers}).select(steady(pl.col("t")))["t"].to_list() == numbers


def test_no_total_falls_while_slices_age_and_servers_change(tmp_path):
    """The promise to Prometheus, which takes each fall for a restart: over hours of recording, late events among them,
    with compaction and a restart now and then, on two servers that are asked in turn."""
    rng = random.Random(7)
    start = NOW // 7200 * 7200 + 60
    with World(tmp_path, start, SHORT) as world, World(tmp_path, start, SHORT) as other:
        texts = [exposition(world.service), exposition(other.service)]
        before: Samples = {}
        recorded = 0
        for turn in range(36):
            world.now = other.now = start + turn * 180
            events = []
            for _ in range(30):
                time = world.now - rng.choice([0.5, 1, 30, 1000 if turn > 6 else 1])
                events.append((rng.choice(["c", "c.x{k=1}"]), f"w{rng.randrange(3)}", time, rng.random()))
                events.append(("p", "w1", time, rng.expovariate(0.1)))
                events.append(("t", "w1", time, rng.choice("abc")))
            world.post(events)
            recorded += 30
            if turn % 3 == 0:
                world.compact()
            if turn % 12 == 11:
                texts[0] = exposition(world.service)
            other.service.freshness.catch_up()
            for made in (*texts, texts[turn % 2]):
                found = samples(text_of(made))
                assert fallen(before, found) == {}
                before = found
            assert found[key("p_count")] == recorded
            assert found[key("t_events_total")] == recorded
        assert found[key("c_total")] + found[key("c_x_total", k="1")] == pytest.approx(
            sum(value for tab, _, _, value in world.events if tab[0] == "c"), rel=1e-9
        )


def test_a_new_period_begins_at_zero(tmp_path):
    """At a period's end all totals begin anew together, as after a restart, and nothing old comes back."""
    start = NOW // 7200 * 7200
    with World(tmp_path, start + 7100, SHORT) as world:
        made = exposition(world.service)
        world.post([("c", "w", world.now, 5.0)])
        before = samples(text_of(made))
        assert before[key("c_total")] == 5
        assert before[key("taba_counted_from_timestamp_seconds", tiers="default")] == start
        world.now = start + 7210
        world.post([("c", "w", world.now, 2.0)])
        world.compact()
        after = samples(text_of(made))
        assert after[key("c_total")] == 2
        assert after[key("taba_counted_from_timestamp_seconds", tiers="default")] == start + 7200


def test_tabs_that_follow_other_tiers_have_their_own_begin(tmp_path):
    """A tab that is kept for an hour only is counted since a begin of its own."""
    pattern = TierPattern("c.short*", ("1s for 1h",), ("1s for 1h",))
    start = NOW // 7200 * 7200
    with World(tmp_path, start + 1700, tiers(["1s for 2m"], ["1s for 4h"], [pattern])) as world:
        made = exposition(world.service)
        world.post([("c.short", "w", world.now, 1.0), ("c.long", "w", world.now, 1.0)])
        assert samples(text_of(made))[key("c_short_total")] == 1
        world.now = start + 1900
        world.post([("c.short", "w", world.now, 1.0), ("c.long", "w", world.now, 1.0)])
        for _ in range(2):
            found = samples(text_of(made))
            assert (found[key("c_short_total")], found[key("c_long_total")]) == (1, 2)
            world.compact()
        assert found[key("taba_counted_from_timestamp_seconds", tiers="c.short*")] == start + 1800


def test_what_was_read_once_is_not_read_again(tmp_path):
    """A scrape costs what is new, however much there is: chunks that are known are not asked for."""
    with World(tmp_path, NOW) as world:
        asked: list[int] = []

        class Counting(Reader):
            def load(self, infos, *, keep=True):
                asked.extend(info.id for info in infos)
                return super().load(infos, keep=keep)

        reader = Counting(world.service.store, world.service.registry, ChunkCache(0))
        totals = Totals(world.service.store, world.service.registry, reader, world.service.tiers)
        world.post([("c", "w", NOW, 1.0), ("p", "w", NOW, 1.0)])
        totals.update(NOW)
        assert len(asked) == 2
        version = dict(totals.versions)
        totals.update(NOW)
        assert len(asked) == 2
        assert totals.versions == version
        world.post([("c", "w", NOW, 1.0)])
        totals.update(NOW)
        assert len(asked) == 3
        assert totals.versions == version | {"counter": version["counter"] + 1}
