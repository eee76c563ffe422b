"""The oracle itself, by hand: what all engines are compared with must be right where it can be seen."""

from algebra_job import Algebra, packed
from hypothesis import given
from oracle import expected
from programs import runs

PLAIN = {"fan": 2, "combine": False, "order": None, "place": None}


def job(*steps, keys=("a",)):
    return Algebra(program=packed({"input": "text", "keys": list(keys), "steps": [PLAIN | step for step in steps]}))


def test_a_sum_by_hand():
    """One step: three records under one key, in the part that the key belongs to."""
    parts, counters = expected(job({"map": "same", "reduce": "list"}), [["b", "a"], [], ["a"]], 2)
    assert sorted(parts) == [[], ["None\t['a', 'a', 'b']"]]
    assert counters == {"records": 3, "groups of step 0": 1}


def test_no_reduce_keeps_tasks_apart():
    """Maps alone: each input is a part, in its order."""
    parts, _ = expected(job({"map": "swap", "reduce": None}, {"map": "same", "reduce": None}), [["b", "a"], ["c"]], 2)
    assert parts == [["\"'b'\"\tNone", "\"'a'\"\tNone"], ["\"'c'\"\tNone"]]


def test_order_and_ends_by_hand():
    """Values in an order of their own, three of them; and what comes once a partition."""
    first = {"map": "same", "reduce": "first", "order": "text", "place": "zero"}
    parts, _ = expected(job(first, {"map": "same", "reduce": "total"}), [["d", "b"], ["c", "a"]], 3)
    assert sum(line.startswith("'total'") for part in parts for line in part) == 3
    assert expected(job(first), [["d", "b"], ["c", "a"]], 3)[0] == [["None\t('a', 'b', 'c')"], [], []]


@given(runs())
def test_programs_have_one_output(run):
    """However inputs lie in tasks: a program whose output depended on it would prove nothing about engines."""
    program, files, reducers = run
    tasks = [file.records for file in files]
    halves = [half for task in tasks for half in (task[: len(task) // 2], task[len(task) // 2 :])]
    parts, counters = expected(Algebra(program=packed(program)), tasks, reducers)
    again, more = expected(Algebra(program=packed(program)), halves, reducers)
    if any(step["reduce"] for step in program["steps"]):
        assert parts == again
    else:
        assert sum(parts, []) == sum(again, [])  # noqa: RUF017
    assert counters == more
