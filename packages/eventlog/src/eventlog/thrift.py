"""Events whose bodies are Thrift structs, so that whoever has the .thrift file can read them. Needs eventlog[thrift].

    body = thriftpy2.load("body.thrift", module_name="body_thrift")
    kept_as = ThriftStruct(body.ShownBody, number=16)

    class Shown(Event, serializer=kept_as):
        user: str
        time: datetime
        url: str = ""                    string url, in the .thrift file

    body = Thrift's binary protocol of the struct; its fields are those of the class that are no columns, by name

A field that the .thrift file does not know (of a newer one) is kept as `thrift:ID`, with its header, and is written
again as it stood; this holds in structs within structs too. Thrift has no null: a None is not written, and is
read as the default of the class.
"""

import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final

import msgspec
from thriftpy2.protocol import binary
from thriftpy2.thrift import TException, TType

from eventlog.errors import SchemaError

UNKNOWN: Final = "thrift:"
BUILT_IN_NUMBERS: Final = 16
NUMBERS: Final = 2**31
DEPTH: Final = 64
_TEXTS: Final = (TType.STRING, TType.BINARY)
_TAKEN: Final[Mapping[int, tuple[str, tuple[type, ...]]]] = {
    TType.BOOL: ("bool", (bool,)),
    TType.BYTE: ("byte", (int,)),
    TType.I16: ("i16", (int,)),
    TType.I32: ("i32", (int,)),
    TType.I64: ("i64", (int,)),
    TType.DOUBLE: ("double", (float, int)),
    TType.STRING: ("string", (str,)),
    TType.BINARY: ("binary", (bytes,)),
    TType.LIST: ("list", (list, tuple)),
    TType.SET: ("set", (list, tuple, set, frozenset)),
    TType.MAP: ("map", (dict,)),
    TType.STRUCT: ("struct", (dict,)),
}

_FIXED: Final = {TType.BOOL: 1, TType.BYTE: 1, TType.I16: 2, TType.I32: 4, TType.I64: 8, TType.DOUBLE: 8}


class ThriftStruct:
    """A Serializer that writes a struct of a .thrift file, as thriftpy2 loads it.

    `number` is kept beside every event: 16 or above, never used for another struct. Raises SchemaError.
    """

    nulls = False

    def __init__(self, struct_class: type, *, number: int) -> None:
        if not isinstance(getattr(struct_class, "thrift_spec", None), dict):
            raise SchemaError(f"{struct_class!r} is no struct of a .thrift file; load one with thriftpy2.load")
        if type(number) is not int or not BUILT_IN_NUMBERS <= number < NUMBERS:
            raise SchemaError(f"{struct_class.__name__}: number is {number!r}; use {BUILT_IN_NUMBERS} or above")
        self.number = number
        self._struct = struct_class

    def encode(self, fields: Mapping[str, Any], /) -> bytes:
        """Fields by name as bytes. Raises TypeError or ValueError with the field that does not fit."""
        out = BytesIO()
        _write_struct(out, self._struct, msgspec.to_builtins(dict(fields), builtin_types=(bytes,)), "")
        return out.getvalue()

    def decode(self, body: bytes, /) -> dict[str, Any]:
        """The fields by name. Raises ValueError on what is no such struct."""
        source = _Source(body)
        try:
            found = _read_struct(source, self._struct, 0)
        except (struct.error, TException, RecursionError):
            raise ValueError(f"no struct {self._struct.__name__}") from None
        if source.tell() != len(body):
            raise ValueError(f"bytes follow the struct {self._struct.__name__}")
        return found


class _Source(BytesIO):
    """Bytes that can't be read past their end."""

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if size is None or size < 0 or len(found) < size:
            raise ValueError("a Thrift struct ends too early")
        return found


def _specs(struct_class: Any) -> dict[str, tuple[int, int, Any]]:
    """Of each field: its id, its type, and what it holds."""
    return {spec[1]: (number, spec[0], spec[2]) for number, spec in struct_class.thrift_spec.items()}


def _inner(spec: Any) -> tuple[int, Any]:
    """The type of what a container holds, and what that holds."""
    return (spec[0], spec[1]) if isinstance(spec, tuple) else (spec, None)


def _wire(kind: int) -> int:
    """A type as it stands in bytes: text and binary are one."""
    return TType.STRING if kind in _TEXTS else kind


