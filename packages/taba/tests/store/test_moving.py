"""A whole store moves: everything comes along, a move that was cut off goes on, and what was counted stays counted."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from dataclasses import replace
from itertools import pairwise

import engines
import pytest
from houses import KINDS, fill, house, moved, place, quiet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_cases import SHARDS, frame_entry, framed, held, ids_of, new_chunk, part

from taba.config import Settings
from taba.sequences import Seen
from taba.store import Refusal, StoreError, open_store
from taba.store.marks import Mark, ShardMarks
from taba.store.moving import Content, listing, move, numbered
from taba.store.protocol import Append, Receipt, TabEntry

WAYS = [("sqlite", "redis"), ("redis", "sqlite"), ("cluster", "sqlite"), ("valkey", "cluster"), ("sqlite", "sqlite")]


@contextlib.contextmanager
def opened(*asked):
    """Stores, closed at the end; each is (kind, folder)."""
    with contextlib.ExitStack() as stack:
        stores = []
        for one in asked:
            stores.append(house(*one))
            stack.callback(stores[-1].close)
        yield stores


def content(store):
    """All that must come along, but for the marks."""
    bodies = {(one.info.shard, one.info.id): one for one in store.read(listing(store).values())}
    tabs = sorted(store.catalogue(), key=lambda tab: tab.tab)
    accounts = [sorted(found, key=lambda one: (one.client, one.epoch)) for found in (store.accounts(), lately(store))]
    return bodies, tabs, *accounts


def lately(store):
    """The accounts that are found by when they were heard."""
    return store.accounts(max((account.heard for account in store.accounts()), default=0.0))


@pytest.mark.parametrize(("kind", "other"), WAYS)
def test_everything_comes_along(kind, other, tmp_path):
    """Chunks with every field and their ids, tabs, accounts; the counts that are told are those that are there."""
    with opened((kind, tmp_path / "a"), (other, tmp_path / "b")) as (one, two):
        fill(one)
        told = moved(one, two)
        assert content(two) == content(one)
        assert (told.written, told.already_there, told.unsettled) == (20, 0, 0)
        assert told.counts == Content.of(two).counts(two.shards)
        assert told.counts.folded == sum(account.folded for account in one.accounts()) == 367


shards = st.integers(0, SHARDS - 1)
frames = st.tuples(st.just("frame"), st.sampled_from("xy"), st.integers(1, 12), st.sets(shards, min_size=1))
requests = st.tuples(st.just("request"), st.sampled_from(["import/a", "é b"]), st.integers(1, 6), shards)
steps = st.lists(frames | requests | st.tuples(st.just("merge"), shards), max_size=25)


def take(store, step) -> bool:
    """Do a step as a server would; whether it was taken."""
    if step[0] == "merge":
        ids = [info.id for info in store.chunks(step[1])]
        bodies = store.bodies(step[1], ids)
        return store.replace(step[1], ids, [new_chunk(b"".join(sorted(bodies.values())), step[1])]) is not None
    kind, source, number, where = step
    if kind == "frame":
        entry = frame_entry(number, client=source, recorded=number, folded=1, began=0.5)
        plain = [
            part(shard, [f"{source}{number};".encode()], tabs=[(f"t{shard}", "counter")]) for shard in sorted(where)
        ]
        parts = [replace(one, receipts=[entry.receipt]) for one in plain]
    else:
        entry = replace(frame_entry(0, client=f"till-{number % 2}"), epoch="", first=0, request=Receipt(source, number))
        parts = [part(where, [f"{source}{number};".encode()], [(source, number)])]
    results = store.append(parts, [entry])
    refused = [isinstance(result, Refusal) for result in results]
    if any(refused) and not all(refused):
        pytest.fail("a step is in a part of its shards")
    return not any(refused)


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(steps)
def test_round_and_back_nothing_is_lost_or_seen_anew(tmp_path, made):
    """SQLite, Redis, Cluster and SQLite again: the same content, and every step is refused or taken as at the first."""
    folder = tmp_path / uuid.uuid4().hex
    kinds = ("sqlite", "redis", "cluster", "sqlite")
    with opened(*((kind, folder / str(number)) for number, kind in enumerate(kinds))) as stores:
        done = [step for step in made if take(stores[0], step)]
        for one, two in pairwise(stores):
            moved(one, two)
            assert content(two) == content(one)
        assert {s: replace_heard(mark) for s, mark in stores[3].look(0).receipts.items()} == {
            s: replace_heard(mark) for s, mark in stores[0].look(0).receipts.items()
        }
        first = {step[:3] for step in done}
        every = [("frame", client, number, {0, 1}) for client in "xy" for number in range(1, 14)]
        every += [("request", source, number, 0) for source in ("import/a", "é b") for number in range(1, 8)]
        for store in stores:
            for step in every:
                assert take(store, step) == (step[:3] not in first), (store.where, step)


def replace_heard(mark: Mark) -> Mark:
    return mark._replace(heard=float(int(mark.heard)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", ["sqlite", "redis"])
def test_counted_once_after_the_move(kind, other, tmp_path):
    """A frame, a tombstone's frame and a request that were there are refused; those in a gap are taken, once."""
    with opened((kind, tmp_path / "a"), (other, tmp_path / "b")) as (one, two):
        ids_of(framed(one, 0, [b"1"], entries=[frame_entry(1)]))
        ids_of(framed(one, 1, [b"9"], entries=[frame_entry(9, first=7, folded=0, dropped={"full": 2})]))
        request = replace(frame_entry(0), epoch="", first=0, request=Receipt("import/a", 3))
        ids_of(one.append([part(2, [b"r"], [("import/a", 3)])], [request]))
        moved(one, two)
        for number in (1, 7, 9):
            assert framed(two, 0 if number == 1 else 1, [b"no"], entries=[frame_entry(number)]) != [[]]
            assert isinstance(framed(two, 0 if number == 1 else 1, [b"no"], entries=[frame_entry(number)])[0], Refusal)
        assert isinstance(two.append([part(2, [b"no"], [("import/a", 3)])], [request])[0], Refusal)
        late = frame_entry(4)
        ids_of(framed(two, 3, [b"4"], entries=[late]))
        assert framed(two, 3, [b"no"], entries=[late]) == [Refusal(frozenset({late.receipt}))]
        ids_of(two.append([part(2, [b"r2"], [("import/a", 2)])], [replace(request, request=Receipt("import/a", 2))]))
        bodies = sorted(body for shard in range(SHARDS) for body in held(two, shard))
        assert bodies == [b"1", b"4", b"9", b"r", b"r2"]


