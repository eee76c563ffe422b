"""Several processes that serve one port, and the parent that starts them, watches them and ends them.

    parent    listens, starts workers by fork, starts one anew that died; imports nothing that a server needs
    worker    takes the connections of its place's socket; ends when the parent has gone

Each place for a worker has a socket of its own on the port (SO_REUSEPORT), over which the system spreads connections:
of a single socket, the worker that is awake, or was started first, takes all that come at once. The sockets are the
parent's too, so what waits for a worker that died is the next one's. Where that one cannot start, the socket is
closed, and the other workers get what comes.

A worker tells by a pipe that it serves ("+"), again and again, or why it cannot ("-" and the reason). One that served
and is silent for too long hangs: it is ended, and another starts. Only time in which the parent itself ran is counted,
so a pause of the whole machine ends nobody. Another pipe, to which nobody writes, comes to its end in the workers when
the parent does.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from taba.again import Again, how
from taba.listening import StartError

log = logging.getLogger(__name__)

HANG_SECONDS = 15.0
"""How long a worker may be silent. What answers questions are threads, which do not keep it from telling."""
LOOK_SECONDS = 1.0
FAILED = 1
ENDING = (signal.SIGTERM, signal.SIGINT)
HEARD = (*ENDING, signal.SIGHUP, signal.SIGCHLD)
SERVES, CANNOT = b"+", b"-"

Work = Callable[[socket.socket, Callable[[], None]], None]
"""What a worker does until SIGTERM, with a listening socket and what it has to call once it serves, and every second or
so from then on. Raises StartError where it cannot."""
Look = Callable[[], float | None]
"""Called whenever a process has ended, and after as many seconds as it says, if any."""


@dataclass(slots=True)
class _Place:
    """A place for a worker: the process in it, if any (`pid`), and how those before it did."""

    listening: socket.socket | None = None
    pid: int = 0
    ear: int = -1
    """Our end of its pipe; -1 once it has told all."""
    word: bytes = b""
    silent: float = 0.0
    """For how many seconds nothing was heard of it while it should have told that it serves."""
    again: Again = field(default_factory=Again)

    @property
    def serves(self) -> bool:
        return bool(self.pid) and self.word == SERVES

    def hear(self) -> None:
        """Take in what the worker tells."""
        part = os.read(self.ear, 4096)
        self.silent = 0.0
        if self.word != SERVES:
            self.word = SERVES if part.startswith(SERVES) else self.word + part
        if not part:
            self.deafen()

    def deafen(self) -> None:
        if self.ear >= 0:
            os.close(self.ear)
            self.ear = -1

    def close(self) -> None:
        """Leave what comes to the others."""
        if self.listening is not None:
            self.listening.close()
            self.listening = None


class Workers:
    """So many workers. All is done in the thread that calls `run`; no other may run, because the process forks."""

    def __init__(self, count: int, listen: Callable[[], socket.socket], work: Work, reload: Callable[[], bool]) -> None:
        """`listen` gives one more socket on the port, and raises StartError where it cannot. `reload` is called at
        SIGHUP, and says whether the workers are to be told."""
        self._places = [_Place(listen()) for _ in range(count)]
        self._listen = listen
        self._work = work
        self._reload = reload
        self._reloaded = self._looked = 0.0
        self._ready = self._ending = False

    @property
    def pids(self) -> list[int]:
        """The processes that run."""
        return [place.pid for place in self._places if place.pid]

    def run(self, ready: Callable[[], None], ending: Callable[[], None], look: Look = lambda: None) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called once all workers serve, `ending` once they are to end.
        `look` is for what else runs beside them.

        The first worker serves before the others start, because it may have to make the store. Raises StartError where
        one cannot serve before all do; later that is told in the log, and it is tried again.
        """
        with self._pipes(), self._hearing():
            try:
                while not self._ending or self.pids:
                    for place in self._vacant():
                        if place.again.due <= time.monotonic():
                            self._start(place)
                    self._wait(look())
                    # First, because whoever ends us may have ended the workers too.
                    for number in self._signals():
                        self._act(number, ending)
                    self._reap()
                    self._end_the_silent()
                    if not self._ready and all(place.serves for place in self._places):
                        self._ready = True
                        ready()
            finally:
                self._leave_none()

    @contextmanager
    def _pipes(self) -> Iterator[None]:
        """`life`, which ends with us, and `woken`, by which signals wake us; each as (read, write)."""
        self._life, self._woken = os.pipe(), os.pipe()
        try:
            for end in self._woken:
                os.set_blocking(end, False)
            yield
        finally:
            for end in (*self._life, *self._woken):
                os.close(end)

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """Signals are read from `woken` meanwhile."""
        before = {number: signal.signal(number, lambda *_: None) for number in HEARD}
        signal.set_wakeup_fd(self._woken[1], warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _vacant(self) -> list[_Place]:
        """Where a worker may be started, now or when it is due."""
        if self._ending:
            return []
        first = self._places[0]
        return [place for place in self._places if not place.pid and (place is first or first.serves or self._ready)]

    def _start(self, place: _Place) -> None:
        try:
            place.listening = place.listening or self._listen()
        except StartError as error:
            self._failed(place, str(error), 0)
            return
        ear, mouth = os.pipe()
        # What is meant for the worker must not be lost while it still has our handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
        try:
            pid = os.fork()
            if not pid:
                self._be_worker(place.listening, mouth, (ear, self._life[1], *self._woken))
        except OSError as error:
            os.close(ear)
            self._failed(place, f"cannot be started: {error.strerror}", place.pid)
        else:
            place.pid, place.ear, place.word, place.silent = pid, ear, b"", 0.0
            place.again.begun = time.monotonic()
        finally:
            os.close(mouth)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)

    def _be_worker(self, listening: socket.socket, mouth: int, not_ours: tuple[int, ...]) -> None:
        """In the new process: work, and end it. Nothing of what the parent has yet to do may happen here."""
        code = FAILED
        try:
            signal.set_wakeup_fd(-1)
            for number in HEARD:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
            # Ctrl-C in a terminal is for the parent, which passes it on.
            os.setsid()
            for end in not_ours:
                os.close(end)
            for place in self._places:
                place.deafen()
                if place.listening is not listening:
                    place.close()
            threading.Thread(target=_end_with, args=(self._life[0],), daemon=True).start()
            os.set_blocking(mouth, False)
            self._work(listening, lambda: _tell(mouth, SERVES))
            code = 0
        except StartError as error:
            _tell(mouth, CANNOT + str(error).encode())
        except KeyboardInterrupt:
            code = 0
        except BaseException:
            log.exception("a worker failed")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _wait(self, most: float | None) -> None:
        """Until a signal comes, a worker tells something, or one is due; for so many seconds at most."""
        now = time.monotonic()
        dues = [place.again.due - now for place in self._vacant()]
        seconds = max(min([*dues, LOOK_SECONDS, *([] if most is None else [most])]), 0)
        ears = [place.ear for place in self._places if place.ear >= 0]
        readable, _, _ = select.select([self._woken[0], *ears], [], [], seconds)
        for place in self._places:
            if place.ear in readable:
                served = place.serves
                place.hear()
                if place.serves and not served and place.again.begun < self._reloaded:  # it was starting at the hangup
                    os.kill(place.pid, signal.SIGHUP)

    def _reap(self) -> None:
        """See who has died."""
        for place in self._places:
            pid, status = os.waitpid(place.pid, os.WNOHANG) if place.pid else (0, 0)
            if not pid:
                continue
            while place.ear >= 0:
                place.hear()
            place.pid = 0
            if not self._ending:
                reason = place.word.removeprefix(CANNOT).decode() if place.word != SERVES else ""
                self._failed(place, reason or how(os.waitstatus_to_exitcode(status)), pid)

    def _end_the_silent(self) -> None:
        """End the workers that hang. Time in which we did not run ourselves does not count."""
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, 2 * LOOK_SECONDS), now
        for place in self._places:
            if not place.serves:
                continue
            place.silent += passed
            if place.silent > HANG_SECONDS:
                log.error("worker %d hangs: it has told nothing for %g s, and is ended", place.pid, HANG_SECONDS)
                os.kill(place.pid, signal.SIGKILL)
                place.silent = 0.0

    def _failed(self, place: _Place, why: str, pid: int) -> None:
        """Have another worker started; where not all have served yet, give up."""
        if not self._ready:
            raise StartError(why if place.word.startswith(CANNOT) else f"a worker {why}")
        seconds = place.again.failed(well=place.word == SERVES)
        if seconds:
            place.close()
        told = f"did not start: {why}" if place.word.startswith(CANNOT) else why
        log.error("worker %d %s; another starts in %g s", pid, told, seconds)

    def _signals(self) -> set[int]:
        try:
            return set(os.read(self._woken[0], 4096))
        except BlockingIOError:
            return set()

    def _act(self, number: int, ending: Callable[[], None]) -> None:
        if number in ENDING:
            if not self._ending:
                self._ending = True
                ending()
            self._pass_on(number)
        elif number == signal.SIGHUP and not self._ending and self._reload():
            self._reloaded = time.monotonic()
            self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        for place in self._places:
            # SIGHUP would end one that does not serve yet: it is told when it does.
            if place.serves or (place.pid and number in ENDING):
                os.kill(place.pid, number)

    def _leave_none(self) -> None:
        """Have all end that still run, where something went wrong."""
        for pid in self.pids:
            os.kill(pid, signal.SIGTERM)
        for place in self._places:
            if place.pid:
                os.waitpid(place.pid, 0)
                place.pid = 0
            place.deafen()
            place.close()


def _tell(mouth: int, word: bytes) -> None:
    # Where the parent does not read, or has gone, there is nobody to tell.
    with suppress(BlockingIOError, BrokenPipeError):
        os.write(mouth, word)


def _end_with(life: int) -> None:
    """End in order once the parent has gone."""
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)
