"""A store of version 1 is brought to this version when it is opened: nothing is lost, and repeats stay repeats."""

import contextlib
import sqlite3
import zlib

import pytest
from store_cases import frame_entry, framed, held, ids_of, new_chunk, part, sqlite

from taba.store import Refusal, StoreError, TabEntry, locks, schema
from taba.store.protocol import Receipt

VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tabs (tab TEXT PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX tabs_by_name ON tabs (name, type);
CREATE TABLE receipts (source TEXT PRIMARY KEY, last INTEGER NOT NULL, gaps TEXT NOT NULL, heard REAL NOT NULL,
    seal INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, shard INTEGER NOT NULL, type TEXT NOT NULL, version INTEGER NOT NULL,
    view TEXT NOT NULL, policy TEXT NOT NULL, width INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    rows INTEGER NOT NULL, checksum INTEGER NOT NULL, created REAL NOT NULL, seal INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX chunks_by_shard ON chunks (shard);
"""
HEARD = 1_600_000_000.0
EPOCH = "0123456789abcdef"


def sealed(*row):
    return *row, zlib.crc32(repr(row).encode())


@pytest.fixture
def old(tmp_path):
    """A folder with a store as version 1 left it."""
    chunk = new_chunk(b"body", 3).info
    columns = {name: getattr(chunk, name) for name in chunk.__slots__ if name != "id"}
    with contextlib.closing(sqlite3.connect(tmp_path / "taba.db")) as database:
        database.executescript("PRAGMA journal_mode = WAL;" + VERSION_1)
        database.execute("INSERT INTO meta VALUES (?, ?, ?)", sealed("shards", "5"))
        database.execute("INSERT INTO tabs VALUES (?, ?, ?, ?)", sealed("a{k=v}", "a", "gauge(30)"))
        for source, last, gaps in (
            ("c e", 9, "3-4,6-6"),
            ("a/b x y", 2, ""),
            (f"web/1/{EPOCH}", 7, "1-2"),
            ("till-7/2026-01-31", 5, "2-2"),
            ("server/plain", 1, ""),
        ):
            database.execute("INSERT INTO receipts VALUES (?, ?, ?, ?, ?)", sealed(source, last, gaps, HEARD))
        marks = ", ".join("?" * (len(columns) + 2))
        database.execute(
            f"INSERT INTO chunks ({', '.join(columns)}, seal, body) VALUES ({marks})",
            (*sealed(*columns.values()), b"body"),
        )
        database.execute("PRAGMA user_version = 1")
        database.commit()
    return tmp_path


def test_what_was_stored_is_there(old):
    """Chunks, tabs, the number of shards and the receipts of what came without frames; also when opened again."""
    for _ in range(2):
        store = sqlite(old)
        assert store.shards == 5
        assert held(store, 3) == [b"body"]
        assert store.tabs()[0] == [TabEntry("a{k=v}", "a", "gauge(30)")]
        assert store.append([part(0, tabs=[("a", "counter")])]) == [Refusal(types={"a": "gauge(30)"})]
        (refusal,) = store.append([part(0, receipts=[("till-7/2026-01-31", number) for number in range(1, 7)])])
        assert refusal.receipts == {Receipt("till-7/2026-01-31", number) for number in (1, 3, 4, 5)}
        store.close()
    with contextlib.closing(sqlite3.connect(old / "taba.db")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (schema.SCHEMA_VERSION,)


def test_frames_that_were_counted_are_not_counted_again(old):
    """What was seen of each epoch is in its account, under whichever of the two names it was kept."""
    store = sqlite(old)
    found = {(one.client, one.epoch): one for one in store.accounts()}
    assert set(found) == {("c", "e"), ("a/b", "x y"), ("web/1", EPOCH)}
    assert {(one.heard, one.in_flight, one.closed, one.recorded) for one in found.values()} == {(HEARD, 0, False, 0)}
    for sequence in range(1, 12):
        result = framed(store, 0, [b"%d" % sequence], entries=[frame_entry(sequence, recorded=sequence)])
        assert isinstance(result[0], Refusal) == (sequence in (1, 2, 5, 7, 8, 9)), sequence
    assert held(store) == [b"10", b"11", b"3", b"4", b"6"]
    (account,) = (one for one in store.accounts() if one.client == "c")
    assert (account.recorded, account.folded, account.in_flight, account.gaps) == (5, 5, 0, ())
    store.close()


def test_a_migration_that_fails_changes_nothing(old, monkeypatch):
    """It is one transaction: where it ends half way, the old store is as it was, and the next start begins anew."""
    with monkeypatch.context() as broken:
        broken.setattr(schema, "account_row", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sqlite(old)
    with contextlib.closing(sqlite3.connect(old / "taba.db")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert database.execute("SELECT tab, name, type FROM tabs").fetchall() == [("a{k=v}", "a", "gauge(30)")]
    store = sqlite(old)
    ids_of(framed(store, 0, entries=[frame_entry(3)]))
    store.close()


def test_a_store_that_another_has_open_is_not_migrated(old):
    """Tables are changed only by a process that has the directory alone."""
    other = locks.DirectoryLock(old)
    other.share()
    with pytest.raises(StoreError, match="another process has it open: stop that one first"):
        sqlite(old)
    other.close()
    sqlite(old).close()


def test_a_changed_row_of_the_old_version_is_still_told(old):
    """Bringing rows to this version does not make damage look sound."""
    with contextlib.closing(sqlite3.connect(old / "taba.db")) as database:
        database.execute("UPDATE chunks SET rows = rows + 1")
        database.commit()
    with pytest.raises(StoreError, match="a row of the table chunks was changed"):
        sqlite(old)


def test_seals_do_not_depend_on_the_version_of_python():
    """What repr() shows of a text changes with Unicode's version, and a store outlives the Python that wrote it."""
    assert schema.sealed("mood{face=\U0001fae8}")[-1] == zlib.crc32(b"('mood{face=\\U0001fae8}',)")
