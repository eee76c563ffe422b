"""A lane: one request under way at a time, repeated with the same bytes while there is a server to answer it.

live       the fresh frames, as soon as they are there
backlog    what is on the disk alone, oldest first, behind the live lanes and so gently that these keep their pace

A request is numbered, and its frames carry the numbers by which servers count them once. So it may be repeated on
whichever server answers; and where none does for a second, its frames go back, to be sent again in other company.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

from taba.agent.counts import Counts
from taba.agent.fresh import Bundle, Part
from taba.agent.graves import REFUSED, graves
from taba.agent.salvage import count_frames, pieces
from taba.agent.servers import Server, Servers
from taba.agent.spool import Spool
from taba.agent.writer import BusyError, WriteError
from taba.client.link import Address, Answer, Link
from taba.compression import pack

log = logging.getLogger(__name__)

LEVEL = 1
"""zstd's: higher ones took twice the time for a twentieth less."""
SHORT_PATIENCE = 2.0
"""Seconds without an answer after which another server is asked, where there is one; doubled each time."""
IDLE_SECONDS = 1.0
"""How long a lane waits at most before it looks whether it should end."""
REFUSALS = (400, 413)
"""What a server answers to what it cannot take."""
PACKED, PLAIN = {"Content-Encoding": "zstd"}, dict[str, str]()
LOCKED, LOCKED_PAUSE = (401, 403), 3.0
"""What a server answers that does not know the agent's token, and for how many seconds it is left alone then: the token
is another one once its file has changed."""
BUSY_PAUSE = 1.0
"""Seconds to leave a server alone that says that it has too much to do, and not for how long."""


class Lane(ABC):
    """A lane with a thread of its own. `take` gives the next bundle, or None after a moment."""

    def __init__(
        self,
        name: str,
        source: str,
        spool: Spool,
        servers: Servers,
        counts: Counts,
        bury: Callable[[bytes], None],
        patience: float,
    ) -> None:
        """`source` tells the agent's id and start; `bury` writes tombstones to the spool; `patience` in seconds."""
        self.name = name
        self.sequence = 0
        self.seconds = 0.0
        """How long the last answer took; without the time in which no server was there."""
        self.answered_at = 0.0
        """When that was (monotonic)."""
        self.state = "idle"
        self.patience = patience
        self._source = f"{source}/{name}"
        self._spool = spool
        self._servers = servers
        self._counts = counts
        self._bury = bury
        self._links: dict[Address, Link] = {}
        self._told = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"taba-{name}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def end(self) -> None:
        """Take nothing more, and repeat nothing more."""
        self._ending.set()

    def join(self, seconds: float) -> None:
        """Wait until the lane has ended, so long at most."""
        self._thread.join(seconds)

    @abstractmethod
    def take(self) -> Bundle | None:
        """The next bundle; None where there is none for a moment."""

    def rest(self) -> None:  # noqa: B027 - a lane need not rest
        """What to do after a bundle."""

    def _run(self) -> None:
        while not self._ending.is_set():
            bundle = None
            try:
                if not self._servers.wait(IDLE_SECONDS):
                    # What no server can take stays where it can be dropped, or overtaken by what is newer.
                    self.state = "waiting"
                    continue
                bundle = self.take()
                if bundle is not None:
                    self._forward(bundle)
            except Exception:  # the lane must outlive what nobody thought of
                log.exception("the lane %s failed; its frames are sent later", self.name)
                self._ending.wait(BUSY_PAUSE)
                if bundle is not None:
                    self._spool.release(bundle)
        for link in self._links.values():
            link.close()

    def _forward(self, bundle: Bundle) -> None:
        self.state = "sending"
        if self._deliver(bundle):
            self._spool.settle(bundle)
            self._counts.time(f"lane.ms{{lane={self.name.partition('-')[0]}}}", time.monotonic() - bundle.since)
            self.state = "idle"
            self.rest()
        else:
            self._spool.release(bundle)

    def _deliver(self, bundle: Bundle) -> bool:
        """Whether it was sent, or what is in its place is on the disk; False where nobody answers."""
        packed = pack(bundle.body, LEVEL)
        answer = self._answer(packed, PACKED, lambda answer: answer.status in REFUSALS)
        if answer is None:
            return False
        if answer.status in REFUSALS:
            return self._one_by_one(bundle)
        self._count(bundle.body, answer)
        return True

    def _one_by_one(self, bundle: Bundle) -> bool:
        """A server cannot take the bundle: send each frame alone, and a tombstone in the place of one it refuses.

        They go as they are, so that nothing but the frame can be the reason; and the answer must be a server's, and
        not that of something between us that has limits of its own.
        """
        for piece in pieces(bundle.body):
            body = bundle.body[piece.start : piece.stop]
            answer = self._answer(body, PLAIN, lambda answer: answer.status in REFUSALS and '"error"' in answer.text)
            if answer is None:
                return False
            if answer.status == 200:
                self._count(body, answer)
            elif not self._give_up(body, answer, bundle.parts[0]):
                return False
        return True

    def _give_up(self, body: bytes, answer: Answer, part: Part) -> bool:
        """Put a tombstone in the place of a frame; False where the lane ends before it is on the disk."""
        if not self._told:
            self._told = True
            log.error(
                "a server refuses a frame of %d bytes, and its events are dropped (further ones are only counted): %s",
                len(body),
                answer.text[:300],
            )
        self._spool.aside.keep(f"{part.segment.path.stem}-{part.start}.refused", body)
        buried = graves(body, REFUSED, alone=lambda header: True)
        self._counts.add(f"drops{{cause={REFUSED}}}", buried.events)
        if buried.body == body:  # it is a tombstone already, and nothing more can be said
            return True
        while not self._ending.is_set():
            try:
                self._bury(buried.body)
            except (BusyError, WriteError):
                self._ending.wait(BUSY_PAUSE)
            else:
                return True
        return False

    def _answer(self, body: bytes, encoding: dict[str, str], refusal: Callable[[Answer], bool]) -> Answer | None:
        """What a server says to it in the end: 200, or a `refusal`.

        None where the lane ends before that, or no server is there any more: then the frames go back to the backlog.
        """
        self.sequence += 1
        headers = {"Taba-Source": self._source, "Taba-Sequence": str(self.sequence), **encoding}
        patience, last = min(SHORT_PATIENCE, self.patience), None
        while not self._ending.is_set():
            server = self._servers.acquire(IDLE_SECONDS, last)
            if server is None:
                return None
            self.state = "sending"
            answer, last = self._attempt(server, body, headers, patience), server
            if answer is not None and (answer.status == 200 or refusal(answer)):
                self._servers.answered(server, self.seconds)
                self._counts.add("bytes{way=wire}", len(body))
                return answer
            if answer is not None:
                self._failed(server, answer)
            patience = min(patience * 2, self.patience)
        return None

    def _attempt(self, server: Server, body: bytes, headers: dict[str, str], patience: float) -> Answer | None:
        """One request; None where no answer came."""
        link = self._links.setdefault(server.address, Link(server.address, credentials=self._servers.credentials))
        seconds = patience if self._servers.alternative(server) else self.patience
        begun = time.monotonic()
        try:
            answer = link.post(body, headers, seconds)
        except Exception as error:  # whatever keeps an answer from coming
            self._counts.add(f"retries{{cause={'timeout' if isinstance(error, TimeoutError) else 'connection'}}}")
            self._servers.failed(server, str(error) or type(error).__name__)
            return None
        self.answered_at = time.monotonic()
        self.seconds = self.answered_at - begun
        return answer

    def _failed(self, server: Server, answer: Answer) -> None:
        """The server says that it cannot, or nothing that helps."""
        why = f"status {answer.status} {answer.text[:200]}".strip()
        if answer.status in (429, 503):
            self._counts.add("retries{cause=busy}")
            self._servers.busy(server, BUSY_PAUSE if answer.wait is None else answer.wait, why)
        elif answer.status in LOCKED:
            self._counts.add("retries{cause=locked}")
            if server.error != why:
                log.error("%s does not let this agent in, frames wait: %s", server.address.written, answer.text[:300])
            self._servers.busy(server, LOCKED_PAUSE, why)
        else:
            self._counts.add(f"retries{{cause=status_{answer.status}}}")
            self._servers.failed(server, why)

    def _count(self, body: bytes, answer: Answer) -> None:
        self._counts.add("bytes{way=out}", len(body))
        self._counts.add("frames{way=out}", count_frames(body))
        with suppress(ValueError, KeyError, TypeError):
            said = json.loads(answer.text)
            self._counts.add("events{way=out}", said["accepted"])
            if said["rejected"]:
                self._counts.add("rejected", said.get("rejected_total", len(said["rejected"])))


