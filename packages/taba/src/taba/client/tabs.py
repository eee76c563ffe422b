"""Tabs as a program holds them: one handle for each, and the registry that hands them out.

Recording must cost no more than a list's append, so it is one: `handle.record` is the bound `append` of
the handle's list. The list object therefore stays the same for as long as the process lives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import compress
from threading import RLock
from typing import Any

from taba.names import check_name, check_tags, clean_value, join, parse_type

TAB_LIMIT = 100_000
"""Tabs that one client may have, unless `start` says otherwise."""
OVERFLOW = "taba.client.tab_limit"
"""The name under which events of tabs beyond the limit are counted as dropped."""


class Handle:
    """One tab in this process: `record(value)` records an event of it.

    Between two flushes, a quarter of a second, `events` grows with every value recorded.
    """

    __slots__ = ("events", "record", "tab", "type", "warned")

    tab: str
    type: str
    events: list[Any]
    record: Callable[[Any], None]
    warned: bool

    def __init__(self, tab: str, type: str, keep: bool = True) -> None:  # noqa: A002 - the word for it
        self.tab = tab
        self.type = type
        self.events = []
        self.record = self.events.append if keep else deque[Any](maxlen=0).append
        self.warned = False

    def __repr__(self) -> str:
        return f"<{self.type} {self.tab}>"


class Registry:
    """The handles of one process, by tab; safe to use from any thread."""

    def __init__(self, keep: bool = True) -> None:
        self.limit = TAB_LIMIT
        self.lock = RLock()
        self._keep = keep
        self._by_tab: dict[str, Handle] = {}
        self._by_call: dict[tuple[Any, ...], Handle] = {}
        self._types: dict[str, str] = {}
        self._handles: list[Handle] = []
        self._events: list[list[Any]] = []
        self._overflow: Handle | None = None

    def handle(self, name: str, type: str, tags: Mapping[str, Any]) -> Handle:  # noqa: A002
        """The handle of a tab, the same each time.

        Raises ValueError for a name, a tag's key or a type that breaks the rules, and for a second type of
        one name. Tag values are cleaned. Beyond the limit on tabs, one handle stands for all further ones.
        """
        call = (name, *tags.items(), *map(_type, tags.values()))
        try:
            handle = self._by_call.get(call)
        except Exception:  # a value that cannot be hashed, or whose own __hash__ is broken
            handle = None
        if handle is not None and handle.type == type:
            return handle
        cleaned = {key: tag_value(value) for key, value in tags.items()}
        handle = self._checked(name, type, cleaned)
        if handle is not self._overflow and _are_plain(tags, cleaned):
            self._by_call[call] = handle
        return handle

    def _checked(self, name: str, kind: str, tags: Mapping[str, str]) -> Handle:
        check_name(name)
        check_tags(tags)
        parse_type(kind)
        with self.lock:
            return self._created(name, join(name, tags), kind)

    def _created(self, name: str, tab: str, kind: str) -> Handle:
        known = self._types.get(name, kind)
        if known != kind:
            raise ValueError(f"{name!r} is of type {known} in this process and cannot be of type {kind} too")
        handle = self._by_tab.get(tab)
        if handle is not None:
            return handle
        if len(self._by_tab) >= self.limit:
            return self._beyond_limit()
        self._types[name] = kind
        handle = self._by_tab[tab] = self._add(Handle(tab, kind, self._keep))
        return handle

    def _beyond_limit(self) -> Handle:
        if self._overflow is None:
            self._overflow = self._add(Handle(OVERFLOW, "dropped", self._keep))
        return self._overflow

    def _add(self, handle: Handle) -> Handle:
        self._events.append(handle.events)
        self._handles.append(handle)
        return handle

    def active(self) -> Iterator[Handle]:
        """The handles that have events; passes ten thousand idle ones in a tenth of a millisecond."""
        return compress(self._handles, self._events)

    def clear(self) -> None:
        """Forget all events, as a forked child does: they are its parent's to send."""
        for events in self._events:
            events.clear()


_type = type
"""The built-in, where `type` is a tab's."""


def _are_plain(tags: Mapping[str, Any], cleaned: Mapping[str, str]) -> bool:
    """Whether the same tags will always mean the same tab, and take no more memory than the tab itself."""
    return all(value == cleaned[key] if type(value) is str else type(value) is int for key, value in tags.items())


def tag_value(value: object) -> str:
    """A tag's value from whatever the program has at hand; never raises."""
    try:
        text = str(value)
    except Exception:  # a broken __str__ is no reason to stop a program
        text = type(value).__name__
    return clean_value(text if text.isascii() else encodable(text))


def encodable(text: str) -> str:
    """`text` with `?` for each half of a surrogate pair, which UTF-8 and strict JSON cannot carry."""
    return text.encode("utf-8", "replace").decode()
