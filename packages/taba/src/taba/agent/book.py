"""What is remembered of foreign clients and of their series, in a SQLite file. For one thread.

    series(key, start, time, state, seen)     `key` is client, line feed, tab and what else tells it from others;
                                              `state` is what was told last
    clients(client, epoch, began, sequence, recorded, heard, forgotten, seen)
                                              where its frames stand; when it was first heard; up to when what it
                                              told is forgotten
    outbox(id, body)                          frames that the spool may not have yet
    requests(digest, answer, seen)            what was answered lately, so that a repeated request changes nothing
    notes(name, value)                        when the book began, which is when a sender could first be heard
    kept(key, note, seen)                     what a door keeps besides; `key` is client, line feed, a name of its own

Times are in nanoseconds since 1970, `seen` and `heard` by the agent's clock, `start` and `time` by the senders'.

A series is known by its client, its tab and its start: two processes under one name, whose starts differ, are two
series, and one that starts anew is another. A series that was never seen counts whole

    - where its process began since the book did, and not longer ago than anything is remembered: nobody else has
      counted it;
    - or where its client is known for longer than STRANGER, and told nothing of it: it is new in that process. A door
      that knows better when a client has told all of its series says so (`settled`).

Otherwise counting begins with it. What was recorded before is not known to be new, and may have been counted elsewhere.
"""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from taba.agent.outlet import Heard, Place, encoded, numbered, parts
from taba.dialects.buckets import Buckets
from taba.dialects.cumulative import Recorded, Verdict, increase
from taba.dialects.heard import PART_BYTES
from taba.frame import Frame

SECOND = 1_000_000_000
FORGET = 24 * 3600 * SECOND
"""A series or a client that was silent for so long is forgotten."""
STRANGER = 150 * SECOND
"""For so long after a client was first heard, not all that it adds up need be known; most send each minute."""
FOLLOWED = 600 * SECOND
"""A series of a process that another followed is forgotten after so long."""
REPEAT = 600 * SECOND
"""A request's answer is kept for so long."""
LOOKED = 3600 * SECOND
"""So often it is noted that somebody looked for a note."""
SWEEP = 60 * SECOND
MOST_REQUESTS = 20_000
MOST_CLIENTS = 100_000
MOST_GROWN = 100_000
"""Clients, notes and requests that are written at most until it is looked at whether there are too many."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (key TEXT, start INTEGER, time INTEGER, state BLOB, seen INTEGER,
                                   PRIMARY KEY (key, start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clients (client TEXT PRIMARY KEY, epoch TEXT, began REAL, sequence INTEGER,
                                    recorded INTEGER, heard INTEGER, forgotten INTEGER, seen INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB);
CREATE TABLE IF NOT EXISTS requests (digest BLOB PRIMARY KEY, answer BLOB, seen INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, note BLOB, seen INTEGER) WITHOUT ROWID;
"""