def test_a_frame_that_was_written_in_part_is_told(tmp_path):
    """To SQLite, which cannot complete it, the move is refused until it is complete, or is said to be accepted; to an
    engine it moves as it is, and is completed there."""
    with opened(("redis", tmp_path / "a"), ("redis", tmp_path / "b"), ("sqlite", tmp_path / "c")) as (one, two, three):
        half = frame_entry(1)
        one.append([replace(part(0, [b"half"]), receipts=[half.receipt])])  # a server ended before the rest
        with pytest.raises(StoreError, match=r"1 frames or requests are in some shards and in no account.*'c e'"):
            moved(one, three)
        assert listing(three) == {}
        moved(one, two)
        taken, refused = [replace(part(shard, [b"rest"]), receipts=[half.receipt]) for shard in (1, 0)]
        assert isinstance(two.append([refused])[0], Refusal)
        ids_of(two.append([taken], [half]))
        told = moved(one, three, accept_unsettled=True)
        assert told.unsettled == 1
        assert not isinstance(three.append([refused], [half])[0], Refusal)
        with opened(("sqlite", tmp_path / "d")) as (four,):
            assert moved(two, four).unsettled == 0
            assert isinstance(four.append([refused], [half])[0], Refusal)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_store_with_data_is_no_target(kind, tmp_path):
    """Whatever it holds is left alone; one with another number of shards too."""
    with opened(("sqlite", tmp_path / "a"), (kind, tmp_path / "b")) as (one, two):
        fill(one)
        ids_of(two.append([part(1, [b"mine"])]))
        with pytest.raises(StoreError, match=r"holds data already \(chunks\)"):
            moved(one, two)
        assert held(two, 1) == [b"mine"]
        assert two.origin is None
        with pytest.raises(StoreError, match=r"has 4 shards and 5 are needed"):
            house(kind, tmp_path / "b", 5)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_half_a_store_is_opened_by_nobody(kind, tmp_path):
    """Servers refuse it, and so do moves of anything else into it; the same move goes on."""
    asked = {"data": tmp_path / "b"} if kind == "sqlite" else {"store": place(kind, tmp_path / "b")}
    with opened(("sqlite", tmp_path / "a"), (kind, tmp_path / "b")) as (one, two):
        fill(one)
        two.begin("the source")
        two.put_chunks([new_chunk(b"a stray", 0, id=99)])
        with pytest.raises(StoreError, match="is unfinished: bringing the source to it was cut off"):
            open_store(Settings(**asked))
        with pytest.raises(StoreError, match="is unfinished"):
            move(one, two, "another", quiet)
        moved(one, two)
        assert content(two) == content(one)
    open_store(Settings(**asked)).close()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@pytest.mark.parametrize("step", ["drop_chunks", "clear_books", "put_tabs", "put_marks", "put_accounts", "finish"])
