"""The tables that pairs are gathered in: with any memory, and any combine, nothing is lost and nothing doubled."""

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from key_kinds import keys

from mrjerb import Job, total
from mrjerb.engines.local import table as table_module
from mrjerb.engines.local.merging import sorted_chunks
from mrjerb.engines.local.table import Spill, Summed, table_of
from mrjerb.errors import RecordError
from mrjerb.groups import by_key, groups
from mrjerb.job import Step
from mrjerb.keys import composite, encode, partition_of
from mrjerb.running import Skipped

words = st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(-9, 9)), max_size=60)
fullness = st.lists(st.booleans(), max_size=8)
MEMORY = 64 << 20


class Full:
    """A spill's memory, full when a list says so, and not any more after that."""

    def __init__(self, answers):
        self.answers = list(answers)

    def __call__(self):
        return self.answers.pop() if self.answers else False


def made(step, pairs, full, partitions=3, look=1):
    """The groups of each partition, after pairs went through a table that looks at the memory every `look` pairs."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_module, "FIRST_LOOK", look)
        patch.setattr(table_module, "LOOK", look)
        folder = Path(name)
        spill = Spill(folder, "t", MEMORY, partition_of, partitions)
        spill.full = Full(full)
        table = table_of(step, spill, Skipped(0))
        take = table.take(lambda item: item)
        segments = []
        for at in range(0, len(pairs), 7):
            take(iter([pairs[at : at + 7]]))
            table.look_now()
            if at % 3 == 0:
                segments += table.flush()
        segments += table.flush()
        assert table.pairs == len(pairs)
        found = []
        for number in range(partitions):
            own = [one for one in segments if one.partition == number]
            chunks = sorted_chunks(own, folder, "m", 0, lambda _: None)
            found.append([(key, list(some)) for key, some in groups(by_key(chunks) if step.order else chunks)])
        return found


def reduce(key, values):
    yield key, list(values)


@given(st.lists(st.tuples(keys, st.integers()), max_size=40), fullness, st.integers(1, 5))
def test_pairs_come_back_by_key(pairs, full, look):
    """Keys of every kind: each once, in its partition, in order, with all of its values, however often it is looked."""
    step = Step(map=lambda record: record, reduce=reduce)
    expected = {}
    for key, value in pairs:
        expected.setdefault(encode(key), []).append(value)
    found = made(step, pairs, full, look=look)
    told = {encode(key): sorted(some) for partition in found for key, some in partition}
    assert told == {key: sorted(some) for key, some in expected.items()}
    for number, partition in enumerate(found):
        encoded = [encode(key) for key, _ in partition]
        assert encoded == sorted(set(encoded))
        assert all(partition_of(key, 3) == number for key in encoded)


@given(words, fullness, st.booleans())
def test_values_may_be_combined_any_number_of_times(pairs, full, ordered):
    """Sums of sums, with what combine_begin and combine_end yield beside them."""

    def combine(key, values):
        yield key, sum(values)

    begun = []

    def begin():
        begun.append(1)
        yield "begin", 1

    step = Step(
        map=lambda record: record,
        combine=combine,
        reduce=reduce,
        combine_begin=begin,
        combine_end=lambda: [("end", 1)],
        order=(lambda key, value: value) if ordered else None,
    )
    found = {key: sum(some) for partition in made(step, pairs, full) for key, some in partition}
    assert found.pop("begin", 0) == len(begun)
    assert found.pop("end", 0) <= 3 * len(begun) + len(begun)
    expected = {}
    for key, value in pairs:
        expected[key] = expected.get(key, 0) + value
    assert found == expected


@given(st.lists(st.tuples(keys, st.integers()), max_size=40), fullness)
def test_totals_are_the_sums(pairs, full):
    """What `total` adds up as it comes is, for keys of every kind, what a sum over all values is."""
    step = Step(map=lambda record: record, combine=total, reduce=total)
    found = {encode(key): sum(some) for partition in made(step, pairs, full) for key, some in partition}
    expected = {}
    for key, value in pairs:
        expected[encode(key)] = expected.get(encode(key), 0) + value
    assert found == expected


def test_a_record_that_may_fail_leaves_no_part_of_a_total():
    """Where records may be skipped, one whose second value can't be added has not added its first."""
    pairs = [("a", 1), ("b", None), ("a", 2)]
    with TemporaryDirectory() as name:
        spill = Spill(Path(name), "t", MEMORY, partition_of, 1)
        step = Step(map=lambda record: record, combine=total, reduce=total)
        assert not isinstance(table_of(step, spill, Skipped(1)), Summed)
        assert isinstance(table_of(step, spill, Skipped(0)), Summed)
        with pytest.raises(TypeError):
            table_of(step, spill, Skipped(0)).take(lambda item: item)(iter([pairs]))


