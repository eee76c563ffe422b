"""A watch's rule: what is looked at, what must not be, and for how long. Read, checked and written; no I/O.

    rule       = condition [ "for" duration ]
    condition  = value comparison number | absent
    value      = term [ "/" term ] [ "by" key *( "," key ) ] [ "over" duration ]
    term       = field "(" glob ")"                       p99(request.ms)   rate(errors{route=pay})
    absent     = "absent" "(" "client" glob ")"
               | "absent" "(" "tab" glob ")" [ "by" key *( "," key ) ] [ "over" duration ]
    comparison = ">" | ">=" | "<" | "<=" | "==" | "!="
    number     = [ "-" ] digits [ "." digits ] [ "e" [ "-" ] digits ]
    field      a column of an answer, as docs/types.md lists them; `distinct` is `uniques`
    key        a tag's key; or `tab`, every tab by itself; or `client`, every client by itself
    glob       as in queries: over tabs (bids.*  errors{route=pay}), or over clients (web-*)
    duration   90s, 10m, 1h, 1d

Tabs of one name are merged, unless `by` says otherwise; each name is an instance of its own, and so is each group and
client. `over` is the window, one minute where it is not said. `for` is how long the condition must hold before the
watch fires, and how long it must not hold before it is over; without it both happen at once. `value(glob)` is a gauge's
value at each client, so it goes by client. The two sides of a division are matched by their tags and clients.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, NoReturn

from taba import durations
from taba.matching import PatternError, client_pattern, glob_pattern, is_name

WINDOW = 60
"""Seconds that a value is over, unless told otherwise."""
CLIENT, TAB = "client", "tab"
"""The keys of `by` that are no tags."""
MOST_KEYS = 16
LONGEST = 2_000
"""Characters of a rule."""

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda value, limit: value >= limit,
    "<=": lambda value, limit: value <= limit,
    "==": lambda value, limit: value == limit,
    "!=": lambda value, limit: value != limit,
    ">": lambda value, limit: value > limit,
    "<": lambda value, limit: value < limit,
}
_COLUMNS = {"distinct": "uniques"}
"""Fields that have another name in an answer."""


class RuleError(ValueError):
    """A rule that cannot be read; `place` is the character, from 1, at which that was seen, and the text names it."""

    def __init__(self, text: str, place: int) -> None:
        super().__init__(f"{text} (at character {place})")
        self.place = place


@dataclass(frozen=True, slots=True)
class Term:
    """A field of the answers of some tabs; `place` is where it stands in the rule, from 1."""

    field: str
    glob: str
    place: int = dataclasses.field(default=1, compare=False)

    @property
    def column(self) -> str:
        """The field's name in an answer."""
        return _COLUMNS.get(self.field, self.field)

    @property
    def name(self) -> str:
        """The part of the glob that is over names."""
        return self.glob.partition("{")[0]

    @property
    def exact(self) -> bool:
        """Whether it is about one name alone."""
        return is_name(self.name)

    def __str__(self) -> str:
        return f"{self.field}({self.glob})"


@dataclass(frozen=True, slots=True)
class Threshold:
    """One value, or one divided by another, compared with a number. `over` is in seconds."""

    terms: tuple[Term, ...]
    by: tuple[str, ...]
    over: float
    comparison: str
    limit: float

    def holds(self, value: float) -> bool:
        """Whether the condition is so of a value."""
        return COMPARISONS[self.comparison](value, self.limit)


@dataclass(frozen=True, slots=True)
class AbsentTab:
    """No event in the last `over` seconds."""

    glob: str
    by: tuple[str, ...]
    over: float

    @property
    def term(self) -> Term:
        """The tabs as those of a value are written."""
        return Term("absent", self.glob)


@dataclass(frozen=True, slots=True)
class AbsentClient:
    """A client that is known has not been heard."""

    glob: str


