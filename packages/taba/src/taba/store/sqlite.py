"""The embedded store: all shards in one SQLite file, in WAL mode, every append durable when it returns.

All shards' parts of an append share a transaction, so receipts are kept once for the file, not for each shard.

    DIR/taba.db       the file (with taba.db-wal and taba.db-shm while open)
    DIR/taba.lock     held by the process that has the store open

SQLite checks the structure of its file, and nobody the values in it. So each row keeps a seal, a checksum of its
other columns (a chunk's bytes have one of their own), and opening the store checks both.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from taba.store.protocol import (
    Append,
    ChunkInfo,
    NewChunk,
    Receipt,
    Refusal,
    StoreError,
    StoreFullError,
    TabEntry,
)
from taba.store.sequences import Seen

SCHEMA_VERSION = 1
CHECK_BYTES = 4 << 30
"""A larger file is not read through when it is opened (about a second for each gigabyte)."""

_SCHEMA = """
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
_INFO_COLUMNS = ", ".join(column.name for column in fields(ChunkInfo))
_NEW_COLUMNS = ", ".join(column.name for column in fields(ChunkInfo)[1:])
_SEALED = {
    "meta": "key, value",
    "tabs": "tab, name, type",
    "receipts": "source, last, gaps, heard",
    "chunks": _NEW_COLUMNS,
}
_INSERT_CHUNK = (
    f"INSERT INTO chunks ({_NEW_COLUMNS}, seal, body) VALUES ({', '.join('?' * (len(fields(ChunkInfo)) + 1))})"  # noqa: S608
)


