"""What was seen of a source, brought from one kind of store to the other: nothing seen is forgotten, nothing unseen is
taken for seen."""

from hypothesis import given
from hypothesis import strategies as st

from taba.sequences import MAX_GAPS, Seen
from taba.store import Account
from taba.store.accounts import Gap
from taba.store.marks import Mark, ShardMarks, for_shards, for_whole, unsettled

LAST = 40
numbers = st.frozensets(st.integers(1, LAST), min_size=1, max_size=20)
heard = st.floats(1e9, 2e9)
sources = st.sampled_from(["import/a", "a b", "é"])


def seen(of) -> Seen:
    return Seen().add(of)


def members(mark: Mark) -> set[int]:
    return {number for number in range(1, LAST + 5) if number in mark.seen}


def account(client: str, of) -> Account:
    """An account that has seen these frames."""
    marked = seen(of)
    gaps = tuple(Gap(first, last, 0.0, None, None) for first, last in marked.gaps)
    return Account(client, "e", marked.last, gaps=gaps, heard=1e9)


@given(st.dictionaries(sources, st.tuples(numbers, heard)), st.dictionaries(st.sampled_from("xyz"), numbers))
def test_a_whole_stores_marks_come_back(requests, frames):
    """To shards and back, requests without frames are seen as before, and frames as their account says."""
    receipts = {source: Mark(seen(of), float(int(when))) for source, (of, when) in requests.items()}
    accounts = [account(client, of) for client, of in frames.items()]
    shard = for_shards(receipts, accounts)
    assert for_whole([shard] * 3) == receipts
    assert unsettled([shard] * 3, accounts) == {}
    for client, of in frames.items():
        assert members(shard.receipts[f"{client} e"]) == of


@given(st.lists(numbers, min_size=1, max_size=4), numbers, numbers)
def test_a_request_is_seen_where_any_account_has_it(reached, one, other):
    """What some shard has seen and no account has is not taken for seen, and is told."""
    shards = [ShardMarks({"import/a": Mark(seen(of), 1e9)}) for of in reached]
    shards += [ShardMarks({}, {"import/a": Mark(seen(of), 1e9)}) for of in (one, other)]
    assert members(for_whole(shards)["import/a"]) == one | other
    left = set().union(*reached) - one - other
    assert unsettled(shards, []) == ({"import/a": len(left)} if left else {})


@given(st.lists(numbers, min_size=1, max_size=4), numbers)
def test_a_frame_is_seen_where_its_account_has_it(reached, of):
    """A frame that a server could not write to its end is told, whether its epoch has an account or not."""
    shards = [ShardMarks({"x e": Mark(seen(some), 1e9)}) for some in reached]
    everywhere = set().union(*reached)
    left = everywhere - of
    assert unsettled(shards, [account("x", of)]) == ({"x e": len(left)} if left else {})
    assert unsettled(shards, []) == {"x e": len(everywhere)}
    assert for_whole(shards) == {}


def test_an_account_that_was_forgotten_is_no_trouble():
    """Marks of shards outlive accounts where tiers are short; they are no sign of a server that ended."""
    old, new = Mark(seen([1]), 1e9), Mark(seen([1]), 1e9 + 90_000)
    assert unsettled([ShardMarks({"x e": old, "y e": new})], [account("y", [1])]) == {}


def test_what_a_server_records_itself_is_no_trouble():
    """It is in no account, and never sent again; what was seen of it stays seen."""
    own = {f"server/{'0f' * 16}": Mark(seen([1, 2]), 1e9)}
    assert unsettled([ShardMarks(own)], []) == {}
    assert for_whole([ShardMarks(own)]) == own


def test_numbers_beyond_the_gaps_that_are_kept_are_no_trouble():
    """A shard counts them as seen, though it may not have seen them; its account knows better."""
    odd = range(3, 2 * MAX_GAPS + 10, 2)
    shard = ShardMarks({"x e": Mark(seen(odd), 1e9)})
    assert 2 in shard.receipts["x e"].seen
    assert unsettled([shard], [account("x", [1])]) == {"x e": len([number for number in odd if number > 10])}


def test_the_generations_of_a_watch_go_along():
    """They are seen in one shard and in no account: nothing of them is unsettled, and a whole store has seen them."""
    generations = {"watches/0123456789abcdef": Mark(seen({1, 2, 5}), 1e9)}
    shards = [ShardMarks(), ShardMarks(receipts=generations)]
    assert unsettled(shards, []) == {}
    assert for_whole(shards) == generations
    assert for_shards(generations, []).receipts == generations
