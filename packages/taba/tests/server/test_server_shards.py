"""Where shards are written apart: a batch that got half of its way, and tombstones, count right on an engine too."""

import time

import engines
import pytest
from server_process import FRAME, ServerProcess, frame_bytes

from taba import frame
from taba.handlers.registry import Registry
from taba.server.batch import assemble
from taba.server.client_tabs import ClientTabs
from taba.server.rules import Rules
from taba.server.submissions import read
from taba.server.writing import Writer
from taba.settings import Limits
from taba.states.catalogue import Catalogue
from taba.states.reading import ChunkCache
from taba.store.address import parse
from taba.store.redis import RedisStore

TABS = {f"shards.t{number}": [number + 1] for number in range(40)}
"""Tabs enough to be in every shard, each with one value."""


class HalfwayError(Exception):
    """The end of a server between two writes."""


class Halfway:
    """A store that writes the parts of some shards, and whose server ends then."""

    def __init__(self, store, shards):
        self._store, self._shards = store, shards
        self.shards, self.whole = store.shards, store.whole

    def append(self, appends, entries=()):
        del entries
        self._store.append([part for part in appends if part.shard in self._shards])
        raise HalfwayError


@pytest.fixture(params=["redis", "cluster"])
def address(request, tmp_path):
    return f"{engines.shared(request.param).url}?prefix={tmp_path.name}"


@pytest.fixture
def server(address, tmp_path):
    server = ServerProcess(tmp_path, store=address, gather_ms=10)
    yield server
    server.close()


def begun(address, body, shards):
    """Write a body as a server does that ends when it has written only these shards."""
    store = RedisStore(parse(address), 8)
    registry = Registry(())
    catalogue = Catalogue(registry, store.shards)
    writer = Writer(Halfway(store, shards), registry, catalogue, ChunkCache(1 << 20), time.time)
    submissions = read(FRAME, body, {}, None, time.time())
    batch = assemble(
        submissions,
        catalogue,
        registry,
        Rules(Limits(), 0.0, time.time() + 60),
        ClientTabs(time.monotonic),
        time.time(),
    )
    with pytest.raises(HalfwayError):
        writer.write(submissions, batch, set())
    store.close()


def told(server, client="c"):
    row = server.get("/v1/ledger")["ledger"][client]
    return row["recorded"], row["folded"], sum(row["dropped"].values()), row["in_flight"]


@pytest.mark.parametrize("shards", [[], [0], [1, 2, 3], list(range(8))], ids=str)
def test_a_server_that_ended_halfway(server, address, shards):
    """What was written of a frame is not written again, what was not is; the account has it when all shards do."""
    body = frame_bytes("c", 1, TABS, recorded=len(TABS))
    begun(address, body, shards)
    assert server.get("/v1/ledger")["ledger"] == {}
    for _ in range(2):
        assert server.post(body, FRAME).status == 200
        assert server.totals("shards.*") == {tab: value for tab, (value,) in TABS.items()}
        counted = server.get("/v1/aggregates", tab="taba.client.events", client="c", window="1d")["tabs"]
        assert counted["taba.client.events"]["1d"]["total"] == len(TABS)
        assert told(server) == (40, 40, 0, 0)


def grave(sequence, first):
    """A tombstone for the frames from `first` on, each of which held TABS."""
    lost = len(TABS) * (sequence - first + 1)
    header = frame.Header(
        "c", "e", sequence, time.time() - 1, time.time(), recorded=len(TABS) * sequence, first=first,
        drops=frame.Drops(["shards.t0"], ["full"], [lost]),
    )  # fmt: skip
    return frame.encode(header)


def test_a_tombstone_after_its_frame(server):
    """A frame whose answer was lost is counted; the tombstone that comes in its place says nothing more."""
    body = frame_bytes("c", 1, TABS, recorded=len(TABS))
    for sent in (body, grave(1, 1), body, grave(1, 1)):
        assert server.post(sent, FRAME).status == 200
    assert server.totals("shards.*", of="count") == dict.fromkeys(TABS, 1)
    assert server.dropped() == {}
    assert told(server) == (40, 40, 0, 0)


def test_a_frame_after_its_tombstone(server):
    """What was given up is lost in every shard, whichever of its frames still comes."""
    assert server.post(grave(3, 1), FRAME).status == 200
    for sequence in (1, 2, 3):
        body = frame_bytes("c", sequence, TABS, recorded=len(TABS) * sequence)
        assert server.post(body, FRAME).status == 200
    assert server.totals("shards.*", of="count") == {}
    assert server.dropped() == {("full", "shards.t0"): 120}
    assert told(server) == (120, 0, 120, 0)


def test_both_in_one_body(server):
    """A frame and a tombstone that ends with it, together: one of them counts, with its neighbours."""
    frames = [frame_bytes("c", sequence, TABS, recorded=len(TABS) * sequence) for sequence in (1, 2, 3)]
    assert server.post(b"".join([frames[0], frames[2], grave(3, 2)]), FRAME).status == 200
    assert server.post(frames[1], FRAME).status == 200
    counts = server.totals("shards.*", of="count")
    recorded, folded, dropped, in_flight = told(server)
    assert (recorded, in_flight) == (120, 0)
    assert folded == sum(counts.values())
    assert dropped == sum(server.dropped().values()) == 120 - folded
