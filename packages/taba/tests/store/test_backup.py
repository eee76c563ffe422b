"""A backup holds all of a store, or it is refused; and what comes of a store in use is counted once at most."""

import contextlib
import hashlib
import itertools
import os
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from engines import await_that
from houses import fill, moved, place, quiet
from store_cases import SHARDS, frame_entry, held, ids_of, new_chunk, part
from test_moving import content, opened

from taba.store import Refusal, StoreError, backup
from taba.store.address import parse
from taba.store.moving import Content
from taba.store.redis_house import RedisHouse


def written(store, path: Path) -> bytes:
    backup.write(store, path, "somewhere", quiet)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["sqlite", "redis", "cluster"])
def test_a_backup_holds_everything(kind, tmp_path):
    """What is restored, to either kind of store, is what was there; and it is counted as it was."""
    file = tmp_path / "x.taba"
    with opened((kind, tmp_path / "a"), ("sqlite", tmp_path / "b"), ("redis", tmp_path / "c")) as (one, *others):
        fill(one)
        assert backup.write(one, file, "somewhere", quiet) == Content.of(one).counts(SHARDS)
        source = backup.FileSource(file, quiet)
        assert (source.header.origin, source.shards, source.whole) == ("somewhere", SHARDS, one.whole)
        for other in others:
            moved(source, other)
            assert content(other) == content(one)
        assert not (tmp_path / "x.taba.part").exists()


def test_an_empty_store_and_a_large_chunk(tmp_path):
    """Nothing at all, and bytes that are longer than what is read at once."""
    large = new_chunk(os.urandom(5 << 20), 1)
    with opened(("sqlite", tmp_path / "a"), ("sqlite", tmp_path / "b")) as (one, two):
        written(one, tmp_path / "empty.taba")
        assert backup.FileSource(tmp_path / "empty.taba", quiet).look(0).infos == []
        ids_of(one.append([replace(part(1), chunks=[large, new_chunk(b"", 1)])]))
        written(one, tmp_path / "large.taba")
        moved(backup.FileSource(tmp_path / "large.taba", quiet), two)
        assert held(two, 1) == [b"", large.body]


def test_a_file_that_is_cut_or_changed_is_refused(tmp_path):
    """Cut at any byte, with any byte another, or longer: nothing is taken from it."""
    with opened(("sqlite", tmp_path / "a")) as (one,):
        fill(one, 3)
        whole = written(one, tmp_path / "x.taba")
    bad = tmp_path / "bad.taba"
    spoilt = [whole[:size] for size in range(len(whole))]
    spoilt += [whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :] for at in range(len(whole))]
    spoilt += [whole + b"\0", whole + whole]
    for some in spoilt:
        bad.write_bytes(some)
        with pytest.raises(StoreError, match=r"damaged|no backup"):
            backup.FileSource(bad, quiet)


def test_a_file_of_a_newer_program_is_refused(tmp_path):
    """It says so, and does not take it for damaged."""
    file = tmp_path / "x.taba"
    head = msgspec.json.encode(backup.Header(2, "x", 0.0, 1, 1, True)) + b"\n"
    file.write_bytes(head + hashlib.sha256(head).digest())
    with pytest.raises(StoreError, match="has format 2; this program knows 1: run the newer program"):
        backup.FileSource(file, quiet)


def test_the_digest_is_that_of_all_before_it(tmp_path):
    """As the format says, so that it can be verified without this program."""
    with opened(("sqlite", tmp_path / "a")) as (one,):
        fill(one, 3)
        whole = written(one, tmp_path / "x.taba")
    assert hashlib.sha256(whole[:-32]).digest() == whole[-32:]
    assert msgspec.json.decode(whole.partition(b"\n")[0])["taba-backup"] == 1


def test_what_fails_leaves_the_file_that_was_there(tmp_path):
    """A backup takes the place of an older one when all of it is there, and of nothing else."""
    file, other = tmp_path / "x.taba", tmp_path / "diary.txt"
    other.write_text("mine")
    with opened(("sqlite", tmp_path / "a")) as (one,):
        fill(one, 3)
        whole = written(one, file)
        ids_of(one.append([replace(part(0), chunks=[new_chunk(b"bad", checksum=1)])]))
        with pytest.raises(StoreError, match=r"chunk 4 of shard 0 is damaged .*keep the backups that you have"):
            written(one, file)
        assert file.read_bytes() == whole
        with pytest.raises(StoreError, match="is there already and no backup of Taba's"):
            written(one, other)
        with pytest.raises(StoreError, match="cannot be written: No such file or directory"):
            written(one, tmp_path / "missing" / "x.taba")
    assert other.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["diary.txt", "x.taba"]


