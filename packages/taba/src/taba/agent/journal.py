"""Requests of foreign senders, each counted once whatever ends in between: a book, a thread for it, and an outlet.

A request is entered in the book in one transaction, that holds what is known of its series afterwards, and the frames
that follow from what they grew by. It is answered then. The frames go to the spool; once they are there, they leave the
book. After a kill the book's frames are written again: by their numbers servers count them once. So

    killed before the transaction     nothing holds: the sender sends again
    killed after it                   the frames are in the book; a sender that got no answer sends again, and is known

What comes while a transaction is written goes into the next one together.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from taba.agent.agent import Agent
from taba.agent.book import SECOND, Book, Entered, Work
from taba.agent.outlet import Outlet, part_bytes
from taba.agent.writer import BusyError, WriteError
from taba.frame import Frame, decode
from taba.headers import parse

log = logging.getLogger(__name__)

WAITING_BYTES = 32 << 20
"""What may wait to be entered."""
TIDY_SECONDS = 1.0
"""So long after frames are in the spool they leave the book, unless the next transaction comes first."""
STOP_SECONDS = 5.0

Done = Callable[[Exception | None, bytes], None]
"""Called on the event loop with a request's answer; or with what its work raised, or a WriteError: send it again."""


class Journal:
    """One door's journal, `NAME.journal` in the spool's folder; it is made with the first request."""

    def __init__(self, agent: Agent, name: str) -> None:
        self._agent = agent
        self._path = agent.settings.spool / f"{name}.journal"
        self._outlet = Outlet(agent, "", closing=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._book: Book | None = None
        self._thread: threading.Thread | None = None
        self._arrived = threading.Condition()
        self._waiting: list[tuple[Work, Done]] = []
        self._size = 0
        self._written = self._tidied = 0
        self._due = self._ended = False

    # On the event loop.

    async def start(self) -> None:
        """Write the frames that were left in the book."""
        self._loop = asyncio.get_running_loop()
        if self._path.exists():
            self._begin()

    async def stop(self) -> None:
        """Enter what waits, and return once its frames are in the spool; those that are not stay in the book."""
        if self._thread is None:
            return
        self._end()
        await asyncio.to_thread(self._thread.join)
        await asyncio.sleep(0)  # what the thread handed over last
        deadline = time.monotonic() + STOP_SECONDS
        while not self._outlet.empty and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        if self._book is not None:
            with suppress(sqlite3.Error):
                self._book.written(self._written)
            self._book.close()

    def submit(self, work: Work, done: Done) -> None:
        """Have a request entered. Raises BusyError."""
        self._outlet.check()
        with self._arrived:
            if self._ended:
                raise BusyError("the agent is stopping")
            if self._size + work.size > WAITING_BYTES and self._waiting:
                raise BusyError("more requests wait to be entered than may wait")
            self._waiting.append((work, done))
            self._size += work.size
        self._wake()
        if self._thread is None:
            self._begin()

    def _begin(self) -> None:
        self._due = True
        self._thread = threading.Thread(target=self._run, name="taba-journal", daemon=True)
        self._thread.start()

    def _end(self) -> None:
        with self._arrived:
            self._ended = True
            self._arrived.notify()

    def _hand_over(self, entered: Entered, dones: list[Done]) -> None:
        """Answer, and have the frames written."""
        self._write(entered.frames, entered.body, entered.outbox)
        for done, answer in zip(dones, entered.answers, strict=True):
            if isinstance(answer, bytes):
                done(None, answer)
            else:
                done(answer, b"")

    def _write(self, frames: list[Frame], body: bytes, outbox: int) -> None:
        def written() -> None:
            self._written = max(self._written, outbox)
            asyncio.get_running_loop().call_later(TIDY_SECONDS, self._wake)  # the thread tidies as it wakes

        if frames:
            self._outlet.write(frames, written, body)

    def _wake(self) -> None:
        with self._arrived:
            self._due = True
            self._arrived.notify()

    # On the journal's thread.

    def _run(self) -> None:
        while (some := self._turn()) is not None:
            dones = [done for _, done in some]
            try:
                book = self._opened()
                book.most, book.part_bytes = self._agent.settings.series, part_bytes(self._agent)
                self._tidy(book)
                if some:
                    self._call(self._hand_over, book.enter(work for work, _ in some), dones)
            except (sqlite3.Error, OSError) as error:
                why = f"the journal {self._path} cannot be written: {error}"
                log.error("%s: senders are told to come back", why)  # noqa: TRY400
                self._call(_refuse, dones, WriteError(why))
            except Exception as error:  # the thread must outlive what nobody thought of
                log.exception("the journal failed")
                self._call(_refuse, dones, WriteError(f"the journal failed: {error!r}"))

    def _turn(self) -> list[tuple[Work, Done]] | None:
        """What waits, which may be nothing where the book is to be opened or tidied; None in the end."""
        with self._arrived:
            while not (self._due or self._ended):
                self._arrived.wait()
            self._due = False
            if self._ended and not self._waiting:
                return None
            some, self._waiting = self._waiting, []
            self._size = 0
            return some

    def _opened(self) -> Book:
        if self._book is None:
            settings = self._agent.settings
            began = int(self._agent.identity.began * SECOND)
            kept = {"sync": settings.sync, "most": settings.series, "began": began}
            try:
                self._book = Book(self._path, **kept)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                aside = self._path.with_name(f"{self._path.name}.damaged")
                log.error("the journal is damaged (%s): a new one begins, the old one is %s", error, aside)  # noqa: TRY400
                self._path.replace(aside)
                self._book = Book(self._path, **kept)
            for outbox, body in self._book.outbox():
                self._call(self._write, list(decode(body, parse)), body, outbox)
        return self._book

    def _tidy(self, book: Book) -> None:
        written = self._written
        if written > self._tidied:
            book.written(written)
            self._tidied = written

    def _call(self, function: Callable[..., None], *given: object) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            self._loop.call_soon_threadsafe(function, *given)


def _refuse(dones: list[Done], error: WriteError) -> None:
    for done in dones:
        done(error, b"")
