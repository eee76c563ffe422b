"""The `[[watches]]` of a settings file, read and checked.

name      1 to 100 printable characters, none of  { } , = " \\ ; each watch another
rule      as taba.watches.rule reads it
webhook   a URL that is posted to, http or https; may be left out
command   a program and its arguments, as a list; may be left out. A relative path starts at the file's folder
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from taba import names
from taba.settings import Watch
from taba.watches.rule import RuleError, parse

MOST = 1000
"""Watches that there may be."""
LONGEST_NAME = 100
_FIELDS = Watch.__struct_fields__


class WatchError(ValueError):
    """A watch that cannot be used; the text names it, and what was expected."""


def read(tables: Any, origin: str, folder: Path) -> tuple[Watch, ...]:
    """The watches; raises WatchError. `origin` is where the tables stand, for errors; `folder` that of the file."""
    if not isinstance(tables, list):
        raise WatchError(f"{origin} is {tables!r}: expected tables, each under [[watches]]")
    if len(tables) > MOST:
        raise WatchError(f"{origin}: {len(tables)} watches; there may be {MOST}")
    watches: dict[str, Watch] = {}
    for place, table in enumerate(tables):
        watch = _watch(table, f"{origin}[{place}]", folder)
        if watch.name in watches:
            raise WatchError(f"{origin}[{place}].name is {watch.name!r}: another watch has this name")
        watches[watch.name] = watch
    return tuple(watches.values())


def _watch(table: Any, origin: str, folder: Path) -> Watch:
    if not isinstance(table, dict):
        raise WatchError(f"{origin} is {table!r}: expected a table with name, rule, webhook and command")
    name = _name(table.get("name"), origin)
    origin = f"{origin} ({name})"
    for key in table:
        if key not in _FIELDS:
            near = difflib.get_close_matches(key, _FIELDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"a watch has {', '.join(_FIELDS)}"
            raise WatchError(f"{origin}: {key} is not a setting: {hint}")
    rule = table.get("rule")
    if not isinstance(rule, str):
        raise WatchError(f"{origin}: rule is {rule!r}: expected a rule, as 'p99(request.ms) > 200 for 1m'")
    try:
        parse(rule)
    except RuleError as error:
        raise WatchError(f"{origin}: rule {rule!r}: {error}") from None
    webhook = table.get("webhook")
    return Watch(
        name,
        rule,
        None if webhook is None else _url(webhook, origin),
        _command(table.get("command", []), origin, folder),
    )


def _name(name: Any, origin: str) -> str:
    if isinstance(name, str) and len(name) <= LONGEST_NAME and re.fullmatch(names.VALUE_PATTERN, name):
        return name
    raise WatchError(
        f'{origin}.name is {name!r}: expected 1 to {LONGEST_NAME} printable characters, none of {{ }} , = " \\'
    )


def _url(url: Any, origin: str) -> str:
    """`url`, where it can be posted to."""
    fits = isinstance(url, str) and url.isascii() and url.isprintable() and " " not in url
    try:
        parts = urlsplit(url) if fits else None
        fits = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
        if parts is not None and fits:
            # Raises ValueError where it is no port.
            _ = parts.port
            fits = parts.username is None
    except ValueError:
        fits = False
    if not fits:
        raise WatchError(f"{origin}: webhook is {url!r}: expected a URL, as http://10.0.0.7/alarm, without a password")
    return url


def _command(words: Any, origin: str, folder: Path) -> tuple[str, ...]:
    if not isinstance(words, Sequence) or isinstance(words, str) or not all(isinstance(word, str) for word in words):
        raise WatchError(f'{origin}: command is {words!r}: expected a list of texts, as ["/usr/local/bin/alarm", "me"]')
    if not words:
        return ()
    if not words[0] or any("\0" in word for word in words):
        raise WatchError(f"{origin}: command is {list(words)!r}: expected a program first, and no text with NUL")
    program = Path(words[0]).expanduser()
    return (str(folder.absolute() / program) if "/" in words[0] else words[0], *words[1:])
