"""What travels between the parts of a job: the bytes that mrjob would write, as a key and a value of mrjerb's.

    line of the internal protocol      key TAB value      the key as a text of Latin-1, the value as bytes
                                       without a tab      the line as the key, None as the value
    line of a protocol without keys    value              None as the key, the line as the value
    line of the output                 line               None as the key, the line as the value

A text of Latin-1 has a character for each byte. So mrjerb, which sorts texts by code point and groups what is equal,
sorts and groups by the key's bytes, as mrjob and Hadoop do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from mrjerb.compat.protocols import KeyedProtocol, ValueProtocol

Key = str | None
Value = bytes | None
Encode = Callable[[Any, Any], tuple[Key, Value]]
Read = Callable[[bytes], tuple[Any, Any]]
Write = Callable[[Any, Any], bytes]
Group = Callable[[Key, Iterator[Value]], tuple[Any, Iterator[Any]]]


def split(line: bytes) -> tuple[Key, Value]:
    """A line as what travels."""
    key, tab, value = line.partition(b"\t")
    return key.decode("latin-1"), value if tab else None


def joined(key: Key, value: Value) -> bytes:
    """What travels as its line."""
    if key is None:
        return value or b""
    return key.encode("latin-1") + b"\t" + value if value is not None else key.encode("latin-1")


def encoder(write: Write, *, output: bool) -> Encode:
    """What makes a key and a value of the job's travel; `output` where they travel no further than into a file."""
    if output or without_keys(write):
        return lambda key, value: (None, write(key, value))
    if _is_of(write, KeyedProtocol, "write"):
        dumps = type(write.__self__).dumps  # type: ignore[attr-defined]
        return lambda key, value: (dumps(key).decode("latin-1"), dumps(value))
    return lambda key, value: split(write(key, value))


def decoder(read: Read) -> Callable[[Key, Value], tuple[Any, Any]]:
    """What makes a key and a value of the job's of what has travelled."""
    return lambda key, value: read(joined(key, value))


def grouping(read: Read) -> Group:
    """What makes a key and its values of a group that has travelled. The values are read as they are asked for."""
    if _is_of(read, KeyedProtocol, "read"):
        loads = type(read.__self__).loads  # type: ignore[attr-defined]
        return lambda key, values: (loads(joined(key, None)), (loads(value) for value in _all(values)))
    return lambda key, values: _group(read, (joined(key, value) for value in values))


def _all(values: Iterator[Value]) -> Iterator[bytes]:
    for value in values:
        if value is None:
            raise ValueError("a line without a tab came to a protocol that has one between key and value")
        yield value


def _group(read: Read, lines: Iterator[bytes]) -> tuple[Any, Iterator[Any]]:
    """The key of the first line, and the values of all."""
    first = read(next(lines))
    return first[0], chain([first[1]], (read(line)[1] for line in lines))


def consecutive(pairs: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Pairs that follow one another with the same key, as groups."""
    from itertools import groupby

    for key, found in groupby(pairs, lambda pair: pair[0]):
        yield key, (value for _, value in found)


def without_keys(write: Write) -> bool:
    """Whether a method writes values alone."""
    return _is_of(write, ValueProtocol, "write")


def _is_of(method: Any, kind: type, name: str) -> bool:
    """Whether a method is that of one of our protocols, which no subclass has changed."""
    owner = getattr(method, "__self__", None)
    return isinstance(owner, kind) and getattr(type(owner), name) is getattr(kind, name)