def test_cut_off_before_any_step(kind, step, tmp_path):
    """Wherever it ends, the store is unfinished, and the same move makes it whole."""
    with opened(("sqlite", tmp_path / "a"), (kind, tmp_path / "b")) as (one, two):
        fill(one)
        two.begin("the source")
        two.put_chunks([new_chunk(b"of a chunk that the source has no more", 0, id=99)])

        class Cut(type(two)):
            pass

        def end(self, *_):
            raise KeyboardInterrupt

        setattr(Cut, step, end)
        plain = type(two)
        two.__class__ = Cut
        with pytest.raises(KeyboardInterrupt):
            moved(one, two)
        two.__class__ = plain
        assert two.origin == "the source"
        moved(one, two)
        assert two.origin is None
        assert content(two) == content(one)


def test_a_source_that_changes_is_noticed(tmp_path):
    """A server that writes meanwhile makes the move fail; once it has stopped, the same move makes it right."""
    with opened(("redis", tmp_path / "a"), ("sqlite", tmp_path / "b")) as (one, two):
        fill(one)
        ids = iter([info.id for info in one.chunks(1)])

        def disturb(told, done, total):
            if told == "comparing":
                one.replace(1, [next(ids)], [new_chunk(b"merged", 1)])

        with pytest.raises(StoreError, match="has changed while it was moved: stop all servers"):
            move(one, two, "the source", disturb)
        assert two.origin == "the source"
        told = moved(one, two)
        assert (told.written, told.already_there) == (1, 19)
        assert content(two) == content(one)


def test_a_damaged_chunk_does_not_move(tmp_path):
    """It is named, and the other store stays unfinished."""
    with opened(("sqlite", tmp_path / "a"), ("redis", tmp_path / "b")) as (one, two):
        one.append([Append(0, [], [], [new_chunk(b"good", 0), new_chunk(b"bad", 0, checksum=1)])])
        with pytest.raises(StoreError, match=r"chunk 2 of shard 0 is damaged"):
            moved(one, two)


def test_a_store_that_is_in_use_is_refused(tmp_path):
    """SQLite tells whether another process has the file open."""
    with opened(("sqlite", tmp_path / "a")), pytest.raises(StoreError, match=r"a server has .* open: stop it first"):
        type(house("sqlite", tmp_path / "a"))(tmp_path / "a", alone=True)


