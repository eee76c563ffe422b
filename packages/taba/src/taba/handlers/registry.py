"""Which handlers there are: the built-in ones, installed ones, and a user's own files."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from taba.handlers.base import Compared, Handler
from taba.handlers.buffer import Buffer
from taba.handlers.counter import Counter
from taba.handlers.gauge import Gauge
from taba.handlers.percentile import Percentile
from taba.handlers.top import Top
from taba.handlers.uniques import Uniques

Loaded = TypeVar("Loaded")

BUILT_IN: tuple[type[Handler], ...] = (Counter, Percentile, Gauge, Uniques, Top, Buffer)
ENTRY_POINTS = "taba.handlers"
RESERVED_COLUMNS = {
    "tab",
    "client",
    "slice",
    "shard",
    "seconds",
    "until",
    "window",
    "reach",
    "bucket",
    "block",
    "submission",
}


class HandlerError(Exception):
    """A handler that cannot be used; the text says which and why."""


class Registry:
    """The handlers of this process, by type."""

    def __init__(self, sources: Iterable[str] = ()) -> None:
        """Load the built-in and installed handlers, then those in `sources` (FILE.py or module:Class)."""
        self._handlers: dict[str, Handler] = {}
        for handler in BUILT_IN:
            self.add(handler)
        for entry in entry_points(group=ENTRY_POINTS):
            self.add(_loaded(f"{entry.value} (installed as {entry.name!r})", entry.load))
        for source in sources:
            for handler in _from_source(source):
                self.add(handler)

    def add(self, kind: type[Handler]) -> None:
        """Take a handler in; raise HandlerError where its declaration is wrong or its type is taken."""
        if not (isinstance(kind, type) and issubclass(kind, Handler)):
            raise HandlerError(f"{kind!r} is not a subclass of taba.handlers.Handler")
        check(kind)
        taken = self._handlers.get(kind.type)
        if taken is not None and type(taken) is not kind:
            raise HandlerError(f"type {kind.type!r} of {_name(kind)} is taken by {_name(type(taken))}")
        self._handlers[kind.type] = kind()

    def get(self, type_name: str) -> Handler | None:
        """The handler of a type (without parameter), or None."""
        return self._handlers.get(type_name)

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())

    def types(self) -> str:
        """The types that are known, for error messages."""
        return ", ".join(sorted(self._handlers))


def check(kind: type[Handler]) -> None:
    """Raise HandlerError unless `kind` is a whole declaration."""
    missing = [name for name in ("type", "measures", "projection") if not hasattr(kind, name)]
    if missing:
        raise HandlerError(f"{_name(kind)} declares no {' and no '.join(missing)}")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", kind.type):
        raise HandlerError(f"{_name(kind)}: type {kind.type!r} must be lower-case letters, digits and _")
    clash = RESERVED_COLUMNS & {*kind.cells, *kind.measures, *kind.projection, *(kind.aggregate or ())}
    # A series gives each answer of the fleet the time of its slice.
    clash |= {"time"} & set(kind.projection if kind.aggregate is None else kind.aggregate)
    if clash:
        raise HandlerError(f"{_name(kind)}: the column {sorted(clash)[0]!r} is Taba's own; choose another name")

    _check_compared(kind)


def _check_compared(kind: type[Handler]) -> None:
    """Raise HandlerError where the States have not what a comparison needs."""
    needed = {Compared.COUNTS: {"count"}, Compared.RANKS: {"count", "min", "max"}}
    if kind.compare is None:
        return
    if not isinstance(kind.compare, Compared):
        raise HandlerError(f"{_name(kind)}: compare must be a member of taba.handlers.Compared, or None")
    missing = needed[kind.compare] - set(kind.measures)
    if missing or (kind.compare is Compared.RANKS and len(kind.cells) != 1):
        raise HandlerError(f"{_name(kind)}: compare = Compared.{kind.compare.name} needs {kind.compare.value}")


def _from_source(source: str) -> list[type[Handler]]:
    if source.endswith(".py"):
        path = Path(source)
        spec = importlib.util.spec_from_file_location(f"taba_handlers_{path.stem}", path)
        if spec is None or spec.loader is None or not path.is_file():
            raise HandlerError(f"there is no handler file {source}")
        module = importlib.util.module_from_spec(spec)
        _loaded(source, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]
        return _defined_in(module, source)
    module_name, colon, name = source.partition(":")
    if not colon:
        raise HandlerError(f"{source!r} names no handler: write FILE.py or module:Class")
    return [_loaded(source, lambda: getattr(importlib.import_module(module_name), name))]


def _defined_in(module: ModuleType, source: str) -> list[type[Handler]]:
    own = [
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Handler) and item.__module__ == module.__name__
    ]
    if not own:
        raise HandlerError(f"{source} defines no subclass of taba.handlers.Handler")
    return own


def _loaded(source: str, load: Callable[[], Loaded]) -> Loaded:
    """What `load` gives; whatever goes wrong in a user's file is told with the file's name."""
    try:
        return load()
    except (Exception, SystemExit) as error:
        raise HandlerError(f"{source} cannot be loaded: {type(error).__name__}: {error}") from error


def _name(kind: type[Handler]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
