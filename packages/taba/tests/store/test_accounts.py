"""Accounts: whatever the order in which frames come, every event is folded, dropped or in flight, and one of these."""

from collections import Counter
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from taba.sequences import MAX_GAPS
from taba.store import Account, Entry
from taba.store.accounts import FORGOTTEN, MAX_REASONS, OTHER

BEGAN = 1_000.0


def entry(first, sequence=None, *, folded=1, dropped=None, recorded=None, began=BEGAN, closing=False):
    """A frame, or a tombstone for first..sequence; frame n goes from BEGAN + n - 1 to BEGAN + n."""
    last = sequence or first
    start, stop = BEGAN + first - 1, BEGAN + last
    return Entry("c", "e", first, last, start, stop, began, recorded, folded, dropped or {}, closing)


def total(entries):
    return sum(one.folded + sum(one.dropped.values()) for one in entries)


@st.composite
def epochs(draw, told=True):
    """An epoch's frames and the tombstones that may come in the place of some, in any order and with repeats."""
    sizes = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=12))
    recorded = 0
    frames = []
    for number, (folded, lost) in enumerate(sizes, 1):
        recorded += folded + lost
        lost_by = {"here": lost} if lost else {}
        frames.append(entry(number, folded=folded, dropped=lost_by, recorded=recorded if told else None))
    cuts = sorted(draw(st.sets(st.integers(1, len(frames)))) | {len(frames)})
    sent = list(frames)
    for first, last in zip([0, *cuts], cuts, strict=False):
        run = frames[first:last]
        if draw(st.booleans()):
            # A tombstone stands for whole frames; each of these may have come besides where it is alone.
            grave = entry(first + 1, last, folded=0, dropped={"full": total(run)}, recorded=run[-1].recorded)
            sent = [one for one in sent if len(run) == 1 or one not in run] + [grave]
    arriving = draw(st.permutations(sent + draw(st.lists(st.sampled_from(sent), max_size=6))))
    return frames, arriving


@given(epochs())
def test_every_event_is_in_one_place_at_every_moment(epoch):
    """recorded = folded + dropped + in flight after each frame, counted once; complete_to passes no missing one."""
    frames, arriving = epoch
    account, seen = Account("c", "e"), set()
    folded = lost = 0
    for now, one in enumerate(arriving, 1):
        covered = set(range(one.first, one.sequence + 1))
        assert account.takes(one) == seen.isdisjoint(covered)
        if not account.takes(one):
            continue
        account = account.add(one, float(now))
        seen |= covered
        folded, lost = folded + one.folded, lost + sum(one.dropped.values())
        missing = [frame for frame in frames if frame.sequence not in seen]
        below = [frame for frame in missing if frame.sequence < account.last]
        assert (account.folded, account.lost, account.in_flight) == (folded, lost, total(below))
        assert account.recorded == folded + lost + account.in_flight == total(frames[: account.last])
        assert account.complete_to == min([frame.start for frame in missing], default=frames[-1].stop)
        assert account == msgspec.json.decode(msgspec.json.encode(account), type=Account)
    assert seen == {frame.sequence for frame in frames}
    assert (account.gaps, account.in_flight, account.recorded) == ((), 0, total(frames))


@given(epochs(told=False))
def test_frames_that_do_not_say_what_was_recorded(epoch):
    """Without the numbers nothing is known to be in flight, and what is recorded is what came."""
    frames, arriving = epoch
    account = Account("c", "e")
    for one in arriving:
        if account.takes(one):
            account = account.add(one, 1.0)
            assert account.in_flight == 0
            assert account.recorded == account.folded + account.lost
    assert account.recorded == total(frames)


