"""Questions that are watched: each is answered once for all who watch it, after every write, and as time goes by.

A topic has no queue. It holds the present moment, and each watcher the number of the moment that it was told last; so
one that reads slowly is told of several moments at once, and the bytes of an update are made once for all who need the
same. All of it runs on the event loop, but for the answering, which is done in the threads of queries.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Iterator
from functools import partial

from taba.server.answering import Answering
from taba.server.intake import UNFORESEEN, StoppingError
from taba.server.live import moments
from taba.server.live.moments import Moment
from taba.server.live.question import Question, answer
from taba.server.parameters import ParameterError
from taba.server.service import Service
from taba.states.chunks import ChunkError
from taba.store import StoreError
from taba.store.protocol import Version

log = logging.getLogger(__name__)

PERIOD = 0.25
"""Seconds from one answering of a question to the next, at the least."""
SHARE = 2.0
"""And so many times as long as it took: what takes long takes a third of one thread at most."""
EVERY = 1.0
"""Seconds after which it is answered anew though nothing was written: windows move."""
LOOK = 0.2
"""Seconds from one look whether another server has written to the next."""
LINGER = 5.0
"""Seconds for which a question is kept that nobody watches, because who was cut off comes back."""
AT_ONCE = 2
"""Watched questions that are answered at once: others who ask need threads too."""
FRAMES = 8
"""Updates to one moment that are kept for others who need the same: from the moment before, from none, and so on."""
TOOK = "taba.server.live.ms"
"""Own tab: how long each answering of a watched question took."""


class TooManyWatched(Exception):
    """There are as many questions, or watchers, as there may be."""


class Hub:
    """The topics of a server. For the event loop."""

    def __init__(self, service: Service, answering: Answering) -> None:
        self.service = service
        self.answering = answering
        self.turn = asyncio.Semaphore(AT_ONCE)
        self._ending = False
        self._topics: dict[Question, Topic] = {}
        self._looking: asyncio.Task[None] | None = None
        service.intake.listeners.append(self._wake)
        service.leaving.append(self._end)

    @contextlib.contextmanager
    def watching(self, question: Question) -> Iterator[Topic]:
        """The topic of a question, kept while the block lasts. Raises TooManyWatched, StoppingError."""
        if self._ending:
            raise StoppingError("the server stops: watch again in a moment, there or at another one")
        limits = self.service.settings.limits
        if self.service.watchers >= limits.live_watchers:
            raise TooManyWatched(
                f"{self.service.watchers} watch already, as many as may (limits.live_watchers): try later"
            )
        topic = self._topics.get(question)
        if topic is None:
            topic = self._begun(question, limits.live_questions)
        self.service.watchers += 1
        topic.watchers += 1
        topic.stale.set()
        try:
            yield topic
        finally:
            topic.watchers -= 1
            self.service.watchers -= 1

    def _begun(self, question: Question, most: int) -> Topic:
        if len(self._topics) >= most:
            idle = next((one for one in self._topics.values() if not one.watchers), None)
            if idle is None:
                raise TooManyWatched(
                    f"{len(self._topics)} different questions are watched already, as many as may be "
                    "(limits.live_questions): watch one of these, or try later"
                )
            self._drop(idle)
        topic = self._topics[question] = Topic(question, self)
        self.service.watched = len(self._topics)
        topic.task = asyncio.create_task(self._kept(topic))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return topic

    async def _kept(self, topic: Topic) -> None:
        """Keep a topic until nobody watches it any more, or it cannot be answered."""
        try:
            await topic.run()
        finally:
            self._drop(topic)

    def _drop(self, topic: Topic) -> None:
        if self._topics.get(topic.question) is topic:
            del self._topics[topic.question]
            self.service.watched = len(self._topics)
        topic.end()

    def _wake(self) -> None:
        """Something was written here."""
        for topic in self._topics.values():
            topic.stale.set()

    async def _look(self) -> None:
        """While there are topics, see whether other servers have written."""
        known: Version = ()
        while self._topics:
            await asyncio.sleep(LOOK)
            # A store that cannot be read is told of by the topics, which try it too.
            with contextlib.suppress(StoreError):
                known = await asyncio.to_thread(self._written, known)
            for topic in self._topics.values():
                if topic.saw != known:
                    topic.stale.set()

    def _written(self, known: Version) -> Version:
        written = self.service.store.written()
        if written != known:
            # Tabs that another server was the first to record are asked for as soon as they are there.
            self.service.freshness.catch_up()
        return written

    def _end(self) -> None:
        """The server is about to stop: no stream may keep it."""
        self._ending = True
        for topic in list(self._topics.values()):
            self._drop(topic)


class Topic:
    """A question that is watched."""

    def __init__(self, question: Question, hub: Hub) -> None:
        self.question = question
        self.name = secrets.token_hex(8)
        self.moment: Moment | None = None
        self.trouble = ""
        """Why it cannot be answered for now."""
        self.failure: BaseException | None = None
        """Why it cannot be answered any more."""
        self.ended = False
        self.watchers = 0
        self.stale = asyncio.Event()
        """Set where the answers may be others by now."""
        self.saw: Version = ()
        """What was written when it was answered last."""
        self.task: asyncio.Task[None] | None = None
        self._hub = hub
        self._moved = asyncio.Event()
        self._frames: dict[int | None, asyncio.Future[bytes]] = {}
        self._told = 0.0
        self._resting = False
        """Whether it has not been answered since somebody watches it again."""

    async def run(self) -> None:
        """Answer again and again, while anybody watches."""
        while not self.failure and await self._watched():
            begun = time.monotonic()
            took = await self._answered()
            await asyncio.sleep(max(PERIOD - (time.monotonic() - begun), SHARE * took, 0))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stale.wait(), max(EVERY - (time.monotonic() - begun), 0))

    async def ready(self) -> None:
        """Wait until there is a present moment. Raises what keeps it from being answered at all."""
        while (self.moment is None or self._resting) and not self.failure and not self.ended:
            await self.moved()
        if self.failure is not None:
            raise self.failure

    async def moved(self) -> None:
        """Wait until there is something to tell."""
        await self._moved.wait()

    def seen(self, identity: str) -> int | None:
        """The number of the moment that an id names; None where it is not one of ours."""
        name, _, number = identity.partition(".")
        known = name == self.name and number.isascii() and number.isdigit() and len(number) < 16
        return int(number) if known else None

    async def frame(self, seen: int | None) -> tuple[int, bytes]:
        """The present moment's number, and what a reader is sent of it that saw the moment `seen` last."""
        moment = self.moment
        assert moment is not None
        made = self._frames.get(seen)
        if made is None:
            work = self._hub.answering.worked_out(partial(self._made, moment, seen))
            made = asyncio.ensure_future(work)
            if len(self._frames) < FRAMES:
                self._frames[seen] = made
        return moment.number, await asyncio.shield(made)

    def end(self) -> None:
        """Have its streams end."""
        self.ended = True
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()
        self._moved.set()

    async def _watched(self) -> bool:
        """Whether anybody watches; who has gone is waited for a while."""
        end = time.monotonic() + LINGER
        while not self.watchers and time.monotonic() < end:
            self._resting = True
            self.stale.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stale.wait(), LINGER / 10)
        return self.watchers > 0

    async def _answered(self) -> float:
        """Answer the question; the seconds that it took. What goes wrong is told to those who watch."""
        self.stale.clear()
        took = 0.0
        try:
            async with self._hub.turn:
                moment, self.saw, frame, took = await self._hub.answering.worked_out(self._following)
        except (StoreError, ChunkError) as error:
            self._failed(error, lasting=self.moment is None)
        except ParameterError as error:
            self._failed(error, lasting=True)
        except UNFORESEEN as error:
            log.exception("a watched question cannot be answered")
            self._failed(error, lasting=True)
        else:
            self._show(moment, frame)
        return took

    def _failed(self, error: BaseException, *, lasting: bool) -> None:
        known = isinstance(error, StoreError | ChunkError | ParameterError)
        text = str(error) if known else "the server failed at this; its log says how"
        if lasting:
            self.failure = error
        if lasting or not self.trouble:
            self.trouble = text
            self._move()

    def _show(self, moment: Moment, frame: bytes) -> None:
        now = time.monotonic()
        # Where nothing differs, that it is complete to a later time is told now and then.
        often = now < self._told + EVERY - PERIOD / 2
        if often and moment.quiet and not self.trouble and not self._resting:
            return
        self.moment, self.trouble, self._told = moment, "", now
        made: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        made.set_result(frame)
        self._frames = {moment.number - 1 or None: made}
        self._move()

    def _move(self) -> None:
        self._resting = False
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _following(self) -> tuple[Moment, Version, bytes, float]:
        """In a thread: the next moment, what was written before, the bytes of what changed, and the seconds."""
        begun = time.perf_counter()
        service, before = self._hub.service, self.moment
        written = service.store.written()
        head = self._hub.answering.head()
        more, pieces = answer(self.question, service)
        if before is None:
            moment = moments.first(self.question.shape, head | more, pieces)
        else:
            moment = moments.following(before, head | more, pieces)
        frame = self._made(moment, moment.number - 1 or None)
        took = time.perf_counter() - begun
        service.intake.note(TOOK, "percentile", took * 1000)
        return moment, written, frame, took

    def _made(self, moment: Moment, seen: int | None) -> bytes:
        name, data = moment.update(seen)
        return moments.event(name, data, f"{self.name}.{moment.number}")
