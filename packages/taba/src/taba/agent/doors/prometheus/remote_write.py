"""POST /api/v1/write: Prometheus' remote write, versions 1.0 and 2.0.

An answer is given once all that was taken is on the disk:

    204    all of it
    400    not all of it: the text says what was not, and why; the rest was taken, and sending again changes nothing
    413    larger than is taken
    415    another message or compression
    503    nothing of it was taken: it is to be sent again

Senders drop what was answered with a 4xx. With 204 and 400 the headers X-Prometheus-Remote-Write-…-Written say how many
samples and native histograms were taken; exemplars never are. A request that comes twice is answered as the first time.
A sample that is not newer than what is known of its counter is known already, and adds nothing.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from taba.agent.agent import Agent
from taba.agent.book import Book, Outcome, Work
from taba.agent.connection import Fields, Handle, Request, Respond
from taba.agent.doors.prometheus.taking import BAD_VALUE, Taking, Told
from taba.agent.journal import Journal
from taba.agent.writer import BusyError, WriteError
from taba.compression import PackedTooLargeError, in_words
from taba.dialects.buckets import BucketsError
from taba.dialects.prometheus.kinds import NATIVE, Kinds, Meaning, Role, meaning
from taba.dialects.prometheus.naming import CLIENT, NAME_LABEL, LabelError, checked, client_of, name_of
from taba.settings import Agent as Settings

log = logging.getLogger(__name__)

PATH = "/api/v1/write"
MOST_KNOWN = 100_000
"""Series whose labels are not looked into again."""
KNOWN_BYTES = 4_000
"""Labels of more bytes, or so, are looked into each time."""
METADATA_SECONDS = 90.0
"""So long is waited for a family's type, where only metadata can say it: senders tell them each minute."""
INVALID = "invalid"
KINDS_NOTE = "kinds"
ERROR_CHARACTERS = 1_000


class _Answer(msgspec.Struct, array_like=True):
    """What a request is answered, as the book keeps it."""

    status: int
    error: str
    samples: int
    histograms: int


_answer = msgspec.msgpack.Decoder(_Answer).decode
_pack = msgspec.msgpack.encode


class RemoteWrite:
    """The door. What is kept in memory alone is for the journal's thread."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._journal = Journal(agent, "remote_write")
        self._kinds: Kinds | None = None
        self._version = -1
        self._known: dict[tuple[Any, str], Meaning | LabelError] = {}
        self._awaited: dict[str, float] = {}

    @property
    def routes(self) -> Mapping[tuple[str, str], Handle]:
        """Where it is written to."""
        return {("POST", PATH): self.handle}

    async def start(self) -> None:
        """Write what was left in the journal."""
        await self._journal.start()

    async def stop(self) -> None:
        """Have what was taken in the spool."""
        await self._journal.stop()

    def reload(self, settings: Settings) -> None:
        """Nothing here depends on settings that change."""

    def handle(self, request: Request, respond: Respond) -> None:
        """Answer a request, once what is taken of it is on the disk."""
        from taba.dialects.prometheus import requests  # protobuf is for agents that are written to

        try:
            version = requests.version_of(request.headers.get(b"content-type", b"application/x-protobuf").decode())
            encoding = request.headers.get(b"content-encoding", b"snappy").lower()
            if encoding != b"snappy":
                raise requests.RequestError(f"Content-Encoding {encoding.decode()!r} is not taken: send snappy")
        except (requests.RequestError, UnicodeDecodeError) as error:
            self._refuse(respond, 415, "invalid", str(error))
            return
        limit = min(self._agent.settings.body_mb << 20, self._agent.spool.largest())
        if request.too_large:
            self._refuse_large(respond, f"the body has more than {in_words(limit)}")
            return
        digest = hashlib.blake2b(request.body, digest_size=16, person=b"remote write").digest()
        work = Work(partial(self._enter, request.body, version, limit), digest, len(request.body))
        try:
            self._journal.submit(work, partial(self._done, request, respond))
        except BusyError as error:
            self._refuse(respond, 503, "busy", f"{error}; send this again")

    def _done(self, request: Request, respond: Respond, error: Exception | None, answer: bytes) -> None:
        match error:
            case None:
                said = _answer(answer)
                request.charge(said.samples + said.histograms)
                _give(respond, said)
            case PackedTooLargeError():
                self._refuse_large(respond, str(error))
            case BusyError() | WriteError():
                self._refuse(respond, 503, "spool", f"{error}; send this again")
            case ValueError():
                self._refuse(respond, 400, "invalid", str(error))
            case _:
                log.error("a remote write failed", exc_info=error)
                self._refuse(respond, 500, "failed", "the agent failed at this; its log says how")

    def _refuse_large(self, respond: Respond, why: str) -> None:
        self._refuse(respond, 413, "too_large", f"{why} (agent.body_mb, and half of agent.spool_mb): send it in parts")

    def _refuse(self, respond: Respond, status: int, cause: str, why: str) -> None:
        self._agent.counts.add(f"refused{{cause={cause}}}")
        respond(status, msgspec.json.encode({"error": why}))

    # On the journal's thread.

    def _enter(self, body: bytes, version: str, limit: int, book: Book) -> Outcome:
        """What a request comes to. Raises PackingError, RequestError."""
        from taba.dialects.prometheus import requests, snappy

        request = requests.read(snappy.unpack(body, limit), version)
        kinds = self._learned(book, request.kinds)
        taking = Taking(book, apart=True)
        reading = _Reading(taking, self, kinds, patient=version == requests.VERSION_1)
        heard = taking.take(list(reading.told(request.series)))
        refused = taking.refused
        missing = refused.counts.total()
        samples = reading.samples - (missing - refused.histograms)
        error = (
            f"{missing} of {reading.samples + reading.histograms} samples are not taken: {refused}" if missing else ""
        )
        answer = _Answer(
            400 if missing else 204, error[:ERROR_CHARACTERS], samples, reading.histograms - refused.histograms
        )
        return Outcome(heard, _pack(answer))

    def _learned(self, book: Book, told: Mapping[str, str]) -> Kinds:
        """The types of families: those known, and those that this request tells."""
        if self._kinds is None:
            self._kinds = Kinds()
            note = book.note("", KINDS_NOTE)
            self._kinds.tell({} if note is None else msgspec.msgpack.decode(note, type=dict[str, str]))
            self._version = self._kinds.version
        kinds = self._kinds
        kinds.tell(told)
        self._forget_if_changed(book, kinds)
        return kinds

    def _forget_if_changed(self, book: Book, kinds: Kinds) -> None:
        if kinds.version != self._version or len(self._known) > MOST_KNOWN:
            if kinds.version != self._version:
                book.keep("", KINDS_NOTE, _pack(dict(kinds.told)))
                self._version = kinds.version
            self._known.clear()

    def meaning_of(self, series: Any, kinds: Kinds, patient: bool) -> Meaning:
        """What a series is. Raises LabelError."""
        from taba.dialects.prometheus import requests

        kind = NATIVE if series.histograms else series.kind
        key = (requests.compact(series.key), kind)
        known = self._known.get(key)
        if known is None:
            try:
                pairs = checked(requests.labels(series.key))
                known = meaning(pairs, kinds, kind, patient=patient and self._waits(pairs[NAME_LABEL]))
            except requests.RequestError as error:
                known = LabelError(INVALID, str(error))
            except LabelError as error:
                known = error
            unclear = isinstance(known, Meaning) and known.role is Role.UNCLEAR
            # One that is not as the protocol says may look like another's: that one must not be taken for it.
            if not unclear and _size(series.key) <= KNOWN_BYTES and requests.is_plain(series.key):
                self._known[key] = known
        if isinstance(known, LabelError):
            raise known
        return known

    def _waits(self, name: str) -> bool:
        """Whether a family's type may still be told."""
        now = time.monotonic()
        if len(self._awaited) > MOST_KNOWN:
            self._awaited.clear()
        return now - self._awaited.setdefault(name_of(name), now) < METADATA_SECONDS


