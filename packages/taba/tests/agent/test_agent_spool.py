"""The spool: what was appended is there until it is settled, in memory or on disk, whatever happens to the file."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from agent_sink import made_frame
from hypothesis import given
from hypothesis import strategies as st

from taba.agent.fresh import Bundle
from taba.agent.held import Held
from taba.agent.ranges import Ranges, gaps
from taba.agent.salvage import pieces
from taba.agent.segment import Segment
from taba.agent.spool import Bounds, Spool, SpoolFullError
from taba.frame import Header, decode

MUCH = Bounds(disk=1 << 30, memory=1 << 20, drop_oldest=False)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _headers(body: bytes) -> list[Header]:
    return [one.header for one in decode(body)]


def _numbers(*bundles: Bundle | None) -> list[int]:
    return [header.sequence for bundle in bundles if bundle for header in _headers(bundle.body)]


def _drained(spool: Spool) -> list[Header]:
    """All that a spool has, fresh or not, taken out and settled."""
    found = []
    while bundle := spool.take_fresh(1 << 20, 0) or spool.take_backlog(1 << 20):
        found += _headers(bundle.body)
        spool.settle(bundle)
    return found


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
    data = bytearray(b"".join(frames))
    hit = {place % len(data) for place, _ in flips} if data else set()
    for place, change in flips if data else ():
        data[place % len(data)] ^= change
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
    clock.now = 5.0  # no lane came for them
    spool.append([made_frame("c", 3)])
    assert spool.backlog > 0
    assert _numbers(spool.take_fresh(1 << 20, 0)) == [3]
    old = spool.take_backlog(1 << 20)
    assert _numbers(old) == [1, 2]
    assert spool.take_backlog(1 << 20) is None, "what a lane has is nobody else's"
    assert old is not None
    spool.release(old)
    assert _numbers(spool.take_backlog(1 << 20)) == [1, 2], "what a lane gave back is there again"


def test_backlog_age_counts_from_when_there_was_none(tmp_path: Path) -> None:
    clock = Clock()
    spool = Spool(tmp_path, MUCH, clock=clock)
    spool.append([made_frame("c", 1)])
    assert spool.backlog_age() == 0
    clock.now = 5.0
    spool.append([made_frame("c", 2)])
    clock.now = 9.0
    assert spool.backlog_age() == 4.0
    _drained(spool)
    assert spool.backlog_age() == 0


def test_memory_is_bounded_by_making_frames_backlog(tmp_path: Path) -> None:
    one = made_frame("c", 1)
    spool = Spool(tmp_path, Bounds(1 << 30, memory=3 * len(one) + 20, drop_oldest=False))
    for sequence in range(1, 10):
        spool.append([made_frame("c", sequence)])
    fresh = spool.take_fresh(1 << 20, 0)
    assert _numbers(fresh) == [7, 8, 9]
    assert _numbers(spool.take_backlog(1 << 20)) == [1, 2, 3, 4, 5, 6]


def test_everything_is_there_after_a_restart_until_it_is_settled(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MUCH)
    spool.append([made_frame("c", sequence) for sequence in range(1, 6)])
    known: list[Header] = []
    again = Spool(tmp_path, MUCH)  # as after a kill -9: nothing was closed
    again.recover(known.append)
    assert [header.sequence for header in known] == [1, 2, 3, 4, 5]
    assert [header.sequence for header in _drained(again)] == [1, 2, 3, 4, 5]
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
                settled += _numbers(bundle)
                spool.settle(bundle)
            else:
                spool.release(bundle)
    for bundle in held:
        spool.release(bundle)
    left = [header.sequence for header in _drained(spool)]
    assert set(settled) | set(left) == set(range(1, sequence + 1))
    assert len(left) == len(set(left))


def test_a_damaged_segment_costs_its_damaged_frames_only(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MUCH)
    frames = [made_frame("c", sequence) for sequence in range(1, 8)]
    spool.append(frames)
    path = next(tmp_path.glob("*.frames"))
    data = bytearray(path.read_bytes())
    at = sum(map(len, frames[:2]))
    data[at + 30] ^= 0xFF  # in the third
    data[at + len(frames[2]) + 40] ^= 0xFF  # in the fourth
    path.write_bytes(data)
    dropped = []
    again = Spool(tmp_path, MUCH, dropped=lambda cause, events: dropped.append((cause, events)))
    again.recover(lambda header: None)
    found = _drained(again)
    assert sorted(header.sequence for header in found if header.first is None) == [1, 2, 5, 6, 7]
    (grave,) = [header for header in found if header.first is not None]
    assert (grave.first, grave.sequence, grave.events()) == (3, 4, 6), "it is told how many events are lost"
    assert grave.drops is not None
    assert grave.drops.reasons == ["spool_corrupt"]
    assert dropped == [("spool_corrupt", 6)]
    copies = b"".join(one.read_bytes() for one in sorted((tmp_path / "aside").iterdir()))
    assert copies == bytes(data[at : at + len(frames[2]) + len(frames[3])]), "a copy is kept"


def test_a_segment_that_is_damaged_while_the_agent_runs_is_passed_over(tmp_path: Path) -> None:
    clock = Clock()
    spool = Spool(tmp_path, MUCH, clock=clock)
    frames = [made_frame("c", sequence) for sequence in range(1, 5)]
    spool.append(frames)
    clock.now = 5.0
    path = next(tmp_path.glob("*.frames"))
    data = bytearray(path.read_bytes())
    data[25] ^= 1
    path.write_bytes(data)
    assert _numbers(spool.take_backlog(1 << 20)) == [2, 3, 4]


def test_a_half_written_frame_at_the_end_harms_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MUCH)
    spool.append([made_frame("c", 1)])
    path = next(tmp_path.glob("*.frames"))
    path.write_bytes(path.read_bytes() + made_frame("c", 2)[:-5])
    again = Spool(tmp_path, MUCH)
    again.recover(lambda header: None)
    again.append([made_frame("c", 2)])
    assert [header.sequence for header in _drained(again)] == [2, 1]


def test_a_full_spool_refuses_and_takes_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path, Bounds(disk=2000, memory=1 << 20, drop_oldest=False))
    taken = 0
    with pytest.raises(SpoolFullError, match="spool_mb"):
        for taken in range(1, 100):
            spool.append([made_frame("c", taken)])
    assert [header.sequence for header in _drained(spool)] == list(range(1, taken))
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
    found = _drained(spool)
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
    graves = [one for one in _drained(again) if one.drops]
    assert [(one.first, one.sequence) for one in graves] == [(one, one) for one in range(1, 50)]


def test_a_disk_that_fails_costs_nothing_that_was_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, MUCH)
    spool.append([made_frame("c", 1)])
    with monkeypatch.context() as broken:
        broken.setattr("os.fdatasync", _raise_io_error)
        with pytest.raises(OSError, match="Input/output"):
            spool.append([made_frame("c", 2)])
    spool.append([made_frame("c", 2)])
    assert [header.sequence for header in _drained(spool)] == [1, 2]


def test_a_write_that_stops_half_way_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, MUCH)
    spool.append([made_frame("c", 1)])
    write, calls = os.pwrite, []

    def short(descriptor: int, data: bytes, offset: int) -> int:
        calls.append(offset)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(data)[:10], offset)

    with monkeypatch.context() as broken:
        broken.setattr("os.pwrite", short)
        with pytest.raises(OSError, match="No space"):
            spool.append([made_frame("c", 2)])
    again = Spool(tmp_path, MUCH)
    found: list[Header] = []
    again.recover(found.append)
    assert [header.sequence for header in found] == [1]
    assert not (tmp_path / "aside").exists()


def test_a_segment_is_a_body_that_a_server_takes(tmp_path: Path) -> None:
    segment = Segment(tmp_path / "0000000001.frames")
    segment.append(made_frame("c", 1) + made_frame("d", 1), sync=True)
    assert [header.client for header in _headers(segment.path.read_bytes())] == ["c", "d"]


def _raise_io_error(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_the_first_frame_of_an_epoch_is_buried_alone(tmp_path: Path) -> None:
    """It may repeat what an earlier agent passed on: were it counted with others, these would stay in flight."""
    clock = Clock()
    spool = Spool(tmp_path, Bounds(disk=40_000, memory=2000, drop_oldest=True), clock=clock)
    spool.alone.add(next(decode(made_frame("c", 7))).header)
    for sequence in range(7, 1000):
        spool.append([made_frame("c", sequence)])
        clock.now += 1
    graves = [one for one in _drained(spool) if one.first is not None]
    assert [(one.first, one.sequence) for one in graves if one.first is not None and one.first <= 7] == [(7, 7)]
    assert any(one.sequence > (one.first or 0) for one in graves), "others share theirs"


def test_a_damaged_last_frame_is_told_with_the_next_that_comes(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MUCH)
    frames = [made_frame("c", sequence) for sequence in range(1, 4)]
    spool.append(frames)
    path = next(tmp_path.glob("*.frames"))
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    again = Spool(tmp_path, MUCH)
    again.recover(lambda header: None)
    (grave,) = again.bury_missing(*_headers(made_frame("c", 4)))
    assert (grave.first, grave.sequence, grave.events()) == (3, 3, 3)
    assert again.bury_missing(*_headers(made_frame("c", 4))) == [grave], "it is told again until it is on the disk"
    again.buried_missing([])  # another request's, which had none
    assert again.bury_missing(*_headers(made_frame("c", 4))) == [grave]
    again.buried_missing([grave])
    assert again.bury_missing(*_headers(made_frame("c", 9))) == [], "what else is not there was never here"


def test_where_frames_come_out_of_order_no_gap_is_taken_for_damage(tmp_path: Path) -> None:
    """Behind another agent the newest come first: what lies between may only be on its way."""
    Spool(tmp_path, MUCH).append([made_frame("c", sequence) for sequence in range(1, 4)])
    path = next(tmp_path.glob("*.frames"))
    path.write_bytes(path.read_bytes()[:-3])
    again = Spool(tmp_path, MUCH, in_order=False)
    again.recover(lambda header: None)
    assert again.bury_missing(*_headers(made_frame("c", 1000))) == []
    assert [header.sequence for header in _drained(again)] == [1, 2]


def test_tombstones_that_find_no_room_are_written_over_what_they_stand_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full, so nothing can be appended: what is dropped for room is told all the same, after a kill too."""
    clock = Clock()
    folder = tmp_path / "spool"
    folder.mkdir()
    spool = Spool(folder, Bounds(disk=40_000, memory=100, drop_oldest=True), clock=clock)
    for sequence in range(1, 101):
        spool.append([made_frame("c", sequence)])
        clock.now += 1
    write, sizes = os.pwrite, {str(path): path.stat().st_size for path in folder.glob("*.frames")}

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if offset + len(data) > sizes.get(str(Path(f"/proc/self/fd/{descriptor}").readlink()), 0):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data, offset)

    with monkeypatch.context() as broken:
        broken.setattr("os.pwrite", full)
        with pytest.raises(OSError, match="No space"):
            spool.append([made_frame("c", 101)])
        for _ in range(3):
            assert spool.make_room_on_disk()
        assert sum(path.stat().st_size for path in folder.glob("*.frames")) < sum(sizes.values())
    shutil.copytree(folder, tmp_path / "killed")
    again = Spool(tmp_path / "killed", MUCH)
    again.recover(lambda header: None)
    for one in (spool, again):
        found = _drained(one)
        covered = [n for header in found for n in range(header.lowest(), header.sequence + 1)]
        assert sorted(covered) == list(range(1, 101))
        assert sum(header.events() for header in found) == 300


