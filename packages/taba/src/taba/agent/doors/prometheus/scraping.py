"""Fetches the pages of exporters at intervals, and takes what they say.

Of each page there is told besides, as by Prometheus:

    up                          gauge    1 where the page came and could be read, 0 where not
    scrape_duration_seconds     gauge
    scrape_samples_scraped      gauge

What is wrong with a target is logged as it begins and as it ends. What one page told is entered at once: after a kill
the next page has all that the lost one had, since counters add up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from taba.agent.agent import Agent
from taba.agent.book import Book, Outcome, Work
from taba.agent.connection import Handle
from taba.agent.doors.prometheus.taking import Taking, Told
from taba.agent.journal import Journal
from taba.agent.writer import BusyError
from taba.dialects.prometheus.kinds import Kinds, Meaning, Role, meaning
from taba.dialects.prometheus.naming import CLIENT, NAME_LABEL, LabelError, checked, client_of, name_of, tab_of
from taba.dialects.prometheus.targets import Target, target, with_target
from taba.dialects.prometheus.text import Page, PageError, is_open_metrics, labels, read
from taba.settings import Agent as Settings

log = logging.getLogger(__name__)

FETCHERS = 8
"""Pages that are fetched at once."""
TIMEOUT = 10.0
"""The longest that a page may take, in seconds; never longer than the interval."""
MOST_SAMPLES = 500_000
"""Samples of one page."""
INVALID = "invalid"


@dataclass(slots=True)
class Result:
    """How a scrape went; `error` is empty where the page was read. `lost` samples of it were not taken, as `remark`."""

    target: Target
    error: str = ""
    seconds: float = 0.0
    samples: int = 0
    lost: int = 0
    remark: str = ""


@dataclass(slots=True)
class _Watched:
    """A target, and what is known of its series; the latter is for the journal's thread."""

    target: Target
    kinds: Kinds = field(default_factory=Kinds)
    version: int = 0
    known: dict[str, Meaning | LabelError] = field(default_factory=dict)
    trouble: str = ""

    def meaning_of(self, head: str) -> Meaning:
        """What a line's head means. Raises LabelError."""
        found = self.known.get(head)
        if found is None:
            found = self.known[head] = self._read(head)
        if isinstance(found, LabelError):
            raise found
        return found

    def _read(self, head: str) -> Meaning | LabelError:
        try:
            return meaning(checked(with_target(labels(head), self.target)), self.kinds)
        except PageError as error:
            return LabelError(INVALID, str(error))
        except LabelError as error:
            return error

    def learn(self, page: Page) -> None:
        """The types that a page tells; where they are others, or too much is known, nothing is known any more."""
        self.kinds.tell(page.kinds)
        if self.kinds.version != self.version or len(self.known) > 2 * len(page.heads) + 1000:
            self.version = self.kinds.version
            self.known.clear()

    def own(self, name: str) -> Meaning:
        """What is told of the target itself."""
        pairs = checked([(NAME_LABEL, name), *self.target.labels])
        client = client_of(pairs)
        return Meaning(Role.GAUGE, client, (tab_of(name, pairs),), target=f"{client}\n(up)")


