"""Frames' headers as the server reads them: their long arrays stay as they came until a batch is made of them.

So no Python object is made for an event. An array that is not as our encoders write it is decoded as any JSON is.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any, get_type_hints

import msgspec

from taba.frame import Header
from taba.listed import listed

_ARRAYS = ("names", "types")
_HINTS = get_type_hints(Header) | dict.fromkeys(_ARRAYS, msgspec.Raw)


def _declared(field: Field[Any]) -> tuple[str, Any, Any]:
    """A field of the header, as msgspec declares it."""
    if field.name in _ARRAYS:
        default = msgspec.Raw(b"[]")
    elif field.default_factory is not MISSING:
        default = msgspec.field(default_factory=field.default_factory)
    else:
        default = msgspec.field() if field.default is MISSING else field.default
    return field.name, _HINTS[field.name], default


_Raw = msgspec.defstruct("_Raw", [_declared(field) for field in fields(Header)])
_read = msgspec.json.Decoder(_Raw).decode
_read_wholly = msgspec.json.Decoder(Header).decode


def parse_header(text: bytes | memoryview) -> Header:
    """A header from its JSON, with its names and types as Listed where that can be. Raises ValueError."""
    read: Any = _read(text)
    names, types = listed(read.names), listed(read.types)
    if names is None or types is None:
        return _read_wholly(text)
    read.names, read.types = names, types
    return Header(*msgspec.structs.astuple(read))
