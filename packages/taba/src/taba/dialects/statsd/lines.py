"""One line of StatsD read by itself: slow, and what the reading in bulk has to agree with."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from taba.dialects.statsd import naming
from taba.dialects.statsd.naming import Tag, UnfitError
from taba.frame import MAX_WEIGHT
from taba.names import MAX_TEXT

UNREADABLE, VALUE, TYPE, RATE = "statsd_unreadable", "statsd_value", "statsd_type", "statsd_rate"
TYPES = {
    b"c": "counter",
    b"g": "gauge",
    b"ms": "percentile",
    b"h": "percentile",
    b"d": "percentile",
    b"s": "uniques",
}
SAMPLED = ("counter", "percentile")
"""The types for which a sample rate means something."""
EVENTS = "statsd.events"
STATUSES = 4

_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_EVENT = re.compile(rb"_e\{([0-9]{1,6}),([0-9]{1,6})\}:")
_SECTION = re.compile(r"[A-Za-z]+:")
_SECONDS = re.compile(r"[0-9]{1,11}")


@dataclass(frozen=True, slots=True)
class Key:
    """What a line says besides its values. `inverse` is for how many events each stands; `time` None for now.

    `client` is what the tag for it says, None without one.
    """

    tab: str
    type: str
    inverse: float = 1.0
    time: float | None = None
    client: str | None = None


@dataclass(slots=True)
class Line:
    """A line as read: numbers, or texts; which of a gauge's numbers are changes; and reasons of what was not taken."""

    key: Key
    numbers: list[float] = field(default_factory=list)
    changes: list[bool] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


class Reader:
    """Reads lines. `client_tag` is the tag that names the client; `signed_changes`: a gauge's sign makes a change."""

    def __init__(self, client_tag: str = "", signed_changes: bool = True) -> None:
        self._client_tag = client_tag
        self.signed_changes = signed_changes

    def line(self, line: bytes) -> Line:
        """What a line says. Raises UnfitError."""
        line = line.rstrip(b"\r \t")
        if line.startswith(b"_sc|"):
            return self._service_check(line)
        if line.startswith(b"_e{"):
            return self._event(line)
        name, colon, rest = line.partition(b":")
        values, bar, said = rest.partition(b"|")
        if not (name and colon and bar):
            raise UnfitError(UNREADABLE)
        key = self.key(name, said)
        read = Line(key)
        if key.type == "uniques":
            read.texts.append(text(values))
            return read
        for value in values.split(b":"):
            try:
                read.numbers.append(number(value))
            except UnfitError as unfit:
                read.bad.append(str(unfit))
            else:
                signed = key.type == "gauge" and value[:1] in (b"+", b"-")
                read.changes.append(signed and self.signed_changes)
        return read

    def key(self, name: bytes, said: bytes) -> Key:
        """What stands before a line's values and, `said`, behind them: `ms|@0.1|#env:prod`. Raises UnfitError."""
        kind, *sections = said.rstrip(b"\r \t").split(b"|")
        if kind not in TYPES:
            raise UnfitError(TYPE)
        return self._keyed(_decoded(name), TYPES[kind], sections)

    def _keyed(self, written: str, kind: str, sections: list[bytes]) -> Key:
        name, tags = naming.split_name(written)
        inverse, time = 1.0, None
        for section in map(_decoded, sections):
            if section.startswith("#"):
                tags += naming.dog_tags(section[1:])
            elif section.startswith("@"):
                inverse = _inverse(section[1:])
            elif section.startswith("T") and _SECONDS.fullmatch(section[1:]):
                time = float(section[1:])
            elif section and not _SECTION.match(section):
                raise UnfitError(UNREADABLE)
        client, tags = self._client(tags)
        return Key(naming.tab(name, tags), kind, inverse if kind in SAMPLED else 1.0, time, client)

    def _client(self, tags: list[Tag]) -> tuple[str | None, list[Tag]]:
        named = [value for key, value in tags if key == self._client_tag] if self._client_tag else []
        if not named:
            return None, tags
        return naming.client(named[-1]), [tag for tag in tags if tag[0] != self._client_tag]

    def _service_check(self, line: bytes) -> Line:
        _, name, *rest = line.split(b"|")
        if not name or not rest or not rest[0].isdigit() or int(rest[0][:2]) >= STATUSES:
            raise UnfitError(UNREADABLE)
        sections = [section for section in rest[1:] if section.startswith(b"#")]
        return Line(self._keyed(_decoded(name), "gauge", sections), numbers=[float(rest[0])], changes=[False])

    def _event(self, line: bytes) -> Line:
        head = _EVENT.match(line)
        if head is None:
            raise UnfitError(UNREADABLE)
        middle = head.end() + int(head[1])
        end = middle + 1 + int(head[2])
        if line[middle : middle + 1] != b"|" or end > len(line) or line[end : end + 1] not in (b"", b"|"):
            raise UnfitError(UNREADABLE)
        sections = [section for section in line[end + 1 :].split(b"|") if section.startswith(b"#")]
        title, told = _decoded(line[head.end() : middle]), _decoded(line[middle + 1 : end])
        whole = f"{title}: {told}" if told else title
        return Line(self._keyed(EVENTS, "buffer", sections), texts=[whole.replace("\\n", "\n")[:MAX_TEXT]])


def number(value: bytes) -> float:
    """A finite decimal number. Raises UnfitError."""
    if not _NUMBER.fullmatch(value):
        raise UnfitError(VALUE)
    read = float(value)
    if not math.isfinite(read):
        raise UnfitError(VALUE)
    return read


def text(value: bytes) -> str:
    """A set's value. Raises UnfitError."""
    read = _decoded(value)
    if not 0 < len(read) <= MAX_TEXT:
        raise UnfitError(VALUE)
    return read


def _inverse(rate: str) -> float:
    """For how many events a line at this rate stands. Raises UnfitError."""
    try:
        read = number(rate.encode())
    except UnfitError:
        raise UnfitError(RATE) from None
    if not 1 / MAX_WEIGHT <= read <= 1:
        raise UnfitError(RATE)
    return 1 / read


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise UnfitError(UNREADABLE) from None
