"""Lanes and servers: the same bytes until they are answered, on whichever server answers, the newest first."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from agent_sink import Sink, made_frame, sinks
from hypothesis import given
from hypothesis import strategies as st

from taba.agent import lane as lanes
from taba.agent import spool
from taba.agent.agent import Agent
from taba.agent.servers import LONGEST_PAUSE, Servers, pause
from taba.compression import unpack
from taba.frame import decode
from taba.settings import Agent as Settings


def _wait(condition: Callable[[], object], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in vain for {seconds} s"
        time.sleep(0.005)


@contextmanager
def _agent(folder: Path, servers: list[Sink], **settings: object) -> Iterator[Agent]:
    agent = Agent(Settings(spool=folder / "spool", servers=tuple(one.url for one in servers), **settings))  # type: ignore[arg-type]
    agent.start()
    try:
        yield agent
    finally:
        agent.stop()


def _taken(sink_or_sinks: Sink | list[Sink], client: str = "c") -> list[int]:
    some = sink_or_sinks if isinstance(sink_or_sinks, list) else [sink_or_sinks]
    return sorted({number for one in some for number in one.sequences(client)})


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1))
def test_pauses_grow_are_bounded_and_differ(failures: int, chance: float) -> None:
    assert 0 < pause(failures, chance) <= LONGEST_PAUSE
    assert pause(failures, chance) <= pause(failures + 1, chance)


def test_a_lost_answer_repeats_the_same_bytes_under_the_same_number(tmp_path: Path) -> None:
    with sinks(1) as [sink], _agent(tmp_path, [sink], lanes=1) as agent:
        sink.script = ["lose", "drop", 500, 503]
        agent.writer.write(made_frame("c", 1))
        _wait(lambda: _taken(sink) == [1] and not agent.spool.waiting)
        repeated = [body for body in {body for _, body in sink.posts} if _holds(body, "c", 1)]
        assert len(repeated) == 1, "the bytes are the same each time"
        numbers = [number for number, body in sink.posts if body == repeated[0]]
        assert len(numbers) >= 2
        assert len(set(numbers)) == 1
        retries = {name: total for name, total in agent.counts.totals().items() if name.startswith("retries")}
        assert retries["retries{cause=connection}"] >= 1
        assert retries["retries{cause=status_500}"] == 1
        assert retries["retries{cause=busy}"] == 1


def _holds(packed: bytes, client: str, sequence: int) -> bool:
    frames = [one.header for one in decode(unpack(packed, "zstd", 1 << 24))]
    return any((one.client, one.sequence) == (client, sequence) for one in frames)


def test_several_servers_are_used_and_a_dead_one_is_left_alone(tmp_path: Path) -> None:
    with sinks(2) as both, _agent(tmp_path, both, lanes=2) as agent:
        for one in both:
            one.gate.clear()
        for sequence in (1, 2):  # the second while the first is under way: the other server has less to do
            agent.writer.write(made_frame("c", sequence))
            _wait(lambda sequence=sequence: sum(one.under_way for one in agent.servers.known()) == sequence)
        assert [one.under_way for one in agent.servers.known()] == [1, 1]
        for one in both:
            one.gate.set()
        for sequence in range(3, 30):
            agent.writer.write(made_frame("c", sequence))
        _wait(lambda: _taken(both) == list(range(1, 30)))
        both[0].well = False
        both[0].script = ["drop"] * 1000
        for sequence in range(30, 60):
            agent.writer.write(made_frame("c", sequence))
        _wait(lambda: _taken(both) == list(range(1, 60)))
        assert len(both[0].script) >= 990, "once it is known to be away, it is asked no more"
        both[0].script = []
        both[0].well = True
        _wait(lambda: all(one.up for one in agent.servers.known()))


def test_a_server_that_hangs_holds_up_only_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "SHORT_PATIENCE", 0.3)
    with sinks(2) as (stuck, good), _agent(tmp_path, [stuck, good], lanes=2) as agent:
        stuck.gate.clear()
        stuck.well = False
        for sequence in range(1, 20):
            agent.writer.write(made_frame("c", sequence))
        _wait(lambda: _taken(good) == list(range(1, 20)))
        stuck.gate.set()
        _wait(lambda: not agent.spool.waiting)


def test_after_an_outage_the_newest_go_first_and_nothing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST", "LEAST", "MOST"):
        monkeypatch.setattr(lanes.BacklogLane, name, 600)  # bytes in a request, so that there are many
    monkeypatch.setattr(spool, "FRESH_SECONDS", 1.0)
    with sinks(1) as [sink], _agent(tmp_path, [sink], lanes=1) as agent:
        sink.well, sink.script = False, [503] * 100_000
        for sequence in range(1, 40):
            agent.writer.write(made_frame("c", sequence))
            time.sleep(0.05)
        _wait(lambda: agent.spool.backlog > 0)
        before = len(sink.order)
        sink.gate.clear()
        sink.well, sink.script, sink.seconds = True, [], 0.05
        agent.writer.write(made_frame("c", 40))
        _wait(lambda: sum(one.under_way for one in agent.servers.known()) == 2)
        sink.gate.set()
        _wait(lambda: _taken(sink) == list(range(1, 41)) and not agent.spool.waiting)
        order = [number for client, number in sink.order[before:] if client == "c"]
        # What a lane had under way when the link went is repeated first; of the rest, the newest.
        assert order.index(40) < order.index(20)


def test_a_server_that_stands_still_for_a_moment_makes_no_backlog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came meanwhile goes at once when it goes on, with the live lanes, and not at the backlog's pace."""
    monkeypatch.setattr(spool, "FRESH_SECONDS", 60.0)
    with sinks(1) as [sink], _agent(tmp_path, [sink], lanes=2) as agent:
        sink.gate.clear()
        for sequence in range(1, 16):
            agent.writer.write(made_frame("c", sequence))
            time.sleep(0.1)
        sink.gate.set()
        _wait(lambda: _taken(sink) == list(range(1, 16)))
        assert all("/live-" in source for source, _ in sink.posts)


