"""Which sequences of a source have been seen, compared with a plain set of them."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from taba.store.protocol import MAX_GAPS
from taba.store.sequences import Seen

batches = st.lists(st.sets(st.integers(1, 60), max_size=5), max_size=30)


@settings(max_examples=200)
@given(batches=batches)
def test_seen_is_the_set_of_what_was_added(batches):
    """In any order, with gaps and repeats: exactly what was added has been seen."""
    seen, model = Seen(), set()
    for batch in batches:
        assert [number in seen for number in range(1, 70)] == [number in model for number in range(1, 70)]
        seen, model = seen.add(batch), model | batch
        assert Seen.read(seen.last, seen.written()) == seen
        assert seen.last == max(model, default=0)


@settings(max_examples=50)
@given(steps=st.lists(st.one_of(st.integers(1, 20), st.integers(1, 3 * MAX_GAPS)), max_size=30), seed=st.integers())
def test_gaps_are_bounded_and_nothing_is_seen_twice(steps, seed):
    """A source that leaps ahead: what was added is never taken again, and the gaps that are kept are the newest."""
    rng = random.Random(seed)
    seen, added, last = Seen(), set(), 0
    for step in steps:
        last += step
        batch = {last, *(rng.randint(1, last) for _ in range(3))}
        seen, added = seen.add(batch), added | batch
        assert all(number in seen for number in added)
        assert len(seen.gaps) <= MAX_GAPS
        assert seen.last == last
        kept = range(max(1, last - MAX_GAPS), last + 1)
        assert all(number not in seen for number in kept if number not in added)


def test_a_source_may_begin_anywhere():
    """A first sequence far from 1 costs no more than the bound."""
    seen = Seen().add([1 << 62])
    assert len(seen.gaps) == MAX_GAPS
    assert (1 << 62) - 1 not in seen
    assert 1 in seen


def test_a_source_in_order_has_no_gaps():
    """The usual source: a number in the store, however long it runs."""
    seen = Seen()
    for first in range(1, 10_000, 100):
        seen = seen.add(range(first, first + 100))
    assert (seen.last, seen.written()) == (10_000 - 100 + 100, "")
