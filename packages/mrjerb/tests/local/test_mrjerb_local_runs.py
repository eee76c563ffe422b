"""Runs and their merging: what was written comes back sorted, however long the lists, however many the runs."""

import resource
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrjerb.engines.local import merging, runs
from mrjerb.engines.local.merge import merged
from mrjerb.engines.local.merging import sorted_chunks
from mrjerb.engines.local.runs import RunWriter, read_segment

values = st.one_of(st.integers(), st.text(max_size=3), st.tuples(st.booleans(), st.none()))
lists = st.one_of(st.lists(values, min_size=1, max_size=5), st.integers(1, 700).map(lambda size: list(range(size))))
tables = st.dictionaries(st.binary(max_size=3), lists, max_size=8)


def written(folder, name, *partitions):
    """The segments of a run of tables, a table for each partition."""
    writer = RunWriter(Path(folder) / name)
    for number, table in enumerate(partitions):
        writer.partition(number, sorted(table.items()))
    return writer.close()


def together(chunks):
    """Chunks as a table, and whether their keys came in order, each but once."""
    table, keys = {}, []
    for key, found in chunks:
        if not keys or keys[-1] != key:
            keys.append(key)
        table.setdefault(key, []).extend(found)
    return table, keys == sorted(set(keys))


def told_together(tables):
    """Several tables as one, with the values of each key sorted somehow: a merge promises no order of them."""
    found = {}
    for key, some in chain.from_iterable(table.items() for table in tables):
        found.setdefault(key, []).extend(some)
    return {key: sorted(some, key=repr) for key, some in found.items()}


def same(found, expected):
    """Whether two tables have the same values of the same keys."""
    assert {key: sorted(some, key=repr) for key, some in found.items()} == expected


@given(st.lists(tables, max_size=4))
def test_a_run_gives_back_what_was_written(partitions):
    """Each partition's chunks, in order; values of a key stay in theirs; a segment tells how many there are."""
    with TemporaryDirectory() as folder:
        segments = {one.partition: one for one in written(folder, "a.run", *partitions)}
        assert set(segments) == {number for number, table in enumerate(partitions) if table}
        for number, segment in segments.items():
            table, ordered = together(chain.from_iterable(read_segment(segment)))
            assert (table, ordered) == (partitions[number], True)
            assert segment.values == sum(map(len, table.values()))


@given(st.lists(st.integers(1, 2_000), min_size=1, max_size=6))
def test_long_lists_are_cut_while_the_size_is_learnt(sizes):
    """A list that is cut into blocks of a growing size loses no value and doubles none."""
    table = {bytes([at]): list(range(size)) for at, size in enumerate(sizes)}
    with TemporaryDirectory() as folder:
        (segment,) = written(folder, "a.run", table)
        found, ordered = together(chain.from_iterable(read_segment(segment)))
    assert (found, ordered) == (table, True)


def test_a_block_is_about_as_large_as_it_should_be(tmp_path):
    """Small values, large ones, and one key with very many: no block is much larger than was meant."""
    tables = [
        {b"%08d" % number: [number] for number in range(60_000)},
        {b"%08d" % number: ["x" * 30_000] for number in range(200)},
        {b"one": list(range(300_000))},
        {b"%08d" % number: list(range(9_000)) for number in range(40)},
    ]
    segments = written(tmp_path, "a.run", *tables)
    for segment in segments:
        assert segment.largest <= 4 * runs.BLOCK
        assert all(sum(len(some) for _, some in block) <= 2 * runs.MOST for block in read_segment(segment))
    assert sum(1 for _ in read_segment(segments[1])) > 30  # 30 KB each, four in a block


def test_a_merge_of_a_key_with_many_values_holds_few(tmp_path):
    """Writing what comes merged takes some chunks ahead, and no more than a few blocks' worth of values."""
    taken = given_out = 0

    def chunks():
        nonlocal taken
        for _ in range(3_000):
            taken += 1_000
            yield b"key", list(range(1_000))

    sizes = runs._Sizes()
    sizes.values = runs.MOST
    most = 0
    for block in runs._blocks(chunks(), sizes):
        most = max(most, taken - given_out)
        given_out += sum(len(some) for _, some in block)
    assert given_out == taken == 3_000_000
    assert most <= 6 * runs.MOST


@given(st.lists(tables, max_size=6))
def test_merging_is_what_sorting_all_would_be(some):
    """Runs of any overlap, also none, become one stream whose keys are sorted and together."""
    with TemporaryDirectory() as folder:
        segments = [one for at, table in enumerate(some) for one in written(folder, f"{at}.run", table)]
        found, ordered = together(merged(read_segment(one) for one in segments))
    assert ordered
    same(found, told_together(some))


@given(st.lists(tables, min_size=3, max_size=12), st.integers(2, 3))
def test_merging_in_several_turns(some, at_once):
    """Where too many runs are there for the memory, some are merged first: the stream is the same, and the files that
    were made for it are gone behind it, while the runs themselves stay for another try."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "HELD", 1 << 20)
        segments = [one for at, table in enumerate(some) for one in written(folder, f"{at}.run", table)]
        before = sorted(Path(folder).iterdir())
        read = []
        found, ordered = together(sorted_chunks(segments, Path(folder), "merge0", at_once * (2 << 20), read.append))
        assert sorted(Path(folder).iterdir()) == before
    assert ordered
    same(found, told_together(some))


def test_thousands_of_runs(tmp_path, monkeypatch):
    """With all memory there is, and few open files allowed, many runs are still merged."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(merging, "FILES", 20)
    segments = [
        one for at in range(300) for one in written(tmp_path, f"{at}.run", {b"%d" % (at % 7): [at], b"k": [at]})
    ]
    used = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 40, hard))
    try:
        found, ordered = together(sorted_chunks(segments, tmp_path, "merge", 64 << 30, lambda _: None))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert ordered
    assert sorted(found[b"k"]) == list(range(300))
    assert sum(map(len, found.values())) == 600


def test_few_segments_of_large_values_are_merged_at_once(tmp_path):
    """How many fit is told by their largest blocks, not by their number."""
    segments = [one for at in range(6) for one in written(tmp_path, f"{at}.run", {b"k": ["x" * (4 << 20)] * 2})]
    assert segments[0].largest >= 4 << 20
    assert merging._at_once(segments, 24 << 20) == 2
    assert merging._at_once(segments, 1 << 30) == 6
