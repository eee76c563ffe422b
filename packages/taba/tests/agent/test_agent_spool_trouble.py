"""The spool in trouble: a disk that is full, fails or gives back other bytes costs no more than is told."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from agent_sink import made_frame
from spool_cases import MUCH, Clock, drained, headers, no_room, numbers, raise_io_error

from taba.agent.segment import Segment
from taba.agent.spool import Bounds, Spool, SpoolFullError
from taba.frame import Header


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
    found = drained(again)
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
    clock.now = 6.0
    path = next(tmp_path.glob("*.frames"))
    data = bytearray(path.read_bytes())
    data[25] ^= 1
    path.write_bytes(data)
    assert numbers(spool.take_backlog(1 << 20)) == [2, 3, 4]


def test_a_half_written_frame_at_the_end_harms_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MUCH)
    spool.append([made_frame("c", 1)])
    path = next(tmp_path.glob("*.frames"))
    path.write_bytes(path.read_bytes() + made_frame("c", 2)[:-5])
    again = Spool(tmp_path, MUCH)
    again.recover(lambda header: None)
    again.append([made_frame("c", 2)])
    assert [header.sequence for header in drained(again)] == [2, 1]


def test_a_disk_that_fails_costs_nothing_that_was_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, MUCH)
    spool.append([made_frame("c", 1)])
    with monkeypatch.context() as broken:
        broken.setattr("os.fdatasync", raise_io_error)
        with pytest.raises(OSError, match="Input/output"):
            spool.append([made_frame("c", 2)])
    spool.append([made_frame("c", 2)])
    assert [header.sequence for header in drained(spool)] == [1, 2]


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
    (grave,) = again.bury_missing(*headers(made_frame("c", 4)))
    assert (grave.first, grave.sequence, grave.events()) == (3, 3, 3)
    assert again.bury_missing(*headers(made_frame("c", 4))) == [grave], "it is told again until it is on the disk"
    again.buried_missing([])  # another request's, which had none
    assert again.bury_missing(*headers(made_frame("c", 4))) == [grave]
    again.buried_missing([grave])
    assert again.bury_missing(*headers(made_frame("c", 9))) == [], "what else is not there was never here"


def test_where_frames_come_out_of_order_no_gap_is_taken_for_damage(tmp_path: Path) -> None:
    """Behind another agent the newest come first: what lies between may only be on its way."""
    Spool(tmp_path, MUCH).append([made_frame("c", sequence) for sequence in range(1, 4)])
    path = next(tmp_path.glob("*.frames"))
    path.write_bytes(path.read_bytes()[:-3])
    again = Spool(tmp_path, MUCH, in_order=False)
    again.recover(lambda header: None)
    assert again.bury_missing(*headers(made_frame("c", 1000))) == []
    assert [header.sequence for header in drained(again)] == [1, 2]


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
        found = drained(one)
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
        broken.setattr(Segment, "read", raise_io_error)
        assert spool.take_backlog(1 << 20) is None
        assert not spool.make_room_on_disk(), "what cannot be read cannot be buried"
    assert spool.take_backlog(1 << 20) is None, "it is left alone for a while"
    assert spool.waiting == spool.backlog > 0
    clock.now += 60
    found = drained(spool)
    assert sorted(header.sequence for header in found) == list(range(1, 101))


def test_a_file_that_cannot_be_deleted_is_no_endless_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    spool = Spool(tmp_path, Bounds(disk=40_000, memory=100, drop_oldest=True), clock=clock)
    monkeypatch.setattr(Segment, "remove", raise_io_error)
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
        broken.setattr("os.pwrite", no_room)
        again.recover(lambda header: None)
    (grave,) = again.bury_missing()
    assert (grave.first, grave.sequence) == (3, 3)


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
            raise_io_error()
        return read(segment, start, stop)

    with monkeypatch.context() as failing:
        failing.setattr(Segment, "read", broken)
        spool.append([made_frame("c", 101, {f"t{number}": 1 for number in range(500)})])
        assert spool.bytes <= 40_000
        assert oldest.exists()
    clock.now += 60
    spool.append([made_frame("c", 102, {f"t{number}": 1 for number in range(500)})])
    assert not oldest.exists()
    covered = [n for one in drained(spool) for n in range(one.lowest(), one.sequence + 1)]
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
