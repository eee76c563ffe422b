"""Many servers on one store share its compaction: nothing is lost or doubled, and little is done in vain."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from engines import shared
from server_process import FRAME, frame_bytes

from taba.config import Settings
from taba.server import service
from taba.server.service import COMPACTED, IN_VAIN, Service
from taba.server.submissions import read
from taba.states import tiers
from taba.states.query import Selection, Window
from taba.states.tiers import CLIENTS, FLEET, RAW, rests
from taba.store.protocol import ChunkInfo

SERVERS = 8
SECONDS = 10.0
TURN = 2.0


def chunk(view: str, created: float) -> ChunkInfo:
    return ChunkInfo(1, 0, "counter", 1, view, "", 1, 0, 1, 1, 0, created)


def test_a_shard_rests_after_it_was_compacted_and_no_longer():
    """What is raw says nothing, nor does a chunk of the future: a clock that is fast must not stop compaction."""
    assert not rests([], 100, 9.5)
    assert not rests([chunk(RAW, 99)], 100, 9.5)
    assert not rests([chunk(FLEET, 90), chunk(CLIENTS, 90.5)], 100, 9.5)
    assert rests([chunk(FLEET, 50), chunk(CLIENTS, 90.6)], 100, 9.5)
    assert not rests([chunk(FLEET, 101)], 100, 9.5)
    assert not rests([chunk(FLEET, 100)], 100, 0)


def opened(store: str, folder) -> Service:
    url = f"{shared('redis').url}?prefix={folder.name}" if store == "redis" else store
    return Service(Settings(data=folder / "data", store=url, shards=2))


def fold(server: Service, number: int, sequence: int, values: int = 1) -> int:
    """A frame of one client to one server; how many events."""
    body = frame_bytes(f"c{number}", sequence, {f"t{sequence % 7}": [1] * values})
    server.intake.fold(read(FRAME, body, {}, None, time.time()))
    return values


def counted(server: Service, tab: str) -> tuple[int, float]:
    """Count and total over all of a name's tabs."""
    now = time.time()
    found = server.windows(Selection([tab]), [Window("1d", now - 86_400, now + 60)])
    return sum(table["count"].sum() for _, table in found), sum(table["total"].sum() for _, table in found)


def test_a_shard_is_left_to_who_has_just_compacted_it(tmp_path):
    """Within the rest a second server does nothing; after it, what is due."""
    with closing(opened("sqlite", tmp_path)) as one, closing(opened("sqlite", tmp_path)) as other:
        for sequence in range(1, 9):
            fold(one, 1, sequence)
        now = time.time() + tiers.SETTLE_SECONDS + 1
        assert sum(one.compactor.run_shard(shard, now, rest=9) for shard in range(2)) > 0
        for sequence in range(9, 17):
            fold(other, 1, sequence)
        now += 8
        assert [other.compactor.run_shard(shard, now, rest=9) for shard in range(2)] == [0, 0]
        now += 5
        assert sum(other.compactor.run_shard(shard, now, rest=9) for shard in range(2)) > 0
        assert counted(one, "t*") == (16, 16.0)


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_eight_servers_do_the_work_of_one(store, tmp_path, monkeypatch):
    """Each of them compacts; every event is there once; what they did is about what one would have done."""
    monkeypatch.setattr(service, "COMPACT_SECONDS", TURN)
    monkeypatch.setattr(tiers, "SETTLE_SECONDS", TURN / 2)
    with ExitStack() as stack:
        servers = [stack.enter_context(closing(opened(store, tmp_path))) for _ in range(SERVERS)]
        begun = time.monotonic()
        until = begun + SECONDS

        def load(number: int) -> int:
            sent = sequence = 0
            while time.monotonic() < until:
                sequence += 1
                sent += fold(servers[number], number, sequence, values=5)
                time.sleep(0.1)
            return sent

        for server in servers:
            server.start()
        with ThreadPoolExecutor(SERVERS) as pool:
            sent = sum(pool.map(load, range(SERVERS)))
        for server in servers:
            server.end()
        wait_for_compactors()
        took = time.monotonic() - begun
        # What the compactors did last is told with the next batch.
        sent += sum(fold(server, number, 10_000) for number, server in enumerate(servers))
        assert counted(servers[0], "t*") == (sent, float(sent))
        done, lost = counted(servers[1], COMPACTED)[0], counted(servers[1], IN_VAIN)[0]
    # One server alone would take both shards once a turn. Eight that do not share do seven times as much.
    turns = took / (service.REST * TURN) + 2
    assert done > 0
    assert done + lost <= 3 * 2 * turns, (done, lost)


def wait_for_compactors() -> None:
    for thread in threading.enumerate():
        if thread.name == "taba-compactor":
            thread.join(60)
