"""The spool: what was appended is there until it is settled, in memory or on disk."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from agent_sink import made_frame
from hypothesis import given
from hypothesis import strategies as st
from server_process import wait_until
from spool_cases import MUCH, Clock, drained, headers, numbers

from taba.agent.held import Held
from taba.agent.ranges import Ranges, gaps
from taba.agent.salvage import pieces
from taba.agent.segment import Segment
from taba.agent.spool import FRESH_SECONDS, Bounds, Spool, SpoolFullError
from taba.frame import Header, decode


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 12))))
def test_ranges_are_a_set_of_numbers(steps: list[tuple[bool, int, int]]) -> None:
    ranges, numbers = Ranges(), set[int]()
    for adds, start, length in steps:
        if adds:
            ranges.add(start, start + length)
            numbers |= set(range(start, start + length))
        else:
            ranges.remove(start, start + length)
            numbers -= set(range(start, start + length))
        assert {one for first, last in ranges for one in range(first, last)} == numbers
        assert ranges.total == len(numbers)
        assert all(first < last for first, last in ranges)
    missing = {one for first, last in gaps(60, ranges) for one in range(first, last)}
    assert missing == set(range(60)) - numbers


@given(
    st.lists(st.one_of(st.integers(1, 5), st.binary(max_size=40), st.just(b"TABA")), max_size=8),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 255)), max_size=3),
)
def test_salvage_finds_every_frame_that_is_whole(parts: list[int | bytes], flips: list[tuple[int, int]]) -> None:
    """Whatever lies between frames, and whatever is flipped: the pieces cover all bytes, and sound frames are found."""
    frames = [part if isinstance(part, bytes) else made_frame("c", part) for part in parts]
    before = b"".join(frames)
    data = bytearray(before)
    for place, change in flips if data else ():
        data[place % len(data)] ^= change
    hit = {place for place, byte in enumerate(data) if byte != before[place]}  # two flips of a byte may undo each other
    found = list(pieces(bytes(data)))
    assert b"".join(bytes(data[one.start : one.stop]) for one in found) == bytes(data)
    sound = [bytes(data[one.start : one.stop]) for one in found if one.header is not None]
    at, whole = 0, []
    for part, frame in zip(parts, frames, strict=True):
        if isinstance(part, int) and not hit & set(range(at, at + len(frame))):
            whole.append(frame)
        at += len(frame)
    assert [one for one in sound if one in whole] == whole


def test_fresh_frames_go_first_and_old_ones_become_backlog(tmp_path: Path) -> None:
    clock = Clock()
    spool = Spool(tmp_path, MUCH, clock=clock)
    spool.append([made_frame("c", 1)])
    spool.append([made_frame("c", 2)])
    clock.now = FRESH_SECONDS  # no lane came for them, but one may have been kept for a moment
    assert spool.take_backlog(1 << 20) is None
    clock.now = FRESH_SECONDS + 0.1
    spool.append([made_frame("c", 3)])
    assert spool.backlog > 0
    assert numbers(spool.take_fresh(1 << 20, 0)) == [3]
    old = spool.take_backlog(1 << 20)
    assert numbers(old) == [1, 2]
    assert spool.take_backlog(1 << 20) is None, "what a lane has is nobody else's"
    assert old is not None
    spool.release(old)
    assert numbers(spool.take_backlog(1 << 20)) == [1, 2], "what a lane gave back is there again"


def test_backlog_age_counts_from_when_there_was_none(tmp_path: Path) -> None:
    clock = Clock()
    spool = Spool(tmp_path, MUCH, clock=clock)
    spool.append([made_frame("c", 1)])
    assert spool.backlog_age() == 0
    clock.now = 6.0
    spool.append([made_frame("c", 2)])
    clock.now = 10.0
    assert spool.backlog_age() == 4.0
    drained(spool)
    assert spool.backlog_age() == 0


def test_memory_is_bounded_by_making_frames_backlog(tmp_path: Path) -> None:
    one = made_frame("c", 1)
    spool = Spool(tmp_path, Bounds(1 << 30, memory=3 * len(one) + 20, drop_oldest=False))
    for sequence in range(1, 10):
        spool.append([made_frame("c", sequence)])
    fresh = spool.take_fresh(1 << 20, 0)
    assert numbers(fresh) == [7, 8, 9]
    assert numbers(spool.take_backlog(1 << 20)) == [1, 2, 3, 4, 5, 6]


def test_everything_is_there_after_a_restart_until_it_is_settled(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MUCH)
    spool.append([made_frame("c", sequence) for sequence in range(1, 6)])
    known: list[Header] = []
    again = Spool(tmp_path, MUCH)  # as after a kill -9: nothing was closed
    again.recover(known.append)
    assert [header.sequence for header in known] == [1, 2, 3, 4, 5]
    assert [header.sequence for header in drained(again)] == [1, 2, 3, 4, 5]
    assert list(tmp_path.glob("*.frames")) == []


@given(st.data())
def test_no_order_of_taking_settling_and_giving_back_loses_a_frame(tmp_path_factory, data: st.DataObject) -> None:
    """Under any interleaving of lanes, restarts included, each frame is settled once or still there."""
    clock = Clock()
    folder = tmp_path_factory.mktemp("spool")
    spool, held, settled, sequence = Spool(folder, MUCH, sync=False, clock=clock), [], [], 0
    for step in data.draw(st.lists(st.sampled_from("aafbsrtk"), max_size=40)):
        if step == "a":
            spool.append([made_frame("c", sequence := sequence + 1, {"t": data.draw(st.integers(1, 9))})])
        elif step in "fb":
            bundle = spool.take_fresh(300, 0) if step == "f" else spool.take_backlog(300)
            held += [bundle] if bundle else []
        elif step == "t":
            clock.now += 0.7
        elif step == "k":
            spool = Spool(folder, MUCH, sync=False, clock=clock)
            spool.recover(lambda header: None)
            held = []
        elif held:
            bundle = held.pop(data.draw(st.integers(0, len(held) - 1)))
            if step == "s":
                settled += numbers(bundle)
                spool.settle(bundle)
            else:
                spool.release(bundle)
    for bundle in held:
        spool.release(bundle)
    left = [header.sequence for header in drained(spool)]
    assert set(settled) | set(left) == set(range(1, sequence + 1))
    assert len(left) == len(set(left))


def test_a_full_spool_refuses_and_takes_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path, Bounds(disk=2000, memory=1 << 20, drop_oldest=False))
    taken = 0
    with pytest.raises(SpoolFullError, match="spool_mb"):
        for taken in range(1, 100):
            spool.append([made_frame("c", taken)])
    assert [header.sequence for header in drained(spool)] == list(range(1, taken))
    spool.append([made_frame("c", taken)])


def test_dropping_the_oldest_leaves_tombstones_that_say_what_is_lost(tmp_path: Path) -> None:
    """Every number is in the spool once, as a frame or in a tombstone, and so is every event."""
    clock = Clock()
    dropped = []
    bounds = Bounds(disk=40_000, memory=2000, drop_oldest=True)
    spool = Spool(tmp_path, bounds, clock=clock, dropped=lambda cause, events: dropped.append(events))
    for sequence in range(1, 2001):
        spool.append([made_frame("c", sequence, {"x": 4, "y": 1})])
        clock.now += 0.3
        assert spool.bytes <= bounds.disk
    found = drained(spool)
    covered = [n for one in found for n in range(one.first or one.sequence, one.sequence + 1)]
    assert sorted(covered) == list(range(1, 2001))
    assert sum(one.events() for one in found) == 5 * 2000
    lost = {}
    for one in found:
        for tab, reason, count in (
            zip(*(getattr(one.drops, name) for name in ("names", "reasons", "counts")), strict=True)
            if one.drops
            else ()
        ):
            assert reason == "spool_full"
            lost[tab] = lost.get(tab, 0) + count
    assert lost["x"] == 4 * lost["y"]
    assert sum(dropped) == sum(lost.values())
    assert max(one.sequence for one in found if one.first is None) == 2000, "the newest are kept"


def test_what_may_have_been_sent_is_dropped_number_by_number(tmp_path: Path) -> None:
    """After a restart nobody knows what a server has: a tombstone for several could count what was folded."""
    spool = Spool(tmp_path, MUCH)
    spool.append([made_frame("c", sequence, {"x": 50}) for sequence in range(1, 50)])
    again = Spool(tmp_path, Bounds(disk=spool.bytes + 100, memory=1 << 20, drop_oldest=True))
    again.recover(lambda header: None)
    again.append([made_frame("c", 50, {"x": 50})])
    graves = [one for one in drained(again) if one.drops]
    assert [(one.first, one.sequence) for one in graves] == [(one, one) for one in range(1, 50)]


def test_a_segment_is_a_body_that_a_server_takes(tmp_path: Path) -> None:
    segment = Segment(tmp_path / "0000000001.frames")
    segment.append(made_frame("c", 1) + made_frame("d", 1), sync=True)
    assert [header.client for header in headers(segment.path.read_bytes())] == ["c", "d"]


def test_the_first_frame_of_an_epoch_is_buried_alone(tmp_path: Path) -> None:
    """It may repeat what an earlier agent passed on: were it counted with others, these would stay in flight."""
    clock = Clock()
    spool = Spool(tmp_path, Bounds(disk=40_000, memory=2000, drop_oldest=True), clock=clock)
    spool.alone.add(next(decode(made_frame("c", 7))).header)
    for sequence in range(7, 1000):
        spool.append([made_frame("c", sequence)])
        clock.now += 1
    graves = [one for one in drained(spool) if one.first is not None]
    assert [(one.first, one.sequence) for one in graves if one.first is not None and one.first <= 7] == [(7, 7)]
    assert any(one.sequence > (one.first or 0) for one in graves), "others share theirs"


def test_an_epoch_that_comes_on_many_ways_is_forgotten_and_never_wrongly_known() -> None:
    """What was not taken is never answered as if it were, however many gaps there are."""
    held = Held()
    for sequence in range(2, 5_000, 2):
        held.add(headers(made_frame("c", sequence))[0])
        assert headers(made_frame("c", 1))[0] not in held
        assert headers(made_frame("c", sequence - 1))[0] not in held


def test_while_a_lane_gathers_no_other_takes_a_part_of_it(tmp_path: Path) -> None:
    """Lanes that are free at that moment would each send a small request."""
    spool = Spool(tmp_path, MUCH)
    with ThreadPoolExecutor(2) as lanes:
        gathering = lanes.submit(spool.take_fresh, 1 << 20, 5, 3)
        wait_until(lambda: spool._fresh_came._waiters)
        spool.append([made_frame("c", 1)])
        wait_until(lambda: spool._gathering)
        beside = lanes.submit(spool.take_fresh, 1 << 20, 0.1)
        spool.append([made_frame("c", 2)])
        assert beside.result() is None
        assert numbers(gathering.result()) == [1, 2]
