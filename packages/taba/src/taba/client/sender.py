"""Sends frames in order, one request at a time, each repeated with the same bytes until it is answered.

200              the frames are counted
400, 413         they cannot be: frames sent as one are tried one by one; one that is refused by itself is
                 dropped, reason `refused`, and its tombstone goes in its place
anything else    repeated after a pause: 0.2 s, doubled each time up to 5 s, shortened at random by up to
                 half; or what Retry-After says
"""

from __future__ import annotations

import json
import random
import threading
import time
from contextlib import suppress

from taba.client.link import NONE, Address, Answer, Link
from taba.client.log import warn
from taba.client.pending import Encoded, Pending
from taba.locks.outgoing import Credentials

SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
LONGEST_RETRY_AFTER = 60.0
POLL = 0.002
"""Seconds between two looks at whether all is answered, while a program waits for that."""
UNANSWERED = 0
"""The status of an Answer that never came."""


def pause(failures: int, chance: float) -> float:
    """Seconds to wait after that many failures in a row, from 1; `chance` is from 0 to 1."""
    longest = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2.0 ** min(failures, 10))
    return longest * (1 - chance / 2)


class Signal:
    """Wakes one thread; waking it twice before it waits again is waking it once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let `wait` return, now or when it is called."""
        with suppress(RuntimeError):  # it is set already
            self._lock.release()

    def wait(self, seconds: float = -1) -> None:
        """Wait until set, or for that long."""
        self._lock.acquire(timeout=seconds)


