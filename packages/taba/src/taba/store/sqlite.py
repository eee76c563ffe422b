"""The embedded store: all shards in one SQLite file, in WAL mode, every append durable when it returns.

All shards' parts of an append share a transaction, so receipts and accounts are kept once for the file, not for each
shard. Several processes of one machine may have the store open; their writes take turns.

    DIR/taba.db       the file (with taba.db-wal and taba.db-shm while open)
    DIR/taba.lock     locked by the processes that have the store open
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path

from taba.store import books, schema
from taba.store.accounts import Account
from taba.store.books import Books
from taba.store.locks import DirectoryLock
from taba.store.moving import unfinished
from taba.store.protocol import (
    Append,
    ChunkInfo,
    Entry,
    NewChunk,
    Refusal,
    StoreError,
    StoreFullError,
    TabEntry,
    Version,
)
from taba.store.schema import INFO_COLUMNS, NEW_COLUMNS, SCHEMA_VERSION, sealed

CHECK_BYTES = 4 << 30
"""A larger file is not read through when it is opened (about a second for each gigabyte)."""
BUSY_SECONDS = 30.0
"""How long a write waits for those of other processes."""
BUSY_RETRY_SECONDS = 0.001
"""SQLite itself would wait for up to a tenth of a second between two tries."""

_INSERT_CHUNK = (
    f"INSERT INTO chunks ({NEW_COLUMNS}, seal, body) VALUES ({', '.join('?' * (len(fields(ChunkInfo)) + 1))})"  # noqa: S608
)


class SqliteStore:
    """The Store protocol on one SQLite file."""

    whole = True
    takes_unfinished = False
    """Whether it may be a copy that was not written to its end."""

    def __init__(self, directory: str | Path, shards: int, clock: Callable[[], float] = time.time) -> None:
        """Open the store in `directory`; make it, with `shards` shards, where there is none."""
        self._path = Path(directory) / "taba.db"
        self.where = str(self._path)
        self._clock = clock
        self._connections: list[sqlite3.Connection] = []
        self._readers: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self._closed = False
        self._waits_until = math.inf
        self._lock = DirectoryLock(Path(directory))
        try:
            with self._told():
                self._writer = self._connect()
                self.shards = self._prepared(shards)
        except BaseException:
            self.close()
            raise

    def append(self, appends: Sequence[Append], entries: Sequence[Entry] = ()) -> list[list[int] | Refusal]:
        """As in the protocol; a refusal is every shard's, because the file takes all or nothing."""
        with self._transaction() as database:
            own = Books(database, appends, entries, self._clock())
            types = self._conflicts(database, [tab for part in appends for tab in part.tabs])
            if own.repeated or types:
                return [Refusal(own.repeated, types) for _ in appends]
            own.write()
            self._insert_tabs(database, [tab for part in appends for tab in part.tabs])
            return [_insert(database, part.chunks) for part in appends]

    def chunks(self, shard: int) -> list[ChunkInfo]:
        """As in the protocol."""
        query = f"SELECT {INFO_COLUMNS} FROM chunks WHERE shard = ?"  # noqa: S608
        with self._reader() as reader:
            return [ChunkInfo(*row) for row in reader.execute(query, (shard,))]

    def bodies(self, shard: int, ids: Iterable[int]) -> dict[int, bytes]:
        """As in the protocol."""
        found = {}
        with self._reader() as reader:
            for identity in ids:
                query = "SELECT body FROM chunks WHERE id = ? AND shard = ?"
                row = reader.execute(query, (identity, shard)).fetchone()
                if row is not None:
                    found[identity] = row[0]
        return found

    def written(self) -> Version:
        """As in the protocol: the last chunk's id, which is never used again."""
        with self._reader() as reader:
            row = reader.execute("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'").fetchone()
        return () if row is None else (int(row[0]),)

    def replace(self, shard: int, old: Sequence[int], new: Sequence[NewChunk]) -> list[int] | None:
        """As in the protocol."""
        with self._transaction() as database:
            marks = ", ".join("?" * len(old))
            gone = database.execute(f"DELETE FROM chunks WHERE shard = ? AND id IN ({marks})", (shard, *old))  # noqa: S608
            if gone.rowcount != len(set(old)):
                database.rollback()
                return None
            return _insert(database, new)

    def tabs(self, after: Version = (), at_least: int = 0) -> tuple[list[TabEntry], Version]:
        """As in the protocol."""
        query = "SELECT added, tab, name, type FROM tabs WHERE added > ?"
        known = after[0] if after else 0
        with self._reader() as reader:
            rows = reader.execute(query, (known,)).fetchall()
        newest = max((row[0] for row in rows), default=known)
        return [TabEntry(*row[1:]) for row in rows], (newest,) if newest else ()

    def accounts(self, heard_since: float = 0.0) -> list[Account]:
        """As in the protocol."""
        with self._reader() as reader:
            return books.accounts(reader, heard_since)

    def account_count(self) -> int:
        """As in the protocol."""
        with self._reader() as reader:
            return reader.execute("SELECT count(*) FROM accounts").fetchone()[0]

    def forget(self, receipts_before: float, accounts_before: float) -> None:
        """As in the protocol."""
        with self._transaction() as database:
            database.execute("DELETE FROM receipts WHERE heard < ?", (receipts_before,))
            database.execute("DELETE FROM accounts WHERE heard < ?", (accounts_before,))

    def hurry(self, seconds: float) -> None:
        """As in the protocol."""
        self._waits_until = time.monotonic() + seconds

    def close(self) -> None:
        """As in the protocol."""
        with self._writing:
            if self._closed:
                return
            self._closed = True
            self._readers.clear()
            while self._connections:
                self._connections.pop().close()
            self._lock.close()

    def _prepared(self, shards: int) -> int:
        """Check the file, or make its tables; the number of its shards."""
        database = self._writer
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self._path} has schema version {version}; this program knows {SCHEMA_VERSION}: "
                "run the newer program, or name another data directory"
            )
        if version < SCHEMA_VERSION:
            self._make(version, shards)
        if self._lock.alone:  # a file that is looked through for a while is no reason for others to wait
            self._lock.share()
        problem = schema.problem(database, whole=self._path.stat().st_size <= CHECK_BYTES)
        if problem is not None:
            raise StoreError(f"{self._path} is damaged ({problem}): restore it from a backup, or move it away")
        meta = dict(database.execute("SELECT key, value FROM meta"))
        if "copy" in meta and not self.takes_unfinished:
            raise unfinished(str(self._path), meta["copy"])
        return int(meta["shards"])

    def _make(self, version: int, shards: int) -> None:
        """Make the tables in a new file, or bring those of an older version to this one."""
        if not self._lock.alone:
            raise StoreError(
                f"{self._path} has to be brought to this version, and another process has it open: stop that one first"
            )
        with self._transaction() as database:
            if version:
                schema.migrate(database)
            elif schema.is_empty(database):
                schema.make(database, shards)
            else:
                raise StoreError(f"{self._path} is another program's database: move it away, or name another directory")

    @staticmethod
    def _insert_tabs(database: sqlite3.Connection, tabs: Sequence[TabEntry]) -> None:
        if tabs:
            version = _tabs_version(database) + 1
            rows = [sealed(tab.tab, tab.name, tab.type, version) for tab in tabs]
            database.executemany("INSERT OR IGNORE INTO tabs VALUES (?, ?, ?, ?, ?)", rows)

    @staticmethod
    def _conflicts(database: sqlite3.Connection, tabs: list[TabEntry]) -> dict[str, str]:
        query = "SELECT type FROM tabs WHERE name = ? AND type <> ? LIMIT 1"
        found = ((tab.name, database.execute(query, (tab.name, tab.type)).fetchone()) for tab in tabs)
        return {name: row[0] for name, row in found if row is not None}

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"{self._path} is closed")
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
        self._connections.append(database)
        database.execute("PRAGMA page_size = 8192")
        database.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit returns when the write-ahead log is on the disk, so a power cut loses nothing either.
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA cache_size = -16384")
        database.execute("PRAGMA wal_autocheckpoint = 4000")
        return database

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """A connection that no other thread has, so that reads wait for nothing; there are as many as read at once."""
        with self._told():
            try:
                reader = None if self._closed else self._readers.pop()
            except IndexError:
                reader = None
            reader = reader or self._connect()
            try:
                yield reader
            finally:
                self._readers.append(reader)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing, self._told():
            if self._closed:
                raise StoreError(f"{self._path} is closed")
            self._begin()
            try:
                yield self._writer
                if self._writer.in_transaction:
                    self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _begin(self) -> None:
        """Begin to write, once no other process does."""
        deadline = time.monotonic() + BUSY_SECONDS
        self._writer.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    self._writer.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    late = time.monotonic() > min(deadline, self._waits_until)
                    if late or not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                        raise
                time.sleep(BUSY_RETRY_SECONDS)
        finally:
            self._writer.execute(f"PRAGMA busy_timeout = {round(BUSY_SECONDS * 1000)}")

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
            if code.startswith("SQLITE_BUSY"):
                raise StoreError(f"{self._path} is locked by another process: see whether it hangs") from error
            if code.startswith("SQLITE_IOERR"):
                raise StoreError(
                    f"{self._path}: the disk failed ({error}, {code}): check its health and space"
                ) from error
            raise StoreError(
                f"{self._path} is damaged or not a Taba store ({error}): restore it from a backup, or move it away"
            ) from error


def _tabs_version(database: sqlite3.Connection) -> int:
    return database.execute("SELECT coalesce(max(added), 0) FROM tabs").fetchone()[0]


def _insert(database: sqlite3.Connection, chunks: Sequence[NewChunk]) -> list[int]:
    rows = ((*sealed(*astuple(chunk.info)[1:]), chunk.body) for chunk in chunks)
    return [database.execute(_INSERT_CHUNK, row).lastrowid or 0 for row in rows]
