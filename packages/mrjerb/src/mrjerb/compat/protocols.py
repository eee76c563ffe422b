"""mrjob's protocols: how a key and a value are a line, and a line a key and a value, byte for byte as in mrjob.

    keyed protocols     the key, a tab, the value     JSONProtocol, PickleProtocol, ReprProtocol, TextProtocol …
    value protocols     the value alone; the key is read as None     JSONValueProtocol, TextValueProtocol …

A protocol is a class with `read(line)`, which gives (key, value), and `write(key, value)`, which gives a line of bytes
without its end. JSONProtocol uses ujson, rapidjson or simplejson where one of them is installed, in this order, and
else Python's json, as mrjob does: they differ in spaces and escapes.
"""

from __future__ import annotations

import ast
import json
import pickle
from collections.abc import Callable
from importlib import import_module
from json.encoder import encode_basestring_ascii  # type: ignore[attr-defined]
from typing import Any, ClassVar, Final

Dumps = Callable[[Any], bytes]
Loads = Callable[[bytes], Any]


class KeyedProtocol:
    """The key, a tab, the value, both written alike. The last key is kept: lines of one key follow one another."""

    dumps: ClassVar[Dumps]
    loads: ClassVar[Loads]

    def __init__(self) -> None:
        self._encoded: bytes | None = None
        self._key: Any = None

    def read(self, line: bytes) -> tuple[Any, Any]:
        """The key and the value of a line. Raises ValueError where the line has no tab."""
        key, value = line.split(b"\t", 1)
        if key != self._encoded:
            self._key = type(self).loads(key)
            self._encoded = key
        return self._key, type(self).loads(value)

    def write(self, key: Any, value: Any) -> bytes:
        """The line of a key and a value."""
        dumps = type(self).dumps
        return dumps(key) + b"\t" + dumps(value)


class ValueProtocol:
    """The value alone: a line says nothing of its key."""

    dumps: ClassVar[Dumps]
    loads: ClassVar[Loads]

    def read(self, line: bytes) -> tuple[None, Any]:
        """None and the value of a line."""
        return None, type(self).loads(line)

    def write(self, key: Any, value: Any) -> bytes:
        """The line of a value."""
        return type(self).dumps(value)


def json_dumps(value: Any) -> bytes:
    """A value as `json.dumps` writes it; texts and whole numbers, which most keys and values are, on a short way."""
    kind = type(value)
    if kind is str:
        return encode_basestring_ascii(value).encode()
    if kind is int:
        return b"%d" % value
    return json.dumps(value).encode()


def json_loads(data: bytes) -> Any:
    """The value of a JSON text."""
    return json.loads(data.decode())


def pickle_dumps(value: Any) -> bytes:
    """A pickle with tabs, line ends and bytes beyond ASCII escaped."""
    return pickle.dumps(value).decode("latin-1").encode("unicode_escape")


def pickle_loads(data: bytes) -> Any:
    """The value of an escaped pickle."""
    return pickle.loads(data.decode("unicode_escape").encode("latin-1"))  # noqa: S301 - the job's own data


def repr_dumps(value: Any) -> bytes:
    """What Python's repr gives of a value."""
    return repr(value).encode()


def repr_loads(data: bytes) -> Any:
    """The value of a literal, which is read and never run. `inf` and `nan`, which floats are written as, are read."""
    text = data.decode()
    try:
        return ast.literal_eval(text)
    except ValueError:
        tree = _Infinite().visit(ast.parse(text, mode="eval"))
        return ast.literal_eval(ast.fix_missing_locations(tree))


class _Infinite(ast.NodeTransformer):
    """The names inf and nan as the numbers that they are."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node


def text_of(data: bytes) -> str:
    """UTF-8 as a text, and Latin-1 where it is no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


class StandardJSONProtocol(KeyedProtocol):
    """JSON as Python's own library writes it."""

    dumps, loads = staticmethod(json_dumps), staticmethod(json_loads)


