"""The watches' records in a store: of several servers that change one at once, one does."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import msgspec
import pytest

from taba.server.service import Service
from taba.server.submissions import JSON, read
from taba.server.watches.records import STATE, Draft, Records, key_of
from taba.server.watches.watching import Watching
from taba.settings import Settings, Watch
from taba.store.protocol import Append, Receipt
from taba.watches.machine import Held
from taba.watches.record import Record

KEY = key_of("w", "count(x) > 1")
FIRES = Record(instances={"x": Held(1.0, 2.0)})
NOW = 1_800_000_000.0


@contextmanager
def services(folder, store, count, watches=()):
    """So many servers without HTTP on one store."""
    made = [Service(Settings(data=folder, watches=watches, **store), lambda: NOW) for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.close()


def draft(record):
    return Draft(KEY, "w", record)


@pytest.mark.parametrize("turns", [3])
def test_of_those_that_write_at_once_one_does(tmp_path, either_store, turns):
    """And all know afterwards what it wrote, also one that begins later."""
    with services(tmp_path, either_store, 4) as several, ThreadPoolExecutor(len(several)) as threads:
        records = [Records(service) for service in several]
        for turn in range(turns):
            known = [one.read().get(KEY, Record()) for one in records]
            assert {record.generation for record in known} == {turn}

            def write(place, turn=turn, known=known):
                mine = Record(known[place].generation, instances={f"{turn}-{place}": Held(1.0)})
                return bool(records[place].write([draft(mine)], NOW))

            won = list(threads.map(write, range(len(records))))
            assert sum(won) == 1
            for service in several:
                service.freshness.catch_up()
            for one in records:
                assert list(one.read()[KEY].instances) == [f"{turn}-{won.index(True)}"]
        assert Records(several[-1]).read()[KEY].generation == turns


def test_drafts_that_nobody_else_has_written_are_not_held_up(tmp_path, either_store):
    """Of several records at once those are refused that another was faster with, and no others."""
    with services(tmp_path, either_store, 2) as (one, other):
        first, second = Records(one), Records(other)
        first.write([draft(FIRES)], NOW)
        mine = Draft(key_of("v", "r"), "v", FIRES)
        assert list(second.write([draft(Record()), mine], NOW)) == [mine.key]
        assert second.read()[KEY].instances == FIRES.instances


def test_a_record_that_is_lost_is_followed_all_the_same(tmp_path, either_store):
    """Tiers may have dropped it, and its numbers are still known: they are jumped over."""
    with services(tmp_path, either_store, 2) as (one, other):
        shard = one.catalogue.shard_of(STATE)
        for generation in range(1, 22):
            one.store.append([Append(shard, [Receipt(f"watches/{KEY}", generation)], [], [])])
        taken = Records(one).write([draft(FIRES)], NOW)
        assert taken[KEY].generation > 21
        late = Records(other)
        assert late.write([draft(FIRES)], NOW) == {}
        assert late.read()[KEY] == taken[KEY]


def test_a_writer_whose_clock_is_behind_is_not_overlooked(tmp_path, either_store):
    """What follows a record is newer than it, whatever the clocks say."""
    with services(tmp_path, either_store, 1) as (one,):
        records = Records(one)
        records.write([draft(FIRES)], NOW)
        records.write([draft(records.read()[KEY])], NOW - 50.0)
        one.freshness.catch_up()
        again = Records(one).read()[KEY]
        assert (again.generation, again.written > NOW) == (2, True)


def test_all_servers_tell_the_same_of_a_watch(tmp_path, either_store):
    """What one has found and written is told by the other before it has looked itself, as long as there is a store."""
    watch = Watch("w", "count(x) > 0")
    with services(tmp_path, either_store, 2, (watch,)) as several:
        first, second = map(Watching, several)
        events = [{"tab": "x", "type": "counter", "client": "c", "time": NOW - 5, "value": 1.0}]
        several[0].intake.fold(read(JSON, msgspec.json.encode({"events": events}), {}, None, NOW))
        assert [told.state for told in second.shown().told] == ["unknown"]
        first._look()
        (one,), (other,) = first.shown().told, second.shown().told
        assert (one.state, one.record) == ("firing", other.record)
        assert (other.state, other.since) == (one.state, one.since)
        assert second.last.told[0].state == "unknown"
    assert second.shown() == second.last
