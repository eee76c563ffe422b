"""The laws that every handler keeps, built in or a user's own: States are a monoid, and answers follow from them."""

import random

import polars as pl
import pytest
from handler_cases import (
    EWMA,
    HANDLERS,
    START,
    TYPES,
    alike,
    answers,
    event_lists,
    folded,
    handler_of,
    inexact,
    merged,
    same,
    table,
)
from hypothesis import given
from hypothesis import strategies as st

from taba.handlers.base import EVENT_SCHEMA, MOST_COUNT, Handler, Measure, Value, counted
from taba.handlers.registry import Registry
from taba.states.fold import CLIENT_KEYS, FLEET_KEYS, coarsen, fold, merge, project, verify

every_handler = pytest.mark.parametrize("handler", HANDLERS, ids=TYPES)


def in_any_tree(handler, parts, rng):
    """The parts merged two by two, in an order and grouping that `rng` picks."""
    parts = list(parts)
    while len(parts) > 1:
        one, other = (parts.pop(rng.randrange(len(parts))) for _ in range(2))
        parts.append(merged(handler, one, other))
    return parts[0]


@every_handler
@given(data=st.data())
def test_folding_all_equals_merging_the_folds_of_parts(handler, data):
    """fold(a + b) = merge(fold(a), fold(b))"""
    one, other = data.draw(event_lists(handler)), data.draw(event_lists(handler))
    same(folded(handler, one + other), merged(handler, folded(handler, one), folded(handler, other)))


@every_handler
@given(data=st.data(), rng=st.randoms(use_true_random=False))
def test_order_and_grouping_never_matter(handler, data, rng):
    """Any order of events, any split of them, any tree of merges: one State."""
    events = data.draw(event_lists(handler))
    shuffled = rng.sample(events, len(events))
    pieces = data.draw(st.integers(1, 6))
    parts = [folded(handler, shuffled[piece::pieces]) for piece in range(pieces)]
    same(folded(handler, events), in_any_tree(handler, parts, rng))


@every_handler
@given(data=st.data(), rng=st.randoms(use_true_random=False))
def test_coarsening_before_or_after_merging_gives_the_same(handler, data, rng):
    """Slices made wider, in one step or several, before the merge or after it: one State."""
    events = data.draw(event_lists(handler))
    cut = rng.randint(0, len(events))
    parts = [folded(handler, part) for part in (events[:cut], events[cut:])]
    after = coarsen(handler, merged(handler, *parts), 60, CLIENT_KEYS)
    stepwise = [coarsen(handler, coarsen(handler, part, 10, CLIENT_KEYS), 60, CLIENT_KEYS) for part in parts]
    same(after, merged(handler, *stepwise))
    fleet = coarsen(handler, merge(handler, pl.concat(parts), FLEET_KEYS), 60, FLEET_KEYS)
    same(coarsen(handler, after, 60, FLEET_KEYS), fleet)


@every_handler
@given(data=st.data())
def test_merging_one_state_with_nothing_changes_nothing(handler, data):
    """A State alone is its own merge; an empty table adds nothing."""
    states = folded(handler, data.draw(event_lists(handler)))
    same(states, merged(handler, states))
    same(states, merged(handler, states, folded(handler, [])))
    same(states, coarsen(handler, states, 1, CLIENT_KEYS))


@every_handler
@given(data=st.data(), rng=st.randoms(use_true_random=False))
def test_answers_follow_from_the_events_alone(handler, data, rng):
    """The same answer from States of seconds, of minutes, by client or merged, whatever way they came."""
    events = data.draw(event_lists(handler))
    shuffled = rng.sample(events, len(events))
    states = folded(handler, events)
    parts = [folded(handler, shuffled[piece::3]) for piece in range(3)]
    coarse = coarsen(handler, in_any_tree(handler, parts, rng), 60, CLIENT_KEYS)
    fleet = coarsen(handler, merge(handler, pl.concat(parts), FLEET_KEYS), 60, FLEET_KEYS)
    for per_client in (False, True):
        expected = answers(handler, states, per_client=per_client)
        found = answers(handler, coarse, per_client=per_client)
        assert found.keys() == expected.keys()
        for key in expected:
            alike(found[key], expected[key])
    for key, expected in answers(handler, states).items():
        alike(answers(handler, fleet)[key], expected)


