"""What other protocols told becomes frames that fit: into a header, into the spool, and into accounts that come out."""

import asyncio
import secrets
from array import array
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spool_cases import drained

from taba.agent import outlet as outlets
from taba.agent.agent import Agent
from taba.agent.doors.statsd.door import StatsD
from taba.agent.doors.statsd.lost import MOST, Lost
from taba.agent.outlet import Outlet, numbered
from taba.agent.writer import BusyError
from taba.dialects.heard import PART_BYTES, Heard, parts
from taba.frame import MAX_HEADER, Drops, Texts, decode, encode
from taba.settings import Agent as Settings

SERVERS = ("http://127.0.0.1:9",)
"""Nobody is there: what is written stays in the spool."""


@pytest.fixture
def agent(tmp_path):
    settings = Settings(
        spool=tmp_path / "spool", spool_mb=1, pending_mb=1, full="drop_oldest", sync=False, servers=SERVERS
    )
    agent = Agent(settings)
    agent.writer.start()
    yield agent
    agent.writer.close()
    agent.spool.close()


async def all_written(outlet):
    async with asyncio.timeout(60):
        while not outlet.empty:
            await asyncio.sleep(0.01)


def numbers(client, count, start=1.0):
    return Heard(client, start, start + 0.5, ["n"], ["counter"], [count], array("d", range(count)))


def test_what_waits_is_written_in_parts_that_the_spool_can_hold(agent):
    """More waits than a small spool holds: it was written as one, in vain and for ever, at the cost of all before."""

    async def sent():
        outlet = Outlet(agent, "e", closing=True)
        for _ in range(8):
            outlet.send([numbers("c", 30_000)])
        await all_written(outlet)

    asyncio.run(sent())
    headers = sorted(drained(agent.spool), key=lambda header: header.sequence)
    assert all(later.lowest() == before.sequence + 1 for before, later in pairwise(headers))
    assert headers[-1].recorded == 8 * 30_000 == sum(header.events() for header in headers)
    assert sum(sum(header.counts) for header in headers) >= 30_000
    assert headers[0].lowest() == 1


def test_a_frame_that_the_spool_can_never_hold_is_counted_and_keeps_nobody(agent):
    """As one numbered before the spool was made smaller: a tombstone goes in its place."""

    async def sent():
        outlet = Outlet(agent, "e", closing=True)
        place = outlets.Place(1.0)
        written = []
        frames = [numbered(numbers("c", count), place, "e", closing=True) for count in (1, 100_000, 2)]
        outlet.write(frames, lambda: written.append(True))
        await all_written(outlet)
        assert written == [True]

    asyncio.run(sent())
    headers = drained(agent.spool)
    assert [(header.sequence, header.counts) for header in headers] == [(1, [1]), (2, []), (3, [2])]
    assert headers[1].drops == Drops(["n"], ["spool_full"], [100_000])
    assert agent.counts.totals()["drops{cause=spool_full}"] == 100_000


def test_clients_are_forgotten_and_no_number_comes_twice(agent, monkeypatch):
    """Of closed clients only so many are remembered. Who was forgotten comes in an epoch that it never had."""
    monkeypatch.setattr(outlets, "MOST_PLACES", 10)

    async def sent():
        outlet = Outlet(agent, "e", closing=False)
        for turn in range(5):
            outlet.send([numbers("stays", 1)])
            for number in range(25):
                one = numbers(f"c{number}", 1)
                one.closing = True
                outlet.send([one])
            assert len(outlet._places) <= 11, turn
        await all_written(outlet)

    asyncio.run(sent())
    headers = drained(agent.spool)
    seen = Counter((header.client, header.epoch, header.sequence) for header in headers)
    assert len(seen) == 5 * 26
    assert set(seen.values()) == {1}
    assert [header.sequence for header in headers if header.client == "stays"] == [1, 2, 3, 4, 5]
    last = {(header.client, header.epoch): header for header in headers}
    assert all(header.recorded == header.sequence for header in last.values())


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
some = st.lists(st.tuples(texts, st.integers(1, 5)), max_size=8)


