"""Questions about States: grouping by tags, choosing clients, any window, and series, each as the events say."""

import json
import random
from collections import defaultdict

import polars as pl
import pytest
from handler_cases import alike
from world import World, random_events

from taba.states import query
from taba.states.query import Selection, Window

HOUR = 3_600
BASE = 1_700_000_000 // HOUR * HOUR
SPAN = 600


@pytest.fixture(scope="module", params=[query.PART_ROWS, 1], ids=["at once", "in parts"])
def world(request, tmp_path_factory):
    """Ten minutes of events of every type, half of them compacted; asked about at once, and a shard at a time."""
    rng = random.Random(9)
    with (
        pytest.MonkeyPatch.context() as patch,
        World(tmp_path_factory.mktemp("query"), BASE + SPAN + 1.0, shards=3) as world,
    ):
        patch.setattr(query, "PART_ROWS", request.param)
        for _ in range(3):
            world.post(random_events(rng, 300, BASE, BASE + SPAN))
        world.now += 30
        world.compact()
        for _ in range(3):
            world.post(random_events(rng, 300, BASE, BASE + SPAN))
        yield world


def asked(world, selection, windows):
    """Answers by (keys, window)."""
    found = {}
    for _, rows in world.service.windows(selection, windows):
        plain = rows.with_columns(pl.col(selection.keys).cast(pl.String))
        for row in plain.iter_rows(named=True):
            key = tuple(row.pop(name) for name in (*selection.keys, "window"))
            assert key not in found
            found[key] = {name: json.loads(value) if isinstance(value, str) else value for name, value in row.items()}
    return found


