"""Names and tags of StatsD as those of tabs: what breaks the rules of names is made to fit, in this one place.

    a name's other characters       "_" for each; and "_" before it, where it begins with one that a name cannot
    a tag's key                     likewise
    a tag's value                   `names.clean_value`; "true" for a tag without a value
    a key that comes twice          the last holds
    a client named by a tag         "_" for each other character

What is too long, or has too many tags, is refused: cut, two names could become one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from taba import names

VALUELESS = "true"

_UNFIT_IN_NAME = re.compile(r"[^A-Za-z0-9_.:/-]")
_UNFIT_IN_KEY = re.compile(r"[^A-Za-z0-9_.-]")
_UNFIT_IN_CLIENT = re.compile(r"[^A-Za-z0-9_.:/@-]")
_DIALECTS = (("[", ","), (",", ","), (";", ";"), ("#", ","))
"""What begins the tags within a name, and what stands between two of them."""

Tag = tuple[str, str]


class UnfitError(Exception):
    """What cannot be taken; its one argument is the reason, as it is counted."""


def split_name(written: str) -> tuple[str, list[Tag]]:
    """The name before the tags that stand within it, and those: `a,x=1` is `("a", [("x", "1")])`."""
    for begin, between in _DIALECTS:
        name, found, rest = written.partition(begin)
        if not found:
            continue
        if begin == "[":
            inner, closed, after = rest.partition("]")
            if not closed:
                continue
            name, rest = name + after, inner
        return name, [_pair(part, "=") for part in rest.split(between) if part]
    return written, []


def dog_tags(written: str) -> list[Tag]:
    """Tags as DogStatsD writes them: `env:prod,fast`."""
    return [_pair(part, ":") for part in written.split(",") if part]


def _pair(part: str, between: str) -> Tag:
    key, found, value = part.partition(between)
    return key, value if found else VALUELESS


def tab(name: str, tags: Iterable[Tag]) -> str:
    """The tab of a name and tags as they came. Raises UnfitError."""
    fitting = _fit(name, _UNFIT_IN_NAME, names.NAME_PATTERN, names.MAX_NAME, "statsd_name")
    kept = {
        _fit(key, _UNFIT_IN_KEY, names.KEY_PATTERN, names.MAX_TAG_KEY, "statsd_tags"): names.clean_value(value)
        for key, value in tags
    }
    if len(kept) > names.MAX_TAGS:
        raise UnfitError("statsd_tags")
    return names.join(fitting, kept)


def _fit(written: str, unfit: re.Pattern[str], pattern: str, most: int, reason: str) -> str:
    """`written` with what is unfit replaced; raises UnfitError where it is empty or too long."""
    cleaned = unfit.sub("_", written)
    if cleaned and not re.match(pattern, cleaned):
        cleaned = "_" + cleaned
    if not 0 < len(cleaned) <= most:
        raise UnfitError(reason)
    return cleaned


def client(value: str) -> str:
    """A client's id from a tag's value. Raises UnfitError."""
    cleaned = _UNFIT_IN_CLIENT.sub("_", value)
    if not 0 < len(cleaned) <= names.MAX_CLIENT:
        raise UnfitError("statsd_clients")
    return cleaned