def test_a_refused_frame_costs_itself_and_says_so(tmp_path: Path) -> None:
    with sinks(1) as [sink], _agent(tmp_path, [sink], lanes=1) as agent:
        sink.refuse = "bad"
        agent.writer.write(made_frame("c", 1) + made_frame("bad", 1) + made_frame("c", 2))
        _wait(lambda: _taken(sink) == [1, 2] and agent.counts.totals().get("drops{cause=refused}") == 3)
        assert any("refused" in one.name for one in (tmp_path / "spool" / "aside").iterdir()), "a copy is kept"
        sink.refuse = None
        agent.writer.write(made_frame("bad", 2))
        _wait(lambda: not agent.spool.waiting)


def test_what_stands_between_with_smaller_limits_costs_nothing(tmp_path: Path) -> None:
    """A proxy's 413 has the bundle sent in parts, and never drops a frame."""
    with sinks(1) as [sink], _agent(tmp_path, [sink], lanes=1) as agent:
        sink.script = ["html", "html"]
        agent.writer.write(made_frame("c", 1) + made_frame("c", 2))
        _wait(lambda: _taken(sink) == [1, 2])
        assert "drops{cause=refused}" not in agent.counts.totals()


def test_a_restarted_agent_sends_what_the_first_one_had(tmp_path: Path) -> None:
    with sinks(1) as [sink]:
        sink.well, sink.script = False, [500] * 1000
        with _agent(tmp_path, [sink], drain_s=0.0) as agent:
            for sequence in range(1, 10):
                agent.writer.write(made_frame("c", sequence))
            first = agent.identity
        sink.well, sink.script = True, []
        with _agent(tmp_path, [sink]) as agent:
            _wait(lambda: _taken(sink) == list(range(1, 10)))
            assert agent.identity.id == first.id
            assert agent.identity.start == first.start + 1
            assert all(one in agent.held for one in sink.frames.values() if one.client == "c"), (
                "it knows that it had them"
            )


def test_a_stopping_agent_sends_what_it_has(tmp_path: Path) -> None:
    with sinks(1) as [sink]:
        with _agent(tmp_path, [sink]) as agent:
            agent.writer.write(b"".join(made_frame("c", sequence) for sequence in range(1, 50)))
        assert _taken(sink) == list(range(1, 50))
        closing = [header for header in sink.frames.values() if header.closing]
        assert [header.client for header in closing] == [agent.identity.client], "and says that it goes"
        assert list((tmp_path / "spool").glob("*.frames")) == []


def test_the_agents_own_frames_have_no_hole(tmp_path: Path) -> None:
    with sinks(1) as [sink], _agent(tmp_path, [sink]) as agent:
        name = agent.identity.client
        _wait(lambda: len(_taken(sink, name)) >= 3)
        mine = sorted((one for one in sink.frames.values() if one.client == name), key=lambda one: one.sequence)
        total = 0
        for expected, header in enumerate(mine, 1):
            total += header.events()
            assert (header.sequence, header.recorded) == (expected, total)


def test_servers_can_be_changed_while_it_runs(tmp_path: Path) -> None:
    with sinks(2) as (old, new), _agent(tmp_path, [old]) as agent:
        agent.writer.write(made_frame("c", 1))
        _wait(lambda: _taken(old) == [1])
        restart = agent.reload(Settings(spool=tmp_path / "other", servers=(new.url,), spool_mb=7))
        assert restart == ["spool"]
        assert agent.spool.bounds.disk == 7 << 20
        posts = len(old.posts)
        agent.writer.write(made_frame("c", 2))
        _wait(lambda: _taken(new) == [2])
        with pytest.raises(ValueError, match=r"agent\.servers"):
            agent.reload(Settings(spool=tmp_path / "other", servers=("nonsense:x:y",)))
        assert len(old.posts) <= posts + 1


def test_least_outstanding_wins_and_busy_servers_rest() -> None:
    now = [0.0]
    pool = Servers(["a:1", "b:1", "c:1"], clock=lambda: now[0], chance=lambda: 0.5)
    first, second, third = (pool.acquire(0) for _ in range(3))
    assert first and second and third
    assert len({id(first), id(second), id(third)}) == 3
    pool.answered(second, 0.1)
    assert pool.acquire(0) is second
    pool.busy(first, 10, "status 503")
    pool.answered(third, 0.1)
    pool.answered(second, 0.1)
    picked = [pool.acquire(0) for _ in range(6)]
    assert first not in picked
    now[0] = 11.0
    assert pool.acquire(0) is first


def test_no_lane_waits_longer_than_it_said() -> None:
    pool = Servers(["127.0.0.1:9"])
    server = pool.acquire(0)
    assert server is not None
    pool.failed(server, "refused")
    assert pool.acquire(0.05) is None
    ended = threading.Event()
    threading.Thread(target=lambda: (pool.acquire(60), ended.set())).start()
    pool.close()
    assert ended.wait(60)