@every_handler
def test_no_events_are_no_states_and_no_answers(handler):
    """Folding, merging and projecting nothing gives empty tables with the same columns as something."""
    nothing = fold(handler, pl.DataFrame(schema=EVENT_SCHEMA))
    value = "text" if handler.value is Value.TEXT else 1.0
    something = folded(handler, [("t", "c", START, value)])
    assert nothing.is_empty()
    assert nothing.schema == something.schema
    assert merged(handler, nothing).schema == something.schema
    assert coarsen(handler, nothing, 60, CLIENT_KEYS).schema == something.schema
    for fleet in (False, True):
        gives = [
            project(handler, states, ["tab"], seconds=60, until=0.0, fleet=fleet).schema
            for states in (nothing, something)
        ]
        assert gives[0] == gives[1]


@pytest.mark.parametrize("type_name", ["counter", "percentile", "top", "uniques", "gauge"])
@given(data=st.data())
def test_an_event_of_a_weight_is_as_many_events(type_name, data):
    """Folding events with weights gives what folding each as often as its weight says gives."""
    handler = handler_of(type_name)
    events = data.draw(event_lists(handler))
    weights = data.draw(st.lists(st.integers(1, 9), min_size=len(events), max_size=len(events)))
    repeated = [event for event, weight in zip(events, weights, strict=True) for _ in range(weight)]
    states = fold(handler, inexact(events, weights, [0.0] * len(events)))
    same(states, folded(handler, repeated))
    same(states, fold(handler, inexact(repeated, [1] * len(repeated), [0.0] * len(repeated))))


@every_handler
@given(data=st.data())
def test_weights_and_errors_of_parts_merge(handler, data):
    """fold(a + b) = merge(fold(a), fold(b)) with weights and errors too, also where only one part has them."""
    one, other = data.draw(event_lists(handler)), data.draw(event_lists(handler))
    many = st.lists(st.integers(1, 2**40), min_size=len(one), max_size=len(one))
    inaccurate = st.lists(st.sampled_from([0.0, 0.125, 1.0]), min_size=len(one), max_size=len(one))
    weights, errors = data.draw(many), data.draw(inaccurate)
    ones, zeros = [1] * len(other), [0.0] * len(other)
    apart = merged(handler, fold(handler, inexact(one, weights, errors)), folded(handler, other))
    same(fold(handler, inexact(one + other, weights + ones, errors + zeros)), apart)


def test_the_errors_of_values_and_of_the_sketch_are_combined():
    """`error` bounds how far a percentile lies from what was measured: a value's own error, and the sketch's of it."""
    handler = handler_of("percentile")
    events = [("t", "c", START, value) for value in (10.0, 20.0)]
    exact = merged(handler, folded(handler, events), keys=["tab"])
    said = merged(handler, fold(handler, inexact(events, [1, 1], [0.05, 0.02])), folded(handler, events), keys=["tab"])
    assert answers(handler, exact)["t",]["error"] == 0.01
    alike(answers(handler, said)["t",]["error"], 1.01 * 1.05 - 1)


@pytest.mark.parametrize("weights", [[1, 2**53 - 1], [2**53 - 1] * 1000])
def test_great_weights_are_counted_exactly(weights):
    """Whole numbers stay whole numbers, beyond what a float64 can tell apart."""
    events = [("t", "c", START, 1.0)] * len(weights)
    for type_name in ("counter", "percentile"):
        (found,) = answers(
            handler_of(type_name), fold(handler_of(type_name), inexact(events, weights, [0.0] * len(weights)))
        ).values()
        assert found["count"] == sum(weights)