def _write_struct(out: BytesIO, struct_class: Any, fields: Mapping[str, Any], path: str) -> None:
    specs = _specs(struct_class)
    for name, value in fields.items():
        if name.startswith(UNKNOWN) and isinstance(value, bytes):
            out.write(value)
        elif name not in specs:
            raise ValueError(
                f"{path}{name}: the .thrift struct {struct_class.__name__} has no such field; add it there"
            )
        elif value is not None:
            number, kind, spec = specs[name]
            binary.write_field_begin(out, _wire(kind), number)
            _write(out, kind, spec, value, path + name)
    binary.write_field_stop(out)


def _check(kind: int, value: Any, path: str) -> None:
    told, taken = _TAKEN[kind]
    if not isinstance(value, taken) or (isinstance(value, bool) and kind != TType.BOOL):
        raise TypeError(f"{path}: the .thrift file says {told}, which {value!r:.60} is not")


def _write(out: BytesIO, kind: int, spec: Any, value: Any, path: str) -> None:
    _check(kind, value, path)
    if kind == TType.STRUCT:
        _write_struct(out, spec, value, f"{path}.")
    elif kind in (TType.LIST, TType.SET):
        held, deeper = _inner(spec)
        binary.write_list_begin(out, _wire(held), len(value))
        for index, one in enumerate(value):
            _write(out, held, deeper, one, f"{path}[{index}]")
    elif kind == TType.MAP:
        (key_kind, key_spec), (held, deeper) = _inner(spec[0]), _inner(spec[1])
        binary.write_map_begin(out, _wire(key_kind), _wire(held), len(value))
        for key, one in value.items():
            _write(out, key_kind, key_spec, key, f"{path} key")
            _write(out, held, deeper, one, f"{path}[{key!r}]")
    else:
        try:
            binary.write_val(out, kind, value)
        except (struct.error, OverflowError):
            raise ValueError(f"{path}: {value!r:.60} is out of the range of {_TAKEN[kind][0]}") from None


def _read_struct(source: _Source, struct_class: Any, depth: int) -> dict[str, Any]:
    """The fields of a struct by name; those that it does not know as `thrift:ID`, header and all."""
    found: dict[str, Any] = {}
    while True:
        begin = source.tell()
        kind, number = binary.read_field_begin(source)
        if kind == TType.STOP:
            return found
        spec = struct_class.thrift_spec.get(number)
        if spec is not None and _wire(spec[0]) == _wire(kind):
            found[spec[1]] = _read(source, spec[0], spec[2], depth)
        else:
            _skip(source, kind, depth)
            found[f"{UNKNOWN}{number}"] = source.getvalue()[begin : source.tell()]


def _read(source: _Source, kind: int, spec: Any, depth: int) -> Any:
    if depth > DEPTH:
        raise ValueError("a Thrift struct is nested too deeply")
    if kind == TType.STRUCT:
        return _read_struct(source, spec, depth + 1)
    if kind in (TType.LIST, TType.SET):
        stored, size = binary.read_list_begin(source)
        held, deeper = _checked(_inner(spec), stored)
        return [_read(source, held, deeper, depth + 1) for _ in range(size)]
    if kind == TType.MAP:
        stored_key, stored, size = binary.read_map_begin(source)
        keys, values = _checked(_inner(spec[0]), stored_key), _checked(_inner(spec[1]), stored)
        return {_read(source, *keys, depth + 1): _read(source, *values, depth + 1) for _ in range(size)}
    read: Callable[..., Any] = binary.read_val
    return read(source, kind, strict_decode=True)


def _skip(source: _Source, kind: int, depth: int) -> None:
    """Goes over a value. Not thriftpy2's, which counts to the end of a list of what is no type."""
    if kind in _FIXED:
        source.read(_FIXED[kind])
    elif kind in _TEXTS:
        source.read(*struct.unpack(">i", source.read(4)))
    elif depth > DEPTH or kind not in _TAKEN:
        raise ValueError("no Thrift struct")
    elif kind == TType.STRUCT:
        while (inner := binary.read_field_begin(source)[0]) != TType.STOP:
            _skip(source, inner, depth + 1)
    else:
        *kinds, size = binary.read_map_begin(source) if kind == TType.MAP else binary.read_list_begin(source)
        for _ in range(size):
            for inner in kinds:
                _skip(source, inner, depth + 1)


def _checked(declared: tuple[int, Any], stored: int) -> tuple[int, Any]:
    if _wire(declared[0]) != _wire(stored):
        raise ValueError("a container holds another type than the .thrift file says")
    return declared
