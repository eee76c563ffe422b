"""Groups over sorted chunks: what a reduce leaves unread is passed over, and no more than a chunk is held."""

from collections import Counter
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st
from key_kinds import few_keys

from mrjerb.groups import by_key, groups
from mrjerb.keys import composite, decode, encode


@st.composite
def chunked(draw):
    """Sorted chunks, several for some keys; some are empty."""
    values = st.lists(st.integers(), max_size=3)
    some = {encode(key): draw(st.lists(values, min_size=1, max_size=4)) for key in draw(st.lists(few_keys, max_size=6))}
    return [(key, chunk) for key in sorted(some) for chunk in some[key]]


def wanted(chunks):
    return [
        (key, [value for _, chunk in found for value in chunk])
        for key, found in groupby(chunks, key=lambda one: one[0])
    ]


@given(chunked(), st.data())
def test_each_key_once_however_much_is_read(chunks, data):
    """Every key comes once, in order; a reduce that stops early sees the first of its values and harms no other."""
    told = []
    for (key, values), (encoded, all_values) in zip(
        groups(iter(chunks), lambda *seen: told.append(seen)), wanted(chunks), strict=True
    ):
        assert encode(key) == encoded
        take = data.draw(st.integers(0, len(all_values)))
        assert [value for value, _ in zip(values, range(take), strict=False)] == all_values[:take]
    assert told == [(key, len(values)) for key, values in wanted(chunks)]


@given(chunked())
def test_values_are_read_once(chunks):
    """A second loop over the values finds nothing: they are a stream."""
    for _, values in groups(chunks):
        list(values)
        assert list(values) == []


def test_a_key_is_streamed():
    """A key of many chunks never has more than two of them made: the one being read, and the next."""
    made, used = Counter(), 0
    key = encode("a")

    def chunks():
        for _ in range(50):
            made["chunks"] += 1
            assert made["chunks"] * 10 - used <= 30
            yield key, list(range(10))

    for _, values in groups(chunks()):
        for _ in values:
            used += 1
    assert (made["chunks"], used) == (50, 500)


def test_composites_are_groups_of_their_key():
    """Values that are sorted by something of their own still belong to one key."""
    chunks = sorted((composite(key, order), [order]) for key in ("a", "a\0", 1) for order in (3, 1, 2))
    assert [(key, list(values)) for key, values in groups(by_key(chunks))] == [
        (1, [1, 2, 3]),
        ("a", [1, 2, 3]),
        ("a\0", [1, 2, 3]),
    ]
    assert decode(chunks[0][0]) == 1
