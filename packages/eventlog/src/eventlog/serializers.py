"""How the fields that are no columns become bytes, and back. Several stand side by side in one log.

Each serializer has a number that is kept beside what it wrote, so that every event is read by the one that wrote it.
"""

import importlib
import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from eventlog.errors import SchemaError


class Serializer(Protocol):
    """A way to write the fields of an event. One that can't write None says so by `nulls = False`."""

    @property
    def number(self) -> int:
        """What stands for it in stored heads: 0 to 15 are the built-in ones."""
        ...

    def encode(self, fields: Mapping[str, Any], /) -> bytes:
        """Fields by name as bytes. Raises TypeError or ValueError where a value can't be written."""
        ...

    def decode(self, body: bytes, /) -> dict[str, Any]:
        """The fields by name, those that no class knows included. Raises ValueError on what it can't have written."""
        ...


class MessagePack:
    """The default: compact and fast, and knows bytes and times."""

    def __init__(self) -> None:
        self.number = 0
        self.encode = msgspec.msgpack.Encoder().encode
        self.decode = msgspec.msgpack.Decoder(dict[str, Any]).decode


class Json:
    """Readable by anything that looks into the files; bytes and times become texts, and so do keys within a field."""

    def __init__(self) -> None:
        self.number = 1
        self.decode = msgspec.json.Decoder(dict[str, Any]).decode
        self._encode = msgspec.json.Encoder().encode

    def encode(self, fields: Any, /) -> bytes:
        """Fields by name as bytes. Raises ValueError on NaN and infinity, which would become null."""
        body = self._encode(fields)
        if b"null" in body and not _finite(msgspec.to_builtins(fields, str_keys=True)):
            raise ValueError("JSON has no NaN and no infinity: use msgpack, or None")
        return body


def _finite(value: Any) -> bool:
    """Whether all numbers in a value are finite."""
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


BUILT_IN: Final[Mapping[str, Serializer]] = {"msgpack": MessagePack(), "json": Json()}


def named(serializer: "str | Serializer") -> Serializer:
    """A serializer by name (`msgpack`, `json`), by `module:attribute`, or itself."""
    if not isinstance(serializer, str):
        return serializer
    if serializer in BUILT_IN:
        return BUILT_IN[serializer]
    module, colon, attribute = serializer.partition(":")
    if not colon:
        raise SchemaError(f"serializer {serializer!r} is not known; there are {', '.join(BUILT_IN)} and module:name")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SchemaError(f"serializer {serializer!r} can't be loaded: {error}") from None
