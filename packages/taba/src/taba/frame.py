"""The frame: what one client recorded in one flush. Shared by every side; standard library only.

    body      = *frame                                   several frames may follow one another
    frame     = magic version flags header-length values-length checksum header values
    magic     = "TABA"                                   4 bytes
    version   = u16                                      1
    flags     = u16                                      0
    header-length, values-length, checksum = u32         lengths in bytes; CRC-32 of header and values
    header    = JSON object in UTF-8, as below
    values    = *f64                                     all integers and floats little-endian

    header    = { "client":   the client's id,
                  "epoch":    text, new for each start of the client,
                  "sequence": whole number up to 2^53 - 1, rising by one with each frame of the epoch, from 1,
                  "start", "stop": when the frame's events were recorded, in seconds since 1970:
                              start <= event < stop, and both in one second where the client can,
                  "names", "types", "counts": parallel lists: tab, its type, how many of `values`
                              are its own; values lie one tab after another, in the order recorded,
                  "texts":    the same for text, where there is any:
                              { "names", "types", "counts": as above, "values": [text, …] },
                  "drops":    events lost in the client since its last frame, where there were any:
                              { "names", "reasons", "counts": parallel lists },
                  "closing":  true in the last frame of an epoch,
                  "began":    when the epoch began, in seconds since 1970,
                  "recorded": how many events were recorded in the epoch up to this frame: its own, those that
                              it says were lost, and those of all frames before it,
                  "first":    where the frame stands for several, the first of their sequences; `sequence` is
                              the last,
                  "weights":  true where as many weights follow the numbers in `values`: the number i stands for
                              weight i equal events, a whole number from 1 up to 2^53 - 1,
                  "errors":   parallel to `names`, where a tab's numbers are not exact: how far each may lie from
                              what it stands for, relative to that; 0 where they are exact }

Weights and errors are for what others have counted before: a sampled timing, a histogram's bin. In accounts a number
is one event, whatever its weight.
A frame with no names is a heartbeat: it says that the client has recorded nothing up to `stop`.
One without `recorded` is from a sender that does not know; one without `began` likewise. A frame that stands for
several, in whose place it came, has no values, and its `drops` say what they held (see `taba.tombstone`).
The files in `tests/golden` hold frames with their meaning, for whoever writes another encoder.
"""

from __future__ import annotations

import json
import math
import struct
import sys
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

CONTENT_TYPE = "application/vnd.taba.frame"
MAGIC = b"TABA"
VERSION = 1
PREFIX = struct.Struct("<4sHHIII")
MAX_HEADER = 16 << 20
MAX_VALUES = 64 << 20
MAX_SEQUENCE = MAX_WEIGHT = (1 << 53) - 1
"""Up to here whole numbers are exact in every language that a frame may meet."""


class FrameError(ValueError):
    """Bytes that are not a frame; the text says at which byte and why."""


@dataclass(slots=True)
class Texts:
    """Text values of a frame: `counts[i]` of `values` belong to the tab `names[i]`."""

    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    values: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Drops:
    """Events that the client lost: `counts[i]` of the tab `names[i]`, because of `reasons[i]`."""

    names: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Header:
    """What a frame says of its values; the fields are the grammar's."""

    client: str
    epoch: str
    sequence: int
    start: float
    stop: float
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    texts: Texts | None = None
    drops: Drops | None = None
    closing: bool = False
    began: float | None = None
    recorded: int | None = None
    first: int | None = None
    weights: bool = False
    errors: list[float] | None = None

    def lowest(self) -> int:
        """The first of the sequences that it stands for: its own, unless it is a tombstone for several frames."""
        return self.sequence if self.first is None else self.first

    def events(self) -> int:
        """How many events the frame accounts for: those in it, and those that it says were lost."""
        parts = (self.counts, self.texts.counts if self.texts else (), self.drops.counts if self.drops else ())
        return sum(map(sum, parts))