@given(some, some, st.lists(texts, max_size=8), st.booleans(), st.integers(100, 2000))
def test_parts_say_what_the_whole_says(tabs, text_tabs, lost, weighted, most):
    """Nothing is lost, doubled or put in another order, whatever a part may hold; each is a frame that can be read."""
    whole = Heard("c", 1.0, 1.5, [n for n, _ in tabs], ["t"] * len(tabs), [c for _, c in tabs], closing=True)
    whole.numbers = array("d", range(sum(whole.counts)))
    whole.weights = array("d", whole.numbers) if weighted else array("d")
    whole.errors = [place / 8 for place in range(len(tabs))]
    if text_tabs:
        names, counts = [n for n, _ in text_tabs], [c for _, c in text_tabs]
        whole.texts = Texts(names, ["t"] * len(names), counts, [f"é{number}" for number in range(sum(counts))])
    if lost:
        whole.drops = Drops(lost, ["why"] * len(lost), list(range(1, len(lost) + 1)))
    found = parts(whole, most)
    assert events(found) == events([whole])
    assert sum(one.events() for one in found) == whole.events()
    assert [one.closing for one in found] == [False] * (len(found) - 1) + [True]
    times = [time for one in found for time in (one.start, one.stop)]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (1.0, 1.5)
    for one in found:
        frame = numbered(one, outlets.Place(1.0), "e", closing=False)
        assert len(list(decode(encode(frame.header, bytes(frame.values))))) == 1


def events(heards):
    """What they say, one after another."""
    found = []
    for one in heards:
        names = [name for name, count in zip(one.names, one.counts, strict=True) for _ in range(count)]
        errors = [error for error, count in zip(one.errors or [], one.counts, strict=False) for _ in range(count)]
        found += zip(names, one.numbers, one.weights or [1] * len(names), errors or [0] * len(names), strict=True)
    for one in heards:
        if one.texts:
            names = [n for n, count in zip(one.texts.names, one.texts.counts, strict=True) for _ in range(count)]
            found += zip(names, one.texts.values, strict=True)
    for one in heards:
        if one.drops:
            found += zip(one.drops.names, one.drops.reasons, one.drops.counts, strict=True)
    return found


def test_texts_and_names_of_any_script_fit_into_headers():
    """A character may take twelve bytes in JSON: names of four million were a header that nobody reads."""
    tabs = [f"n{number}{{who={chr(0x1F600) * 180}}}" for number in range(9_000)]
    heard = Heard("c", 1.0, 2.0, tabs, ["gauge"] * 9_000, [1] * 9_000, array("d", bytes(8 * 9_000)))
    heard.texts = Texts(["who"], ["uniques"], [20_000], [secrets.token_hex(8) + "é" * 1000] * 20_000)
    heard.drops = Drops(tabs, ["why"] * 9_000, [1] * 9_000)
    found = parts(heard)
    assert sum(one.events() for one in found) == heard.events()
    for one in found:
        header = numbered(one, outlets.Place(1.0), "e", closing=False).header
        assert len(encode(header)) < PART_BYTES * 1.1 < MAX_HEADER


def test_what_a_client_lost_is_told_though_it_says_nothing_more(agent, monkeypatch):
    """A client that ends while the spool takes nothing: its loss comes to the ledger once there is room."""
    monkeypatch.setattr("taba.agent.doors.statsd.door.TELL_SECONDS", 0.05)
    told: list[Heard] = []

    class Outlet:
        full = True
        empty = True

        def send(self, heard):
            if self.full:
                raise BusyError("full")
            told.extend(heard)

    async def lived():
        door = StatsD(agent, [])
        door._loop = asyncio.get_running_loop()
        door._outlet = outlet = Outlet()
        door._room.acquire()
        door._send([numbers("gone", 3, start=7.0)])
        await asyncio.sleep(0.2)
        assert not told
        assert door._lost.events == 3
        outlet.full = False
        async with asyncio.timeout(60):
            while not told:
                await asyncio.sleep(0.01)

    asyncio.run(lived())
    assert [(one.client, one.start, one.stop, one.closing) for one in told] == [("gone", 7.5, 7.5, True)]
    assert told[0].drops == Drops(["n"], ["statsd_busy"], [3])


def test_of_losses_only_so_many_are_told_apart():
    """Beyond that they are added up: of many clients and tabs none is uncounted, and memory ends."""
    lost = Lost()
    for client in range(MOST // 100):
        lost.add(Heard(f"c{client}", 1.0, 1.0, [f"t{tab}" for tab in range(150)], ["counter"] * 150, [1] * 150))
    assert len(lost.clients) <= MOST // 150 + 3
    told = []
    for client in lost.clients:
        told.append(Heard(client, 1.0, 1.0))
        lost.tell(told[-1])
    assert sum(one.events() for one in told) == MOST // 100 * 150
    assert not lost
