"""The SQLite store keeps what it acknowledged: through kill -9, damage, full and read-only disks, other programs."""

import contextlib
import fcntl
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import zlib

import appender
import pytest
from store_cases import frame_entry, framed, held, ids_of, part, sqlite

from taba.store import Refusal, StoreError, locks
from taba.store import sqlite as sqlite_module


def start_appender(folder, first, source="s"):
    command = [sys.executable, appender.__file__, str(folder), str(first), source]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def numbers_in(folder):
    store = sqlite(folder)
    try:
        return [int(piece) for shard in range(2) for piece in b"".join(held(store, shard)).split(b";")[:-1]]
    finally:
        store.close()


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path):
    """After each of several kills: every acknowledged number is there, once; at most the last one besides."""
    rng = random.Random(0)
    acknowledged = set()
    for _ in range(4):
        process = start_appender(tmp_path, max(acknowledged, default=0) + 2)
        with process, process.stdout as told:
            acknowledged |= {int(told.readline()) for _ in range(30)}  # a slow disk takes its time for each
            kill = threading.Timer(rng.uniform(0, 0.3), process.send_signal, [signal.SIGKILL])
            kill.start()
            acknowledged |= {int(line) for line in told if line.endswith(b"\n")}
        found = numbers_in(tmp_path)
        assert len(found) == len(set(found))
        assert acknowledged <= set(found)
    assert len(acknowledged) > 100


def test_processes_share_the_directory(tmp_path):
    """Two processes append at once: all that either acknowledged is there once, also when one of them is killed."""
    first, second = start_appender(tmp_path, 1), start_appender(tmp_path, 1_000_001, "t")
    told = {process: [] for process in (first, second)}
    try:
        for process in (first, second):
            told[process] += [int(process.stdout.readline()) for _ in range(30)]
        first.kill()
        told[second] += [int(second.stdout.readline()) for _ in range(60)]
    finally:
        for process in (first, second):
            process.kill()
            told[process] += [int(line) for line in process.stdout if line.endswith(b"\n")]
            process.wait()
            process.stdout.close()
    found = numbers_in(tmp_path)
    assert len(found) == len(set(found))
    assert {number for numbers in told.values() for number in numbers} <= set(found)


def test_one_store_sees_what_another_writes(tmp_path):
    """Receipts, accounts, tabs and chunks are the file's, whichever store object wrote them."""
    one, other = sqlite(tmp_path), sqlite(tmp_path, 7)
    assert other.shards == one.shards
    ids_of(framed(one, 0, [b"1"], [("s", 1)], [("a", "counter")], entries=[frame_entry(1)]))
    assert isinstance(other.append([part(0, [b"2"], [("s", 1)])])[0], Refusal)
    assert isinstance(framed(other, 0, [b"2"], entries=[frame_entry(1)])[0], Refusal)
    assert other.append([part(0, [b"2"], tabs=[("a", "gauge")])]) == [Refusal(types={"a": "counter"})]
    (chunk,) = other.chunks(0)
    assert one.replace(0, [chunk.id], []) == []
    assert other.replace(0, [chunk.id], []) is None
    assert other.tabs() == one.tabs()
    assert other.accounts() == one.accounts()
    one.close()
    ids_of(framed(other, 0, [b"3"], entries=[frame_entry(2)]))
    other.close()


def test_a_process_that_lets_nobody_in(tmp_path, monkeypatch):
    """A directory that stays locked, as an older version locks it, is refused with the process that has it."""
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.1)
    with (tmp_path / "taba.lock").open("w") as held_alone:
        held_alone.write("4711\n")
        held_alone.flush()
        fcntl.flock(held_alone, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="is in use by the process 4711, which lets no other in: stop it"):
            sqlite(tmp_path)
    sqlite(tmp_path).close()