@dataclass(slots=True)
class Frame:
    """A header and its numbers: `values` holds little-endian float64, 8 bytes each, and their weights behind them."""

    header: Header
    values: bytes | memoryview

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return len(self.values) // (16 if self.header.weights else 8)

    def numbers(self) -> list[float]:
        """The numbers as Python floats."""
        return _floats(self.values[: 8 * self.count]).tolist()

    def weights(self) -> list[float]:
        """The weight of each number: 1 where the frame says none."""
        return _floats(self.values[8 * self.count :]).tolist() if self.header.weights else [1.0] * self.count


def _floats(raw: bytes | memoryview) -> array[float]:
    numbers = array("d")
    numbers.frombytes(raw)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def pack_values(numbers: array[float]) -> bytes:
    """The bytes that carry an `array("d")` of numbers."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def write_header(header: Header) -> bytes:
    """A header's JSON."""
    return json.dumps(header, default=_fields, separators=(",", ":")).encode()


def encode(header: Header, values: bytes = b"", write: Callable[[Header], bytes] = write_header) -> bytes:
    """One frame's bytes. `values` comes from `pack_values`; `write` makes the header's JSON."""
    text = write(header)
    checksum = zlib.crc32(values, zlib.crc32(text))
    return PREFIX.pack(MAGIC, VERSION, 0, len(text), len(values), checksum) + text + values


def _fields(part: Any) -> dict[str, Any]:
    """What is said in a header or a part of it: fields that are absent or false are left out."""
    fields = {name: getattr(part, name) for name in part.__slots__}
    return {name: value for name, value in fields.items() if value is not None and value is not False}


def split(body: bytes | memoryview) -> Iterator[tuple[memoryview, memoryview]]:
    """Each frame's header and values, as views into `body`.

    Raises FrameError at the first byte that is not as the grammar says; trusts no length.
    """
    view = memoryview(body)
    at = 0
    while at < len(view):
        stop, expected = _bounds(view, at)
        header_start = at + PREFIX.size
        header_stop = header_start + PREFIX.unpack_from(view, at)[3]
        if zlib.crc32(view[header_start:stop]) != expected:
            raise FrameError(f"frame at byte {at}: the checksum does not fit, so the bytes were changed")
        yield view[header_start:header_stop], view[header_stop:stop]
        at = stop


def _bounds(view: memoryview, at: int) -> tuple[int, int]:
    """Where the frame at byte `at` ends, and its checksum."""
    if len(view) - at < PREFIX.size:
        raise FrameError(f"frame at byte {at}: cut off after {len(view) - at} of {PREFIX.size} prefix bytes")
    magic, version, flags, header, values, checksum = PREFIX.unpack_from(view, at)
    if magic != MAGIC:
        raise FrameError(f"frame at byte {at}: begins with {magic!r}, not with {MAGIC!r}")
    if version != VERSION or flags:
        raise FrameError(f"frame at byte {at}: version {version} with flags {flags}; version {VERSION} is read here")
    if header > MAX_HEADER or values > MAX_VALUES or values % 8:
        raise FrameError(
            f"frame at byte {at}: a header of {header} bytes and values of {values} bytes; at most "
            f"{MAX_HEADER} and {MAX_VALUES} are taken, and values are 8 bytes each"
        )
    stop = at + PREFIX.size + header + values
    if stop > len(view):
        raise FrameError(f"frame at byte {at}: cut off: it says {stop - at} bytes and {len(view) - at} are here")
    return stop, checksum


def parse_header(text: bytes | memoryview) -> Header:
    """A header from its JSON; raises ValueError naming the field that is missing or of a wrong type."""
    try:
        fields = json.loads(bytes(text))
    except ValueError as error:
        raise FrameError(f"the header is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise FrameError("the header is not a JSON object")
    return _typed(Header, fields, "")


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "list[str]": lambda value: isinstance(value, list) and set(map(type, value)) <= {str},
    "list[int]": lambda value: isinstance(value, list) and set(map(type, value)) <= {int},
    "list[float]": lambda value: isinstance(value, list) and set(map(type, value)) <= {int, float},
}
_REQUIRED = {"client", "epoch", "sequence", "start", "stop"}


