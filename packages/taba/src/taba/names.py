"""How tabs and clients are named. Shared by the client and the server; standard library only.

    tab       = name [ "{" tag *( "," tag ) "}" ]        tags sorted by key, each key once
    tag       = key "=" value
    name      = 1 to 200 of  A-Z a-z 0-9 _ . : / -       the first a letter, a digit or _
    key       = 1 to 64 of   A-Z a-z 0-9 _ . -           the first a letter or _
    value     = 1 to 200 printable characters, none of  { } , = " \\
    client    = 1 to 200 of  A-Z a-z 0-9 _ . : / @ -
    type      = handler [ "(" parameter ")" ]            as in  counter  or  gauge(30)

Names that begin with `taba.` are Taba's own: what it says of itself and of its clients.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MAX_NAME = 200
MAX_TAG_KEY = 64
MAX_TAG_VALUE = 200
MAX_TAGS = 16
MAX_CLIENT = 200
MAX_TEXT = 1024
"""Characters in one recorded text value."""
OWN_PREFIX = "taba."

NAME_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,199}"
KEY_PATTERN = r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"
VALUE_PATTERN = r"[^{},=\"\\\x00-\x1f\x7f]{1,200}"
CLIENT_PATTERN = r"[A-Za-z0-9_.:/@-]{1,200}"
TYPE_PATTERN = r"([a-z][a-z0-9_]{0,63})(?:\(([0-9.eE+-]{1,32})\))?"

_NAME = re.compile(NAME_PATTERN)
_KEY = re.compile(KEY_PATTERN)
_VALUE = re.compile(VALUE_PATTERN)
_CLIENT = re.compile(CLIENT_PATTERN)
_TYPE = re.compile(TYPE_PATTERN)
_UNFIT_IN_VALUE = re.compile(r"[{},=\"\\\x00-\x1f\x7f]")


class NameRuleError(ValueError):
    """A name that breaks the rules; the text says which rule and shows the name."""


def _shown(text: object) -> str:
    """`text` quoted for an error message, cut where it would be too long to read."""
    quoted = repr(text)
    return quoted if len(quoted) <= 80 else f"{quoted[:77]}…'"


def check_name(name: str) -> str:
    """Return `name` if it is a tab's name; raise NameRuleError otherwise."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise NameRuleError(
        f"{_shown(name)} is not a name: 1 to {MAX_NAME} letters, digits and _ . : / - are allowed, "
        "and the first must be a letter, a digit or _"
    )


def check_client(client: str) -> str:
    """Return `client` if it is a client id; raise NameRuleError otherwise."""
    if isinstance(client, str) and _CLIENT.fullmatch(client):
        return client
    raise NameRuleError(
        f"{_shown(client)} is not a client id: 1 to {MAX_CLIENT} letters, digits and _ . : / @ - are allowed"
    )


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise NameRuleError unless every key and value of `tags` keeps the rules."""
    if len(tags) > MAX_TAGS:
        raise NameRuleError(f"{len(tags)} tags: a tab has at most {MAX_TAGS}")
    for key, value in tags.items():
        if not _KEY.fullmatch(key):
            raise NameRuleError(
                f"{_shown(key)} is not a tag's key: 1 to {MAX_TAG_KEY} letters, digits and _ . - are "
                "allowed, and the first must be a letter or _"
            )
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise NameRuleError(
                f"{_shown(value)} is not a value for the tag {key!r}: 1 to {MAX_TAG_VALUE} printable "
                'characters are allowed, none of { } , = " \\'
            )


def join(name: str, tags: Mapping[str, str]) -> str:
    """The tab's one written form: `join("a", {"y": "2", "x": "1"})` is `a{x=1,y=2}`."""
    if not tags:
        return name
    return name + "{" + ",".join(f"{key}={tags[key]}" for key in sorted(tags)) + "}"


def split(tab: str) -> tuple[str, dict[str, str]]:
    """The name and the tags of a tab as written; the opposite of `join`, checking nothing."""
    name, brace, rest = tab.partition("{")
    if not brace:
        return name, {}
    pairs = (tag.partition("=") for tag in rest.removesuffix("}").split(","))
    return name, {key: value for key, _, value in pairs}


def parse(tab: str) -> tuple[str, dict[str, str]]:
    """The name and the tags of a tab that somebody wrote; raise NameRuleError where it breaks the rules."""
    name, brace, rest = tab.partition("{")
    check_name(name)
    if not brace:
        return name, {}
    pairs = [tag.partition("=") for tag in rest.removesuffix("}").split(",")]
    tags = {key: value for key, _, value in pairs}
    if not rest.endswith("}") or len(tags) < len(pairs):
        raise NameRuleError(f"{_shown(tab)} is not a tab: write it as name{{key=value,other=value}}, each key once")
    check_tags(tags)
    return name, tags


def clean_value(value: object) -> str:
    """A tag's value made from anything: characters that it may not hold become `_`, the length is cut."""
    return _UNFIT_IN_VALUE.sub("_", str(value))[:MAX_TAG_VALUE] or "_"


def parse_type(written: str) -> tuple[str, float | None]:
    """`gauge(30)` is `("gauge", 30.0)`, `counter` is `("counter", None)`; raise NameRuleError for other forms."""
    match = _TYPE.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise NameRuleError(f"{_shown(written)} is not a type: write it as counter, or gauge(30)")
    try:
        return match[1], None if match[2] is None else float(match[2])
    except ValueError:
        raise NameRuleError(f"{_shown(written)}: {match[2]!r} is not a number") from None