class LiveLane(Lane):
    """Sends what is fresh. `gather` seconds pass before it takes, so that frames of one moment travel together."""

    gather = 0.05
    most = 4 << 20

    def take(self) -> Bundle | None:
        """As in Lane."""
        return self._spool.take_fresh(self.most, IDLE_SECONDS, self.gather)


class BacklogLane(Lane):
    """Sends what is old, in bundles of a size that a server answers in about `AIM` seconds, and rests as long."""

    AIM = 0.4
    LEAST, FIRST, MOST = 128 << 10, 512 << 10, 4 << 20
    SLOW = 0.6
    """Seconds of a live lane's answer beyond which the backlog holds back."""
    RECENT = 3.0
    """Seconds for which that counts."""

    def __init__(self, *arguments: object, live: list[LiveLane]) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.size = self.FIRST
        self._live = live

    def take(self) -> Bundle | None:
        """As in Lane."""
        bundle = self._spool.take_backlog(self.size)
        if bundle is None:
            self._spool.wait_for_backlog(IDLE_SECONDS)
        return bundle

    def rest(self) -> None:
        """Fit the size to the time, and leave the servers to the live lanes for as long again, longer if these wait."""
        factor = 1.5 if self.seconds < self.AIM * 0.75 else 0.7 if self.seconds > self.AIM * 1.5 else 1.0
        self.size = int(min(max(self.size * factor, self.LEAST), self.MOST))
        recently = time.monotonic() - self.RECENT
        slow = any(lane.seconds > self.SLOW and lane.answered_at > recently for lane in self._live)
        self._ending.wait(min(self.seconds, self.AIM) * (3 if slow else 1))
