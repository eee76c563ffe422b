"""Tiers: which slices and blocks States belong to as they age, and which chunks are taken next. Pure arithmetic."""

import random
from dataclasses import replace
from itertools import pairwise

import polars as pl
import pytest
from handler_cases import START, event_lists, folded, handler_of, same
from hypothesis import given
from hypothesis import strategies as st

from taba.config import Tiers as Configured
from taba.states import tiers as tiers_module
from taba.states.fold import CLIENT_KEYS, FLEET_KEYS, coarsen, merge
from taba.states.tiers import (
    CLIENTS,
    DEFAULT,
    FLEET,
    JOB_ROWS,
    LARGE_ROWS,
    MERGE_CHUNKS,
    RAW,
    SETTLE_CHUNKS,
    SETTLE_SECONDS,
    Tier,
    Tiers,
    ladder,
    place,
    plan,
)
from taba.store.protocol import ChunkInfo

DEFAULTS = Tiers.parse(Configured().clients, Configured().fleet)
SHORT = Tiers.parse(("1s for 20s", "5s for 2m", "30s for 1h"), ("1s for 30s", "10s for 5m", "1m for 1h"))
DAY = 86_400.0
HOUR_ENDS = START // 3_600 * 3_600 + 3_600

both_ladders = pytest.mark.parametrize("tiers", [DEFAULTS, SHORT], ids=["defaults", "short"])
both_views = pytest.mark.parametrize("view", [CLIENTS, FLEET])
ages = st.one_of(st.floats(0, 120), st.floats(0, 7_200), st.floats(0, 3 * DAY), st.floats(0, 800 * DAY))


def test_the_ladder_that_texts_mean():
    """Blocks are a multiple of the next tier's width, about an eighth of what the tier keeps."""
    assert ladder(["1s for 2m", "1m for 2h", "1h for 2d"]) == (
        Tier(1, 120, 60),
        Tier(60, 7_200, 3_600),
        Tier(3_600, 172_800, 21_600),
    )