def test_counts_end_and_do_not_wrap_around():
    """Weights that add up to more than 64 bits are told as MOST_COUNT, in States, merged and in answers."""
    events = [("t", "c", START + second, float(value)) for second in range(2) for value in range(1, 2051)]
    weights = [2**53 - 1] * len(events)
    for type_name, columns in (("counter", ["count"]), ("percentile", ["count", "p99"]), ("top", ["count", "bound"])):
        handler = handler_of(type_name)
        of_type = [(*one, str(value)) for *one, value in events] if type_name == "top" else events
        told = fold(handler, inexact(of_type, weights, [0.0] * len(events)))
        (found,) = answers(handler, merged(handler, told, keys=["tab"])).values()
        assert found["count"] == MOST_COUNT
        assert all(found[column] > 2000 for column in columns)


def test_a_handler_may_use_weights_wherever_it_likes():
    """An own type that asks for weights and errors finds them where no frame brought any: 1, and 0."""

    class Spread(Handler):
        type = "spread"
        cells = {"weight": pl.col("weight") % 2}
        measures = {"count": counted(), "off": Measure((pl.col("number") * pl.col("error")).sum(), "sum")}
        projection = {"count": pl.col("count").sum(), "off": pl.col("off").sum()}

    verify(Spread())
    events = [("t", "c", START, 4.0)] * 2
    assert answers(Spread(), folded(Spread(), events))["t",] == {"count": 2, "off": 0.0}
    assert answers(Spread(), fold(Spread(), inexact(events, [2, 3], [0.5, 0.0])))["t",] == {"count": 5, "off": 2.0}


@every_handler
def test_the_declaration_holds(handler):
    """The server's own check at its start passes, and what stands for nothing is a column of the answer."""
    verify(handler)
    columns = set(handler.projection) | set(handler.aggregate or ())
    assert set(handler.empty) <= columns


@every_handler
def test_states_do_not_depend_on_other_tabs_or_further_keys(handler):
    """Folded beside others and by shard, as the server does, a tab's States are the same."""
    value = ["x", "y"] if handler.value is Value.TEXT else [1.5, 2.5]
    rng = random.Random(1)
    events = [(f"t{n % 3}", f"c{n % 2}", START + rng.random() * 5, rng.choice(value)) for n in range(60)]
    rows = table(events).with_columns(shard=pl.col("tab").cast(pl.String).str.slice(1).cast(pl.UInt32))
    by_shard = fold(handler, rows, ["shard"])
    for shard in range(3):
        alone = folded(handler, [event for event in events if event[0] == f"t{shard}"])
        same(by_shard.filter(pl.col("shard") == shard).drop("shard"), alone)


def test_a_users_handler_is_loaded_from_its_file():
    """The example that the docs show is found by its path, beside the built-in types."""
    registry = Registry([str(EWMA)])
    assert {handler.type for handler in registry} == set(TYPES)
    assert len(TYPES) == 7


def test_the_example_is_an_exponentially_weighted_rate():
    """The answer of the docs' example equals the sum that defines it."""
    handler = handler_of("ewma")
    events = [("t", f"c{n % 3}", START + n / 7, float(n % 5)) for n in range(500)]
    until = START + 100.0
    expected = sum(value * 2.718281828459045 ** ((time - until) / 60) for _, _, time, value in events) / 60
    found = answers(handler, folded(handler, events), until=until)
    alike(found["t",], {"rate": expected})


@every_handler
def test_many_large_tables_project_alike(handler):
    """Hundreds of States a tab, in pieces as they lie in memory, project again and again to the same answers."""
    rng = random.Random(3)
    value = {
        Value.NUMBER: lambda: rng.randint(-80, 80) / 8,
        Value.TEXT: lambda: rng.choice(["a", "b", "é"]),
        Value.ANY: lambda: rng.choice([1.5, -2.0, "a", "é"]),
    }[handler.value]
    for _ in range(30):
        events = [(rng.choice(["t", "u", "v"]), "c", START + rng.randrange(2_400) / 4, value()) for _ in range(300)]
        whole = answers(handler, folded(handler, events))
        pieces = pl.concat([folded(handler, events[piece::5]) for piece in range(5)], rechunk=False)
        for tab, found in answers(handler, pieces).items():
            alike(found, whole[tab])
