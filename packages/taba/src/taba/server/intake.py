"""The intake: gathers what requests bring for a moment, folds it, and answers once it is in the store.

Everything that comes within the gathering time, or while the batch before is written, is one batch: one table
of events, one fold for each type, one append. So the work grows with the batches, not with the requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate, count, takewhile

import polars as pl

from taba.handlers.registry import Registry
from taba.locks import limits
from taba.locks.gate import Gate
from taba.server.allowed import HOLDER, events_in, within
from taba.server.batch import Batch, assemble
from taba.server.client_tabs import ClientTabs
from taba.server.freshness import Freshness
from taba.server.listening import Listening
from taba.server.rules import Rules
from taba.server.submissions import Submission
from taba.server.submissions import own as submission_of_notes
from taba.server.writing import TypeTakenError, Writer
from taba.settings import Limits
from taba.states.catalogue import Catalogue
from taba.states.reading import ChunkCache
from taba.store.protocol import Receipt, Store, StoreError

log = logging.getLogger(__name__)

TOLD = 100
"""Rejected events that an answer lists; of the others it says how many."""

UNFORESEEN = (Exception, pl.exceptions.PanicException)
"""Whatever may go wrong; a panic in Polars is no Exception to Python."""
BATCH_BYTES = 8 << 20
"""What one batch takes at most (but always one submission): folding it takes about 20 times that in memory."""
NOTES = 10_000
"""Events of the server's own that wait for the next batch at most."""
FOLD_MS = "taba.server.fold.ms"
REFUSED = "taba.server.refused"
FAILED = "taba.server.store.failed"
RETRY_SECONDS = 1.0
"""How often the store is tried again after a failure, where no events come that would try it."""


class OverloadedError(Exception):
    """More waits than may wait; the same request may be sent again."""


class UnfoldableError(Exception):
    """A handler fails on something in a submission, and would do so again; nothing of it was counted."""


class StoppingError(Exception):
    """The server ends, and what was sent is stored or not."""