class StandardJSONValueProtocol(ValueProtocol):
    """JSON of the value, as Python's own library writes it."""

    dumps, loads = staticmethod(json_dumps), staticmethod(json_loads)


class PickleProtocol(KeyedProtocol):
    """Pickles, escaped: for values of any type. Read only what you wrote: a pickle can run code."""

    dumps, loads = staticmethod(pickle_dumps), staticmethod(pickle_loads)


class PickleValueProtocol(ValueProtocol):
    """A pickle of the value, escaped."""

    dumps, loads = staticmethod(pickle_dumps), staticmethod(pickle_loads)


class ReprProtocol(KeyedProtocol):
    """What Python's repr gives; of it, only literals are read."""

    dumps, loads = staticmethod(repr_dumps), staticmethod(repr_loads)


class ReprValueProtocol(ValueProtocol):
    """What Python's repr gives of the value."""

    dumps, loads = staticmethod(repr_dumps), staticmethod(repr_loads)


class BytesProtocol:
    """Key and value as they are; what is None is left out, with the tab. A line without a tab is a key."""

    def read(self, line: bytes) -> tuple[bytes, bytes | None]:
        """What is before the first tab, and what is behind it."""
        key, tab, value = line.partition(b"\t")
        return key, value if tab else None

    def write(self, key: bytes | None, value: bytes | None) -> bytes:
        """The line of a key and a value."""
        return b"\t".join([part for part in (key, value) if part is not None])


class TextProtocol:
    """Key and value as UTF-8, with a tab between them; a line that is no UTF-8 is read as Latin-1."""

    def read(self, line: bytes) -> tuple[str, str | None]:
        """What is before the first tab, and what is behind it."""
        key, tab, value = text_of(line).partition("\t")
        return key, value if tab else None

    def write(self, key: str | None, value: str | None) -> bytes:
        """The line of a key and a value."""
        return b"\t".join([part.encode() for part in (key, value) if part is not None])


class BytesValueProtocol(ValueProtocol):
    """The line as it is."""

    dumps, loads = staticmethod(lambda value: value), staticmethod(lambda data: data)


class TextValueProtocol(ValueProtocol):
    """The line as a text of UTF-8, or of Latin-1 where it is no UTF-8. What jobs read by default."""

    dumps, loads = staticmethod(lambda value: value.encode()), staticmethod(text_of)


RawProtocol = TextProtocol
RawValueProtocol = TextValueProtocol


def _other_json(module: str, prefix: str) -> tuple[type, type] | None:
    """The two protocols of another JSON library, where that is installed."""
    try:
        library = import_module(module)
    except ImportError:
        return None

    def dumps(value: Any) -> bytes:
        return library.dumps(value).encode()

    said = {"dumps": staticmethod(dumps), "loads": staticmethod(library.loads), "__module__": __name__}
    keyed, valued = (f"{prefix}JSON{kind}" for kind in ("Protocol", "ValueProtocol"))
    return type(keyed, (KeyedProtocol,), said), type(valued, (ValueProtocol,), said)


OTHERS: Final = {"ujson": "Ultra", "rapidjson": "Rapid", "simplejson": "Simple"}
JSONProtocol: Any = StandardJSONProtocol
JSONValueProtocol: Any = StandardJSONValueProtocol
for _module, _prefix in reversed(OTHERS.items()):
    if (_found := _other_json(_module, _prefix)) is not None:
        JSONProtocol, JSONValueProtocol = _found
        globals()[f"{_prefix}JSONProtocol"], globals()[f"{_prefix}JSONValueProtocol"] = _found


def __getattr__(name: str) -> Any:
    for module, prefix in OTHERS.items():
        if name in (f"{prefix}JSONProtocol", f"{prefix}JSONValueProtocol"):
            raise ImportError(f"{name} needs the library {module}, which is not installed: pip install {module}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
