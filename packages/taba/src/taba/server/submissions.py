"""Request bodies -> submissions: frames, JSON and NDJSON as columns, each with the errors of its own.

A body that cannot be read at all raises BadRequest. An event that cannot be read, beside others that can, is
among the submission's `refused` and counts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import polars as pl

from taba import frame, names
from taba.compression import PackedTooLargeError, PackingError, unpack
from taba.frame import Frame
from taba.headers import parse as parse_header
from taba.store.protocol import Receipt

JSON, NDJSON = "application/json", "application/x-ndjson"
CONTENT_TYPES = (frame.CONTENT_TYPE, JSON, NDJSON)
UNREADABLE = "\0"
"""Begins the written form of a tab whose tags cannot be read; the rest is the reason. No name begins so."""


class BadRequest(Exception):
    """A request of which nothing was taken; the text says which part and why."""


class TooLarge(BadRequest):
    """A request beyond the size that is taken."""


class Event(msgspec.Struct, gc=False):
    """One event as JSON writes it."""

    tab: str
    value: Annotated[float | str, msgspec.Meta(description="a number, or a text")]
    type: str | None = None
    time: float | None = None
    tags: msgspec.Raw = msgspec.Raw(b"")
    client: str | None = None


class _Body(msgspec.Struct):
    events: list[Event]
    client: str | None = None


class _LooseBody(msgspec.Struct):
    events: list[msgspec.Raw]
    client: str | None = None


SEQUENCE = re.compile(r"(?=0*[1-9])[0-9]{1,15}", re.ASCII)
_Read = tuple[list[Event], list[tuple[int, str]], str | None]
"""Events, those of them that are refused (index, error), and the client of those that name none."""

_parse_body = msgspec.json.Decoder(_Body).decode
_parse_loose_body = msgspec.json.Decoder(_LooseBody).decode
_parse_event = msgspec.json.Decoder(Event).decode
_parse_lines = msgspec.json.Decoder(Event).decode_lines
_parse_tags = msgspec.json.Decoder(dict[str, str | int | float | bool]).decode


@dataclass(frozen=True, slots=True)
class Denied:
    """Events of clients that a token may not write for: counted as `client`'s; `told` are (index, error) of some."""

    client: str
    count: int
    told: list[tuple[int, str]]


@dataclass(slots=True)
class Submission:
    """What one request brought, or (`own`) what the server says of itself.

    `weight` is its size in bytes; `refused` are (index, error) of single events that could not be read. Where `lost`
    counts these, by (client, tab, reason), `refused` may name the first of them alone. `tabs` are regular expressions
    of the tabs that its token may write, None where it may write any.
    """

    receipts: tuple[Receipt, ...]
    weight: int
    frames: Sequence[Frame] = ()
    events: pl.DataFrame | None = None
    refused: list[tuple[int, str]] = field(default_factory=list)
    own: bool = False
    lost: Mapping[tuple[str, str, str], int] | None = None
    tabs: tuple[str, ...] | None = None
    denied: Denied | None = None

    def refusals(self) -> int:
        """How many events could not be read."""
        return len(self.refused) if self.lost is None else sum(self.lost.values())


def read(
    content_type: str, body: bytes, headers: Mapping[str, str], client: str | None, now: float
) -> list[Submission]:
    """A request's body as submissions, each counted once by itself. Raises BadRequest.

    `client` is the default for events that name none.
    """
    if content_type == frame.CONTENT_TYPE:
        return _read_frames(body)
    if content_type not in CONTENT_TYPES:
        raise BadRequest(f"Content-Type {content_type!r} is not taken: send {', '.join(CONTENT_TYPES)}")
    try:
        events, refused, client = _read_lines(body, client) if content_type == NDJSON else _read_body(body, client)
    except RecursionError:
        raise BadRequest("the body is nested more deeply than an event can be") from None
    receipts = _receipts(headers)
    return [Submission(receipts, len(body), events=_columns(events, client, now, refused), refused=refused)]


