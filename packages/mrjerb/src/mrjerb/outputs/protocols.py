"""How a pair becomes a line and a line a pair again, by name. The names, and the bytes, are mrjob's.

    json          JSON of the key, a tab, JSON of the value       json_value      JSON of the value
    text, raw     the key, a tab, the value, as UTF-8             text_value …    the value
    bytes         the same of bytes                               bytes_value     the value
    pickle        pickles with `\\n` and the like escaped          pickle_value    one of the value
    repr          what Python's repr gives of both                repr_value      of the value

A protocol of values drops the key, and reads it back as None. A line has no line end here.
"""

import ast
import json
import pickle
from collections.abc import Callable
from functools import lru_cache
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from math import isfinite
from typing import Any, Final

import msgspec

from mrjerb.errors import JobError, UsageError

Encoder = Callable[[Any, Any], bytes]
Decoder = Callable[[bytes], tuple[Any, Any]]
One = Callable[[Any], str]


def encoder(name: str) -> Encoder:
    """What makes lines of pairs: `encode(key, value)`. Raises UsageError where there is no such protocol.

    The encoder raises JobError, which names the key, for what its protocol can't write.
    """
    return _made(name)[0]


def decoder(name: str) -> Decoder:
    """What makes pairs of lines: `decode(line)`. Raises UsageError where there is no such protocol.

    The decoder raises ValueError for a line that is none of its protocol.
    """
    return _made(name)[1]


def _made(name: str) -> tuple[Encoder, Decoder]:
    make = PROTOCOLS.get(name)
    if make is None:
        raise UsageError(f"output format {name!r} is not known; there are {', '.join(PROTOCOLS)}, csv, tsv and parquet")
    return make()


def json_text(value: Any) -> str:
    """A value as JSON, byte for byte as `json.dumps`; what that can't write, such as a Struct or a date, as msgspec
    does. Raises ValueError for NaN and infinity, TypeError for what is no value of JSON."""
    make = _SCALARS.get(type(value))
    return make(value) if make else "".join(_structured(value, 0))


def _float(value: float) -> str:
    if not isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    return float.__repr__(value)


def _plain(value: Any) -> Any:
    """What json has no way to write, in what it has."""
    if isinstance(value, set | frozenset | bytes | bytearray | memoryview):
        advice = "decode it to a text" if not isinstance(value, set | frozenset) else "make it a sorted list"
        raise TypeError(f"a {type(value).__name__} can't be written as JSON: {advice}, or choose pickle or repr")
    try:
        return msgspec.to_builtins(value, str_keys=True)
    except (TypeError, ValueError):
        raise TypeError(f"a {type(value).__name__} can't be written as JSON; choose pickle or repr") from None


def _nothing(_: Any) -> str:
    return "null"


_SCALARS: Final[dict[type, One]] = {
    str: encode_basestring_ascii,
    int: int.__repr__,
    float: _float,
    bool: lambda value: "true" if value else "false",
    type(None): _nothing,
}
# json.dumps makes this anew for each value, which takes longer than most values do.
_structured: Callable[[Any, int], tuple[str, ...]] = c_make_encoder(
    None, _plain, encode_basestring_ascii, None, ": ", ", ", False, False, False
)


def failed(name: str, key: Any, error: Exception) -> JobError:
    """The error of a pair that a format can't hold, for people."""
    if isinstance(error, RecursionError):
        error = ValueError("a value that holds itself, or is nested too deeply")
    return JobError(f"key {key!r:.200}: can't be written as {name}: {error}")


FAILURES: Final = (TypeError, ValueError, RecursionError, AttributeError, pickle.PicklingError)


def _both(name: str, one: One, read: Callable[[bytes], Any], scalars: dict[type, One] | None = None) -> Any:
    """A protocol that writes key and value alike, with a tab between them."""
    get = (scalars or {}).get

    def encode(key: Any, value: Any) -> bytes:
        try:
            return f"{(get(type(key)) or one)(key)}\t{(get(type(value)) or one)(value)}".encode()
        except FAILURES as error:
            raise failed(name, key, error) from None

    last = lru_cache(maxsize=1)(read)  # lines of one key often follow one another

    def decode(line: bytes) -> tuple[Any, Any]:
        key, tab, value = line.partition(b"\t")
        if not tab:
            raise ValueError(f"no tab is in the line, which {name} has between key and value")
        return last(key), read(value)

    return lambda: (encode, decode)


def _value(name: str, one: One, read: Callable[[bytes], Any]) -> Any:
    """A protocol that writes the value alone."""

    def encode(key: Any, value: Any) -> bytes:
        try:
            return one(value).encode()
        except FAILURES as error:
            raise failed(name, key, error) from None

    return lambda: (encode, lambda line: (None, read(line)))


def _json_read(data: bytes) -> Any:
    return json.loads(data.decode())


def _pickled(value: Any) -> str:
    return pickle.dumps(value).decode("latin-1").encode("unicode_escape").decode("ascii")


def _unpickled(data: bytes) -> Any:
    try:
        return pickle.loads(data.decode("unicode_escape").encode("latin-1"))  # noqa: S301 - a job's own output
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError) as error:
        raise ValueError(f"is no pickle: {error}") from None


def _repr_read(data: bytes) -> Any:
    try:
        return ast.literal_eval(data.decode())
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"is no value of Python's repr: {error}") from None


def _text(value: Any) -> bytes:
    """A value as it is: a text, or a number."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    if isinstance(value, int | float):
        return repr(value).encode()
    raise TypeError(f"a {type(value).__name__} is no text; choose json, or make a text of it")


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray):
        raise TypeError(f"a {type(value).__name__} is no bytes; encode it, or choose text")
    return bytes(value)


def _latin(data: bytes) -> str:
    """A text of UTF-8; of Latin-1 where it is no UTF-8, as mrjob reads it."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _parts(name: str, one: Callable[[Any], bytes], read: Callable[[bytes], Any]) -> Any:
    """A protocol of key and value as they are; what is None is left out, with the tab."""

    def encode(key: Any, value: Any) -> bytes:
        try:
            return b"\t".join([one(part) for part in (key, value) if part is not None])
        except FAILURES as error:
            raise failed(name, key, error) from None

    def decode(line: bytes) -> tuple[Any, Any]:
        key, tab, value = line.partition(b"\t")
        return read(key), read(value) if tab else None

    return lambda: (encode, decode)


def _part(name: str, one: Callable[[Any], bytes], read: Callable[[bytes], Any]) -> Any:
    """A protocol of the value as it is."""

    def encode(key: Any, value: Any) -> bytes:
        try:
            return one(value)
        except FAILURES as error:
            raise failed(name, key, error) from None

    return lambda: (encode, lambda line: (None, read(line)))


PROTOCOLS: Final[dict[str, Callable[[], tuple[Encoder, Decoder]]]] = {
    "json": _both("json", json_text, _json_read, _SCALARS),
    "json_value": _value("json_value", json_text, _json_read),
    "text": _parts("text", _text, _latin),
    "text_value": _part("text_value", _text, _latin),
    "raw": _parts("raw", _text, _latin),
    "raw_value": _part("raw_value", _text, _latin),
    "bytes": _parts("bytes", _bytes, bytes),
    "bytes_value": _part("bytes_value", _bytes, bytes),
    "pickle": _both("pickle", _pickled, _unpickled),
    "pickle_value": _value("pickle_value", _pickled, _unpickled),
    "repr": _both("repr", repr, _repr_read),
    "repr_value": _value("repr_value", repr, _repr_read),
}
