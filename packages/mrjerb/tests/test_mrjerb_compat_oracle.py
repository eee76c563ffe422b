"""Random jobs over random inputs: what compat writes is what mrjob itself writes, byte for byte with one reducer."""

import json
import logging
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import mrjob.compat
import mrjob.job
import mrjob.protocol
import mrjob.step
import pytest
from compat_jobs import kinds
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mrjerb import compat

NAMES = ("Pairs", "Sorted", "Combined", "Tuples", "Only", "Reduced", "Steps")
PROTOCOLS = ("JSONProtocol", "PickleProtocol", "ReprProtocol")


def names_of(*modules) -> SimpleNamespace:
    """What jobs import, of the modules of one framework."""
    return SimpleNamespace(**{name: value for module in modules for name, value in vars(module).items()})


OURS = names_of(compat)
THEIRS = names_of(mrjob.compat, mrjob.job, mrjob.protocol, mrjob.step)

numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
scalars = (
    st.none() | st.booleans() | st.integers(-20, 20) | numbers | st.text(max_size=6) | st.sampled_from("aäb\t\n\0'\"")
)
values = st.recursive(
    scalars, lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=3), of, max_size=3), max_leaves=6
)


def told_apart(pairs):
    """Pairs without keys that Python takes for equal, and protocols write differently: 1, 1.0 and True. Whether mrjob
    puts such groups together depends on what lies between them."""
    kept = []
    for key, value in pairs:
        if all(key != other or json.dumps(key) == json.dumps(other) for other, _ in kept):
            kept.append((key, value))
    return kept


inputs = st.lists(st.tuples(values, values), max_size=25).map(told_apart)


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    """Runs go into a history of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@contextmanager
def written(lines):
    """A file with lines."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lines"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        yield str(path)


def output(job) -> bytes:
    """What a job writes, part by part, and its counters."""
    with TemporaryDirectory() as folder:
        job.options.output_dir = str(Path(folder) / "out")
        with job.make_runner() as runner:
            runner.run()
            parts = sorted(Path(folder, "out").glob("part-*"))
            return b"".join(part.read_bytes() for part in parts), runner.counters()


def both(name, pairs, protocol, *words):
    """The output and the counters of a job of mrjob's, and of the same job on compat's base."""
    lines = [b"\t".join(json.dumps(one).encode() for one in pair) for pair in pairs]
    if name != "Reduced":
        lines = [json.dumps(pair).encode() for pair in pairs]
    logging.getLogger("mrjob").setLevel(logging.ERROR)
    found = []
    with written(lines) as path:
        for names in (THEIRS, OURS):
            kind = kinds(names)[name]
            kind.INTERNAL_PROTOCOL = getattr(names, protocol)
            found.append(output(kind(["--no-conf", "-q", "--num-cores", "1", *words, path])))
    return found


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(pairs=inputs, protocol=st.sampled_from(PROTOCOLS))
@example(pairs=[], protocol="JSONProtocol")
@example(pairs=[("b", 1), ("a", 2), (10, 3), (9, 4), ("", 5), ([], 6), ("b", 0)], protocol="JSONProtocol")
def test_a_job_gives_what_mrjob_gives(name, pairs, protocol):
    """Any keys and values that are JSON, through any internal protocol, with sorting, combiners and several steps."""
    (expected, counted), (found, counters) = both(name, pairs, protocol)
    assert found == expected
    assert counters == counted


@pytest.mark.parametrize("name", ["Configured", "Alone"])
@pytest.mark.parametrize("words", [[], ["-D", "my.own=said", "-D", "my.other=said"]], ids=["", "-D"])
def test_each_step_sees_its_own_properties(name, words):
    """Those of `MRStep(jobconf=…)` go over the command line's, and these over the job's; none of another step is seen,
    though the reducer of one and the mapper of the next take turns in one process."""
    (expected, _), (found, _) = both(name, [(1, 2), (3, 4)], "JSONProtocol", *words)
    assert found == expected


@settings(max_examples=8)
@given(pairs=inputs)
def test_a_protocol_without_keys_makes_one_group(pairs):
    """With an internal protocol of values alone, a reducer gets None and all values, in the order of their lines."""
    (expected, _), (found, _) = both("Pairs", pairs, "JSONValueProtocol")
    if b"\n" not in expected[:-1]:  # mrjob may have cut the group in two, for two reducers
        assert found == expected