@given(epochs(), st.sets(st.integers(1, 12)))
def test_frames_of_which_only_some_say_it(epoch, silent):
    """Where a sender says it now and then, no event appears or vanishes: the sum holds, and ends right."""
    frames, arriving = epoch
    account = Account("c", "e")
    for one in arriving:
        heard = replace(one, recorded=None) if one.sequence in silent else one
        if account.takes(heard):
            account = account.add(heard, 1.0)
            assert account.recorded == account.folded + account.lost + account.in_flight
    assert account.recorded == total(frames)


def test_a_store_that_begins_in_the_middle():
    """What was recorded before anybody counted here is in no column; what is missing since then is in flight."""
    account = Account("c", "e", last=7, stop=BEGAN + 7, told=None)
    account = account.add(entry(8, folded=3, recorded=1_003), 1.0)
    assert (account.recorded, account.folded, account.in_flight) == (3, 3, 0)
    account = account.add(entry(10, folded=1, recorded=1_010), 2.0)
    assert (account.recorded, account.folded, account.in_flight) == (10, 4, 6)
    account = account.add(entry(9, folded=6, recorded=1_009), 3.0)
    assert (account.recorded, account.folded, account.in_flight, account.gaps) == (10, 10, 0, ())


def test_a_client_that_counts_wrong_is_noticed():
    """A sender's own error is no event in flight: the difference is there to be told."""
    account = Account("c", "e").add(entry(1, folded=2, recorded=5), 1.0)
    assert (account.recorded, account.folded, account.in_flight) == (5, 2, 0)


def test_a_gap_begins_where_the_frame_before_it_ended():
    """From 1 it begins with the epoch, and where nobody says when that was, with the frame behind it."""
    assert Account("c", "e").add(entry(5), 1.0).complete_to == BEGAN
    assert Account("c", "e").add(entry(5, began=None), 1.0).complete_to == BEGAN + 4
    account = Account("c", "e").add(entry(2), 1.0).add(entry(9), 1.0).add(entry(1), 1.0)
    assert account.complete_to == BEGAN + 2
    assert account.add(entry(3, 8), 1.0).complete_to == BEGAN + 9


def test_gaps_beyond_the_bound_are_lost_and_counted():
    """Of too many gaps the oldest count as seen; their events are dropped, so that the sum holds."""
    account = Account("c", "e")
    for sequence in range(2, 2 * (MAX_GAPS + 3), 2):
        account = account.add(entry(sequence, recorded=sequence), 1.0)
    assert len(account.gaps) == MAX_GAPS
    assert account.dropped == {FORGOTTEN: 2}
    assert account.recorded == account.folded + account.lost + account.in_flight
    assert not account.takes(entry(1))
    assert not account.takes(entry(3))
    assert account.takes(entry(5))


def test_reasons_are_bounded():
    """A sender that thinks up reasons fills no memory: beyond some they are one."""
    account = Account("c", "e")
    for number in range(1, 100):
        account = account.add(entry(number, folded=0, dropped={f"r{number}": 1}), 1.0)
    assert len(account.dropped) == MAX_REASONS + 1
    assert Counter(account.dropped)[OTHER] == 99 - MAX_REASONS
    assert account.lost == 99


def test_closed_is_what_the_closing_frame_makes_it():
    """An epoch has ended once its closing frame and all before it are here, in whatever order they come."""
    account = Account("c", "e").add(entry(1), 1.0).add(entry(3, closing=True), 2.0)
    assert (account.closed, account.ended) == (True, False)
    account = account.add(entry(2), 3.0)
    assert (account.closed, account.ended, account.begun, account.heard) == (True, True, 1.0, 3.0)


def test_events_without_frames_have_no_numbers():
    """Each adds to the account, and none is a repeat by itself."""
    plain = Entry("c", "", 0, 0, 1.0, 1.0, None, None, 5, {"too_old": 2})
    account = Account("c", "").add(plain, 1.0).add(plain, 2.0)
    assert (account.recorded, account.folded, account.dropped, account.in_flight) == (14, 10, {"too_old": 4}, 0)
    assert account.takes(plain)
