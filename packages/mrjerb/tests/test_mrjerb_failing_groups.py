"""A group whose reduce fails is named by its key and may be skipped; what fails as groups are read is no group's."""

import pytest

from mrjerb.errors import RecordError
from mrjerb.running import Skipped, all_or_nothing, as_blocks, each, pairs_of


def reduce(group):
    key, values = group
    yield key, sum(values)
    if key == "bad":
        raise ValueError("not this one")


def groups(*keys, ending=None):
    yield from ((key, iter([1, 2])) for key in keys)
    if ending is not None:
        raise ending


def taken(source, skipped):
    """Pairs, and how many items there were, as a worker takes them."""
    found, items = [], 0
    function = all_or_nothing(reduce)

    def take(records):
        for group in records:
            found.extend(function(group))

    for block in each(as_blocks(source, "reduce 1"), take, skipped):
        items += len(block.records)
    return found, items


def test_a_group_that_fails_is_skipped_and_named_and_the_others_stay():
    """Whichever of many groups fails, --skip-bad costs that one alone, on engines that push and on those that pull."""
    skipped = Skipped(2)
    found, items = taken(groups("a", "bad", "b", "bad"), skipped)
    assert found == [("a", 3), ("b", 3)]
    assert items == 4
    assert [bad.where for bad in skipped.found] == ["reduce 1, key 'bad'"] * 2
    assert skipped.found[0].raw == "'bad'"

    skipped = Skipped(1)
    assert list(pairs_of(as_blocks(groups("bad", "b"), "combine"), reduce, skipped)) == [("b", 3)]
    assert skipped.found[0].where == "combine, key 'bad'"


def test_a_group_that_fails_ends_the_run_with_its_key():
    """The error names the key that failed, not one before or behind it."""
    with pytest.raises(RecordError, match=r"reduce 1, key 'bad'.*not this one"):
        taken(groups("a", "bad", "b"), Skipped(0))


@pytest.mark.parametrize("allowed", [0, 5])
def test_what_fails_while_groups_are_read_is_never_skipped(allowed):
    """A run that can't be read must end the run: taken for a bad group, all groups behind it would be lost."""
    skipped = Skipped(allowed)
    with pytest.raises(ValueError, match="damaged"):
        taken(groups("a", "b", ending=ValueError("damaged")), skipped)
    assert not skipped.found
    with pytest.raises(ValueError, match="damaged"):
        list(pairs_of(as_blocks(groups("a", ending=ValueError("damaged")), "combine"), reduce, skipped))
    assert not skipped.found