Condition = Threshold | AbsentTab | AbsentClient


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition, and how many seconds it must hold (0: none)."""

    condition: Condition
    hold: float

    def __str__(self) -> str:
        """The rule in its one written form; `parse` gives it back."""
        held = f" for {durations.write(self.hold)}" if self.hold else ""
        return _written(self.condition) + held


def parse(text: str) -> Rule:
    """The rule that `text` says; raises RuleError."""
    return _Reader(text).rule()


def check_fields(rule: Rule, known: Collection[str]) -> None:
    """Raise RuleError where a rule asks for a field that no answer has."""
    if not isinstance(rule.condition, Threshold):
        return
    for term in rule.condition.terms:
        if term.column not in known:
            near = difflib.get_close_matches(term.field, sorted(known), 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise RuleError(f"no answer has a field {term.field!r}: {hint}", term.place)


def _written(condition: Condition) -> str:
    match condition:
        case AbsentClient(glob):
            return f"absent(client {glob})"
        case AbsentTab(glob, by, over):
            return f"absent(tab {glob}){_grouped(by)}{_windowed(over)}"
        case Threshold(terms, by, over, comparison, limit):
            value = " / ".join(map(str, terms))
            if terms[0].field == "value":
                by = tuple(key for key in by if key != CLIENT)
            return f"{value}{_grouped(by)}{_windowed(over)} {comparison} {_number(limit)}"


def _number(number: float) -> str:
    return repr(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _grouped(by: tuple[str, ...]) -> str:
    return f" by {','.join(by)}" if by else ""


def _windowed(over: float) -> str:
    return f" over {durations.write(over)}" if over != WINDOW else ""


_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[0-9]+)?")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_GLOB = re.compile(r"[^(){}\s]*(?:\{[^{}]*\})?")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_DURATION = re.compile(r"[0-9.]*[a-zA-Z]*")
_COMPARISON = re.compile("|".join(COMPARISONS))


class _Reader:
    """Reads a rule from left to right; `_at` is how far it has come."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        if len(text) > LONGEST:
            self._fail(f"a rule of {len(text)} characters: at most {LONGEST} are taken")

    def rule(self) -> Rule:
        self._space()
        condition = self._absent() if re.match(r"absent\b", self._text[self._at :]) else self._threshold()
        hold = self._length("for") if self._word("for") else 0.0
        if self._at < len(self._text):
            self._fail(f"{self._rest()} is too much: a rule ends with 'for' and a duration")
        return Rule(condition, hold)

    def _absent(self) -> AbsentTab | AbsentClient:
        self._take("absent")
        self._take("(")
        kind = self._match(_WORD)
        if kind not in (CLIENT, TAB):
            self._fail("absent() is of a client or of a tab: write absent(client web-*) or absent(tab orders)")
        glob = self._glob(kind)
        self._take(")")
        if kind == CLIENT:
            return AbsentClient(glob)
        by = self._by()
        return AbsentTab(glob, by, self._over())

    def _threshold(self) -> Threshold:
        terms = [self._term()]
        if self._peek("/"):
            self._take("/")
            terms.append(self._term())
        if len(terms) == 2:
            self._check_division(terms)
        by = self._by()
        if any(term.field == "value" for term in terms) and CLIENT not in by:
            by = (*by, CLIENT)
        over = self._over()
        comparison = self._match(_COMPARISON)
        if not comparison:
            self._fail(f"a comparison is missing: one of {', '.join(COMPARISONS)}, and a number")
        return Threshold(tuple(terms), by, over, comparison, self._number())

    def _term(self) -> Term:
        place = self._at + 1
        field = self._match(_FIELD)
        if not field:
            self._fail("a value is missing: write a field of a tab's answer, as p99(request.ms)")
        self._take("(", f"{field!r} of which tab? Write it as {field}(request.ms)")
        glob = self._glob(TAB)
        self._take(")")
        return Term(field, glob, place)

    def _check_division(self, terms: list[Term]) -> None:
        for term in terms:
            if not term.exact:
                self._fail(f"{term.glob!r} is of several names: in a division each side is of one", term.place)
        if len({term.field == "value" for term in terms}) == 2:
            self._fail("value() is of each client, and the other side is not: divide sums", terms[1].place)

    def _glob(self, kind: Literal["client", "tab"]) -> str:
        self._space()
        place = self._at + 1
        glob = self._match(_GLOB)
        if not glob:
            self._fail(f"a glob over {kind}s is missing", place)
        try:
            pattern = client_pattern(glob) if kind == CLIENT else glob_pattern(glob)
            re.compile(pattern)
        except PatternError as error:
            self._fail(str(error), place)
        except re.error:
            self._fail(f"{glob!r} is not a glob over {kind}s", place)
        return glob

    def _by(self) -> tuple[str, ...]:
        if not self._word("by"):
            return ()
        place = self._at + 1
        keys: list[str] = []
        while True:
            key = self._match(_KEY)
            if not key:
                self._fail("a key is missing: by client, by tab, or by a tag as in by route")
            keys.append(key)
            if not self._peek(","):
                break
            self._take(",")
        if len(keys) > MOST_KEYS:
            self._fail(f"by {len(keys)} keys: at most {MOST_KEYS} are taken", place)
        if TAB in keys and set(keys) - {TAB, CLIENT}:
            self._fail("by tab is every tab by itself: no tag goes with it", place)
        return tuple(dict.fromkeys(keys))

    def _over(self) -> float:
        return self._length("over", least=1.0) if self._word("over") else WINDOW

    def _length(self, word: str, least: float = 0.0) -> float:
        place = self._at + 1
        text = self._match(_DURATION)
        try:
            seconds = durations.parse(text)
        except durations.DurationError:
            self._fail(f"{text or 'nothing'!r} after '{word}' is not a duration: write it as 30s, 5m or 1h", place)
        if seconds < least:
            self._fail(f"{word} {text}: a window is at least {least:.0f} s long", place)
        return float(seconds)

    def _number(self) -> float:
        place = self._at + 1
        text = self._match(_NUMBER)
        if not text:
            self._fail("a number is missing after the comparison")
        number = float(text)
        if number in (float("inf"), float("-inf")):
            self._fail(f"{text} is too great a number", place)
        return number

    def _space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _match(self, pattern: re.Pattern[str]) -> str:
        """What fits here, and the space after it; empty where nothing does."""
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        self._space()
        return match[0]

    def _peek(self, sign: str) -> bool:
        return self._text.startswith(sign, self._at)

    def _word(self, word: str) -> bool:
        """Take a word if it comes next."""
        match = _WORD.match(self._text, self._at)
        if match is None or match[0] != word:
            return False
        self._at = match.end()
        self._space()
        return True

    def _take(self, sign: str, otherwise: str = "") -> None:
        if not self._peek(sign):
            self._fail(otherwise or f"expected {sign!r}, not {self._rest()}")
        self._at += len(sign)
        self._space()

    def _rest(self) -> str:
        rest = self._text[self._at :]
        return repr(rest if len(rest) <= 30 else f"{rest[:29]}…") if rest else "the end"

    def _fail(self, text: str, place: int | None = None) -> NoReturn:
        raise RuleError(text, self._at + 1 if place is None else place)