def _size(key: Any) -> int:
    """About how many bytes a series' labels take."""
    return sum(map(len, key)) + 8 * len(key)


class _Reading:
    """Goes through a request's series; `samples` and `histograms` count what there was."""

    def __init__(self, taking: Taking, door: RemoteWrite, kinds: Kinds, *, patient: bool) -> None:
        self._taking = taking
        self._door = door
        self._kinds = kinds
        self._patient = patient
        self.samples = self.histograms = 0

    def told(self, series: Iterator[Any]) -> Iterator[Told]:
        """The samples of series whose meaning is known; the others are lost."""
        unclear = []
        for one in series:
            self.samples += len(one.samples)
            self.histograms += len(one.histograms)
            found = self._meaning(one)
            if found is not None and found.role is Role.UNCLEAR:
                unclear.append(one)
            elif found is not None:
                yield from self._samples(found, one)
        for one in unclear:
            # By now the others may have told of what family it is.
            found = self._meaning(one)
            if found is not None:
                yield from self._samples(found, one)

    def _meaning(self, series: Any) -> Meaning | None:
        """What a series is; None where nothing can be taken of it."""
        try:
            if series.error:
                raise LabelError(INVALID, series.error)
            return self._door.meaning_of(series, self._kinds, self._patient)
        except LabelError as error:
            self._lose(series, error.reason, str(error))
            return None

    def _samples(self, found: Meaning, series: Any) -> Iterator[Told]:
        for sample in series.samples:
            yield Told(found, sample.value, sample.time, sample.start)
        yield from self._natives(found, series.histograms)

    def _natives(self, found: Meaning, histograms: list[Any]) -> Iterator[Told]:
        from taba.dialects.prometheus.native import buckets_of, is_stale

        for sample in histograms:
            if is_stale(sample.value.sum):
                continue
            try:
                told = buckets_of(sample.value)
            except BucketsError as error:
                self._taking.refused.add(BAD_VALUE, f"{found.tabs[0]}: {error}", histograms=1)
                self._taking.lose(found.client, found.tabs[0], BAD_VALUE, sample.time)
            else:
                yield Told(found, told, sample.time, sample.start)

    def _lose(self, series: Any, reason: str, why: str) -> None:
        """All samples of a series."""
        from taba.dialects.prometheus import requests

        if not (series.samples or series.histograms):
            self.samples += 1  # whatever there was cannot be read
        count = len(series.samples) + len(series.histograms)
        client, tab = CLIENT, CLIENT
        try:
            pairs = dict(requests.labels(series.key))
            client, tab = client_of(pairs), name_of(pairs[NAME_LABEL]) if NAME_LABEL in pairs else CLIENT
        except (requests.RequestError, ValueError):
            pass
        for sample in [*series.samples, *series.histograms]:
            self._taking.lose(client, tab, reason, sample.time)
        self._taking.refused.add(reason, why, max(count, 1), len(series.histograms))


def _give(respond: Respond, answer: _Answer) -> None:
    fields: Fields = tuple(
        (b"x-prometheus-remote-write-%b-written" % what, b"%d" % count)
        for what, count in ((b"samples", answer.samples), (b"histograms", answer.histograms), (b"exemplars", 0))
    )
    body = msgspec.json.encode({"error": answer.error}) if answer.error else b""
    respond(answer.status, body, fields=fields)
