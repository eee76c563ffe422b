"""Lines become records: texts, or the values that JSON lines are. A line that is no record ends a block and is told of.

A block's lines are decoded at once. Only where that fails are they taken one by one, to find the one that is bad.
"""

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Final

import msgspec

from mrjerb.inputs import Block
from mrjerb.plan import BadRecord

FAILURES: Final = (ValueError, RecursionError)  # a value that is nested too deeply
RAW: Final = 2000  # bytes of a bad line that are kept

Numbering = Callable[[], int]
"""How many lines of the file are before a block."""

Decode = Callable[[bytes], list[Any]]
"""All records of some lines. Raises ValueError where one is none; blank lines may be left out."""


class BadLine(ValueError):
    """A line that is no record, in words."""


class Place:
    """Where the records of a block were: lines of `data`, from line `first()` (from 0) of the file on."""

    def __init__(self, name: str, data: bytes, before: Numbering, blanks: bool) -> None:
        self.name, self.data, self.before, self.blanks = name, data, before, blanks

    @cached_property
    def lines(self) -> list[tuple[int, bytes]]:
        """The number of each line that is a record, from 0 in the block, and the line."""
        found = enumerate(split_lines(self.data))
        return [(number, line) for number, line in found if self.blanks or line.strip()]

    def where(self, record: int) -> str:
        """`path:line`, lines counted from 1."""
        return f"{self.name}:{self.before() + self.lines[record][0] + 1}"

    def raw(self, record: int) -> str:
        """The line as it was."""
        return shown(self.lines[record][1])


def blocks_of(name: str, data: bytes, size: int, decode: Decode, before: Numbering, *, blanks: bool) -> Iterator[Block]:
    """The records of whole lines: one block where all are good, else one for each bad line and what is before it.

    blanks: whether blank lines are records.
    """
    place = Place(name, data, before, blanks)
    try:
        found = decode(data)
    except FAILURES:
        pass
    else:
        if len(found) == data.count(b"\n") + (not data.endswith(b"\n")) or len(found) == len(place.lines):
            yield Block(found, place.where, place.raw, size)
            return
    yield from _one_by_one(place, size, decode)


def _one_by_one(place: Place, size: int, decode: Decode) -> Iterator[Block]:
    records: list[Any] = []
    first = 0
    for at, (_, line) in enumerate(place.lines):
        try:
            records.append(_one(line, decode))
        except FAILURES as error:
            bad = BadRecord(place.where(at), reason(error), shown(line))
            yield Block(records, _moved(place.where, first), _moved(place.raw, first), 0, bad)
            records, first = [], at + 1
    yield Block(records, _moved(place.where, first), _moved(place.raw, first), size)


def _one(line: bytes, decode: Decode) -> Any:
    found = decode(line)
    if len(found) != 1:
        raise BadLine(f"{len(found)} values on one line; a line of JSON holds one")
    return found[0]


def _moved(asked: Callable[[int], str], first: int) -> Callable[[int], str]:
    return lambda record: asked(first + record)


def texts(data: bytes) -> list[str]:
    """Lines as texts without their ends. Raises ValueError where one is not UTF-8."""
    text = data.decode()
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    found = text.split("\n")
    if text.endswith("\n"):
        found.pop()
    return found


def bytes_of(data: bytes) -> list[Any]:
    """Lines as they are, without their line feeds."""
    found = data.split(b"\n")
    if not found[-1]:
        found.pop()
    return found


def json_decoder(record: Any) -> Decode:
    """Decodes JSON lines, each into a `record`, or into plain values where that is None."""
    if record is not None:
        return msgspec.json.Decoder(record).decode_lines
    decode = msgspec.json.Decoder().decode_lines

    def decoded(data: bytes) -> list[Any]:
        try:
            return decode(data)
        except msgspec.DecodeError:
            if b"\\u" in data and b"\n" not in data:  # half a surrogate pair, as Python's json writes and reads it
                return [json.loads(data, parse_constant=_no_number)]
            raise

    return decoded


def _no_number(name: str) -> None:
    raise BadLine(f"{name} is no number of JSON")


def split_lines(data: bytes) -> list[bytes]:
    """Lines without their ends. Only a line feed, with a carriage return before it, ends a line."""
    found = data.split(b"\n")
    last = found.pop()
    found = [line.removesuffix(b"\r") for line in found]
    return [*found, last] if last else found


def reason(error: Exception) -> str:
    """Why a line is no record, for people."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8: byte {error.object[error.start]:#04x} at {error.start}; convert the file to UTF-8"
    if isinstance(error, msgspec.ValidationError):
        return f"is not of the record's type: {str(error).replace('$[0]', '$')}"
    if isinstance(error, msgspec.DecodeError):
        return f"is no JSON: {str(error).removeprefix('JSON is malformed: ')}; a line holds one value"
    if isinstance(error, json.JSONDecodeError):
        return f"is no JSON: {error}; a line holds one value"
    return str(error)


def shown(line: bytes) -> str:
    """The beginning of a line, as a text."""
    return line[:RAW].decode(errors="backslashreplace")