@dataclass(slots=True)
class Outcome:
    """What became of a submission: events accepted, and (index, error) of those that were not."""

    accepted: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)
    rejected_total: int = 0
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds of gathering, how old an event may be, and the limits that the settings say."""

    gather: float
    past: float
    limits: Limits

    @property
    def pending(self) -> int:
        """Bytes that may wait."""
        return self.limits.pending_mb << 20


class Intake:
    """Submissions in, outcomes out. `submit` is for the event loop; folding has a thread of its own."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        catalogue: Catalogue,
        freshness: Freshness,
        cache: ChunkCache,
        bounds: Bounds,
        clock: Callable[[], float] = time.time,
        gate: Gate | None = None,
    ) -> None:
        """`gate` counts the events of tokens."""
        self._gate = gate
        self._registry = registry
        self._catalogue = catalogue
        self._freshness = freshness
        self._writer = Writer(store, registry, catalogue, cache, clock)
        self.bounds = bounds
        self.listeners: list[Callable[[], None]] = []
        """Called on the event loop whenever a batch is in the store."""
        self._clock = clock
        self._client_tabs = ClientTabs(time.monotonic)
        self._waiting: list[tuple[Submission, asyncio.Future[Outcome]]] = []
        self._weight = 0
        self._since = 0.0
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="taba-intake")
        # What comes without a receipt gets one, so that writing it to several shards can be taken up again.
        self._own_source = f"server/{uuid.uuid4().hex}"
        self._own_sequences = count(1)
        self._client = f"taba-server-{re.sub(r'[^A-Za-z0-9_.-]', '_', socket.gethostname())}"
        self._notes: deque[tuple[str, str, float]] = deque()
        self.failure: str | None = None
        """Why the last batch could not be stored; None while all is well."""
        self.listening = Listening(clock())

    @property
    def waiting(self) -> int:
        """Bytes of requests that wait to be folded, or are being folded."""
        return self._weight

    def note(self, tab: str, kind: str, value: float) -> None:
        """Record an event of the server's own, with the next batch; beyond NOTES of them they are left out."""
        if len(self._notes) < NOTES:
            self._notes.append((tab, kind, value))

    async def submit(self, submissions: Sequence[Submission]) -> Outcome:
        """The outcome of a request's submissions, once they are in the store. Raises OverloadedError, StoreError, and
        UnfoldableError where a handler fails on one of them; others of the same request may be stored then.

        Whose request this is (HOLDER) decides what of it may be written, whichever call it came by."""
        submissions = self._permitted(submissions)
        weight = sum(submission.weight for submission in submissions)
        if self._weight + weight > self.bounds.pending:
            raise OverloadedError("more events wait to be folded than may wait (limits.pending_mb): send this again")
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Outcome]] = [loop.create_future() for _ in submissions]
        if not self._waiting:
            self._since = loop.time()
        self._waiting += zip(submissions, futures, strict=True)
        self._weight += weight
        self._arrived.set()
        return _together(await asyncio.gather(*futures))

    def _permitted(self, submissions: Sequence[Submission]) -> Sequence[Submission]:
        """What the token of this request may write; its events are taken from the token's allowance."""
        holder = HOLDER.get()
        if holder is None:
            return submissions
        if self._gate is not None and holder.events_per_s is not None:
            self._gate.meters.charge(holder, limits.EVENTS, events_in(submissions))
        return within(submissions, holder)

    async def run(self) -> None:
        """Take batch after batch, until cancelled; then what still waits."""
        try:
            while True:
                await self._something()
                # Gathering counts from the first arrival: what came while a batch was folded has waited already.
                waited = asyncio.get_running_loop().time() - self._since
                await asyncio.sleep(max(self.bounds.gather - waited, 0))
                await self._take()
        finally:
            try:
                while self._waiting:
                    await self._take()
            finally:
                self._thread.shutdown()

    async def _something(self) -> None:
        """Wait until there is something to fold; or, after a failure, until it is time to see whether it is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), None if self.failure is None else RETRY_SECONDS)

    async def _take(self) -> None:
        """Fold what waits, and tell those who wait for it."""
        weights = accumulate(submission.weight for submission, _ in self._waiting)
        size = max(sum(1 for _ in takewhile(lambda weight: weight <= BATCH_BYTES, weights)), 1)
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        if not self._waiting:
            self._arrived.clear()
        submissions = [submission for submission, _ in taken]
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._fold_safely, submissions)
        cancelled = None
        try:
            outcomes = await asyncio.shield(work)
        except asyncio.CancelledError as error:
            cancelled, outcomes = error, await work
        self._weight -= sum(submission.weight for submission in submissions)
        for (_, future), outcome in zip(taken, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        if not all(isinstance(outcome, Exception) for outcome in outcomes):
            for tell in self.listeners:
                tell()
        if cancelled is not None:
            raise cancelled

    def _fold_safely(self, submissions: Sequence[Submission]) -> Sequence[Outcome | Exception]:
        """Fold a batch; where that fails for no fault of the store's, each submission alone, so only its own fails."""
        begun = time.perf_counter()
        self.listening.begins(self._clock())
        try:
            outcomes = self.fold(submissions)
        except StoreError as error:
            self.listening.refused(self._clock())
            if self.failure is None:
                log.error("events cannot be stored: %s", error)  # noqa: TRY400 (the text says it all)
            self.failure = str(error)
            self.note(FAILED, "counter", 1)
            return [error] * len(submissions)
        except UNFORESEEN as error:
            self.listening.ends()
            log.exception("a batch of %d submissions could not be folded", len(submissions))
            if len(submissions) == 1:
                # Repeating it would keep its sender, and what it sends next, for ever.
                kind = OverloadedError if isinstance(error, MemoryError) else UnfoldableError
                return [kind(f"this could not be folded: {error}")]
            return [outcome for submission in submissions for outcome in self._fold_safely([submission])]
        self.listening.stored(self._clock())
        if self.failure is not None:
            log.info("events are stored again")
        self.failure = None
        self.note(FOLD_MS, "percentile", (time.perf_counter() - begun) * 1000)
        return outcomes

    def fold(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Fold and store submissions as one batch. Nothing else may call this at the same time."""
        # One by one from its beginning: other threads append meanwhile.
        notes = [self._notes.popleft() for _ in range(len(self._notes))]
        if notes:
            mine = submission_of_notes(self._client, notes, self._clock())
            return self.fold([*submissions, mine])[:-1]
        first, repeated = self._with_receipts(submissions)
        written: set[int] = set()
        while True:
            batch = self._assemble(first)
            try:
                duplicates = self._writer.write(first, batch, written)
            except TypeTakenError:
                self._freshness.catch_up()
            else:
                break
        self._catalogue.add(batch.tabs)
        outcomes = _outcomes(first, batch, duplicates - written)
        by_receipt = {sub.receipts: outcome for sub, outcome in zip(first, outcomes, strict=True)}
        return [
            Outcome(duplicate=True) if index in repeated else by_receipt[submission.receipts]
            for index, submission in enumerate(submissions)
        ]

    def _with_receipts(self, submissions: Sequence[Submission]) -> tuple[list[Submission], set[int]]:
        """The submissions to fold, each with a receipt; and the places of those that repeat another's."""
        seen: set[Receipt] = set()
        first, repeated = [], set()
        for index, submission in enumerate(submissions):
            if not submission.receipts:
                submission.receipts = (Receipt(self._own_source, next(self._own_sequences)),)
            if seen.isdisjoint(submission.receipts):
                first.append(submission)
            else:
                repeated.add(index)
            seen.update(submission.receipts)
        return first, repeated

    def _assemble(self, submissions: Sequence[Submission]) -> Batch:
        self._freshness.look()
        now = self._clock()
        bounds = self.bounds
        rules = Rules(bounds.limits, max(now - bounds.past, 0.0), now + bounds.limits.future_s)
        with self._catalogue.changing:
            return assemble(submissions, self._catalogue, self._registry, rules, self._client_tabs, now)


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome for a request that brought several submissions."""
    return Outcome(
        sum(outcome.accepted for outcome in outcomes),
        [rejection for outcome in outcomes for rejection in outcome.rejected][:TOLD],
        sum(outcome.rejected_total for outcome in outcomes),
        all(outcome.duplicate for outcome in outcomes),
    )


def _outcomes(submissions: Sequence[Submission], batch: Batch, duplicates: set[int]) -> list[Outcome]:
    outcomes = [
        Outcome(duplicate=True)
        if number in duplicates
        else Outcome(batch.accepted.get(number, 0), *_refused(submission))
        for number, submission in enumerate(submissions)
    ]
    for number, total, indexes, errors in _told(batch.rejected):
        outcome = outcomes[number]
        if not outcome.duplicate:
            outcome.rejected += zip(indexes, errors, strict=True)
            outcome.rejected_total += total
    for outcome in outcomes:
        outcome.rejected = sorted(outcome.rejected)[:TOLD]
    return outcomes


def _refused(submission: Submission) -> tuple[list[tuple[int, str]], int]:
    """What was refused of a submission before it was folded: some of it, and how much."""
    denied = submission.denied
    told, count = (denied.told, denied.count) if denied else ([], 0)
    return [*submission.refused, *told], submission.refusals() + count


def _told(rejected: pl.DataFrame) -> Iterable[tuple[int, int, list[int], list[str]]]:
    """By submission: how many events were rejected, and of TOLD of them the index and the error."""
    if rejected.is_empty():
        return ()
    told = rejected.group_by("submission").agg(
        total=pl.len(), index=pl.col("index").head(TOLD), error=pl.col("error").head(TOLD)
    )
    return told.iter_rows()
