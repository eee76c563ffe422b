"""Compaction changes where States lie, never what they answer: over minutes, hours and days, with late events."""

import random
import tempfile
import threading
import time
from collections import Counter

import pytest
from handler_cases import START
from hypothesis import given, settings
from hypothesis import strategies as st
from world import World, random_events, tiers

from taba.config import TierPattern
from taba.states import tiers as tiers_module
from taba.states.compactor import Compactor
from taba.states.reading import ChunkCache, Reader
from taba.states.tiers import CLIENTS, FLEET, RAW

MINUTE, HOUR, DAY = 60, 3_600, 86_400
SHORT = tiers(("1s for 20s", "5s for 2m", "30s for 1h"), ("1s for 30s", "10s for 5m", "1m for 2h"))
BASE = START // DAY * DAY


@pytest.fixture
def world(tmp_path):
    with World(tmp_path, BASE + 100.0) as world:
        yield world


def widths(world):
    """How many chunks there are by view and width."""
    store = world.service.store
    return Counter((chunk.view, chunk.width) for shard in range(store.shards) for chunk in store.chunks(shard))


def aligned_windows(world, rng, view, oldest, count=1):
    """Windows that begin and end where slices of their time do, and that the view's tiers still keep."""
    configured = world.service.tiers
    ladders = configured.clients if view == CLIENTS else configured.fleet
    first = max(oldest, world.now - ladders[""][-1].keep)
    for _ in range(count):
        start = rng.uniform(first, world.now)
        width = configured.width_at(view, start, now=world.now)
        start = -(-start // width) * width
        stop = start + width * rng.randint(1, max(int((world.now - start) / width) + 1, 1))
        yield start, stop


def test_answers_stay_the_same_from_minutes_to_days(world):
    """Every slice one tier older gives the same answers, for the fleet and by client, late events included."""
    rng = random.Random(4)
    seen = set()
    for advance in [
        0,
        11,
        30,
        MINUTE,
        2 * MINUTE,
        10 * MINUTE,
        HOUR,
        2 * HOUR,
        6 * HOUR,
        DAY,
        2 * DAY,
        20 * DAY,
        40 * DAY,
    ]:
        world.now += advance
        # Most are of now, some are late, by up to what a client's tiers keep.
        for lateness in (30, DAY):
            world.post(random_events(rng, 40, max(world.now - lateness, BASE), world.now))
        for _ in range(2):
            for start, stop in aligned_windows(world, rng, FLEET, BASE):
                world.check_fleet(start, stop)
            for start, stop in aligned_windows(world, rng, CLIENTS, BASE):
                world.check_clients(start, stop)
            world.compact()
        seen |= set(widths(world))
    assert {width for view, width in seen if view == FLEET} == {1, 10, 60, 900, 86_400}
    assert {width for view, width in seen if view == CLIENTS} == {1, 60, 3_600}


@settings(max_examples=4)
@given(seed=st.integers(0, 1 << 32))
def test_answers_stay_the_same_whatever_comes_when(seed):
    """Random posts, pauses, compactions and restarts: windows aligned to the slices answer as the events do."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, World(folder, BASE + 100.0, SHORT) as world:
        letters = rng.sample("cpgutb", 3)
        for _ in range(10):
            world.now += rng.choice([1, 5, 30, 200, 1_000, 4_000])
            late = rng.choice([1, 20, 100, 1_000])
            world.post(random_events(rng, rng.randint(1, 30), world.now - late, world.now, letters))
            if rng.random() < 0.7:
                world.compact()
            if rng.random() < 0.1:
                world.reopen()
            for start, stop in aligned_windows(world, rng, FLEET, BASE):
                world.check_fleet(start, stop)
            for start, stop in aligned_windows(world, rng, CLIENTS, BASE):
                world.check_clients(start, stop)


def test_a_late_event_lands_in_its_old_block(world):
    """An event of two days ago is counted in its hour, beside what was there, before and after compaction."""
    world.post([("c", "a", BASE + 50.0, 1.0)])
    world.now += 2 * DAY - HOUR
    world.compact()
    world.post([("c", "a", BASE + 51.0, 2.0), ("c", "a", BASE + 3_700.0, 4.0)])
    for _ in range(2):
        assert world.aggregates(BASE, BASE + HOUR)["c"]["total"] == 3.0
        assert world.projections(BASE, BASE + HOUR)["c", "a"]["total"] == 3.0
        world.now += 60
        world.compact()
    assert sum(count for (view, _), count in widths(world).items() if view == RAW) == 0


def test_states_end_where_no_tier_keeps_them(world):
    """After what the last tier keeps, and a block more, nothing is left in the store: no chunk of it either."""
    rng = random.Random(0)
    world.post(random_events(rng, 50, BASE, world.now))
    world.now += 2 * DAY + 8 * HOUR
    world.compact()
    assert world.projections(0, world.now) == {}
    assert world.aggregates(0, world.now) != {}
    world.now += 2 * 365 * DAY
    world.compact()
    world.now += 100 * DAY
    world.compact()
    assert widths(world) == Counter()
    assert world.aggregates(0, world.now) == {}


@pytest.mark.parametrize("hours", [1, 3])
def test_compaction_comes_to_rest(world, hours):
    """With nothing new, nothing is rewritten for ever: each chunk moves a few times in hours of compacting."""
    rng = random.Random(1)
    for _ in range(20):
        world.now += 1
        world.post(random_events(rng, 60, world.now - 60, world.now))
        world.service.compactor.run(world.now)
    jobs = 0
    end = world.now + hours * HOUR
    while world.now < end:
        world.now += 7
        jobs += world.service.compactor.run(world.now)
    # A type and view has a few blocks of the first tier, and each moves on once or twice an hour.
    assert jobs < 2 * 7 * 2 * 12
    assert world.compact() == 0


def test_busy_compaction_keeps_few_chunks(world):
    """While events keep coming, the chunks of a shard stay few, and each State is rewritten a few times only."""
    rng = random.Random(2)
    most = 0
    for _ in range(120):
        world.now += 1
        world.post(random_events(rng, 12, world.now - 2, world.now, "c"))
        world.service.compactor.run(world.now)
        most = max(most, sum(widths(world).values()))
    assert most < 200
    world.check(BASE, world.now // MINUTE * MINUTE)


@pytest.fixture
def parted(monkeypatch):
    """Merging a few States at a time, those that hardly merge not at all, and chunks that count as large."""
    monkeypatch.setattr(tiers_module, "SAMPLED_ROWS", 1)
    monkeypatch.setattr(tiers_module, "SAMPLE", 2)
    monkeypatch.setattr(tiers_module, "PART_ROWS", 12)
    monkeypatch.setattr(tiers_module, "LARGE_ROWS", 5)
    monkeypatch.setattr(tiers_module, "JOB_ROWS", 100)


def test_answers_stay_the_same_part_by_part(parted, world):
    """Where all is merged a part of the tabs at a time, and by many jobs, answers are those of the events."""
    rng = random.Random(7)
    for advance in [0, 11, 30, MINUTE, 2 * MINUTE, 10 * MINUTE, HOUR, 2 * HOUR, 6 * HOUR, DAY]:
        world.now += advance
        world.post(random_events(rng, 200, max(world.now - HOUR, BASE), world.now))
        world.compact(60)
        for start, stop in aligned_windows(world, rng, FLEET, BASE):
            world.check_fleet(start, stop)
        for start, stop in aligned_windows(world, rng, CLIENTS, BASE):
            world.check_clients(start, stop)


def test_a_job_that_is_broken_off_between_its_parts_changes_nothing(parted, world):
    """A pause comes between the parts of a job; what ends there leaves every chunk where it was."""
    rng = random.Random(8)
    world.post(random_events(rng, 500, BASE, world.now, "c"))
    world.now += 20
    before = widths(world)

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.service.compactor.run(world.now, stop)
    assert widths(world) == before
    pauses = []
    jobs = world.service.compactor.run(world.now, lambda: pauses.append(widths(world)))
    assert len(pauses) > 2 * jobs > 0
    assert pauses[0] == before
    world.check(BASE, world.now)


def test_patterns_have_tiers_of_their_own(tmp_path):
    """Tabs that a pattern matches are kept as it says, the others as the defaults say."""
    kept = tiers(
        ("1s for 20s", "30s for 10m"),
        ("1s for 20s", "30s for 10m"),
        [TierPattern("c.x", ("1s for 1d",), ("1s for 1d",)), TierPattern("g*", ("1m for 2h",), ("1m for 2h",))],
    )
    rng = random.Random(3)
    with World(tmp_path, BASE + 100.0, kept) as world:
        world.post(random_events(rng, 300, BASE, world.now, "cg"))
        world.now += 300
        world.compact()
        found = world.aggregates(BASE, BASE + 60)
        world.check(BASE, BASE + 120)
        assert {tab for tab in found if tab.startswith("c.x")} == {"c.x{k=1}", "c.x{k=2}"}
        world.now += HOUR
        world.compact()
        assert {tab[0] for tab in world.aggregates(BASE, world.now)} == {"c", "g"}
        assert "c" not in world.aggregates(BASE, world.now)
        world.now += 2 * HOUR
        world.compact()
        assert set(world.aggregates(BASE, world.now)) == {"c.x{k=1}", "c.x{k=2}"}
        world.events = [event for event in world.events if event[0].startswith("c.x")]
        for start in range(BASE, BASE + 100, 7):
            world.check(start, start + 7)


@settings(max_examples=4)
@given(seed=st.integers(0, 1 << 32))
def test_other_tiers_after_a_restart(seed):
    """A changed configuration loses nothing that the new tiers keep, and compaction comes to rest under it."""
    rng = random.Random(seed)
    choices = [
        SHORT,
        tiers(("1s for 40s", "20s for 1h"), ("1s for 1m", "1m for 3h")),
        tiers(("1m for 2h",), ("1m for 1d",)),
        tiers(("1s for 2h",), ("2s for 1m", "4s for 2m", "120s for 4h")),
        tiers(("1s for 1h",), ("1s for 1h",), [TierPattern("c*", ("1m for 2h",), ("2m for 4h",))]),
    ]
    with tempfile.TemporaryDirectory() as folder, World(folder, BASE + 3_600.0, rng.choice(choices)) as world:
        for _ in range(5):
            world.post(random_events(rng, 30, world.now - 100, world.now, "cp"))
            world.now += rng.choice([1, 20, 200])
            world.compact()
            world.reopen(rng.choice(choices))
            world.compact()
            world.check(BASE, BASE + 2 * HOUR)


def test_two_compactors_at_once_neither_lose_nor_double(world):
    """Two compactors of one store, while events come in: every answer on the way and at the end is exact."""
    service = world.service
    stop = threading.Event()
    errors, jobs = [], Counter()

    def compact(name):
        cache = ChunkCache(1 << 20)
        reader = Reader(service.store, service.registry, cache)
        compactor = Compactor(service.store, service.registry, service.tiers, reader, cache)
        try:
            while not stop.is_set():
                jobs[name] += compactor.run(world.now, lambda: time.sleep(0.001))
                time.sleep(0.001)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=compact, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    try:
        rng = random.Random(5)
        end = time.monotonic() + 2
        totals = Counter()
        # On a busy machine one may be first for long; it ends where one has failed.
        while time.monotonic() < end or not ((jobs["one"] and jobs["other"]) or errors):
            world.now += rng.choice([1, 5, 20])
            events = random_events(rng, 20, max(world.now - 300, BASE), world.now, "c")
            world.post(events)
            for tab, _, _, value in events:
                totals[tab] += value
            found = world.aggregates(BASE, world.now + 1)
            assert {tab: row["total"] for tab, row in found.items()} == dict(totals)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert min(jobs.values()) > 0
    world.compact()
    world.check(BASE, world.now // HOUR * HOUR + HOUR)