def own(client: str, notes: Sequence[tuple[str, str, float]], now: float) -> Submission:
    """What the server says of itself, as a submission: (tab, type, value) each."""
    events = [Event(tab, value, kind) for tab, kind, value in notes]
    return Submission((), 0, events=_columns(events, client, now, ()), own=True)


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was before compression, at most `limit` bytes of it. Raises BadRequest."""
    try:
        return unpack(body, encoding, limit)
    except PackedTooLargeError as error:
        raise TooLarge(f"{error} (limits.body_mb): send it in parts") from None
    except PackingError as error:
        raise BadRequest(str(error)) from None


def _receipts(headers: Mapping[str, str]) -> tuple[Receipt, ...]:
    source, sequence = headers.get("taba-source"), headers.get("taba-sequence")
    if source is None and sequence is None:
        return ()
    if not source or len(source) > 300:
        raise BadRequest("Taba-Source must have 1 to 300 characters, and goes with Taba-Sequence")
    if sequence is None or not SEQUENCE.fullmatch(sequence):
        raise BadRequest(f"Taba-Sequence must be a whole number from 1, of at most 15 digits, not {sequence!r}")
    return (Receipt(source, int(sequence)),)


def _read_frames(body: bytes) -> list[Submission]:
    """Each frame by itself: its own number is its receipt, in whatever company it comes."""
    try:
        frames = list(frame.decode(body, parse_header))
        for one in frames:
            names.check_client(one.header.client)
    except (frame.FrameError, names.NameRuleError) as error:
        raise BadRequest(str(error)) from None
    if not frames:
        raise BadRequest("the body holds no frame")
    return [Submission((_receipt(one.header),), len(body) // len(frames), [one]) for one in frames]


def _receipt(header: frame.Header) -> Receipt:
    """A frame's number; no client has a space in it, so two clients' epochs are never one source."""
    several = header.first is not None and header.first < header.sequence
    return Receipt(f"{header.client} {header.epoch}", header.sequence, header.first if several else None)


def _read_body(body: bytes, client: str | None) -> _Read:
    try:
        parsed = _parse_body(body)
        return parsed.events, [], parsed.client or client
    except msgspec.ValidationError:
        # Some part is not as declared: find out which events, so that the others live.
        try:
            loose = _parse_loose_body(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f'the body must be {{"client": "…", "events": […]}}: {error}') from None
        return *_one_by_one([bytes(raw) for raw in loose.events]), loose.client or client
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None


def _read_lines(body: bytes, client: str | None) -> _Read:
    try:
        return _parse_lines(body), [], client
    except (msgspec.DecodeError, UnicodeDecodeError):
        return *_one_by_one([line for line in body.split(b"\n") if line.strip()]), client


def _one_by_one(texts: Sequence[bytes]) -> tuple[list[Event], list[tuple[int, str]]]:
    """The slow way, for bodies that hold a bad event: which are bad, and why. A bad one keeps its place."""
    events, refused = [], []
    for index, text in enumerate(texts):
        try:
            events.append(_parse_event(text))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            refused.append((index, str(error)))
            events.append(Event("", 0.0))
    return events, refused


class _Written(dict[Any, str]):
    """(tab, tags as JSON) -> the tab's one written form; each pair is worked out once."""

    def __missing__(self, pair: tuple[str, bytes]) -> str:
        tab, raw = pair
        written = tab if not raw or raw == b"null" else _joined(tab, raw)
        self[pair] = written
        return written


def _joined(tab: str, raw: bytes) -> str:
    try:
        tags = {key: _tag_value(value) for key, value in _parse_tags(raw).items()}
        name, inside = names.parse(tab)
        names.check_tags(tags)
        return names.join(name, inside | tags)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, names.NameRuleError) as error:
        return f"{UNREADABLE}tags: {error}"


def _tag_value(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _columns(events: list[Event], client: str | None, now: float, refused: Sequence[tuple[int, str]]) -> pl.DataFrame:
    """Events as a table, without those that are refused already; `index` is the event's place in the request.

    `client` is null where it is missing or breaks the rules.
    """

    def column(name: str) -> list[Any]:
        return list(map(attrgetter(name), events))

    written = list(map(_Written().__getitem__, zip(column("tab"), map(bytes, column("tags")), strict=True)))
    values = column("value")
    is_text = list(map(isinstance, values, repeat(str)))
    table = pl.DataFrame(
        {
            "written": pl.Series(written, dtype=pl.String),
            "full_type": pl.Series(column("type"), dtype=pl.String),
            "client": pl.Series(column("client"), dtype=pl.String).fill_null(client or ""),
            "time": pl.Series(column("time"), dtype=pl.Float64).fill_null(now),
            "number": pl.Series(_only(values, is_text, False), dtype=pl.Float64),
            "text": pl.Series(_only(values, is_text, True), dtype=pl.String),
        }
    )
    fits = pl.col("client").str.contains(f"^{names.CLIENT_PATTERN}$")
    table = table.with_row_index("index").with_columns(client=pl.when(fits).then("client").cast(pl.Categorical))
    return table.filter(~pl.col("index").is_in([index for index, _ in refused])) if refused else table


def _only(values: list[Any], is_text: list[bool], wanted: bool) -> list[Any]:
    """The values of one kind, None in the place of the others."""
    if wanted not in is_text:
        return [None] * len(values)
    if (not wanted) not in is_text:
        return values
    pick: Callable[[Any, bool], Any] = lambda value, text: value if text is wanted else None  # noqa: E731
    return list(map(pick, values, is_text))