def test_the_same_chunks_have_the_same_ids_every_time():
    """Ids of several shards that are equal become unique where they must be, whatever the order."""
    infos = [new_chunk(b"", shard, id=identity).info for shard, identity in ((0, 5), (1, 5), (2, 6), (3, 5), (1, 7))]
    there = numbered(infos, unique=True)
    assert there == numbered(reversed(infos), unique=True)
    assert len({identity for _, identity in there}) == len(infos)
    assert {key for key in there if there[key].id == key[1]} == {(0, 5), (2, 6), (1, 7)}
    assert set(numbered(infos, unique=False)) == {(info.shard, info.id) for info in infos}


def test_tabs_keep_their_order_in_sqlite(tmp_path):
    """A server that asks for what is new since then goes on where it was."""
    with opened(("sqlite", tmp_path / "a"), ("sqlite", tmp_path / "b")) as (one, two):
        for name in ("b", "a", "c"):
            one.append([part(0, tabs=[(name, "counter")])])
        moved(one, two)
        assert two.catalogue() == [TabEntry(name, name, "counter") for name in ("b", "a", "c")]
        _, version = two.tabs()
        two.append([part(0, tabs=[("d", "counter")])])
        assert two.tabs(version)[0] == [TabEntry("d", "d", "counter")]


def test_marks_of_thousands_of_sources(tmp_path):
    """More than one command takes."""
    with opened(("sqlite", tmp_path / "a"), ("redis", tmp_path / "b"), ("sqlite", tmp_path / "c")) as (one, two, three):
        marks = {f"import/{number}": Mark(Seen(number), 1e9) for number in range(1, 2500)}
        one.begin("x")
        one.put_marks(0, ShardMarks(marks))
        one.finish()
        moved(one, two)
        moved(two, three)
        assert three.look(0).receipts == marks


def chunks_at(kind, folder) -> int:
    """How many chunks are there already, seen from outside."""
    if kind == "redis":
        keys = engines.shared(kind).client.scan_iter(match=f"{place(kind, folder).partition('prefix=')[2]}:*:chunks")
        return sum(engines.shared(kind).client.hlen(key) for key in keys)
    try:
        with contextlib.closing(sqlite3.connect(f"file:{folder / 'taba.db'}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM chunks").fetchone()[0]
    except sqlite3.Error:
        return 0


SLOWLY = """
import time
from taba.store.redis_house import RedisHouse
from taba.store.sqlite_house import SqliteHouse
for kind in (RedisHouse, SqliteHouse):
    def put_chunks(self, chunks, put=kind.put_chunks):
        put(self, chunks)
        time.sleep(0.3)
    kind.put_chunks = put_chunks
"""
"""So that it is still at work when it is killed, however late we see how far it is."""


@pytest.mark.parametrize(("kind", "other"), [("sqlite", "redis"), ("redis", "sqlite")])
def test_killed_and_run_again(kind, other, tmp_path):
    """Killed with -9 in the midst of it, the same command goes on, and in the end all is there once."""
    with opened((kind, tmp_path / "a")) as (one,):
        fill(one, 5000)
        wanted = content(one)
    words = ["copy", place(kind, tmp_path / "a"), place(other, tmp_path / "b"), "--json"]
    run = "from taba.cli import main; main()"
    command = [sys.executable, "-c", run, *words]
    environment = os.environ | {"HOME": str(tmp_path)}
    for enough in (1, 800, 1600):
        process = subprocess.Popen([sys.executable, "-c", SLOWLY + run, *words], env=environment)
        engines.await_that(lambda enough=enough: chunks_at(other, tmp_path / "b") >= enough, "chunks are written")
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["already_there"] >= 1600
    assert told["written"] + told["already_there"] == told["chunks"] == 5000
    with opened((other, tmp_path / "b")) as (two,):
        assert two.origin is None
        assert content(two) == wanted
