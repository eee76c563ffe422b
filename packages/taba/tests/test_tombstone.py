"""Tombstones: what frames held that were given up, exactly and in little room."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from taba.frame import Drops, Header, Texts, check, decode, encode
from taba.tombstone import MAX_NAMED, OTHER, losses, tombstone

tabs = st.sampled_from("abcdefgh")
counts = st.integers(1, 2**40)
reported = st.lists(st.tuples(tabs, st.sampled_from(["too_long", "refused"]), counts), max_size=4)


@st.composite
def epochs(draw):
    """Frames of an epoch that follow one another, with numbers, texts and drops."""
    found = []
    recorded = 0
    for sequence in range(1, draw(st.integers(1, 6)) + 1):
        numbers = draw(st.dictionaries(tabs, counts, max_size=4))
        texts = draw(st.none() | st.dictionaries(tabs, counts, min_size=1, max_size=3))
        drops = draw(st.none() | reported)
        header = Header("c", "e", sequence, sequence / 4, sequence / 4 + 0.25, began=0.25)
        header.names, header.types, header.counts = list(numbers), ["top"] * len(numbers), list(numbers.values())
        if texts:
            header.texts = Texts(list(texts), ["top"] * len(texts), list(texts.values()))
        if drops is not None:
            header.drops = Drops(*(list(column) for column in zip(*drops, strict=True))) if drops else Drops()
        recorded += header.events()
        header.recorded = recorded
        found.append(header)
    return found


def lost(header):
    """What a header says was lost, by tab and reason."""
    found = Counter()
    for tab, reason, count in losses(header, "as events"):
        found[tab, reason] += count
    return found


@given(epochs())
def test_a_tombstone_says_what_its_frames_held(headers):
    """Each event once: for the reason given, or, where a frame was to report it, for its own."""
    expected = Counter()
    for header in headers:
        for tab, reason, count in losses(header, "pending_full"):
            expected[tab, reason] += count
    found = tombstone(headers, "pending_full")
    assert lost(found) == expected
    assert found.events() == sum(header.events() for header in headers)
    assert (found.names, found.counts, found.texts) == ([], [], None)
    assert (found.first, found.sequence) == (1, len(headers))
    assert (found.start, found.stop) == (headers[0].start, headers[-1].stop)
    assert (found.began, found.recorded) == (0.25, headers[-1].recorded)


@given(epochs(), st.data())
def test_a_tombstone_of_tombstones_is_one_of_their_frames(headers, data):
    """However they were merged: so it does not matter when room was wanted."""
    at = data.draw(st.integers(0, len(headers)))
    parts = [tombstone(part, "pending_full") for part in (headers[:at], headers[at:]) if part]
    merged, whole = tombstone(parts, "another reason"), tombstone(headers, "pending_full")
    assert lost(merged) == lost(whole)
    merged.drops = whole.drops = None
    assert merged == whole


@given(epochs(), st.integers(0, 10))
def test_in_little_room_the_counts_stay_exact(headers, named):
    """The greatest losses are named; what is added up as other is exact by reason."""
    whole, small = tombstone(headers, "pending_full"), tombstone(headers, "pending_full", named)
    by_reason = [Counter(), Counter()]
    for found, header in zip(by_reason, (whole, small), strict=True):
        for (_, reason), count in lost(header).items():
            found[reason] += count
    assert by_reason[0] == by_reason[1]
    kept = {loss: count for loss, count in lost(small).items() if loss[0] != OTHER}
    assert kept.items() <= lost(whole).items()
    assert len(kept) == min(named, len(lost(whole)))
    assert not kept or min(kept.values()) >= max((lost(whole) - Counter(kept)).values(), default=0)


def test_a_tombstone_is_bounded_whatever_goes_into_it():
    """The memory and the bytes of a report do not grow with the tabs, also not by merging."""
    so_far = []
    for sequence in range(1, 30):
        names = [f"tab{sequence}.{number}" for number in range(500)]
        header = Header("c", "e", sequence, 1.0, 1.25, names, ["counter"] * 500, [sequence] * 500)
        so_far = [tombstone([*so_far, header], "refused")]
    (found,) = so_far
    assert found.drops is not None
    assert len(found.drops.names) <= MAX_NAMED + 1
    assert found.events() == sum(500 * sequence for sequence in range(1, 30))
    assert {name.split(".")[0] for name in found.drops.names} == {"tab28", "tab29", OTHER}


@given(epochs())
def test_a_tombstone_is_a_frame(headers):
    """It travels as any other does."""
    found = tombstone(headers, "refused")
    check(found, 0)
    (decoded,) = decode(encode(found))
    assert decoded.header == found


def test_a_tombstone_of_the_last_frame_closes_the_epoch():
    headers = [Header("c", "e", 4, 1.0, 1.25), Header("c", "e", 5, 1.25, 1.5, closing=True)]
    assert tombstone(headers, "refused").closing
    assert not tombstone(headers[:1], "refused").closing
    assert tombstone(headers, "refused").drops is None
