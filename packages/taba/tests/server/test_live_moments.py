"""Moments of a watched question: whoever merges the changes holds what the question's own route answers."""

import json

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_reader import merged
from starlette.datastructures import QueryParams
from world import TYPES, World

from taba.server import formats
from taba.server.live import moments, question
from taba.server.live.moments import Shape
from taba.server.parameters import ParameterError

NOW = 1_700_000_000.0
QUESTIONS = [
    [("window", "5s"), ("window", "1m")],
    [("of", "aggregates"), ("window", "10s"), ("by", "x")],
    [("of", "aggregates"), ("tab", "c*"), ("client", "w2"), ("window", "5s")],
    [("of", "projections"), ("window", "7s")],
    [("of", "series"), ("span", "20s"), ("step", "1s")],
    [("of", "series"), ("span", "30s"), ("step", "5s"), ("each", "client")],
    [("of", "series"), ("span", "100s"), ("step", "2s"), ("by", "")],
]
LETTERS = sorted(TYPES)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([f"{letter}{tags}" for letter in LETTERS for tags in ("", "{x=1}", "{x=2}")]),
        st.sampled_from(["w1", "w2", "w3"]),
        st.integers(0, 40),
        st.integers(1, 5),
    ),
    max_size=12,
)
STEPS = st.lists(
    st.tuples(EVENTS, st.sampled_from([0.0, 0.3, 1.0, 4.0, 25.0, 300.0]), st.booleans(), st.integers(0, 7)),
    min_size=1,
    max_size=10,
)


def asked(world, pairs):
    return question.read(QueryParams(pairs), world.service)


def routed(world, one, head):
    """What the question's own route answers, by the code of the route."""
    taken = {name: head[name] for name in ("from", "to", "step") if name in head}
    if taken:
        found = list(world.service.query.series(one.selection, *taken.values()))
        levels = [*one.selection.keys, "bucket"]
    else:
        windows = [question.Window(name, world.now - length, world.now) for name, length in one.windows]
        found, levels = world.service.windows(one.selection, windows), [*one.selection.keys, "window"]
    return json.loads(formats.answers(formats.JSON, head, found, levels, points=bool(taken)))


@pytest.mark.parametrize("pairs", QUESTIONS, ids=str)
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_who_merges_what_changes_holds_what_is_answered(tmp_path_factory, pairs, steps):
    """With events of all types, late ones too, compaction, and readers that lag behind by any number of moments."""
    with World(tmp_path_factory.mktemp("w"), NOW) as world:
        one = asked(world, pairs)
        moment, readers = None, [(None, None)] * 3
        for events, pause, compacts, turns in steps:
            world.post([(tab, client, world.now - age, value(tab, number)) for tab, client, age, number in events])
            world.now += pause
            if compacts:
                world.compact()
            more, pieces = question.answer(one, world.service)
            head = world.service.completeness().head() | more
            before, moment = moment, moments.first(one.shape, head, pieces)
            if before is not None:
                moment = moments.following(before, head, pieces)
            truth = routed(world, one, head)
            for place in range(3):
                if turns >> place & 1:
                    seen, held = readers[place]
                    name, data = moment.update(seen)
                    told = json.loads(data)
                    assert told.get("missed", 0) == (0 if seen is None else moment.number - seen - 1)
                    readers[place] = moment.number, merged(held, name, told, one.of)
                    assert readers[place][1] == truth
            whole = moment.update(None)
            assert (whole[0], json.loads(whole[1])) == ("answers", truth)


def value(tab, number):
    return f"v{number}" if tab[0] in "ut" else number


def rows(*answers):
    return pl.DataFrame(answers, schema={"tab": pl.String, "json": pl.String}, orient="row")


def changes(moment, seen):
    name, data = moment.update(seen)
    return name, json.loads(data)