def _typed(kind: type[Any], fields: dict[str, Any], path: str) -> Any:
    known = {}
    for name, annotation in kind.__annotations__.items():
        if name not in fields:
            if name in _REQUIRED:
                raise FrameError(f"the header has no {path}{name}")
            continue
        value = fields[name]
        nested = {"Texts | None": Texts, "Drops | None": Drops}.get(annotation)
        if nested is not None:
            known[name] = None if value is None else _typed(nested, _object(value, name), f"{name}.")
        elif value is None and annotation.endswith(" | None"):
            known[name] = None
        elif _CHECKS[annotation.removesuffix(" | None")](value):
            known[name] = value
        else:
            raise FrameError(f"the header's {path}{name} is not of type {annotation}")
    return kind(**known)


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FrameError(f"the header's {name} is not an object")
    return value


def check(header: Header, floats: int) -> None:
    """Raise FrameError unless the header's parts agree with each other and with `floats` values, weights among them."""
    numbers = _check_inexact(header, floats)
    _check_parallel("", header.names, header.types, header.counts, numbers)
    if header.texts is not None:
        texts = header.texts
        _check_parallel("texts.", texts.names, texts.types, texts.counts, len(texts.values))
    if header.drops is not None:
        drops = header.drops
        _check_parallel("drops.", drops.names, drops.reasons, drops.counts, None)
    if not (math.isfinite(header.start) and math.isfinite(header.stop) and header.start <= header.stop):
        raise FrameError(f"the header's time goes from {header.start} to {header.stop}")
    if not 0 < header.sequence <= MAX_SEQUENCE:
        raise FrameError(f"the header's sequence is {header.sequence}: it counts from 1, and ends at {MAX_SEQUENCE}")
    if header.first is not None and not 0 < header.first <= header.sequence:
        raise FrameError(f"the header's first is {header.first}: it lies from 1 to the sequence, {header.sequence}")
    if header.recorded is not None and not 0 <= header.recorded < 1 << 63:
        raise FrameError(f"the header's recorded is {header.recorded}: it is a number of events")
    if header.began is not None and not math.isfinite(header.began):
        raise FrameError(f"the header's began is {header.began}")
    if not 0 < len(header.epoch) <= 64:
        raise FrameError("the header's epoch must have 1 to 64 characters")


def _check_inexact(header: Header, floats: int) -> int:
    """How many of the floats are numbers; raise FrameError unless weights and errors go with what they tell of."""
    numbers, odd = divmod(floats, 2) if header.weights else (floats, 0)
    if odd:
        raise FrameError(f"the header's weights: one follows for each value, but there are {floats} of both")
    errors = header.errors
    if errors is not None and not (len(errors) == len(header.names) and all(0 <= error <= 1 for error in errors)):
        raise FrameError("the header's errors are not parallel to its names, or not all from 0 to 1")
    return numbers


def _check_parallel(
    path: str, names: Sequence[str], kinds: Sequence[str], counts: Sequence[int], values: int | None
) -> None:
    if not len(names) == len(kinds) == len(counts):
        raise FrameError(
            f"the header's {path}lists are not parallel: {len(names)}, {len(kinds)} and {len(counts)} long"
        )
    if counts and min(counts) < 1:
        raise FrameError(f"the header's {path}counts hold {min(counts)}; each is at least 1")
    if values is not None and sum(counts) != values:
        raise FrameError(f"the header's {path}counts add up to {sum(counts)}, but {values} values are here")


def decode(body: bytes | memoryview, parse: Callable[[memoryview], Header] = parse_header) -> Iterator[Frame]:
    """The frames in `body`, each checked whole before it is given.

    `parse` turns a header's JSON into a Header: a faster parser may take the place of the one here.
    Raises FrameError, also for what `parse` refuses with a ValueError.
    """
    for index, (text, values) in enumerate(split(body)):
        try:
            header = parse(text)
            check(header, len(values) // 8)
        except (ValueError, OverflowError, RecursionError) as error:  # numbers too large, JSON nested too deep
            raise FrameError(f"frame {index}: {error}") from None
        yield Frame(header, values)
