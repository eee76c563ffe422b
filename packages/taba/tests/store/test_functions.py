"""The functions on the engine, against plain models: receipts with ranges, accounts under many writers, lost tabs."""

import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import engines
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_cases import SHARDS, frame_entry, framed, ids_of, new_chunk, on, part

from taba.sequences import MAX_GAPS, Seen
from taba.states.shards import shard_of
from taba.store import Append, Receipt, Refusal, TabEntry
from taba.store.address import parse
from taba.store.protocol import TabsLostError
from taba.store.redis import RedisStore


@pytest.fixture(params=["redis", "valkey"])
def store(request, tmp_path):
    store = on(request.param)(tmp_path)
    yield store
    store.close()


RANGES = st.tuples(st.integers(1, 60), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@pytest.mark.parametrize("kind", ["redis", "valkey"])
@given(calls=st.lists(st.lists(RANGES, min_size=1, max_size=4), max_size=20))
def test_receipts_with_ranges(kind, calls):
    """Frames and tombstones for many numbers in any order: each is taken where none of its numbers was seen, a call is
    taken whole or not at all, and what the engine keeps is what was seen."""
    store = on(kind)(uuid.uuid4().hex)
    seen: set[int] = set()
    for call in calls:
        now, refused = set(seen), set()
        for first, last in sorted(set(call), key=lambda pair: pair[1]):
            numbers = set(range(first, last + 1))
            if numbers & now:
                refused.add((first, last))
            else:
                now |= numbers
        receipts = [Receipt("s", last, first) for first, last in dict.fromkeys(call)]
        (result,) = store.append([Append(0, receipts, [], [new_chunk()])])
        if refused:
            assert isinstance(result, Refusal)
            # Of two that end alike either may be the one that is refused.
            assert {one.sequence for one in result.receipts} == {last for _, last in refused}
        else:
            assert isinstance(result, list)
            seen = now
        assert kept(store) == Seen().add(seen)
    store.close()


def kept(store):
    """What the engine keeps of the source s."""
    row = store.engine.run([_hget(store)], 1.0)[0]
    if row is None:
        return Seen()
    last, _, gaps = row.decode().split(" ")
    return Seen.read(int(last), gaps)


def _hget(store):
    from taba.store.engine import Command

    key = store._tags[0] + "receipts"
    return Command(key, ("HGET", key, "s"))


def test_a_range_that_covers_forgotten_gaps(store):
    """Beyond the gaps that are kept all counts as seen, for ranges too; the greatest numbers are exact."""
    odd = [("s", sequence) for sequence in range(3, 2 * MAX_GAPS + 10, 2)]
    ids_of(store.append([part(0, [b"late"], odd)]))
    old = Append(0, [Receipt("s", 2, 1)], [], [new_chunk()])
    assert isinstance(store.append([old])[0], Refusal)
    greatest = (1 << 53) - 1
    ids_of(store.append([Append(0, [Receipt("s", greatest)], [], [new_chunk()])]))
    ids_of(store.append([Append(0, [Receipt("s", greatest - 1, greatest - 5)], [], [new_chunk()])]))
    assert isinstance(store.append([Append(0, [Receipt("s", greatest - 3)], [], [new_chunk()])])[0], Refusal)


@pytest.mark.parametrize("kind", ["redis", "cluster"])
def test_many_writers_of_the_same_accounts(kind, tmp_path):
    """Several stores append frames of the same clients at once, in any order and each twice: every account has every
    frame once, whoever was first, and nothing is in flight at the end."""
    clients, frames = [f"c{number}" for number in range(12)], 25
    stores = [on(kind)(tmp_path) for _ in range(3)]
    entries = [
        frame_entry(number, client=client, folded=number) for client in clients for number in range(1, frames + 1)
    ]
    work = entries * 2
    random.Random(1).shuffle(work)

    def write(place):
        some = work[place : place + 20]
        unique = list({entry.receipt: entry for entry in some}.values())
        stores[place % 3].append([], unique)

    with ThreadPoolExecutor(6) as threads:
        for done in [threads.submit(write, place) for place in range(0, len(work), 20)]:
            done.result(120)
    accounts = {account.client: account for account in stores[0].accounts()}
    assert set(accounts) == set(clients)
    for account in accounts.values():
        assert (account.last, account.gaps, account.folded) == (frames, (), frames * (frames + 1) // 2)
    for store in stores:
        store.close()


def test_requests_without_frames_under_many_writers(tmp_path):
    """The same request at several stores at once adds to its client's account once."""
    stores = [on("redis")(tmp_path) for _ in range(3)]
    plain = replace(frame_entry(1), epoch="", sequence=0, first=0)
    gate = threading.Barrier(3)

    def write(number):
        for sequence in range(1, 40):
            gate.wait()
            stores[number].append([], [replace(plain, request=Receipt("s", sequence))])

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(write, range(3)))
    assert [account.folded for account in stores[0].accounts()] == [39]
    for store in stores:
        store.close()


def test_a_part_of_five_thousand_receipts_blocks_nobody_for_long(store):
    """The engine does one thing at a time: the largest batches hold up the others for milliseconds.

    A machine that is busy may hold up the engine itself in some of them, and not in all.
    """
    sources = [f"client-{number} epoch" for number in range(5_000)]
    longest = []
    for sequence in range(1, 5):
        store.engine.everywhere("SLOWLOG", "RESET")
        entries = [frame_entry(sequence, client=source.split()[0]) for source in sources]
        ids_of(framed(store, 0, [b"x" * 100_000], entries=entries))
        slow = store.engine.everywhere("SLOWLOG", "GET", 128)[0]  # rows of id, time, microseconds, command, …
        longest.append(max((row[2] for row in slow if row[3][0] == b"FCALL"), default=0) / 1e6)
    assert min(longest[1:]) < 0.5, longest  # the first makes the accounts, and the others find them


def test_lost_tabs_are_noticed(tmp_path):
    """An engine that came back without the newest tabs, though others came to be since, says so once it is asked."""
    store = on("redis")(tmp_path)
    for name in ("a", "b", "c"):
        ids_of(store.append([part(0, tabs=[(name, "counter")])]))
    version = store.tabs()[1]
    client, key = engines.shared("redis").client, store._tags[0] + "tabs"
    assert store.tabs(version, 3) == ([], version)
    client.zrem(key, "counter b", "counter c")
    ids_of(store.append([part(0, tabs=[("d", "counter")])]))
    with pytest.raises(TabsLostError, match="has 2 tabs, and had 3"):
        store.tabs(version, 3)
    entries, version = store.tabs()
    assert {entry.tab for entry in entries} == {"a", "d"}
    assert store.tabs(version) == ([], version)
    store.close()


def test_a_server_writes_lost_tabs_again(tmp_path):
    """What a server knows and the engine lost is there again within moments, for other servers too, also where a name
    has got another type meanwhile: that one is told, and hinders none of the others."""
    from taba.handlers.registry import Registry
    from taba.server.freshness import Freshness
    from taba.states.catalogue import Catalogue

    now = [0.0]
    store, other = on("redis")(tmp_path), on("redis")(tmp_path)
    tabs = [TabEntry(name, name, "counter") for name in ("a", "b", "c", "d")]
    for tab in tabs:
        store.append([Append(shard_of(tab.name, SHARDS), [], [tab], [])])
    catalogue = Catalogue(Registry(), SHARDS)
    freshness = Freshness(store, catalogue, lambda: now[0])
    client = engines.shared("redis").client
    client.delete(*client.keys(f"{store._prefix}:*"))
    store.append([Append(shard_of("a", SHARDS), [], [TabEntry("a", "a", "gauge")], [])])
    now[0] += 1
    freshness.look()
    assert {entry.tab: entry.type for entry in other.tabs()[0]} == {
        "a": "gauge",
        "b": "counter",
        "c": "counter",
        "d": "counter",
    }
    now[0] += 1
    freshness.look()
    store.close()
    other.close()


def test_a_store_that_was_emptied_keeps_its_number_of_shards(tmp_path):
    """FLUSHALL under a running server: what it writes again says how many shards there are, so that a server which
    comes later, and is set otherwise, does not split the tabs in another way."""
    store = on("redis")(tmp_path)
    store.append([part(0, tabs=[("a", "counter")])])
    version = store.tabs()[1]
    client = engines.shared("redis").client
    client.delete(*client.keys(f"{store._prefix}:*"))
    with pytest.raises(TabsLostError):
        store.tabs(version, 1)
    later = RedisStore(parse(f"{engines.shared('redis').url}?prefix={store._prefix}"), SHARDS + 5)
    assert later.shards == SHARDS
    later.close()
    store.close()