def test_only_what_differs_is_told_and_what_has_gone_is_null():
    """A reader of any past moment is told each change once, as it is now."""
    shape = Shape(("tab",))
    one = moments.first(shape, {"t": 1}, [rows(("a", "1"), ("b", "1"))])
    two = moments.following(one, {"t": 2}, [rows(("a", "2"), ("b", "1"), ("c", "1"))])
    three = moments.following(two, {"t": 3}, [rows(("b", "1"), ("c", "1"))])
    four = moments.following(three, {"t": 4}, [rows(("b", "1"), ("c", "1"))])
    assert changes(two, 1) == ("changes", {"t": 2, "tabs": {"a": 2, "c": 1}})
    assert changes(three, 2) == ("changes", {"t": 3, "tabs": {"a": None}})
    assert changes(three, 1) == ("changes", {"t": 3, "missed": 1, "tabs": {"a": None, "c": 1}})
    assert changes(four, 3) == ("changes", {"t": 4, "tabs": {}})
    assert [moment.quiet for moment in (one, two, three, four)] == [False, False, False, True]
    assert changes(four, 17)[0] == "answers", "a moment that never was"
    five = moments.following(four, {"t": 5}, [rows(("a", "1"), ("b", "1"), ("c", "1"))])
    assert changes(five, 2) == ("changes", {"t": 5, "missed": 2, "tabs": {"a": 1}}), "what came back has not gone"


def test_what_has_gone_is_remembered_within_bounds(monkeypatch):
    """Who was away for so long that it is forgotten gets all there is."""
    monkeypatch.setattr(moments, "MOST_GONE", 2)
    shape = Shape(("tab",))
    moment = moments.first(shape, {"t": 1}, [rows(*((f"t{number}", "1") for number in range(6)))])
    for left in (5, 4, 3, 2, 1):
        moment = moments.following(moment, {"t": 2}, [rows(*((f"t{number}", "1") for number in range(left)))])
        assert moment.gone.height <= 2 + left
    assert changes(moment, 5) == ("changes", {"t": 2, "tabs": {"t1": None}})
    name, whole = changes(moment, 2)
    assert (name, whole) == ("answers", {"t": 2, "missed": 3, "tabs": {"t0": 1}})


def test_a_series_that_loses_points_within_its_span_is_told_as_a_whole():
    """Retention may take them; merging alone would keep them for ever."""
    shape = Shape(("tab",), points=True)

    def points(*times):
        return [pl.DataFrame({"tab": ["a"] * len(times), "bucket": times, "json": [f'{{"time":{t}}}' for t in times]})]

    one = moments.first(shape, {"from": 0, "step": 1}, points(1, 2, 3))
    two = moments.following(one, {"from": 2, "step": 1}, points(2, 3))
    assert changes(two, 1) == ("changes", {"from": 2, "step": 1, "tabs": {}})
    three = moments.following(two, {"from": 2, "step": 1}, points(3))
    assert changes(three, 2) == ("answers", {"from": 2, "step": 1, "tabs": {"a": [{"time": 3}]}})
    four = moments.following(three, {"from": 4, "step": 1}, [])
    assert changes(four, 3) == ("changes", {"from": 4, "step": 1, "tabs": {"a": None}})


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ([("of", "agregates")], "of: 'agregates' is none of aggregates, projections, series"),
        ([("tabs", "a")], "tabs: there is no such parameter: did you mean 'tab'?"),
        ([("window", "7x")], "window: '7x' is not a duration"),
        ([("window", "1m"), ("from", "1")], "from: there is no such parameter"),
        ([("of", "projections"), ("by", "x")], "by: there is no such parameter"),
        ([("of", "series"), ("window", "1m")], "window: there is no such parameter"),
        ([("of", "series"), ("span", "0s")], "span: '0s'"),
        ([("of", "series"), ("span", "99y")], "span: 99y is longer than the time since 1970"),
        ([("of", "series"), ("each", "tab")], "each: 'tab' is not known: there is client"),
        ([("tab", "a{")], "tab: "),
    ],
    ids=str,
)
def test_a_question_that_cannot_be_read_says_which_field(tmp_path, pairs, told):
    """Before any stream begins."""
    with World(tmp_path, NOW) as world, pytest.raises(ParameterError) as refused:
        asked(world, pairs)
    assert str(refused.value).startswith(told)


def test_questions_in_another_order_are_one(tmp_path):
    """So that their watchers share it."""
    with World(tmp_path, NOW) as world:
        one = asked(world, [("tab", "a"), ("tab", "b"), ("window", "1m,10m"), ("by", "x,y"), ("client", "*")])
        other = asked(
            world, [("by", "y"), ("by", "x"), ("window", "10m"), ("window", "1m"), ("tab", "b"), ("tab", "a")]
        )
        assert one == other
        assert hash(one) == hash(other)
        world.now += 0.123
        assert one == asked(world, [("tab", "b"), ("tab", "a"), ("window", "1m,10m"), ("by", "x,y")])
        assert asked(world, [("of", "series")]) == asked(world, [("of", "series"), ("span", "10m"), ("step", "2s")])