@both_ladders
@both_views
@given(data=st.data(), age=ages)
def test_place_neither_loses_nor_doubles(tiers, view, data, age):
    """Placed at any age, States are the same events in all: each in one block of one tier that keeps it."""
    handler = handler_of("counter")
    states = folded(handler, data.draw(event_lists(handler)))
    now = START + age
    placed = list(place(handler, states, view, tiers, now))
    steps = tiers.of(view, DEFAULT)
    kept = states.filter(pl.col("slice") >= steps[-1].cutoff(now))
    assert sum(part.states["count"].sum() for part in placed) == kept["count"].sum()
    assert sum(part.states["total"].sum() for part in placed) == kept["total"].sum()
    for part in placed:
        tier = next(tier for tier in steps if tier.width == part.width)
        slices = part.states["slice"]
        assert (slices % part.width == 0).all()
        assert (slices // tier.block).n_unique() == 1
        assert slices.min() >= tier.cutoff(now)
        finer = [step for step in steps if step.width < part.width]
        assert not finer or slices.max() < finer[-1].cutoff(now)
        assert part.states.columns[:2] == (["tab", "client"] if view == CLIENTS else ["tab", "slice"])


def states_of(tabs, clients, slices):
    """A State of each tab, client and second."""
    events = [
        (f"t{tab}", f"c{client}", float(HOUR_ENDS + second), 1.0)
        for tab in range(tabs)
        for client in range(clients)
        for second in range(slices)
    ]
    return folded(handler_of("counter"), events)


@both_views
def test_many_states_are_merged_a_part_of_the_tabs_at_a_time(view, monkeypatch):
    """Parts give the same States as all at once, none is of many more than PART_ROWS, and chunks are no smaller."""
    handler, now = handler_of("counter"), HOUR_ENDS + 30.0
    states = states_of(40, 5, 20)
    keys = ["tab", "client", "slice"] if view == CLIENTS else ["tab", "slice"]
    (whole,) = place(handler, states, view, DEFAULTS, now)
    monkeypatch.setattr(tiers_module, "PART_ROWS", 1_000)
    sizes = []

    def counted(handler, states, width, keys):
        sizes.append(states.height)
        return coarsen(handler, states, width, keys)

    monkeypatch.setattr(tiers_module, "coarsen", counted)
    placed = list(place(handler, states, view, DEFAULTS, now))
    same(pl.concat([part.states for part in placed]), whole.states, keys)
    assert len(sizes) == 4
    assert max(sizes) <= 1_500
    assert all(part.states.height >= 1_000 for part in placed[:-1])
    assert len(placed) == 1 if view == FLEET else len(placed) > 1
    tabs = [set(part.states["tab"].cast(pl.String)) for part in placed]
    assert sum(map(len, tabs)) == len(set.union(*tabs)) == 40


def test_what_the_parts_give_of_little_stays_one_chunk(monkeypatch):
    """States of many clients that are few for the fleet are merged by parts, and lie in one chunk of each block."""
    monkeypatch.setattr(tiers_module, "PART_ROWS", 1_000)
    states = states_of(40, 5, 20)
    placed = list(place(handler_of("counter"), states, FLEET, SHORT, HOUR_ENDS + 20.0))
    assert sum(part.states.height for part in placed) == 40 * 20
    block = SHORT.of(FLEET, DEFAULT)[0].block
    assert len(placed) == len(range(HOUR_ENDS, HOUR_ENDS + 20, block)) > 1


def test_states_that_hardly_merge_are_left_as_they_are(monkeypatch):
    """By client, young States that have few alike stay unmerged; with many alike, few in all, or older, they merge."""
    handler, now = handler_of("percentile"), HOUR_ENDS + 30.0
    events = [(f"t{n}", f"c{n % 7}", float(HOUR_ENDS), 1.0 + value) for n in range(500) for value in range(2)]
    once = folded(handler, events)
    some = pl.concat([once, once.filter(pl.col("tab") == "t1")])
    twice = pl.concat([once, once])

    def rows(states, view=CLIENTS, now=now):
        (part,) = place(handler, states, view, DEFAULTS, now)
        keys = CLIENT_KEYS if view == CLIENTS else FLEET_KEYS
        same(merge(handler, part.states, keys), coarsen(handler, states, part.width, keys), keys)
        return part.states.height

    assert rows(some) == rows(once) == once.height
    monkeypatch.setattr(tiers_module, "SAMPLED_ROWS", 100)
    assert rows(some) == some.height > once.height
    assert rows(twice) == once.height
    assert rows(some, FLEET) == once.height
    assert rows(some, now=now + 300) == once.height


@both_ladders
@both_views
def test_the_first_slice_of_a_block_stays_with_its_block(tiers, view):
    """At each boundary the slice that begins there is in the finer tier, and the one before it in the next."""
    handler = handler_of("counter")
    now = START + 12_345.0
    for tier in tiers.of(view, DEFAULT):
        for time, inside in ((tier.cutoff(now), True), (tier.cutoff(now) - 1, False)):
            states = folded(handler, [("t", "c", float(time), 1.0)])
            widths = [part.width for part in place(handler, states, view, tiers, now)]
            assert (widths == [tier.width]) is inside


@both_ladders
@both_views
@given(data=st.data(), age=ages)
def test_no_second_lies_in_slices_of_two_tiers(tiers, view, data, age):
    """The slices that one placing makes never overlap: a coarse slice covers no second that a fine one covers."""
    handler = handler_of("counter")
    states = folded(handler, data.draw(event_lists(handler)))
    keys = ["tab", "client"] if view == CLIENTS else ["tab"]
    slices = [
        (*key, slice_, slice_ + part.width)
        for part in place(handler, states, view, tiers, START + age)
        for *key, slice_ in part.states.select(*keys, "slice").iter_rows()
    ]
    for one, other in pairwise(sorted(slices)):
        assert one[:-2] != other[:-2] or one[-1] <= other[-2]


@both_ladders
@both_views
@given(now=st.floats(START, START + 800 * DAY))
def test_boundaries_fall_between_the_next_tiers_slices(tiers, view, now):
    """What moves on is whole slices of the next tier, so a slice is never partly here and partly there."""
    steps = tiers.of(view, DEFAULT)
    for tier, coarser in pairwise(steps):
        assert tier.cutoff(now) % coarser.width == 0
        assert tier.block % coarser.width == 0
        assert tier.cutoff(now) <= now - tier.keep
        assert now - tier.keep - tier.cutoff(now) < tier.block


def info(**fields):
    plain = ChunkInfo(0, 0, "counter", 1, RAW, "", 1, START, START + 1, 10, 0, float(START))
    return replace(plain, **fields)


chunk_infos = st.lists(
    st.builds(
        lambda kind, view, rung, age, length, rows, created: (kind, view, rung, age, length, rows, created),
        st.sampled_from(["counter", "gauge"]),
        st.sampled_from([RAW, CLIENTS, FLEET]),
        st.integers(0, 4),
        st.integers(0, 4_000),
        st.integers(1, 100),
        st.sampled_from([1, 10, 5_000, 1_000_000, 5_000_000]),
        st.integers(0, 30),
    ),
    max_size=120,
)


@both_ladders
@given(drawn=chunk_infos)
def test_jobs_are_disjoint_and_of_one_kind(tiers, drawn):
    """No chunk is in two jobs; all of a job have one type, view, policy and width."""
    chunks = []
    for number, (kind, view, rung, age, length, rows, created) in enumerate(drawn):
        steps = tiers.of(view, DEFAULT)
        width = 1 if view == RAW else steps[rung % len(steps)].width
        start = (START - age) // width * width
        chunks.append(
            info(
                id=number,
                type=kind,
                view=view,
                width=width,
                start=start,
                stop=start + length * width,
                rows=rows,
                created=START - created,
            )
        )
    jobs = plan(chunks, tiers, START)
    taken = [chunk.id for job in jobs for chunk in job]
    assert len(taken) == len(set(taken))
    for job in jobs:
        assert job
        assert len({(chunk.type, chunk.view, chunk.policy, chunk.width) for chunk in job}) == 1


def test_raw_chunks_settle_when_many_or_old():
    """Raw chunks wait for company, but not long."""
    young = [info(id=n, created=float(START)) for n in range(SETTLE_CHUNKS)]
    assert plan(young[:-1], DEFAULTS, START) == []
    assert len(plan(young, DEFAULTS, START)[0]) == SETTLE_CHUNKS
    assert len(plan(young[:1], DEFAULTS, START + SETTLE_SECONDS)[0]) == 1


def test_jobs_are_bounded():
    """A job takes at most so many rows, but always one chunk, the oldest first."""
    chunks = [info(id=n, start=START - n, stop=START - n + 1, rows=3_000_000) for n in range(5)]
    (job,) = plan(chunks, DEFAULTS, START + 60)
    assert [chunk.id for chunk in job] == [4]


def minute_chunks(count, rows, **fields):
    """Chunks of the clients' second tier, whose hour ends now unless told otherwise."""
    hour = START // 3_600 * 3_600
    return [
        info(**{"id": n, "view": CLIENTS, "width": 60, "start": hour, "stop": hour + 60, "rows": rows, **fields})
        for n in range(count)
    ]


def test_large_chunks_are_not_merged_only_to_be_fewer():
    """Chunks below the bound are merged by eights, and all of a closed block; larger ones stay as they are."""
    large, small = minute_chunks(3 * MERGE_CHUNKS, LARGE_ROWS), minute_chunks(MERGE_CHUNKS, LARGE_ROWS - 1, id=100)
    for now in (HOUR_ENDS, HOUR_ENDS + 60):
        assert plan(large, DEFAULTS, now) == []
        assert plan([*large, *small], DEFAULTS, now) == [small]
    few = [*small[:1], *minute_chunks(1, 10, id=200)]
    assert plan([*large, *few], DEFAULTS, HOUR_ENDS) == []
    assert plan([*large, *few], DEFAULTS, HOUR_ENDS + 60) == [few]
    assert plan([*large, *few[:1]], DEFAULTS, HOUR_ENDS + 60) == []


def test_what_was_made_of_the_same_slices_again_and_again_is_merged():
    """Large chunks that were made at different times, of the same slices, are merged: whole times, as a job takes."""
    times = [minute_chunks(3, JOB_ROWS // 9, created=float(time)) for time in range(MERGE_CHUNKS)]
    every = [chunk for some in times for chunk in some]
    assert plan(every[:-3], DEFAULTS, HOUR_ENDS) == []
    for now, chunks in ((HOUR_ENDS, every), (HOUR_ENDS + 60, every[:6])):
        (job,) = plan(chunks, DEFAULTS, now)
        assert len({chunk.created for chunk in job}) == min(len(chunks) // 3, 3)
        assert all(chunk in job for chunk in chunks if chunk.created in {one.created for one in job})
    # Two times that are more than a job takes, and other slices.
    assert plan(minute_chunks(1, JOB_ROWS) + minute_chunks(1, JOB_ROWS, created=1.0), DEFAULTS, HOUR_ENDS + 60) == []
    other = minute_chunks(1, LARGE_ROWS, start=HOUR_ENDS - 60, stop=HOUR_ENDS, created=1.0)
    assert plan(minute_chunks(1, LARGE_ROWS) + other, DEFAULTS, HOUR_ENDS + 60) == []


@pytest.mark.parametrize("age", [0, 60], ids=["open", "closed"])
@given(
    drawn=st.lists(
        st.tuples(st.sampled_from([1, 5_000, 50_000, 70_000, 1_000_000, 3_000_000]), st.integers(0, 3)), max_size=60
    )
)
def test_merging_comes_to_rest_where_nothing_merges(age, drawn):
    """A block's chunks are merged a bounded number of times, though none of their States become one."""
    chunks = [one for n, (rows, made) in enumerate(drawn) for one in minute_chunks(1, rows, id=n, created=float(made))]
    for turn in range(100):
        jobs = plan(chunks, DEFAULTS, HOUR_ENDS + age)
        if not jobs:
            break
        for job in jobs:
            rows = sum(chunk.rows for chunk in job)
            chunks = [chunk for chunk in chunks if chunk not in job]
            parts = [LARGE_ROWS] * (rows // LARGE_ROWS) + [rows % LARGE_ROWS]
            chunks += [
                replace(job[0], id=1_000 * turn + n, rows=part, created=10.0 + turn)
                for n, part in enumerate(parts, 100)
                if part
            ]
    else:
        raise AssertionError("there is always more to do")


def test_policies_follow_the_first_pattern_that_matches():
    """Tabs follow the ladder of the first pattern that matches them, by name and tags; the others the defaults."""
    tiers = Tiers.parse(
        ("1s for 20s", "1m for 1h"),
        ("1s for 20s", "1m for 1h"),
        [("a.*", ("1s for 1h",), ("1s for 2h",)), ("*{k=1}", (), ("10s for 1h",)), ("a.b", ("1s for 9h",), ())],
    )
    states = folded(
        handler_of("counter"), [(tab, "c", START, 1.0) for tab in ("a.b", "a.b{k=1}", "z{k=1}", "z{k=2}", "z")]
    )
    found = {policy: set(part["tab"].cast(pl.String)) for policy, part in tiers.by_policy(states)}
    assert found == {"a.*": {"a.b", "a.b{k=1}"}, "*{k=1}": {"z{k=1}"}, "": {"z{k=2}", "z"}}
    assert tiers.of(CLIENTS, "*{k=1}") == tiers.of(CLIENTS, DEFAULT)
    assert tiers.of(FLEET, "a.*") == ladder(["1s for 2h"])
    assert tiers.of(FLEET, "no longer configured") == tiers.of(FLEET, DEFAULT)
    assert tiers.reach(CLIENTS) == 9 * 3600


@both_ladders
@both_views
@given(data=st.data(), age=ages)
def test_width_at_is_the_widest_slice_there(tiers, view, data, age):
    """No State that begins at a time or later has wider slices than `width_at` says of that time."""
    handler = handler_of("counter")
    states = folded(handler, data.draw(event_lists(handler)))
    for part in place(handler, states, view, tiers, START + age):
        for start in (part.states["slice"].min(), part.states["slice"].max()):
            assert part.width <= tiers.width_at(view, float(start), now=START + age)


def test_random_ladders_keep_the_rules():
    """Whatever tiers the configuration takes: boundaries fall between slices, and a State has one place."""
    rng = random.Random(0)
    for _ in range(200):
        widths = [1]
        for _ in range(rng.randint(0, 3)):
            widths.append(widths[-1] * rng.choice([2, 5, 10, 60]))
        texts, longest = [], 0
        for width in widths:
            keep = max(width * rng.randint(1, 100), (longest // width + 1) * width)
            texts.append(f"{width}s for {keep}s")
            longest = keep
        steps = ladder(texts)
        now = START + rng.random() * DAY
        for tier, coarser in pairwise(steps):
            assert tier.cutoff(now) % coarser.width == 0