class Scraping:
    """The door. It has no routes; `scraped` is called on the event loop after each scrape."""

    def __init__(self, agent: Agent, scraped: Callable[[Result], None] = lambda _: None) -> None:
        self._agent = agent
        self._scraped = scraped
        self._journal = Journal(agent, "scrape")
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._every = agent.settings.scrape_s
        self._pool: ThreadPoolExecutor | None = None

    @property
    def routes(self) -> Mapping[tuple[str, str], Handle]:
        """None: it asks."""
        return {}

    async def start(self) -> None:
        """Begin to fetch."""
        await self._journal.start()
        self.reload(self._agent.settings)

    async def stop(self) -> None:
        """Fetch no more, and have what came in the spool."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._journal.stop()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def reload(self, settings: Settings) -> None:
        """Fetch the pages that the settings name now, as often as they say."""
        wanted = dict.fromkeys(settings.scrape)
        if settings.scrape_s != self._every:
            self._every = settings.scrape_s
            kept: set[str] = set()
        else:
            kept = wanted.keys() & self._tasks.keys()
        for written in self._tasks.keys() - kept:
            self._tasks.pop(written).cancel()
        for place, written in enumerate(wanted):
            if written not in kept:
                wait = self._every * place / len(wanted) if place else 0.0
                self._tasks[written] = asyncio.create_task(self._follow(_Watched(target(written)), wait))

    async def _follow(self, watched: _Watched, wait: float) -> None:
        """Fetch a page again and again."""
        loop = asyncio.get_running_loop()
        due = loop.time() + wait
        while True:
            await asyncio.sleep(max(due - loop.time(), 0.0))
            try:
                result = await self._scrape(watched)
            except BusyError as error:
                result = Result(watched.target, f"the agent cannot take it: {error}")
            self._tell(watched, result)
            due = max(due + self._every, loop.time())

    async def _scrape(self, watched: _Watched) -> Result:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(FETCHERS, thread_name_prefix="taba-scrape")
        loop = asyncio.get_running_loop()
        fetched = partial(_fetched, watched.target, min(self._every, TIMEOUT), self._agent.settings.body_mb << 20)
        result, page, at = await loop.run_in_executor(self._pool, fetched)
        entered: asyncio.Future[None] = loop.create_future()

        def done(error: Exception | None, _: bytes) -> None:
            if error is not None and not result.error:
                result.error = str(error)
            if not entered.done():
                entered.set_result(None)

        work = Work(partial(_enter, watched, result, page, at), size=0 if page is None else 100 * len(page.heads))
        self._journal.submit(work, done)
        await entered
        return result

    def _tell(self, watched: _Watched, result: Result) -> None:
        """Count a scrape, and log what is not as it was."""
        self._agent.counts.add(f"scrapes{{result={'failed' if result.error else 'ok'}}}")
        trouble = result.error or result.remark
        if result.error and result.error != watched.trouble:
            log.warning("no page from %s: %s", watched.target.shown, result.error)
        elif trouble and not watched.trouble:
            log.warning("%d samples of %s are not taken: %s", result.lost, watched.target.shown, trouble)
        elif watched.trouble and not trouble:
            log.info("all is well again with %s", watched.target.shown)
        watched.trouble = trouble
        with suppress(Exception):
            self._scraped(result)


def _fetched(found: Target, seconds: float, limit: int) -> tuple[Result, Page | None, int]:
    """A page, read, and when it was asked for in milliseconds; on a fetcher's thread."""
    from taba.agent.doors.prometheus.fetching import FetchError, fetch  # an agent that fetches nothing needs none of it

    result, began, at = Result(found), time.monotonic(), time.time_ns() // 1_000_000
    page = None
    try:
        fetched = fetch(found, seconds, limit)
        page = read(fetched.body, open_metrics=is_open_metrics(fetched.content_type))
        if page.errors and not page.heads:
            raise PageError(f"this is no page of an exporter: {page.errors[0]}")
        if len(page.heads) > MOST_SAMPLES:
            raise PageError(f"the page has {len(page.heads)} samples, of {MOST_SAMPLES} at most")
        result.samples = len(page.heads)
    except (FetchError, PageError) as error:
        result.error, page = str(error), None
    result.seconds = time.monotonic() - began
    return result, page, at


def _enter(watched: _Watched, result: Result, page: Page | None, at: int, book: Book) -> Outcome:
    """What a page comes to; on the journal's thread."""
    taking = Taking(book)
    own = {
        "up": float(page is not None),
        "scrape_duration_seconds": result.seconds,
        "scrape_samples_scraped": float(result.samples),
    }
    told = [Told(watched.own(name), value, at) for name, value in own.items()]
    if page is not None:
        watched.learn(page)
        told += _told(watched, page, at, taking)
    heard = taking.take(told)
    result.lost = taking.refused.counts.total()
    result.remark = str(taking.refused)
    return Outcome(heard)


def _told(watched: _Watched, page: Page, at: int, taking: Taking) -> Iterator[Told]:
    client = watched.own("up").client
    for line in page.errors:
        taking.refused.add(INVALID, line)
        taking.lose(client, CLIENT, INVALID, at)
    for head, value, said in zip(page.heads, page.values, page.times, strict=True):
        try:
            found = watched.meaning_of(head)
        except LabelError as error:
            taking.refused.add(error.reason, str(error))
            taking.lose(client, name_of(head.partition("{")[0].strip() or CLIENT), error.reason, at)
        else:
            yield Told(found, value, at if said is None else said)
