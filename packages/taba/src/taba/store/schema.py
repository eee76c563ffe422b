"""The tables of a SQLite store: how they are made, brought up from an older version, and sealed.

SQLite checks the structure of its file, and nobody the values in it. So each row keeps a seal, a checksum of its
other columns (a chunk's bytes have one of their own), and opening the store checks both.

    version 1    receipts for everything that was sent
    version 2    accounts for frames; tabs say in which version of the catalogue they came to be; seals of ascii()
"""

from __future__ import annotations

import re
import sqlite3
import zlib
from dataclasses import fields

import msgspec

from taba.sequences import Seen
from taba.store.accounts import Account, Gap
from taba.store.protocol import ChunkInfo

SCHEMA_VERSION = 2

_ACCOUNTS = """
CREATE TABLE accounts (source TEXT PRIMARY KEY, client TEXT NOT NULL, heard REAL NOT NULL, body TEXT NOT NULL,
    seal INTEGER NOT NULL);
CREATE INDEX accounts_by_heard ON accounts (heard);
"""
_TABS = """
CREATE TABLE tabs (tab TEXT PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, added INTEGER NOT NULL,
    seal INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX tabs_by_name ON tabs (name, type);
CREATE INDEX tabs_by_added ON tabs (added);
"""
_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER NOT NULL) WITHOUT ROWID;
{_TABS.strip()}
CREATE TABLE receipts (source TEXT PRIMARY KEY, last INTEGER NOT NULL, gaps TEXT NOT NULL, heard REAL NOT NULL,
    seal INTEGER NOT NULL) WITHOUT ROWID;
{_ACCOUNTS.strip()}
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, shard INTEGER NOT NULL, type TEXT NOT NULL, version INTEGER NOT NULL,
    view TEXT NOT NULL, policy TEXT NOT NULL, width INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    rows INTEGER NOT NULL, checksum INTEGER NOT NULL, created REAL NOT NULL, seal INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX chunks_by_shard ON chunks (shard);
"""
INFO_COLUMNS = ", ".join(column.name for column in fields(ChunkInfo))
NEW_COLUMNS = ", ".join(column.name for column in fields(ChunkInfo)[1:])
_SEALED = {
    "meta": "key, value",
    "tabs": "tab, name, type, added",
    "receipts": "source, last, gaps, heard",
    "accounts": "source, client, heard, body",
    "chunks": NEW_COLUMNS,
}
_CLIENTS_EPOCH = re.compile(r"(?P<client>[^ ]+) (?P<epoch>.+)|(?P<client2>[^ ]+)/(?P<epoch2>[0-9a-f]{16})", re.DOTALL)
"""The sources under which version 1 had receipts of frames."""


def sealed(*row: object) -> tuple[object, ...]:
    """A row with its seal, which must not depend on the version of Python, as what repr() shows does."""
    return *row, zlib.crc32(ascii(row).encode())


def is_empty(database: sqlite3.Connection) -> bool:
    """Whether the file has no table of anybody's."""
    return not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def make(database: sqlite3.Connection, shards: int) -> None:
    """Make the tables in a new file."""
    _run(database, _SCHEMA)
    database.execute("INSERT INTO meta VALUES (?, ?, ?)", sealed("shards", str(shards)))
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def migrate(database: sqlite3.Connection) -> None:
    """Bring the tables of version 1 to this one.

    What was seen of an epoch's frames goes into an account. The receipts stay until they are forgotten, because
    whoever sends JSON may have given itself such a name.
    """
    tabs = database.execute("SELECT tab, name, type FROM tabs").fetchall()
    database.execute("DROP TABLE tabs")
    _run(database, _TABS)
    database.executemany("INSERT INTO tabs VALUES (?, ?, ?, ?, ?)", (sealed(*tab, 1) for tab in tabs))
    _run(database, _ACCOUNTS)
    receipts = database.execute("SELECT source, last, gaps, heard FROM receipts ORDER BY last DESC").fetchall()
    rows = (account_row(account) for receipt in receipts if (account := _account(*receipt)) is not None)
    database.executemany("INSERT OR IGNORE INTO accounts VALUES (?, ?, ?, ?, ?)", rows)
    for table, key in (("meta", "key"), ("receipts", "source"), ("chunks", "id")):
        _seal_anew(database, table, key)
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _seal_anew(database: sqlite3.Connection, table: str, key: str) -> None:
    """Seal the rows whose old seal fits; that of others goes on telling that they were changed."""
    rows = database.execute(f"SELECT {key}, seal, {_SEALED[table]} FROM {table}").fetchall()  # noqa: S608
    seals = ((sealed(*row)[-1], of) for of, seal, *row in rows if seal == zlib.crc32(repr(tuple(row)).encode()))
    database.executemany(f"UPDATE {table} SET seal = ? WHERE {key} = ?", seals)  # noqa: S608


def _account(source: str, last: int, gaps: str, heard: float) -> Account | None:
    """What a receipt of version 1 tells of an epoch; None where it is of something else."""
    found = _CLIENTS_EPOCH.fullmatch(source)
    if found is None:
        return None
    client, epoch = found["client"] or found["client2"], found["epoch"] or found["epoch2"]
    missing = tuple(Gap(first, end, heard, None, None) for first, end in Seen.read(last, gaps).gaps)
    return Account(client, epoch, last, heard, gaps=missing, begun=heard, heard=heard, told=None)


_encode = msgspec.json.Encoder().encode


def account_row(account: Account) -> tuple[object, ...]:
    """An account as a row of its table."""
    source = f"{account.client} {account.epoch}"
    return sealed(source, account.client, account.heard, _encode(account).decode())


def problem(database: sqlite3.Connection, whole: bool) -> str | None:
    """What is damaged in the file: in its structure, which is looked at where `whole`, or in a row; None: nothing."""
    if whole and (found := database.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
        return found
    for table, columns in _SEALED.items():
        for *row, seal in database.execute(f"SELECT {columns}, seal FROM {table}"):  # noqa: S608
            if sealed(*row)[-1] != seal:
                return f"a row of the table {table} was changed"
    return None


def _run(database: sqlite3.Connection, statements: str) -> None:
    """Run statements in the transaction that is open."""
    for statement in statements.strip().split(";\n"):
        database.execute(statement.removesuffix(";"))