class SqliteStore:
    """The Store protocol on one SQLite file. One process may have it open."""

    def __init__(self, directory: str | Path, shards: int, clock: Callable[[], float] = time.time) -> None:
        """Open the store in `directory`; make it, with `shards` shards, where there is none."""
        self._path = Path(directory) / "taba.db"
        self._clock = clock
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self._closed = False
        self._lock_file = _locked(Path(directory))
        try:
            with self._told():
                self._writer = self._connect()
                self.shards = self._prepared(shards)
        except BaseException:
            self.close()
            raise

    def append(self, appends: Sequence[Append]) -> list[list[int] | Refusal]:
        """As in the protocol; a refusal is every shard's, because the file takes all or nothing."""
        receipts = sorted({receipt for part in appends for receipt in part.receipts}, key=attrgetter("source"))
        with self._transaction() as database:
            seen = {source: self._seen(source) for source in {receipt.source for receipt in receipts}}
            repeated = frozenset(receipt for receipt in receipts if receipt.sequence in seen[receipt.source])
            types = self._conflicts(database, [tab for part in appends for tab in part.tabs])
            if repeated or types:
                return [Refusal(repeated, types) for _ in appends]
            self._write_receipts(database, receipts, seen)
            tabs = [_sealed(tab.tab, tab.name, tab.type) for part in appends for tab in part.tabs]
            database.executemany("INSERT OR IGNORE INTO tabs VALUES (?, ?, ?, ?)", tabs)
            return [_insert(database, part.chunks) for part in appends]

    def chunks(self, shard: int) -> list[ChunkInfo]:
        """As in the protocol."""
        query = f"SELECT {_INFO_COLUMNS} FROM chunks WHERE shard = ?"  # noqa: S608
        with self._told():
            return [ChunkInfo(*row) for row in self._reader().execute(query, (shard,))]

    def bodies(self, shard: int, ids: Iterable[int]) -> dict[int, bytes]:
        """As in the protocol."""
        found = {}
        with self._told():
            reader = self._reader()
            for identity in ids:
                query = "SELECT body FROM chunks WHERE id = ? AND shard = ?"
                row = reader.execute(query, (identity, shard)).fetchone()
                if row is not None:
                    found[identity] = row[0]
        return found

    def replace(self, shard: int, old: Sequence[int], new: Sequence[NewChunk]) -> list[int] | None:
        """As in the protocol."""
        with self._transaction() as database:
            marks = ", ".join("?" * len(old))
            gone = database.execute(f"DELETE FROM chunks WHERE shard = ? AND id IN ({marks})", (shard, *old))  # noqa: S608
            if gone.rowcount != len(set(old)):
                database.rollback()
                return None
            return _insert(database, new)

    def tabs(self) -> list[TabEntry]:
        """As in the protocol."""
        with self._told():
            return [TabEntry(*row) for row in self._reader().execute("SELECT tab, name, type FROM tabs")]

    def forget_receipts(self, before: float) -> int:
        """As in the protocol."""
        with self._transaction() as database:
            return database.execute("DELETE FROM receipts WHERE heard < ?", (before,)).rowcount

    def close(self) -> None:
        """As in the protocol."""
        with self._writing:
            if self._closed:
                return
            self._closed = True
            while self._connections:
                self._connections.pop().close()
            os.close(self._lock_file)

    def _prepared(self, shards: int) -> int:
        """Check the file, or make its tables; the number of its shards."""
        database = self._writer
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self._path} has schema version {version}; this program knows {SCHEMA_VERSION}: "
                "run the newer program, or name another data directory"
            )
        if version == 0:
            self._make(shards)
        self._check()
        return int(database.execute("SELECT value FROM meta WHERE key = 'shards'").fetchone()[0])

    def _make(self, shards: int) -> None:
        """Make the tables in a new file."""
        with self._transaction() as database:
            if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise StoreError(f"{self._path} is another program's database: move it away, or name another directory")
            for statement in _SCHEMA.strip().split(";\n"):
                database.execute(statement)
            database.execute("INSERT INTO meta VALUES (?, ?, ?)", _sealed("shards", str(shards)))
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _check(self) -> None:
        """Raise StoreError unless the file's structure is sound and every row fits its seal."""
        problem = "ok"
        if self._path.stat().st_size <= CHECK_BYTES:
            problem = self._writer.execute("PRAGMA integrity_check(1)").fetchone()[0]
        for table, columns in _SEALED.items():
            for *row, seal in self._writer.execute(f"SELECT {columns}, seal FROM {table}"):  # noqa: S608
                if _sealed(*row)[-1] != seal:
                    problem = f"a row of the table {table} was changed"
        if problem != "ok":
            raise StoreError(f"{self._path} is damaged ({problem}): restore it from a backup, or move it away")

    def _seen(self, source: str) -> Seen:
        row = self._writer.execute("SELECT last, gaps FROM receipts WHERE source = ?", (source,)).fetchone()
        return Seen() if row is None else Seen.read(*row)

    def _write_receipts(self, database: sqlite3.Connection, receipts: list[Receipt], seen: dict[str, Seen]) -> None:
        now = self._clock()
        rows = []
        for source, group in groupby(receipts, key=attrgetter("source")):
            after = seen[source].add(receipt.sequence for receipt in group)
            rows.append(_sealed(source, after.last, after.written(), now))
        database.executemany("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?)", rows)

    @staticmethod
    def _conflicts(database: sqlite3.Connection, tabs: list[TabEntry]) -> dict[str, str]:
        query = "SELECT type FROM tabs WHERE name = ? AND type <> ? LIMIT 1"
        found = ((tab.name, database.execute(query, (tab.name, tab.type)).fetchone()) for tab in tabs)
        return {name: row[0] for name, row in found if row is not None}

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"{self._path} is closed")
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        self._connections.append(database)
        database.execute("PRAGMA page_size = 8192")
        database.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit returns when the write-ahead log is on the disk, so a power cut loses nothing either.
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA cache_size = -16384")
        database.execute("PRAGMA wal_autocheckpoint = 4000")
        return database

    def _reader(self) -> sqlite3.Connection:
        """This thread's own connection, so that reads wait for no write."""
        reader = getattr(self._local, "connection", None)
        if reader is None or self._closed:
            reader = self._local.connection = self._connect()
        return reader

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing, self._told():
            if self._closed:
                raise StoreError(f"{self._path} is closed")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                if self._writer.in_transaction:
                    self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as the store's, with what to do."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            code = getattr(error, "sqlite_errorname", "")
            if code.startswith("SQLITE_FULL"):
                raise StoreFullError(f"the disk that holds {self._path} is full: make room on it") from error
            if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
                raise StoreError(f"{self._path} cannot be written ({error}): check its owner and mode") from error
            if code.startswith("SQLITE_IOERR"):
                raise StoreError(
                    f"{self._path}: the disk failed ({error}, {code}): check its health and space"
                ) from error
            raise StoreError(
                f"{self._path} is damaged or not a Taba store ({error}): restore it from a backup, or move it away"
            ) from error


def _sealed(*row: object) -> tuple[object, ...]:
    """A row with its seal."""
    return *row, zlib.crc32(repr(row).encode())


def _insert(database: sqlite3.Connection, chunks: Sequence[NewChunk]) -> list[int]:
    rows = ((*_sealed(*astuple(chunk.info)[1:]), chunk.body) for chunk in chunks)
    return [database.execute(_INSERT_CHUNK, row).lastrowid or 0 for row in rows]


def _locked(directory: Path) -> int:
    """The lock file's descriptor: while it is open, no other process opens the store."""
    path = directory / "taba.lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"the data directory {directory} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise StoreError(
            f"the data directory {directory} is in use by the process {holder or '(unknown)'}: "
            "stop it, or name another directory"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