class Changing(RedisHouse):
    """A store in which a chunk is replaced after it was looked at for the first time."""

    times = 1

    def look(self, part):
        found = super().look(part)
        if found.infos and self.times:
            self.times -= 1
            info = found.infos[0]
            body = self.bodies(part, [info.id])[info.id]
            assert self.replace(part, [info.id], [new_chunk(body, part)]) is not None
        return found


def test_what_is_replaced_while_it_is_read(tmp_path):
    """The file has what took its place, and each of a shard's States once."""
    with opened(("redis", tmp_path / "a"), ("sqlite", tmp_path / "b")) as (one, two):
        for body in (b"1;", b"2;", b"3;"):
            ids_of(one.append([part(1, [body])]))
        changing = Changing(parse(place("redis", tmp_path / "a")))
        backup.write(changing, tmp_path / "x.taba", "somewhere", quiet)
        changing.close()
        assert changing.times == 0
        moved(backup.FileSource(tmp_path / "x.taba", quiet), two)
        assert held(two, 1) == [b"1;", b"2;", b"3;"]


def newest_of(store) -> int:
    """The number of the newest frame that is in an account."""
    return max((account.last for account in store.accounts()), default=0)


def numbers_in(bodies) -> list[int]:
    return sorted(int(number) for body in bodies for number in body.split(b";") if number)


@contextlib.contextmanager
def in_use(store):
    """A store to which frames are written, each to all shards, and whose chunks are merged, meanwhile."""
    over = threading.Event()

    def write():
        for number in itertools.count(1):
            entry = frame_entry(number)
            parts = [replace(part(shard, [b"%d;" % number]), receipts=[entry.receipt]) for shard in range(SHARDS)]
            store.append(parts, [entry])
            shard = number % SHARDS
            ids = [info.id for info in store.chunks(shard)]
            if len(ids) > 5:
                bodies = store.bodies(shard, ids)
                store.replace(shard, ids, [new_chunk(b"".join(bodies.values()), shard)])
            if over.is_set():
                return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("kind", ["sqlite", "redis", "cluster"])
def test_a_store_in_use(kind, tmp_path):
    """Of SQLite it is one moment. Of an engine each shard is: what it has, it refuses, and what it has not, it takes;
    so everything that is sent again is there once."""
    file = tmp_path / "x.taba"
    with opened((kind, tmp_path / "a"), (kind, tmp_path / "b"), (kind, tmp_path / "a")) as (one, two, seen):
        with in_use(seen):
            for enough in (10, 30, 50, 70):
                await_that(lambda enough=enough: newest_of(seen) >= enough, "frames are in")
                if kind == "sqlite":
                    one.hold()
                backup.write(one, file, "somewhere", quiet)
        moved(backup.FileSource(file, quiet), two)
        found = [numbers_in(held(two, shard)) for shard in range(SHARDS)]
        newest = newest_of(two)
        assert newest > 10
        assert all(numbers == list(range(1, numbers[-1] + 1)) for numbers in found)
        if kind == "sqlite":
            assert {numbers[-1] for numbers in found} == {newest}
        assert all(numbers[-1] >= newest for numbers in found)
        newest = max(numbers[-1] for numbers in found)
        for number in range(1, newest + 3):
            entry = frame_entry(number)
            parts = [replace(part(shard, [b"%d;" % number]), receipts=[entry.receipt]) for shard in range(SHARDS)]
            again = two.append(parts, [entry])
            assert [isinstance(one, Refusal) for one in again] == [number in numbers for numbers in found]
            two.append([], [entry])
    if kind != "sqlite":
        with opened((kind, tmp_path / "b")) as (two,):
            for shard in range(SHARDS):
                assert numbers_in(held(two, shard)) == list(range(1, newest + 3))
