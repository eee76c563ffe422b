"""All engines give the same output: jobs at random, each compared with the oracle to the last line.

What is compared: how many parts there are, which pairs are in each, the order of its keys and of the values that have
one, and the counters. Each engine runs as many jobs as its speed allows in the default tests, and ten times as many in
the slow ones, or as many as three minutes allow.
"""

import math
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from algebra_job import Algebra, packed
from engine_runs import INLINE, run
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import expected
from programs import File, runs

from mrjerb.engines.local import merging, table
from mrjerb.engines.local import runs as sorted_runs

STEP = {"map": "spread", "fan": 6, "reduce": "sum", "combine": True, "order": None, "place": None}
SECONDS = 180.0  # of a search, after which no job is drawn any more
EMPTY = ({"input": "text", "keys": ["a"], "steps": [STEP]}, [File("in.txt", b"", [])], 3)


def agrees(drawn, engine, pieces=None, **asked):
    """Run a job on an engine and on the oracle. pieces: into how many splits the inputs are cut, about."""
    program, files, reducers = drawn
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = [file.write(folder) for file in files]
        if pieces is not None:
            asked["split_size"] = max(8, sum(len(file.content) for file in files) // pieces)
        job = Algebra(program=packed(program))
        parts, result = run(job, inputs, folder / "output", engine, reducers=reducers, **asked)
        assert sorted(path.name for path in folder.iterdir()) == sorted(["output", *(file.name for file in files)])
    wanted, counters = expected(Algebra(program=packed(program)), [file.records for file in files], reducers)
    if any(step["reduce"] for step in program["steps"]):
        assert parts == wanted
    else:
        assert [line for part in parts for line in part] == [line for part in wanted for line in part]
    assert result.counters == counters


def both(examples):
    """How often hypothesis draws: a few times by default, ten times as often among the slow tests."""
    slow = pytest.param(examples * 10, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])
    return pytest.mark.parametrize("examples", [examples, slow])


class TimeIsUp(KeyboardInterrupt):
    """Ends a search. A job that returned, or raised anything else, before it has drawn what it drew at first would be
    an error to hypothesis: data that depend on more than its choices."""


def search(examples, engine, **asked):
    """Run jobs at random. Once one has failed, hypothesis may take what time it needs to make that small."""
    until = time.monotonic() + SECONDS

    @settings(max_examples=examples)
    @given(st.data())
    def searched(data):
        nonlocal until
        if time.monotonic() > until:
            raise TimeIsUp  # before anything is drawn, which takes time, too
        try:
            agrees(data.draw(runs()), engine, **asked)
        except Exception:  # not hypothesis' own end of a draw that came to nothing
            until = math.inf
            raise

    agrees(EMPTY, engine, **asked)
    with suppress(TimeIsUp):
        searched()


@both(50)
def test_inline(examples):
    """One process, all in memory."""
    search(examples, INLINE)


@both(30)
def test_two_workers(examples):
    """Processes, one split for each file."""
    search(examples, "local", workers=2)


@both(20)
def test_three_workers_and_many_splits(examples):
    """Files that are cut within their lines."""
    search(examples, "local", workers=3, pieces=10)


@contextmanager
def tiny_tables(monkeypatch):
    """Tables that are full after a few pairs, in blocks of a few values, so that everything is spilled and merged."""
    with monkeypatch.context() as patch:
        patch.setattr(table, "LOOK", 3)
        patch.setattr(table.Spill, "full", lambda _: True)
        for name, value in (("FIRST", 2), ("MOST", 3)):
            patch.setattr(sorted_runs, name, value)
        patch.setattr(merging, "HELD", 1 << 40)  # more than there is: two runs at once
        yield


@both(20)
def test_everything_is_spilled(examples, monkeypatch):
    """A memory that holds three pairs: what is written, cut, read back and merged is what was yielded."""
    with tiny_tables(monkeypatch):
        search(examples, "local", workers=2)


@both(10)
@pytest.mark.timeout(600)
def test_spark(examples, on_spark):
    """Tasks in Spark's own Python workers, through its shuffle."""
    search(examples, on_spark)


@both(2)
@pytest.mark.timeout(600)
def test_hadoop(examples, on_hadoop):
    """Programs of Hadoop Streaming, through its sort. Each step is a job of some seconds."""
    search(examples, on_hadoop)