class Sender:
    """Frames are put in from any thread; a thread of its own sends them, or tombstones in the place of some.

    All that blocks is taken from its module when the client starts, as its threads are. So a client that started
    before gevent patches the modules stays with threads and true locks, and never waits for one kind with the other.
    """

    def __init__(self, address: Address, limit: int, credentials: Credentials = NONE) -> None:
        self._lock = threading.RLock()
        self._wake = Signal()
        self._pending = Pending(limit)
        self._link = Link(address, credentials=credentials)
        self._address = address
        self._credentials = credentials
        self._chance = random.Random()  # noqa: S311 - nobody gains by guessing a pause
        self._reached = False
        self._away = False
        self._hurried = False
        self._failed = 0
        self._one_by_one = 0
        self._told: set[str] = set()

    def __len__(self) -> int:
        """Frames that are not answered yet."""
        with self._lock:  # while a tombstone takes a frame's place, there is neither for a moment
            return len(self._pending)

    def start(self) -> None:
        """Start the thread, which ends with the process."""
        threading.Thread(target=self._run, name="taba-send", daemon=True).start()

    def put(self, frame: Encoded) -> None:
        """Take a frame; never waits. For want of room the oldest that were never sent become a tombstone."""
        with self._lock:
            forgotten = self._pending.put(frame)
        self._wake.set()
        if forgotten:
            self._tell_once("crowded", "takes no frames, and there is no more room to say what was dropped")

    def configure(self, address: Address, limit: int, credentials: Credentials = NONE) -> None:
        """Send to `address` from now on, also what waits already."""
        with self._lock:
            self._pending.limit = limit
            if address != self._address or credentials != self._credentials:
                self._address, self._credentials = address, credentials
                self._reached = self._away = False
                self._hurry()

    def finish(self, seconds: float, patient: bool) -> bool:
        """Wait until all frames are answered; say whether they are.

        Not `patient`: where the receiver was out of reach before, one more failure ends the waiting.
        """
        deadline = time.monotonic() + seconds
        gives_up = not (patient or self._reached)
        failed = self._failed
        self._hurry()
        while self and time.monotonic() < deadline and not (gives_up and self._failed > failed):
            time.sleep(POLL)
        return not self

    def _hurry(self) -> None:
        self._hurried = True
        self._wake.set()

    def _run(self) -> None:
        while True:
            try:
                with self._lock:
                    batch = self._pending.send(1 if self._one_by_one else None)
                    self._one_by_one = max(0, self._one_by_one - 1)
                if batch:
                    self._deliver(batch)
                else:
                    self._wake.wait()
            except Exception as error:  # the thread must outlive one bad moment, such as a MemoryError
                self._tell_once("failed", f"is sent nothing for a moment: {error!r}")
                self._wake.wait(LONGEST_PAUSE)

    def _deliver(self, batch: list[Encoded]) -> None:
        """Repeat the batch until it is answered for good."""
        body = b"".join(frame.body for frame in batch)
        failures = 0
        while True:
            answer = self._try(body)
            if 200 <= answer.status < 300:
                self._settle(batch, answer)
                return
            if answer.status in (400, 413):
                self._refused(batch, answer)
                return
            failures = self._wait(answer, failures + 1)

    def _try(self, body: bytes) -> Answer:
        """One attempt. The frames carry their own numbers, so nothing else need tell a repetition from a first."""
        self._link.move(self._address, self._credentials)
        try:
            return self._link.post(body, {})
        except Exception as error:  # a name that cannot be one, an answer that is not HTTP: try again
            return Answer(UNANSWERED, None, str(error) or type(error).__name__)

    def _settle(self, batch: list[Encoded], answer: Answer) -> None:
        with self._lock:
            self._pending.settle()
        self._note_answered()
        self._note_rejected(answer)

    def _refused(self, batch: list[Encoded], answer: Answer) -> None:
        frame = batch[0]
        with self._lock:
            if len(batch) > 1:
                self._pending.recall()
                self._one_by_one = len(batch)
            elif frame.is_tombstone:
                self._pending.settle()
            else:
                self._pending.bury("refused")
                self._one_by_one += 1
        self._note_answered()
        if len(batch) == 1:
            self._note_refused(frame, answer)

    def _wait(self, answer: Answer, failures: int) -> int:
        """Pause after a failure; return the failures in a row, none where somebody is in a hurry."""
        self._note_failed(answer)
        seconds = pause(failures, self._chance.random())
        if answer.status in (429, 503) and answer.wait is not None:
            seconds = min(answer.wait, LONGEST_RETRY_AFTER)
        self._failed += 1
        deadline = time.monotonic() + seconds
        while not self._hurried and (left := deadline - time.monotonic()) > 0:
            self._wake.wait(left)
        hurried, self._hurried = self._hurried, False
        return 0 if hurried else failures

    def _note_failed(self, answer: Answer) -> None:
        self._reached = answer.status != UNANSWERED
        if not self._away:
            self._away = True
            mebibytes = self._pending.limit >> 20
            warn(
                f"{self._address.written} takes no frames ({_reason(answer)}): they are kept, up to "
                f"{mebibytes} MiB, and sent when it does"
            )

    def _note_answered(self) -> None:
        self._reached = True
        if self._away:
            self._away = False
            warn(f"{self._address.written} takes frames again: {len(self._pending)} wait")

    def _note_refused(self, frame: Encoded, answer: Answer) -> None:
        size = len(frame.body)
        if frame.is_tombstone:
            what = f"refused {size} bytes that say what was dropped ({_reason(answer)}): it is in no account"
            self._tell_once("refused tombstone", what)
        else:
            what = f"refused a frame of {size} bytes ({_reason(answer)}), and its events are dropped"
            self._tell_once("refused", what)

    def _note_rejected(self, answer: Answer) -> None:
        try:
            rejected = json.loads(answer.text)["rejected"]
            why = str(rejected[0]["error"])[:300] if rejected else ""
        except Exception:  # whatever it says, it has taken the frames
            return
        if why:
            self._tell_once("rejected", f"rejected events, and their number is in its ledger: {why}")

    def _tell_once(self, kind: str, what: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            warn(f"{self._address.written} {what}; this is told once")


def _reason(answer: Answer) -> str:
    text = answer.text.strip()[:300]
    return text if answer.status == UNANSWERED else f"status {answer.status} {text}".strip()