def test_a_read_that_fails_for_a_moment_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a process has too many files open: the backlog is read a little later, and can be dropped for room."""
    clock = Clock()
    spool = Spool(tmp_path, Bounds(disk=40_000, memory=100, drop_oldest=True), clock=clock)
    for sequence in range(1, 101):
        spool.append([made_frame("c", sequence)])
        clock.now += 1
    with monkeypatch.context() as broken:
        broken.setattr(Segment, "read", _raise_io_error)
        assert spool.take_backlog(1 << 20) is None
        assert not spool.make_room_on_disk(), "what cannot be read cannot be buried"
    assert spool.take_backlog(1 << 20) is None, "it is left alone for a while"
    assert spool.waiting == spool.backlog > 0
    clock.now += 60
    found = _drained(spool)
    assert sorted(header.sequence for header in found) == list(range(1, 101))


def test_a_file_that_cannot_be_deleted_is_no_endless_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    spool = Spool(tmp_path, Bounds(disk=40_000, memory=100, drop_oldest=True), clock=clock)
    monkeypatch.setattr(Segment, "remove", _raise_io_error)
    with pytest.raises(SpoolFullError):
        for sequence in range(1, 500):
            spool.append([made_frame("c", sequence)])
            clock.now += 1


def test_tombstones_of_an_earlier_damage_wait_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the agent starts all the same, and says what was lost with the next frame that finds room."""
    Spool(tmp_path, MUCH).append([made_frame("c", sequence) for sequence in range(1, 6)])
    path = next(tmp_path.glob("*.frames"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    again = Spool(tmp_path, MUCH)
    with monkeypatch.context() as broken:
        broken.setattr("os.pwrite", _no_room)
        again.recover(lambda header: None)
    (grave,) = again.bury_missing()
    assert (grave.first, grave.sequence) == (3, 3)


def test_an_epoch_that_comes_on_many_ways_is_forgotten_and_never_wrongly_known() -> None:
    """What was not taken is never answered as if it were, however many gaps there are."""
    held = Held()
    for sequence in range(2, 5_000, 2):
        held.add(_headers(made_frame("c", sequence))[0])
        assert _headers(made_frame("c", 1))[0] not in held
        assert _headers(made_frame("c", sequence - 1))[0] not in held


def _no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_one_segment_that_cannot_be_read_does_not_keep_others_from_being_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left alone by itself; the next oldest goes, and once it can be read it is the oldest again."""
    clock = Clock()
    spool = Spool(tmp_path, Bounds(disk=40_000, memory=100, drop_oldest=True), clock=clock)
    for sequence in range(1, 101):
        spool.append([made_frame("c", sequence)])
        clock.now += 1
    read, oldest = Segment.read, min(tmp_path.glob("*.frames"))

    def broken(segment: Segment, start: int, stop: int) -> bytes:
        if segment.path == oldest:
            _raise_io_error()
        return read(segment, start, stop)

    with monkeypatch.context() as failing:
        failing.setattr(Segment, "read", broken)
        spool.append([made_frame("c", 101, {f"t{number}": 1 for number in range(500)})])
        assert spool.bytes <= 40_000
        assert oldest.exists()
    clock.now += 60
    spool.append([made_frame("c", 102, {f"t{number}": 1 for number in range(500)})])
    assert not oldest.exists()
    covered = [n for one in _drained(spool) for n in range(one.lowest(), one.sequence + 1)]
    assert sorted(covered) == list(range(1, 103))


def test_tombstones_that_cannot_be_written_over_frames_leave_these_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system that copies what is written and has no room for that either."""
    segment = Segment(tmp_path / "0000000001.frames")
    body = b"".join(made_frame("c", sequence) for sequence in range(1, 20))
    segment.size = segment.append(body, sync=True)[1]
    segment.seal()
    write, calls = os.pwrite, list[int]()

    def half(descriptor: int, data: bytes, offset: int) -> int:
        calls.append(offset)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(data)[: 100 if len(calls) == 1 else None], offset)

    with monkeypatch.context() as broken:
        broken.setattr("os.pwrite", half)
        with pytest.raises(OSError, match="No space"):
            segment.overwrite(b"x" * 1000)
    assert segment.path.read_bytes() == body
    assert segment.size == len(body)