class _State(msgspec.Struct, array_like=True):
    """What is kept of a Recorded beside its key and its times."""

    value: int | float | None
    least: float | None = None
    most: float | None = None
    buckets: tuple[tuple[float, ...], tuple[float, ...], tuple[int, ...]] | None = None


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_State).decode


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request comes to: what its clients recorded, and what it is answered."""

    heard: Sequence[Heard]
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Work:
    """A request that is to be entered. `run` looks things up and changes them by the book's methods for requests.

    What either raises changes nothing, and is for the sender, without its traceback. `digest` tells a request from
    every other, and may work that out on the journal's thread; empty, it is never taken for a repetition. `size` is
    about how many bytes it keeps in memory.
    """

    run: Callable[[Book], Outcome]
    digest: bytes | Callable[[], bytes] = b""
    size: int = 0


@dataclass(slots=True)
class Entered:
    """What became of the requests of one transaction: an answer each, or why there is none; and their frames."""

    answers: list[bytes | Exception]
    frames: list[Frame]
    body: bytes
    outbox: int


@dataclass(slots=True)
class _Client:
    place: Place
    epoch: str
    heard: int
    forgotten: int = 0


class Book:
    """An open book."""

    def __init__(
        self, path: Path, *, sync: bool, most: int, began: int, clock: Callable[[], int] = time.time_ns
    ) -> None:
        """`most` series are remembered. `sync` says that an entry outlives a power cut. `began` is for a new book.

        Raises sqlite3.Error.
        """
        self.most = most
        self.part_bytes = PART_BYTES
        """About how large one frame may be."""
        self._clock = clock
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute(f"PRAGMA synchronous = {'FULL' if sync else 'OFF'}")
            self._database.executescript(_SCHEMA)
            self._database.execute("INSERT OR IGNORE INTO notes VALUES ('began', ?)", (began,))
            self._began: int = self._one("SELECT value FROM notes WHERE name = 'began'")
            self._count: int = self._one("SELECT count(*) FROM series")
        except BaseException:
            self._database.close()
            raise
        self._clients: dict[str, _Client] = {}
        self._now = self._swept = clock()
        self._grown = 0
        """Rows that were written since it was last looked how many there are, and may be new."""

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @property
    def series(self) -> int:
        """How many series are remembered."""
        return self._count

    def _one(self, statement: str, values: Sequence[object] = ()) -> int:
        return self._database.execute(statement, values).fetchone()[0]

    # For requests.

    def increase(
        self, client: str, tab: str, now: Recorded, *, appeared: bool = True, settled: bool = False, since: int = 0
    ) -> tuple[Verdict, Recorded | None]:
        """What a cumulative series grew by, and remember where it stands.

        `tab` may be followed by a line feed and what else tells the series from others of its client.
        `appeared` says that a series of a client that is known counts whole where the client told nothing of it before;
        `settled` that it told all others. `since` is the start of a series that is known without it.
        """
        key = f"{client}\n{tab}"
        before = self._series(key, now.start)
        if before is None:
            if self._followed(key, now):
                return Verdict.REPEATED, None
            if not self._room():
                return Verdict.REFUSED, None
        whole = before is None and (settled or self._counts_whole(client, now.start or since, appeared))
        verdict, grown = increase(before, now, whole)
        if verdict is not Verdict.REPEATED:
            self._remember(key, now, new=before is None)
        return verdict, grown

    def level(self, client: str, tab: str, now: Recorded) -> int | float | None:
        """Where a series stands of which differences are told; None where this one was told before.

        It begins anew where `now` does not follow on what was told last. A level that is not finite is not remembered.
        Raises OverflowError for no room.
        """
        key = f"{client}\n{tab}"
        before = self._series(key, 0)
        if before is not None and now.time <= before.time:
            return None
        if before is None and not self._room():
            raise OverflowError
        value = now.value or 0
        if before is not None and now.start <= before.time:
            value += before.value or 0
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            value = float(value)
        if not math.isfinite(value):
            return value
        self._remember(key, Recorded(0, now.time, value), new=before is None)
        return value

    def counts_whole(self, client: str, since: int) -> bool:
        """Whether all of a series that was never seen counts, that began then."""
        return self._counts_whole(client, since, appeared=False)

    def note(self, client: str, name: str) -> bytes | None:
        """What a door kept under a name of its own; it is forgotten once nobody looked for so long as for a series."""
        key = f"{client}\n{name}"
        row = self._database.execute("SELECT note, seen FROM kept WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        if self._now - row[1] > LOOKED:
            self._database.execute("UPDATE kept SET seen = ? WHERE key = ?", (self._now, key))
        return row[0]

    def keep(self, client: str, name: str, note: bytes | None) -> None:
        """Keep a note, or no longer. Of as many as series are remembered, and no more."""
        key = f"{client}\n{name}"
        if note is None:
            self._database.execute("DELETE FROM kept WHERE key = ?", (key,))
        else:
            self._database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (key, note, self._now))
            self._grown += 1

    def _series(self, key: str, start: int) -> Recorded | None:
        row = self._database.execute("SELECT time, state FROM series WHERE key = ? AND start = ?", (key, start))
        found = row.fetchone()
        if found is None:
            return None
        state = _unpack(found[1])
        buckets = None if state.buckets is None else Buckets(*state.buckets)
        return Recorded(start, found[0], state.value, buckets, state.least, state.most)

    def _remember(self, key: str, told: Recorded, *, new: bool) -> None:
        buckets = told.buckets
        lists = None if buckets is None else (buckets.lows, buckets.highs, buckets.counts)
        state = _pack(_State(told.value, told.least, told.most, lists))
        row = (key, told.start, told.time, state, self._now)
        self._database.execute("INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?, ?)", row)
        self._count += new

    def _followed(self, key: str, now: Recorded) -> bool:
        """Whether another process had begun when `now` was told; forget series of those that ended before it began."""
        if not now.start:
            return False
        began = self._database.execute("SELECT max(start) FROM series WHERE key = ?", (key,)).fetchone()[0]
        if began is None:
            return False
        ended = (key, now.start, self._now - FOLLOWED)
        self._count -= self._database.execute(
            "DELETE FROM series WHERE key = ? AND start > 0 AND time <= ? AND seen < ?", ended
        ).rowcount
        return began > now.start and began >= now.time

    def _room(self) -> bool:
        if self._count >= self.most and self._now - self._swept >= SWEEP:
            self._sweep()
        return self._count < self.most

    def _counts_whole(self, client: str, start: int, appeared: bool) -> bool:
        known = self._client(client)
        if start and known is not None and start <= known.forgotten:
            return False
        if start >= max(self._began, self._now - FORGET):
            return True
        return appeared and known is not None and self._now - known.heard > STRANGER

    # For the journal.

    def enter(self, works: Iterable[Work]) -> Entered:
        """Enter requests in one transaction. Raises sqlite3.Error: then nothing is entered."""
        self._now = self._clock()
        self._clients.clear()
        frames: list[Frame] = []
        counted = self._count
        self._database.execute("BEGIN IMMEDIATE")
        try:
            answers = [self._entered(work, frames) for work in works]
            body = encoded(frames)
            outbox = 0
            if body:
                outbox = self._database.execute("INSERT INTO outbox (body) VALUES (?)", (body,)).lastrowid or 0
            if self._now - self._swept >= FOLLOWED or self._is_crowded():
                self._sweep()
            self._database.execute("COMMIT")
        except BaseException:
            self._count = counted
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        return Entered(answers, frames, body, outbox)

    def _entered(self, work: Work, frames: list[Frame]) -> bytes | Exception:
        try:
            digest = work.digest if isinstance(work.digest, bytes) else work.digest()
        except Exception as error:
            return error.with_traceback(None)
        if digest:
            row = self._database.execute("SELECT answer FROM requests WHERE digest = ?", (digest,)).fetchone()
            if row is not None:
                return row[0]
        counted = self._count
        self._database.execute("SAVEPOINT request")
        try:
            outcome = work.run(self)
        except sqlite3.Error:
            raise
        except Exception as error:
            self._database.execute("ROLLBACK TO request")
            self._database.execute("RELEASE request")
            self._count = counted
            return error.with_traceback(None)  # which would keep all that was read in memory, and itself
        if digest:
            self._database.execute("INSERT INTO requests VALUES (?, ?, ?)", (digest, outcome.answer, self._now))
            self._grown += 1
        frames.extend(self._numbered(outcome.heard))
        self._database.execute("RELEASE request")
        return outcome.answer

    def _numbered(self, heard: Sequence[Heard]) -> list[Frame]:
        """Their frames; where each client stands then is remembered."""
        frames = []
        for one in heard:
            client = self._client(one.client)
            if client is None:
                client = _Client(Place(one.start), os.urandom(6).hex(), self._now)
                self._grown += 1
                self._clients[one.client] = client
            frames += [numbered(part, client.place, client.epoch, closing=True) for part in parts(one, self.part_bytes)]
        for name in {one.client for one in heard}:
            client = self._clients[name]
            place = client.place
            row = (name, client.epoch, place.began, place.sequence, place.recorded, client.heard, client.forgotten)
            self._database.execute("INSERT OR REPLACE INTO clients VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, self._now))
        return frames

    def _client(self, name: str) -> _Client | None:
        known = self._clients.get(name)
        if known is None:
            columns = "began, sequence, recorded, epoch, heard, forgotten"
            row = self._database.execute(f"SELECT {columns} FROM clients WHERE client = ?", (name,)).fetchone()  # noqa: S608
            if row is None:
                return None
            known = self._clients[name] = _Client(Place(*row[:3]), *row[3:])
        return known

    def _sweep(self) -> None:
        """Forget what is old, and what is beyond bounds."""
        self._swept, self._grown = self._now, 0
        silent = (self._now - FORGET,)
        run = self._database.execute
        last = run(
            "SELECT max(time), substr(key, 1, instr(key, char(10)) - 1) AS client FROM series WHERE seen < ? "
            "GROUP BY client",
            silent,
        ).fetchall()
        self._database.executemany("UPDATE clients SET forgotten = max(forgotten, ?) WHERE client = ?", last)
        self._clients.clear()
        self._count -= run("DELETE FROM series WHERE seen < ?", silent).rowcount
        run("DELETE FROM clients WHERE seen < ?", silent)
        run("DELETE FROM requests WHERE seen < ?", (self._now - REPEAT,))
        run("DELETE FROM kept WHERE seen < ?", silent)
        for table, key, most in self._bounds():
            run(
                f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} ORDER BY seen DESC LIMIT -1 OFFSET ?)",  # noqa: S608
                (most,),
            )

    def _bounds(self) -> list[tuple[str, str, int]]:
        """Tables, their keys, and how many rows each may have after a sweep."""
        return [("requests", "digest", MOST_REQUESTS), ("clients", "client", MOST_CLIENTS), ("kept", "key", self.most)]

    def _is_crowded(self) -> bool:
        """Whether there are far too many rows already; looked at after MOST_GROWN."""
        if self._grown <= MOST_GROWN:
            return False
        self._grown = 0
        return any(self._one(f"SELECT count(*) FROM {table}") > 2 * most for table, _, most in self._bounds())  # noqa: S608

    def outbox(self) -> list[tuple[int, bytes]]:
        """Frames that the spool may not have, in their order."""
        return self._database.execute("SELECT id, body FROM outbox ORDER BY id").fetchall()

    def written(self, outbox: int) -> None:
        """The spool has the frames of the outbox up to this id."""
        self._database.execute("DELETE FROM outbox WHERE id <= ?", (outbox,))