def test_total_is_one_object_in_every_process():
    """A class may have it as an attribute without it becoming a method, and it is itself again behind a pickle."""

    class Sums(Job):
        combine = reduce = total

        def map(self, record):
            yield record, 1

    assert pickle.loads(pickle.dumps(total)) is total
    assert Sums().steps()[0].combine is total
    assert list(total("a", [1, 2.5])) == [("a", 3.5)]


@given(words, fullness)
def test_a_combine_may_yield_other_keys(pairs, full):
    """Also such as are gathered already, and for one key several."""

    def combine(key, values):
        for value in values:
            yield ("even", 0) if value % 2 == 0 and key != ("even", 0) else key, value

    step = Step(map=lambda record: record, combine=combine, reduce=reduce)
    found = {key: some for partition in made(step, pairs, full) for key, some in partition}
    assert sorted(value for some in found.values() for value in some) == sorted(value for _, value in pairs)
    assert all(value % 2 == 0 for value in found.get(("even", 0), []))


@given(words, fullness)
def test_values_come_in_their_order(pairs, full):
    """Sorted by what the step's order says, over all runs."""
    step = Step(map=lambda record: record, reduce=reduce, order=lambda key, value: (-value, key))
    for partition in made(step, pairs, full):
        assert [encode(key) for key, _ in partition] == sorted({encode(key) for key, _ in partition})
        for _, some in partition:
            assert some == sorted(some, reverse=True)
    assert composite("a", 1) < composite("a", 2) < composite("b", 0)


def test_a_key_whose_combine_fails_is_named():
    """The error comes out of the record's loop as it is, and is not told as the record's."""

    def combine(key, values):
        raise ValueError("no sums")

    step = Step(map=lambda record: record, combine=combine, reduce=reduce)
    with pytest.raises(RecordError, match="combine, key 'a': ValueError: no sums"):
        made(step, [("a", 1), ("a", 2)], [True, False])


def test_a_function_that_fails_loses_no_look(tmp_path):
    """Pairs of a record that fails in its middle are counted, and the memory is looked at as before."""
    spill = Spill(tmp_path, "t", MEMORY, partition_of, 1)
    table = table_of(Step(map=lambda record: record, reduce=reduce), spill, Skipped(0))

    def function(item):
        yield "a", 1
        if item == 2:
            raise ValueError
        yield "b", 1

    take, records = table.take(function), iter(range(40))
    with pytest.raises(ValueError, match=r"^$"):
        take(records)
    assert table.pairs == 5
    take(records)
    assert table.pairs == 5 + 2 * 37
    assert sum(one.values for one in table.flush()) == table.pairs


def test_large_pairs_are_written_before_many_are_there(tmp_path):
    """The memory is looked at after few pairs where each takes much: values of a megabyte stay within the room."""
    spill = Spill(tmp_path, "t", MEMORY, partition_of, 1)
    table = table_of(Step(map=lambda record: record, reduce=reduce), spill, Skipped(0))
    most = 0

    def large():
        nonlocal most
        for number in range(150):
            most = max(most, spill.meter.held() - spill.ground)
            yield number % 3, bytes([number]) * (1 << 20)

    table.take(lambda _: large())(iter([None]))
    assert most < MEMORY
    assert len(list(tmp_path.iterdir())) >= 4
    assert sum(one.values for one in table.flush()) == 150


def test_small_pairs_are_looked_at_seldom(tmp_path):
    """A look costs as much as some pairs: after the first it comes every few thousand."""
    spill = Spill(tmp_path, "t", MEMORY, partition_of, 1)
    looks = []
    spill.full = lambda: looks.append(1)
    table = table_of(Step(map=lambda record: record, reduce=reduce), spill, Skipped(0))
    table.take(lambda _: ((number, 1) for number in range(200_000)))(iter([None]))
    assert len(looks) < 100
    assert table.pairs == 200_000
