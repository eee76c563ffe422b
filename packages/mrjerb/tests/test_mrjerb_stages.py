"""Steps become stages: what runs in one task, in which order parts of it begin and end, and what is no job."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrjerb import Job, JobError, Step
from mrjerb.job import FunctionJob
from mrjerb.stages import stages_of


class Made(Job):
    """A job of given steps."""

    def __init__(self, *steps):
        super().__init__()
        self._steps = steps

    def steps(self):
        return self._steps


def record_map(record):
    yield record, 1


def pair_map(key, value):
    yield key, value


def reduce(key, values):
    yield key, sum(values)


FORMS = {"map": (True, False), "reduce": (False, True), "both": (True, True)}


@given(st.lists(st.sampled_from(sorted(FORMS)), max_size=6).map(lambda forms: ["map", *forms]) | st.just(["both"]))
def test_stages_are_cut_at_shuffles(forms):
    """One stage more than shuffles, where anything follows the last; each map is in just one, between its reduces."""
    steps = [
        Step(
            map=(record_map if not at else pair_map) if FORMS[form][0] else None,
            reduce=reduce if FORMS[form][1] else None,
        )
        for at, form in enumerate(forms)
    ]
    stages = stages_of(Made(*steps))
    shuffles = [step for step in steps if step.reduce]
    assert [stage.shuffle for stage in stages] == [*shuffles, None]
    assert [stage.groups for stage in stages] == [None, *shuffles]
    assert [step for stage in stages for step in stage.maps] == [step for step in steps if step.map]
    assert [stage.number for stage in stages] == list(range(len(stages)))
    assert [stage.name for stage in stages[:3]] == ["map", "reduce 1", "reduce 2"][: len(stages)]


def told(name, seen, *, pairs=()):
    """A begin or end that is noted, and yields."""

    def around():
        seen.append(name)
        yield from pairs

    return around


def passing(name, seen):
    def mapping(key, value):
        seen.append(f"{name}({key})")
        yield f"{key}>{name}", value

    return mapping


def test_a_map_has_begun_before_pairs_come_to_it():
    """Begins run from the last map to the first, ends from the first to the last, each into what follows."""
    seen = []
    first = Step(
        map=lambda record: [(record, 0)],
        map_begin=told("begin 1", seen, pairs=[("b1", 0)]),
        map_end=told("end 1", seen, pairs=[("e1", 0)]),
    )
    second = Step(
        map=passing("m2", seen), map_begin=told("begin 2", seen), map_end=told("end 2", seen, pairs=[("e2", 0)])
    )
    [stage] = stages_of(Made(first, second))
    assert list(stage.begin()) == [("b1>m2", 0)]
    assert seen == ["begin 2", "begin 1", "m2(b1)"]
    assert list(stage.function("r")) == [("r>m2", 0)]
    seen.clear()
    assert list(stage.end()) == [("e1>m2", 0), ("e2", 0)]
    assert seen == ["end 1", "m2(e1)", "end 2"]


def test_around_a_reduce():
    """What a reduce's begin and end yield goes through the maps behind it, a map's own not through itself."""
    seen = []
    steps = [
        Step(
            map=record_map,
            reduce=reduce,
            reduce_begin=told("rb", seen, pairs=[("rb", 1)]),
            reduce_end=told("re", seen, pairs=[("re", 1)]),
        ),
        Step(map=passing("m", seen), map_end=told("me", seen, pairs=[("me", 1)])),
    ]
    _, last = stages_of(Made(*steps))
    assert list(last.begin()) == [("rb>m", 1)]
    assert list(last.function(("k", iter([1, 2])))) == [("k>m", 3)]
    assert list(last.end()) == [("re>m", 1), ("me", 1)]


def test_none_is_no_pairs():
    """A generator that returns nothing, as a plain `return` of a function does, yields no pairs, at any place."""
    [stage] = stages_of(
        Made(
            Step(map=lambda record: [(record, 0)] if record else None),
            Step(map=lambda key, _: None if key == 1 else [(key, 1)]),
        )
    )
    assert [list(stage.function(record)) for record in (0, 1, 2)] == [[], [], [(2, 1)]]


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], "at least one step"),
        ([Step(reduce=reduce)], "has no map"),
        ([record_map], "not a mrjerb.Step"),
    ],
    ids=["none", "no map", "no step"],
)
def test_what_is_no_job(steps, text):
    """What can't be run is said before anything is."""
    with pytest.raises(JobError, match=text):
        stages_of(Made(*steps))


@pytest.mark.parametrize("parts", [{}, {"map": record_map, "combine": reduce}, {"map": record_map, "order": pair_map}])
def test_what_is_no_step(parts):
    """A step of nothing, or with a part that nothing would use."""
    with pytest.raises(JobError, match="a step has"):
        Step(**parts)


def test_functions_are_a_job():
    """A module's functions and words: `sort_values` orders the values by themselves, `steps` are its own steps."""

    class Module:
        sort_values = True
        output = "raw_key"
        map = staticmethod(record_map)
        reduce = staticmethod(reduce)

    job = FunctionJob(Module, name="module")
    [step] = job.steps()
    assert step.order is not None
    assert step.order("key", 7) == 7
    assert (job.output, job.name) == ("raw_key", "module")
    Module.steps = [Step(map=record_map)]
    assert FunctionJob(Module, name="module").steps() == Module.steps
