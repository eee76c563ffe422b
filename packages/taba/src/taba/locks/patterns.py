"""Which tabs and clients a token may write. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from taba import names
from taba.locks.tokens import Token
from taba.matching import client_pattern, glob_pattern

ANY = "*"
NOT_ALLOWED = "not_allowed"
"""The reason by which is counted what a token may not write."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """Regular expressions over tabs in their one written form, and over clients; None where any will do."""

    tabs: tuple[str, ...] | None
    clients: tuple[str, ...] | None
    mark: str
    """The same for the same patterns, and another for others."""
    _tab: re.Pattern[str] | None
    _client: re.Pattern[str] | None

    @property
    def are_any(self) -> bool:
        """Whether everything may be written."""
        return self.tabs is None and self.clients is None

    def takes_client(self, client: str) -> bool:
        """Whether this client may be written for."""
        return self._client is None or self._client.search(client) is not None

    def takes_tab(self, written: str) -> bool:
        """Whether this tab may be written, in whatever order its tags stand."""
        if self._tab is None:
            return True
        if "," in written:
            written = names.join(*names.split(written))
        return self._tab.search(written) is not None


def patterns(token: Token) -> Patterns:
    """What a token may write."""
    return _compiled(token.write, token.clients)


@lru_cache(maxsize=1024)
def _compiled(write: tuple[str, ...], clients: tuple[str, ...]) -> Patterns:
    tabs = None if ANY in write else tuple(map(glob_pattern, write))
    of_clients = None if ANY in clients else tuple(map(client_pattern, clients))
    mark = hashlib.sha256(repr((sorted(write), sorted(clients))).encode()).hexdigest()[:12]
    return Patterns(tabs, of_clients, mark, _either(tabs), _either(of_clients))


def _either(expressions: tuple[str, ...] | None) -> re.Pattern[str] | None:
    # A list of none fits nothing.
    return None if expressions is None else re.compile("|".join(f"(?:{one})" for one in expressions) or r"(?!)")