def test_a_file_that_stays_locked(tmp_path, monkeypatch):
    """Where another program holds the file, a write says so after a while, and goes through later."""
    monkeypatch.setattr(sqlite_module, "BUSY_SECONDS", 0.1)
    store = sqlite(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "taba.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"is locked by another process: see whether it hangs"):
            store.append([part(0)])
    ids_of(store.append([part(0)]))
    store.close()


def test_a_newer_schema_is_refused(tmp_path):
    """A store that a newer program made is left alone."""
    sqlite(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "taba.db")) as database:
        database.execute("PRAGMA user_version = 99")
    before = (tmp_path / "taba.db").read_bytes()
    with pytest.raises(StoreError, match=r"has schema version 99; this program knows 2: run the newer program"):
        sqlite(tmp_path)
    assert (tmp_path / "taba.db").read_bytes() == before


def test_a_file_that_is_no_store(tmp_path):
    """Another program's file is neither read nor changed."""
    (tmp_path / "taba.db").write_bytes(b"something else entirely\n" * 1000)
    with pytest.raises(StoreError, match="is damaged or not a Taba store"):
        sqlite(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE mine (x)")
    (tmp_path / "other.db").replace(tmp_path / "taba.db")
    with pytest.raises(StoreError, match=r"taba\.db"):
        sqlite(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "taba.db")) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A store file with chunks small and large, receipts with gaps and tabs; and what a reader finds in it."""
    folder = tmp_path_factory.mktemp("filled")
    rng = random.Random(1)
    store = sqlite(folder)
    for number in range(1, 60):
        body = rng.randbytes(rng.choice([10, 200, 9_000]))
        receipts = [("s", number * 2), (f"r{number % 7}", number)]
        tabs, entries = [(f"t{number}{{k=v}}", "counter")], [frame_entry(number * 2, client=f"c{number % 3}")]
        ids_of(framed(store, number % 4, [body], receipts, tabs, entries=entries))
    everything = seen(store)
    store.close()
    return (folder / "taba.db").read_bytes(), everything


class Damaged(Exception):
    """A chunk whose bytes do not fit their checksum."""


def seen(store):
    """All that the store answers: chunks, bodies, tabs, and which receipts it takes."""
    chunks = {shard: sorted(store.chunks(shard), key=lambda info: info.id) for shard in range(4)}
    bodies = {shard: store.bodies(shard, [info.id for info in infos]) for shard, infos in chunks.items()}
    for shard, infos in chunks.items():
        # As `taba.states.chunks.read` does.
        if any(zlib.crc32(bodies[shard][info.id]) != info.checksum for info in infos):
            raise Damaged
    tabs = sorted(entry.tab for entry in store.tabs()[0])
    receipts = [("s", number) for number in range(1, 125)] + [(f"r{n}", m) for n in range(7) for m in range(60)]
    taken = []
    for receipt in receipts[1:]:
        (result,) = store.append([part(0, [], [receipt, ("s", 2)])])
        assert isinstance(result, Refusal)
        taken.append(result.receipts)
    accounts = sorted(store.accounts(), key=lambda account: account.client)
    return store.shards, chunks, bodies, tabs, accounts, taken


def found_in(folder, data):
    """What a store finds in a file of these bytes, or that it refuses it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "taba.db").write_bytes(data)
    try:
        store = sqlite(folder)
    except StoreError as error:
        assert str(folder) in str(error)
        return None
    try:
        return seen(store)
    except StoreError as error:
        assert str(folder) in str(error)
        return None
    except Damaged:
        return None
    finally:
        store.close()


def test_flipped_bytes_are_noticed(filled, tmp_path):
    """Any bit that changes in the file: the store says that it is damaged, or answers as before; never otherwise."""
    data, everything = filled
    assert found_in(tmp_path / "s", data) == everything
    rng = random.Random(3)
    unnoticed = []
    for _ in range(80):
        at = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(8_192 * 8)
        changed = bytearray(data)
        changed[at] ^= 1 << rng.randrange(8)
        found = found_in(tmp_path / "s", bytes(changed))
        if found is not None and found != everything:
            unnoticed.append(at)
    assert unnoticed == []


def test_a_truncated_file_is_noticed(filled, tmp_path):
    """A file cut anywhere is refused."""
    data, everything = filled
    rng = random.Random(2)
    for _ in range(20):
        cut = rng.randrange(1, len(data))
        assert found_in(tmp_path / "s", data[:cut]) in (None, everything)
