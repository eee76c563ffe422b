"""Commands to Redis or Valkey: each to the master that has its key, sent again until it is done or time is up.

A command may have been done though its answer was lost, and is sent again nevertheless: whoever sends it here must
have made it so that this is right.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import valkey
from valkey import exceptions
from valkey.exceptions import ValkeyError

from taba.store.address import Address
from taba.store.masters import UNNAMED, Masters, masters_of
from taba.store.protocol import StoreError
from taba.store.trouble import UnsafeError, known, passes, told

WAIT_SECONDS = 1.5
"""How long replicas have to take a write, and to tell: that it is on their disks they say once a second."""
PAUSES = (0.005, 0.02, 0.05, 0.1, 0.25)
"""Seconds between one try and the next; the last one for all that follow."""
THREADS = 32


_Work = tuple[valkey.Valkey, Sequence[tuple[Any, ...]], bool]
"""A master, the commands for it, and whether they write."""


class Command(NamedTuple):
    """A command and the key by which it finds its master."""

    key: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Safety:
    """What a write waits for besides the master: so many replicas, and, where `disk`, that these and the master have
    it on their disks."""

    replicas: int = 0
    disk: bool = False

    def command(self) -> tuple[Any, ...] | None:
        """The command that waits, on the connection that wrote; None: nothing is waited for."""
        milliseconds = round(WAIT_SECONDS * 1000)
        if self.disk:
            return ("WAITAOF", 1, self.replicas, milliseconds)
        return ("WAIT", self.replicas, milliseconds) if self.replicas else None

    def held(self, answer: Any) -> bool:
        """Whether what was waited for came."""
        if self.disk:
            return bool(answer[0] >= 1 and answer[1] >= self.replicas)
        return bool(answer >= self.replicas)


class Engine:
    """One server, a master that Sentinels know, or a Cluster. For any thread."""

    def __init__(self, address: Address, library: str, safety: Safety) -> None:
        """Connect. `library` is the code of the functions that commands call, loaded into each master."""
        self.address = address
        self._loading = ("FUNCTION", "LOAD", "REPLACE", library)
        self.safety = safety
        self._until = math.inf
        self._closed = False
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="taba-engine")
        self._nodes: Masters = masters_of(address)

    def run(self, commands: Sequence[Command], patience: float, *, writes: bool = False) -> list[Any]:
        """The answer to each command. Raises StoreError where one cannot be done within `patience` seconds."""
        answers: list[Any] = [None] * len(commands)
        left = list(range(len(commands)))
        deadline = time.monotonic() + patience
        tries = 0
        while left:
            if self._closed:
                raise StoreError(f"{self.address.shown} is closed")
            found = self._once([commands[place] for place in left], writes)
            failed = {place: answer for place, answer in zip(left, found, strict=True) if isinstance(answer, Exception)}
            for place, answer in zip(left, found, strict=True):
                answers[place] = answer
            for error in {str(error): error for error in failed.values()}.values():
                self._recover(error, late=time.monotonic() > min(deadline, self._until))
            left = list(failed)
            if left:
                time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
        return answers

    def everywhere(self, *arguments: Any, patience: float = 0.0) -> list[Any]:
        """The answer of each master to a command. Raises StoreError where one gives none within `patience` seconds."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return [master.execute_command(*arguments) for master in self._nodes.masters()]
            except (ValkeyError, OSError) as failed:
                self._recover(known(failed), late=time.monotonic() > deadline)
                time.sleep(PAUSES[-1])

    def keys(self, pattern: str) -> Iterator[bytes]:
        """The keys of all masters that match; those that come or go meanwhile may be among them."""
        try:
            for master in self._nodes.masters():
                yield from master.scan_iter(match=pattern, count=1000)
        except (ValkeyError, OSError) as error:
            raise told(self.address.shown, error) from error

    def load(self, patience: float) -> None:
        """Load the functions into all masters."""
        self.everywhere(*self._loading, patience=patience)

    def hurry(self, seconds: float) -> None:
        """Try nothing again after so many seconds."""
        self._until = time.monotonic() + seconds

    def close(self) -> None:
        """End all connections."""
        self._closed = True
        self._threads.shutdown(cancel_futures=True)
        self._nodes.close()

    def _once(self, commands: Sequence[Command], writes: bool) -> list[Any]:
        """The answer to each command, or the error, all masters at once."""
        answers: list[Any] = [None] * len(commands)
        groups: dict[int, tuple[valkey.Valkey, list[int]]] = {}
        for place, command in enumerate(commands):
            try:
                master = self._nodes.of(command.key)
            except (ValkeyError, OSError) as error:
                answers[place] = known(error)
            else:
                groups.setdefault(id(master), (master, []))[1].append(place)
        work = [(master, [commands[place].arguments for place in places], writes) for master, places in groups.values()]
        for (master, places), results in zip(groups.values(), self._sent(work), strict=True):
            for place, result in zip(places, results, strict=True):
                answers[place] = self._asked(master, commands[place], result, writes)
        return answers

    def _sent(self, work: Sequence[_Work]) -> list[list[Any]]:
        """What several masters answer, all at once."""
        if len(work) == 1:
            return [self._send(*work[0])]
        try:
            return list(self._threads.map(lambda one: self._send(*one), work))
        except RuntimeError:  # closed meanwhile, by another thread
            raise StoreError(f"{self.address.shown} is closed") from None

    def _asked(self, first: valkey.Valkey, command: Command, answer: Any, writes: bool) -> Any:
        """The answer, from the master that a moving slot is on its way to where the first one says so."""
        if type(answer) is not exceptions.AskError:
            return answer
        host = first.get_connection_kwargs()["host"] if answer.host in ("", UNNAMED.decode()) else answer.host
        master = self._nodes.at(host, answer.port)
        return self._send(master, [("ASKING",), command.arguments], writes)[1]

    def _send(self, master: valkey.Valkey, commands: Sequence[tuple[Any, ...]], writes: bool) -> list[Any]:
        """One master's answers, or errors in their place."""
        waits = self.safety.command() if writes else None
        pipeline = master.pipeline(transaction=False)
        for command in (*commands, waits) if waits else commands:
            pipeline.execute_command(*command)
        try:
            answers = [known(answer) for answer in pipeline.execute(raise_on_error=False)]
        except (ValkeyError, OSError) as error:
            return [error] * len(commands)
        if waits is None:
            return answers
        waited = answers.pop()
        if "unknown command" in str(waited):
            lacking = exceptions.DataError(f"it has no {waits[0]}, which store_fsync needs: Redis 7.2 or Valkey has it")
            return [lacking] * len(answers)
        if isinstance(waited, exceptions.NoPermissionError):
            return [waited] * len(answers)
        if isinstance(waited, Exception) or not self.safety.held(waited):
            unsafe = UnsafeError(f"{waits[0]} answered {waited}")
            return [answer if isinstance(answer, Exception) else unsafe for answer in answers]
        return answers

    def _recover(self, error: Exception, *, late: bool) -> None:
        """Do what an error calls for before the next try; raises StoreError where there is none."""
        if isinstance(error, exceptions.MovedError) and self.address.kind != "cluster":
            raise StoreError(f"{self.address.shown} is a node of a Cluster: write redis+cluster://HOST:PORT")
        missing = isinstance(error, exceptions.ResponseError) and "unction not found" in str(error)
        if missing and (unloaded := self._load_again()) is not None:
            error, missing = unloaded, False
        if passes(error):
            # Also where it is too late for this command: the next one shall find the masters.
            with suppress(ValkeyError, OSError):
                self._nodes.moved(error)
        if late or not (missing or passes(error)):
            raise told(self.address.shown, error) from error

    def _load_again(self) -> Exception | None:
        """Load the functions into those masters that take them; why another one does not."""
        failed = None
        try:
            masters = self._nodes.masters()
        except (ValkeyError, OSError) as error:
            return known(error)
        for master in masters:
            try:
                master.execute_command(*self._loading)
            except (ValkeyError, OSError) as error:
                failed = known(error)
        return failed
