"""A SQLite store as a whole: read in one transaction, and written as a copy of another."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

from taba.sequences import Seen
from taba.store import schema
from taba.store.accounts import Account
from taba.store.marks import Mark, ShardMarks
from taba.store.moving import Books, Key, Look, unfinished
from taba.store.protocol import ChunkInfo, NewChunk, StoreError, TabEntry
from taba.store.schema import NEW_COLUMNS, account_row, sealed
from taba.store.sqlite import SqliteStore

COPY = "copy"
"""The row of the table meta that says where an unfinished store's content comes from."""

_INSERT = f"INSERT INTO chunks (id, {NEW_COLUMNS}, seal, body) VALUES (?{', ?' * (len(NEW_COLUMNS.split(',')) + 2)})"  # noqa: S608


class SqliteHouse(SqliteStore):
    """A SqliteStore that is a Target. Its reads see one moment, from `hold` on until the next `hold` or write."""

    parts = 1
    takes_unfinished = True

    def __init__(self, directory: Path, shards: int = 0, *, alone: bool = False) -> None:
        """Open the store in `directory`; make it with `shards` shards where there is none, unless that is 0.

        `alone` demands that nobody else has it open, and keeps others from opening it. Raises StoreError.
        """
        self._held: sqlite3.Connection | None = None
        if not shards and not (directory / "taba.db").exists():
            raise StoreError(f"there is no Taba store in {directory}: {directory / 'taba.db'} is missing")
        super().__init__(directory, shards or 1)
        if alone and not self._lock.alone_again():
            self.close()
            raise StoreError(f"a server has {self._path} open: stop it first")
        if shards and self.shards != shards:
            self.close()
            raise StoreError(f"{self._path} has {self.shards} shards and {shards} are needed: name an empty directory")

    def hold(self) -> None:
        """Read what is there now, whatever is written from here on."""
        self._let_go()
        with self._told():
            self._held = self._connect()
            self._held.execute("BEGIN")
            self._held.execute("SELECT count(*) FROM meta").fetchone()

    def close(self) -> None:
        """As in the protocol."""
        self._held = None
        super().close()

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        if self._held is None:
            with super()._reader() as reader:
                yield reader
        else:
            with self._told():
                yield self._held

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.execute("ROLLBACK")
            self._held.close()
            self._connections.remove(self._held)
            self._held = None

    def look(self, part: int) -> Look:
        """As in Source."""
        del part
        with self._reader() as reader:
            rows = reader.execute("SELECT source, last, gaps, heard FROM receipts").fetchall()
        infos = [info for shard in range(self.shards) for info in self.chunks(shard)]
        return Look(infos, {source: Mark(Seen.read(last, gaps), heard) for source, last, gaps, heard in rows})

    def read(self, infos: Iterable[ChunkInfo]) -> Iterator[NewChunk]:
        """As in Source."""
        with self._reader() as reader:
            for info in infos:
                row = reader.execute("SELECT body FROM chunks WHERE id = ?", (info.id,)).fetchone()
                if row is not None:
                    yield NewChunk(info, row[0])

    def catalogue(self) -> list[TabEntry]:
        """As in Source."""
        with self._reader() as reader:
            return [TabEntry(*row) for row in reader.execute("SELECT tab, name, type FROM tabs ORDER BY added, tab")]

    def books(self, part: int) -> Books:
        """As in Source: the receipts are the marks of requests too."""
        del part
        return Books(self.accounts(), {})

    def problem(self) -> str | None:
        """What is damaged in the file's structure or in a row; None: nothing."""
        with self._reader() as reader:
            return schema.problem(reader, whole=True)

    @property
    def origin(self) -> str | None:
        """Where the content of an unfinished store comes from; None: it is finished."""
        with self._reader() as reader:
            row = reader.execute("SELECT value FROM meta WHERE key = ?", (COPY,)).fetchone()
        return None if row is None else row[0]

    def begin(self, origin: str) -> None:
        """As in Target."""
        self._let_go()
        there = self.origin
        if there not in (None, origin):
            raise unfinished(self.where, there)
        with self._transaction() as database:
            tables = ("chunks", "tabs", "receipts", "accounts")
            holds = [name for name in tables if database.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()]  # noqa: S608
            if there is None and holds:
                raise StoreError(f"{self._path} holds data already ({', '.join(holds)}): name an empty directory")
            database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", sealed(COPY, origin))

    def put_chunks(self, chunks: Sequence[NewChunk]) -> None:
        """As in Target."""
        with self._transaction() as database:
            rows = ((chunk.info.id, *sealed(*astuple(chunk.info)[1:]), chunk.body) for chunk in chunks)
            database.executemany(_INSERT, rows)

    def drop_chunks(self, keys: Collection[Key]) -> None:
        """As in Target."""
        with self._transaction() as database:
            database.executemany("DELETE FROM chunks WHERE id = ?", [(identity,) for _, identity in keys])

    def clear_books(self) -> None:
        """As in Target."""
        with self._transaction() as database:
            for table in ("tabs", "receipts", "accounts"):
                database.execute(f"DELETE FROM {table}")  # noqa: S608

    def put_tabs(self, tabs: Sequence[TabEntry]) -> None:
        """As in Target; each in a version of the catalogue of its own, so that they stay in their order."""
        rows = (sealed(tab.tab, tab.name, tab.type, place) for place, tab in enumerate(tabs, 1))
        with self._transaction() as database:
            database.executemany("INSERT INTO tabs VALUES (?, ?, ?, ?, ?)", rows)

    def put_accounts(self, accounts: Sequence[Account]) -> None:
        """As in Target."""
        with self._transaction() as database:
            database.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?, ?)", map(account_row, accounts))

    def put_marks(self, part: int, marks: ShardMarks) -> None:
        """As in Target."""
        del part
        rows = (
            sealed(source, mark.seen.last, mark.seen.written(), mark.heard) for source, mark in marks.receipts.items()
        )
        with self._transaction() as database:
            database.executemany("INSERT INTO receipts VALUES (?, ?, ?, ?, ?)", rows)

    def finish(self) -> None:
        """As in Target."""
        with self._transaction() as database:
            database.execute("DELETE FROM meta WHERE key = ?", (COPY,))
