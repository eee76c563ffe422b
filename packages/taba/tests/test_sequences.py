"""Which sequences of a source have been seen, compared with a plain set of them."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from taba.sequences import MAX_GAPS, Seen

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


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 3 * MAX_GAPS), seed=st.integers())
def test_gaps_are_bounded_and_nothing_is_seen_twice(length, seed):
    """A source that leaves gap after gap: what was added is never taken again, and the newest gaps are kept."""
    rng = random.Random(seed)
    added = sorted(rng.sample(range(1, 5 * length + 10), length))
    seen = Seen().add(added)
    assert all(number in seen for number in added)
    assert len(seen.gaps) <= MAX_GAPS
    missing = sorted(set(range(1, added[-1])) - set(added))
    assert all(number not in seen for number in missing[-MAX_GAPS:])


def test_a_source_may_begin_anywhere():
    """A first sequence far from 1 leaves one gap, and what lies in it may come later: a backlog after the newest."""
    seen = Seen().add([1 << 62])
    assert (len(seen.gaps), 1 in seen, (1 << 62) - 1 in seen) == (1, False, False)
    seen = seen.add(range(1, 1000))
    assert (len(seen.gaps), 999 in seen, 1000 in seen) == (1, True, False)


def test_a_source_in_order_has_no_gaps():
    """The usual source: a number in the store, however long it runs."""
    seen = Seen()
    for first in range(1, 10_000, 100):
        seen = seen.add(range(first, first + 100))
    assert (seen.last, seen.written()) == (10_000 - 100 + 100, "")
