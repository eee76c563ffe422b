"""A body in the original's protocol -> what each client recorded, tab by tab; and the lines that mean nothing.

A tab's events are decoded all at once. Only where one of them is not as it should be, or is no number, are they gone
through one by one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from taba import names
from taba.dialects.original.types import NUMERIC, RefusedError, clean_client, clean_name, meant

VERSION = b"1"
MOST_LINES = 500_000
"""The original's agents send up to 60,000 events at once."""
LAST_TIME = float(1 << 32)
"""Seconds since 1970 that no event may reach."""
TOLD = 100
"""Refused lines that are told of; the others are counted."""
UNKNOWN = "unknown"
EVENT = b'["'
"""How an event begins, and no client's id and no name."""


class ProtocolError(ValueError):
    """A body that is not of this protocol; the text says why."""


class TooManyLinesError(ProtocolError):
    """A body of more lines than are taken at once."""


class Refused(NamedTuple):
    """A line that means nothing: where it is, from 1, and what is wrong."""

    line: int
    error: str


@dataclass(slots=True)
class Block:
    """What a client recorded to a tab: `values` are all numbers or all texts, parallel to `times` and `lines`."""

    client: str
    name: str
    type: str
    times: list[float]
    values: list[float] | list[str]
    lines: Sequence[int]

    @property
    def is_text(self) -> bool:
        """Whether the values are texts."""
        return isinstance(self.values[0], str)


@dataclass(slots=True)
class Read:
    """A body. `lost` counts refused events by (client, tab, reason), and `refused` tells of the first."""

    blocks: list[Block] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    lost: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def refuse(self, line: int, client: str, name: str, error: RefusedError) -> None:
        """Note a line that means nothing."""
        self.lost[client, name, error.reason] += 1
        if len(self.refused) < TOLD:
            self.refused.append(Refused(line, str(error)))


class _Event(msgspec.Struct, array_like=True, gc=False):
    type: str
    time: float
    value: str


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_number = msgspec.json.Decoder(float).decode
_decode_any = msgspec.json.Decoder().decode
_type_of, _time_of, _value_of = attrgetter("type"), attrgetter("time"), attrgetter("value")


def read(body: bytes) -> Read:
    """What a body holds. Raises ProtocolError where it is none of this protocol, and then nothing of it is taken."""
    version, _, rest = body.partition(b"\n")
    if version.rstrip(b"\r") != VERSION:
        shown = version[:40].decode("utf-8", "replace")
        raise ProtocolError(f"line 1: the version is {shown!r}; version 1 is taken here, with a blank line after it")
    if body.count(b"\n") > MOST_LINES:
        raise TooManyLinesError(f"the body has more than {MOST_LINES:,} lines")
    found = Read()
    client: str | None = None
    before = ""
    line = 2
    # Between two blank lines lies a client's id or a tab; after a client's last tab one more blank line has come.
    for piece in rest.removeprefix(b"\n").split(b"\n\n"):
        begins = len(piece) - len(piece.lstrip(b"\n"))
        line += begins if line > 2 else begins + 1
        text = piece[begins:]
        if begins:
            # A tab without a name begins with a blank line more, as if its client were at an end.
            before, client = client or before, None
        if text.startswith(EVENT):
            client = client or before
            _tab(found, client, b"", text.split(b"\n"), line)
        elif text:
            client = _part(found, client, text.split(b"\n"), line)
        line += text.count(b"\n") + 2
    return found


def _part(found: Read, client: str | None, lines: list[bytes], line: int) -> str:
    """Read a client's id, or a tab of `client`; the client that what follows is of."""
    if client is None and len(lines) > 1 and lines[1].startswith(EVENT):
        client = ""  # a blank line stands for the client: this is a tab
    elif client is None:
        client = _told_client(lines.pop(0))
        line += 1
    # A client's id without a blank line after it is forgiven.
    if lines:
        _tab(found, client, lines[0], lines[1:], line + 1)
    return client


def _told_client(raw: bytes) -> str:
    """A client's id made fit; "" where there is nothing to be made fit."""
    cleaned = clean_client(raw.decode("utf-8", "replace").strip())
    return cleaned if len(cleaned) <= names.MAX_CLIENT else ""


def _tab(found: Read, client: str, raw_name: bytes, lines: list[bytes], line: int) -> None:
    name = clean_name(raw_name.decode("utf-8", "replace").strip())
    whose = client or UNKNOWN
    fault = _fault(client, name)
    if fault is not None:
        for place in range(len(lines)):
            found.refuse(line + place, whose, name[: names.MAX_NAME], fault)
        return
    block = _numbers(client, name, lines, line)
    if block is not None:
        found.blocks += [block] if lines else []
    else:
        found.blocks += _one_by_one(found, client, name, lines, line)


def _fault(client: str, name: str) -> RefusedError | None:
    if not client:
        return RefusedError("bad_client", f"a client's id has 1 to {names.MAX_CLIENT} characters")
    if not 0 < len(name) <= names.MAX_NAME:
        return RefusedError("bad_name", f"a tab's name has 1 to {names.MAX_NAME} characters")
    return None


def _numbers(client: str, name: str, lines: Sequence[bytes], line: int) -> Block | None:
    """The events of a tab whose values are finite numbers, all of one type; None where it is not so."""
    try:
        events = list(map(_decode_event, lines))
        kinds = set(map(_type_of, events))
        if len(kinds) > 1 or not kinds <= NUMERIC.keys():
            return None
        values = list(map(_decode_number, map(_value_of, events)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    times = list(map(_time_of, events))
    if not (all(map(math.isfinite, values)) and min(times, default=0) >= 0 and max(times, default=0) < LAST_TIME):
        return None
    kind = NUMERIC[kinds.pop()] if kinds else ""
    return Block(client, name, kind, times, values, range(line, line + len(events)))


def _one_by_one(found: Read, client: str, name: str, lines: Sequence[bytes], line: int) -> Iterator[Block]:
    """The events of a tab by type and kind of value, in their order; those that mean nothing are noted."""
    blocks: dict[tuple[str, bool], Block] = {}
    for place, raw in enumerate(lines, line):
        try:
            time, kind, value = _one(raw)
        except RefusedError as error:
            found.refuse(place, client, name, error)
            continue
        key = (kind, isinstance(value, str))
        block = blocks.setdefault(key, Block(client, name, kind, [], [], []))
        block.times.append(time)
        block.values.append(value)  # type: ignore[arg-type]
        block.lines.append(place)  # type: ignore[attr-defined]
    yield from blocks.values()


def _in_utf8(raw: bytes) -> bytes:
    """A line in UTF-8; the original's Java client writes ISO 8859-1."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1").encode()
    return raw


def _one(raw: bytes) -> tuple[float, str, float | str]:
    """One event: time, type here, value. Raises RefusedError."""
    try:
        event = _decode_event(_in_utf8(raw))
        payload: Any = _decode_any(event.value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError("unreadable", f'not ["type", timestamp, "value as JSON"]: {error}') from None
    if not event.time >= 0:
        raise RefusedError("too_old", f"the timestamp {event.time:g} is before 1970")
    if not event.time < LAST_TIME:
        raise RefusedError("future", f"the timestamp {event.time:g} is beyond the year 2106")
    kind, value = meant(event.type, event.time, payload)
    return event.time, kind, value