def test_any_window_and_any_client(world):
    """Windows by the second over the fleet, by the minute by client, compacted and not."""
    rng = random.Random(1)
    for _ in range(8):
        start = BASE + rng.randrange(SPAN)
        world.check_fleet(start, start + rng.randint(1, SPAN))
        start = BASE + rng.randrange(SPAN // 60) * 60
        world.check_clients(start, start + rng.randint(1, 10) * 60)


@pytest.mark.parametrize("per_client", [False, True])
def test_nested_windows_equal_separate_ones(world, per_client):
    """Windows that end together share their work, and answer as each alone does."""
    selection = Selection(["*"], per_client=per_client)
    stop = BASE + SPAN
    windows = [Window(f"{length}s", stop - length, stop) for length in (60, 5, 600, 60.5, 1, 300)]
    together = asked(world, selection, windows)
    keys = {key[:-1] for key in together}
    for window in windows:
        alone = asked(world, selection, [window])
        for key in keys:
            found = together[(*key, window.name)]
            if (*key, window.name) in alone:
                alike(found, alone[(*key, window.name)])
            else:
                assert not found.get("count")


def test_windows_that_do_not_end_together(world):
    """Any windows in one question answer as each alone does."""
    windows = [Window("a", BASE + 10, BASE + 50), Window("b", BASE + 30, BASE + 400), Window("c", BASE, BASE + 600)]
    together = asked(world, Selection(["*"]), windows)
    for window in windows:
        for key, found in asked(world, Selection(["*"]), [window]).items():
            alike(together[key], found)


def test_a_window_with_nothing_in_it(world):
    """A tab that is silent in a window, and not in another, has zero counts and null elsewhere."""
    world.post(
        [("c.silent", "c9", BASE + 1.0, 5.0), ("g.silent", "c9", BASE + 1.0, 5.0), ("b.silent", "c9", BASE + 1.0, "x")]
    )
    windows = [Window("old", BASE, BASE + SPAN), Window("new", BASE + SPAN - 1, BASE + SPAN)]
    found = asked(world, Selection(["*.silent"]), windows)
    assert found["c.silent", "old"]["total"] == 5.0
    assert found["c.silent", "new"] == {"count": 0, "total": 0.0, "mean": None, "min": None, "max": None, "rate": 0.0}
    nothing = {"sum": 0.0, "mean": None, "min": None, "max": None, "clients": 0, "values": []}
    assert found["g.silent", "new"] == nothing
    assert found["b.silent", "new"] == {"count": 0, "values": []}


@pytest.mark.parametrize("step", [1, 7, 60, 250])
def test_a_series_equals_windows_bucket_by_bucket(world, step):
    """Each point of a series is the answer over its own slice; slices with nothing have no point."""
    start, stop = BASE, BASE + SPAN
    points = {}
    for _, rows in world.service.query.series(Selection(["*"]), start, stop, step):
        for row in rows.with_columns(pl.col("tab").cast(pl.String)).iter_rows(named=True):
            key = row.pop("tab"), row.pop("bucket")
            points[key] = {name: json.loads(value) if isinstance(value, str) else value for name, value in row.items()}
    rng = random.Random(step)
    buckets = range(start, stop, step)
    for bucket in rng.sample(buckets, min(len(buckets), 12)):
        alone = world.aggregates(bucket, min(bucket + step, stop))
        assert {tab for tab, begin in points if begin == bucket} == set(alone)
        for tab, found in alone.items():
            point = points[tab, bucket]
            if bucket + step <= stop:
                alike(point, found)


def of_group(world, events, group):
    """The events as if all had been recorded to one tab."""
    return [(group, client, time, value) for _, client, time, value in events]


@pytest.mark.parametrize("by", [(), ("k",), ("k", "nothing"), ("nothing",)])
def test_grouping_by_tags_merges_the_tabs_of_a_group(world, by):
    """By a tag: all tabs of one name and one value of the tag are one group; without the tag, the name alone is."""
    for letter in "cputb":
        recorded = [event for event in world.events if event[0].startswith(letter + ".x") or event[0] == letter]
        groups = {}
        for event in recorded:
            name, _, tags = event[0].partition("{")
            inside = ",".join(tag for tag in tags.rstrip("}").split(",") if tag.partition("=")[0] in by and tag)
            groups.setdefault(f"{name}{{{inside}}}" if inside else name, []).append(event)
        found = world.aggregates(BASE, BASE + SPAN, tabs=(letter, letter + ".x"), by=by)
        assert set(found) == set(groups)
        for group, events in groups.items():
            kept, world.events = world.events, of_group(world, events, group)
            expected = world.expected(BASE, BASE + SPAN, per_client=False)
            world.events = kept
            alike(found[group], expected[group,])


def test_a_group_of_gauges_holds_each_tabs_value(world):
    """Gauges of one client in several tabs are several values: a group adds up all of them."""
    world.post([(f"g.mem{{disk={disk}}}", client, BASE + 5.0, 4.0) for disk in range(3) for client in ("c1", "c2")])
    found = world.aggregates(BASE, BASE + SPAN, tabs=("g.mem",), by=())["g.mem"]
    assert (found["sum"], found["clients"]) == (24.0, 2)


@pytest.mark.parametrize(("glob", "clients"), [("c1", {"c1"}), ("c[12]", {"c1", "c2"}), ("*", None), ("x*", set())])
def test_clients_by_globs(world, glob, clients):
    """A client glob picks the clients whose States are merged, or listed one by one."""
    kept = world.events
    world.events = [event for event in kept if clients is None or event[1] in clients]
    fleet = world.expected(BASE, BASE + SPAN, per_client=False)
    single = world.expected(BASE, BASE + SPAN, per_client=True)
    world.events = kept
    found = world.aggregates(BASE, BASE + SPAN, client=glob)
    assert set(found) == {tab for (tab,) in fleet}
    for (tab,), expected in fleet.items():
        alike(found[tab], expected)
    listed = world.projections(BASE, BASE + SPAN, client=glob)
    assert listed.keys() == single.keys()
    for key, expected in single.items():
        alike(listed[key], expected)


@pytest.mark.parametrize("of", ["tab", "client"])
def test_who_recorded_and_when(world, of):
    """`seen` counts a tab's clients, or a client's tabs, and tells the last second of theirs in the range."""
    found = world.service.query.seen(["c*"], BASE, BASE + SPAN, of)
    others, last = defaultdict(set), defaultdict(int)
    for tab, client, time, _ in world.events:
        if tab.startswith("c"):
            key, other = (tab, client) if of == "tab" else (client, tab)
            others[key].add(other)
            last[key] = max(last[key], int(time) // 60 * 60)
    rows = found.select(pl.col(of).cast(pl.String), "others", "last").rows()
    assert {key: (count, when // 60 * 60) for key, count, when in rows} == {
        key: (len(some), last[key]) for key, some in others.items()
    }


def test_answers_hold_only_the_tabs_that_match(world):
    """A tab that another writer is just adding is not in answers about others, though it lies in their chunks."""
    known = world.service.catalogue
    before = known.frame
    world.post([("t.unheard", "c1", BASE + 3.0, "x")])
    after, known.frame = known.frame, before
    try:
        assert "t.unheard" not in world.aggregates(BASE, BASE + SPAN)
    finally:
        known.frame = after
    assert "t.unheard" in world.aggregates(BASE, BASE + SPAN)
