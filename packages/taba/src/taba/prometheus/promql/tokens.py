"""A query's text -> its tokens. What no token begins with is an error that says where.

space       blanks, line ends, and from # to the line's end
duration    digits unit { digits unit }      unit = "ms" | "s" | "m" | "h" | "d" | "w" | "y"
number      digits, with "." and exponent | "0x" hexadecimal digits
word        letter, "_" or ":"   followed by these and digits
text        in "…" or '…' with Go's escapes, or in `…` as it is
mark        == != =~ !~ <= >= < > = + - * / % ^ ( ) { } [ ] , @
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_QUERY = 65_536
"""Characters in a query: more than any list of alternatives that a dashboard's variable makes."""


class QueryError(ValueError):
    """A query that cannot be answered: the text says where in it, what is wrong, and what there is."""


class SyntaxProblem(QueryError):
    """A query that cannot be read; `position` is the character's place, from 0."""

    def __init__(self, text: str, position: int, query: str) -> None:
        before = query[:position]
        line, column = before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
        super().__init__(f"{line}:{column}: parse error: {text}")
        self.position = position


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is one of those above, or "end"; `text` what was written (of a text: what it means)."""

    kind: str
    text: str
    position: int


UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
"""Milliseconds in each unit."""
MOST_UNITS = 1e15
"""As many of a unit as are told from more."""

_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r\n]+|\#[^\n]*)+)
      | (?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![A-Za-z0-9_.]))
      | (?P<number>0[xX][0-9a-fA-F]+(?![A-Za-z0-9_.])
            |(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_.]))
      | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
      | (?P<mark>==|!=|=~|!~|<=|>=|[<>=+\-*/%^(){}\[\],@])""",
    re.VERBOSE,
)
_PART = re.compile(r"([0-9]+)(ms|[smhdwy])")
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def tokens(query: str) -> list[Token]:
    """The query's tokens, ended by one of the kind "end"; raises SyntaxProblem."""
    if len(query) > MAX_QUERY:
        raise SyntaxProblem(f"a query of {len(query)} characters: at most {MAX_QUERY} are taken", MAX_QUERY, query)
    found, position = [], 0
    while position < len(query):
        match = _TOKEN.match(query, position)
        if match is None:
            raise SyntaxProblem(_unfit(query, position), position, query)
        kind = str(match.lastgroup)
        if kind == "text":
            found.append(Token(kind, _meaning(match[0], position, query), position))
        elif kind != "space":
            found.append(Token(kind, match[0], position))
        position = match.end()
    return [*found, Token("end", "", len(query))]


def milliseconds(duration: str) -> int:
    """What a duration's token means; however many digits it has, it ends as a number that is too long for any use."""
    return sum(int(min(float(number), MOST_UNITS)) * UNITS[unit] for number, unit in _PART.findall(duration))


def written(duration: int) -> str:
    """Milliseconds as a duration."""
    unit = next(unit for unit in ("h", "m", "s", "ms") if duration % UNITS[unit] == 0)
    return f"{duration // UNITS[unit]}{unit}"


def quoted(text: str) -> str:
    """A text as it is written in a query."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", escaped) + '"'


def _unfit(query: str, position: int) -> str:
    character = query[position]
    if character in "\"'`":
        return f"the text that begins with {character} does not end"
    if character.isdigit() or character == ".":
        return f"{re.split(r'[^A-Za-z0-9_.]', query[position : position + 40])[0]!r} is neither a number nor a duration"
    return f"unexpected character {character!r}"


def _meaning(written: str, position: int, query: str) -> str:
    inside = written[1:-1]
    if written[0] == "`" or "\\" not in inside:
        return inside

    def meant(match: re.Match[str]) -> str:
        simple, two, four, eight, octal, unknown = match.groups()
        if simple is not None:
            return _SIMPLE.get(simple, simple)
        code = int(octal, 8) if octal else int(two or four or eight or "110000", 16)
        if unknown is not None or code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise SyntaxProblem(f"{match[0]!r} is no escape: write a backslash as \\\\", position, query)
        return chr(code)

    return _ESCAPE.sub(meant, inside)
