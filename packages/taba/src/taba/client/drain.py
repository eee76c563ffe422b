"""From lists of recorded values to what a frame says. Pure: knows no clock, no connection and no log.

Values may be anything, since recording checks nothing. A tab's values are checked all at once; only where
that fails is each looked at, so that the good ones are kept and the bad ones counted, by tab and reason:

    wrong_type    neither a number nor, where the tab takes text, text
    not_finite    infinite, not a number, or beyond the range of a float64
    too_long      text of more than MAX_TEXT characters
    superseded    a gauge's numbers before a text, or texts before a number: a frame keeps the order
                  among numbers and among texts, not between them
    flush_limit   more values than a tab may have in one flush; the newest are kept
    tab_limit     recorded to tabs beyond the client's limit
    flush_failed  their flush was broken off: no memory, or a signal's handler that raised, as sys.exit() does
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from taba.client.tabs import OVERFLOW, Handle, encodable
from taba.frame import Drops, Texts
from taba.names import MAX_TEXT

FRAME_BYTES = 8 << 20
"""About the most that a frame holds: what a flush has beyond it goes into further frames."""
NUMBERS_AT_ONCE = 1 << 17
TEXTS_AT_ONCE = 512
DROPS_BYTES = 1 << 20

NUMBER_TYPES = frozenset({"counter", "percentile"})
TEXT_TYPES = frozenset({"uniques", "top"})

FAILED = "flush_failed"

SAID = {
    "wrong_type": "is of the wrong type",
    "not_finite": "is not a finite float64",
    "too_long": f"is longer than {MAX_TEXT} characters",
    "superseded": "came before a value of the other kind, number or text",
}

DropCounts = Counter[tuple[str, str]]
"""How many events were lost, by tab and reason."""


class UnfitError(Exception):
    """A value that cannot be sent; its one argument is the reason."""


class Draft:
    """What one frame will say, while it is put together. `weight` is about its bytes, rather too many."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.types: list[str] = []
        self.counts: list[int] = []
        self.numbers = array("d")
        self.texts = Texts()
        self.drops: Drops | None = None
        self.weight = 0

    def add(self, handle: Handle, piece: array[float] | list[str], weight: int) -> None:
        """Append some of a tab's values, all numbers or all texts."""
        self.weight += weight
        if isinstance(piece, array):
            self.add_numbers(handle.tab, handle.type, piece)
        else:
            self.add_texts(handle.tab, handle.type, piece)

    def add_numbers(self, tab: str, kind: str, numbers: array[float]) -> None:
        """Append numbers of a tab."""
        self.numbers.extend(numbers)
        _count(self, tab, kind, len(numbers))

    def add_texts(self, tab: str, kind: str, texts: list[str]) -> None:
        """Append texts of a tab."""
        self.texts.values.extend(texts)
        _count(self.texts, tab, kind, len(texts))


def _count(lists: Draft | Texts, tab: str, kind: str, count: int) -> None:
    if lists.names and lists.names[-1] == tab:
        lists.counts[-1] += count
    else:
        lists.names.append(tab)
        lists.types.append(kind)
        lists.counts.append(count)


class Drain:
    """Takes values out of handles' lists; counts what it drops, and keeps a complaint for each tab."""

    def __init__(self, flush_limit: int) -> None:
        self.flush_limit = flush_limit
        self.drops: DropCounts = Counter()
        self.complaints: list[str] = []

    def take(self, handles: Iterable[Handle]) -> list[Draft]:
        """All values of `handles` in as few frames as hold them; no draft when there are none."""
        drafts: list[Draft] = []
        try:
            for handle in handles:
                self._draft(handle, drafts)
        except BaseException:
            self.give_up(drafts)
            raise
        return drafts

    def _draft(self, handle: Handle, drafts: list[Draft]) -> None:
        values: list[Any] = []
        left = None
        try:
            values = taken(handle.events)
            values = self._within_limit(handle, values)
            left = len(values)
            if handle.tab == OVERFLOW:
                self._drop(handle, "tab_limit", left, "there are more tabs than a client may have")
                return
            numbers, texts = self._checked(handle, values)
            left = len(numbers) + len(texts)
            for piece, weight in _pieces(handle.tab, numbers, texts):
                if not drafts or drafts[-1].weight + weight > FRAME_BYTES:
                    drafts.append(Draft())
                drafts[-1].add(handle, piece, weight)
                left -= len(piece)
        except BaseException:
            self.drops[handle.tab, FAILED] += len(values) if left is None else left
            raise

    def give_up(self, drafts: Iterable[Draft]) -> None:
        """Count all that drafts would have said as lost."""
        for draft in drafts:
            for lists in (draft, draft.texts):
                for tab, count in zip(lists.names, lists.counts, strict=False):
                    self.drops[tab, FAILED] += count
            if draft.drops is not None:
                for tab, reason, count in zip(draft.drops.names, draft.drops.reasons, draft.drops.counts, strict=True):
                    self.drops[tab, reason] += count

    def tell_drops(self, drafts: list[Draft]) -> None:
        """Have drafts say what was dropped, and further ones where these cannot hold it all."""
        place = 0
        while (report := self.report()) is not None:
            if place == len(drafts):
                drafts.append(Draft())
            drafts[place].drops = report
            place += 1

    def discard(self, handles: Iterable[Handle], reason: str) -> None:
        """Drop all values of `handles`."""
        for handle in handles:
            self.drops[handle.tab, reason] += len(taken(handle.events))

    def report(self) -> Drops | None:
        """What was dropped, for a frame to say, as far as one frame holds it; the rest is for the next."""
        weight = 0
        drops = Drops()
        while self.drops and weight < DROPS_BYTES:
            (tab, reason), count = self.drops.popitem()
            weight += _weight(tab) + 40
            drops.names.append(tab)
            drops.reasons.append(reason)
            drops.counts.append(count)
        return drops if drops.names else None

    def _within_limit(self, handle: Handle, values: list[Any]) -> list[Any]:
        excess = len(values) - self.flush_limit
        if excess <= 0:
            return values
        self._drop(handle, "flush_limit", excess, f"a flush takes {self.flush_limit} values of a tab")
        return values[excess:]

    def _checked(self, handle: Handle, values: list[Any]) -> tuple[array[float], list[str]]:
        found = _all_fit(handle.type, values)
        if found is not None:
            return found
        numbers, texts, bad = _sorted_out(handle.type, values)
        for reason, examples in bad.items():
            self._drop(handle, reason, len(examples), f"{_shown(examples[0])} {SAID[reason]}")
        return numbers, texts

    def _drop(self, handle: Handle, reason: str, count: int, why: str) -> None:
        self.drops[handle.tab, reason] += count
        if not handle.warned:
            handle.warned = True
            self.complaints.append(
                f"{handle.tab}, type {handle.type}: dropped {count} because {why}; "
                "what else is dropped of this tab is only counted"
            )


def taken(events: list[Any]) -> list[Any]:
    """Take the values out of a list that other threads append to; the list object stays."""
    values = events[:]
    del events[: len(values)]
    return values


def _shown(value: object) -> str:
    """A bad value for a message; its own `repr` might be broken, or tell secrets."""
    if type(value) in (str, int, float) or value is None:
        with suppress(ValueError):  # Python refuses to write integers of thousands of digits
            return repr(value)[:60]
    return f"a value of type {type(value).__name__}"


def _all_fit(kind: str, values: list[Any]) -> tuple[array[float], list[str]] | None:
    """The values as they are, where all are numbers or all are text and every one fits."""
    if kind not in TEXT_TYPES:
        try:
            numbers = array("d", values)
            if math.isfinite(sum(numbers)):
                return numbers, []
        except Exception:  # not only TypeError: a value's own __float__ is called, and may raise anything
            numbers = None
    if kind not in NUMBER_TYPES and set(map(type, values)) == {str}:
        return _texts_fit(values)
    return None


def _texts_fit(texts: list[str]) -> tuple[array[float], list[str]] | None:
    if max(map(len, texts)) > MAX_TEXT:
        return None
    joined = "".join(texts)
    if not joined.isascii():
        try:
            joined.encode()
        except UnicodeEncodeError:
            return None
    return array("d"), texts


def _sorted_out(kind: str, values: list[Any]) -> tuple[array[float], list[str], dict[str, list[Any]]]:
    """The numbers, the texts, and the bad values by reason."""
    numbers: list[Any] = []
    texts: list[Any] = []
    bad: dict[str, list[Any]] = {}
    last = numbers
    for value in values:
        is_text = kind in TEXT_TYPES or (_is(value, str) and kind not in NUMBER_TYPES)
        try:
            fit = as_text(value) if is_text else as_number(value)
        except UnfitError as error:
            bad.setdefault(error.args[0], []).append(value)
        else:
            last = texts if is_text else numbers
            last.append(fit)
    older = numbers if last is texts else texts
    if kind.startswith("gauge") and older:
        bad["superseded"] = older[:]
        older.clear()
    return array("d", numbers), texts, bad


def _is(value: object, *types: type) -> bool:
    """As isinstance, but never asks the value itself: a lazy one would go and fetch what it stands for."""
    return issubclass(type(value), types)


def as_number(value: Any) -> float:
    """A recorded value as a finite float; raises UnfitError."""
    try:
        number = array("d", (value,))[0]
    except OverflowError:
        raise UnfitError("not_finite") from None
    except Exception:
        raise UnfitError("wrong_type") from None
    if not math.isfinite(number):
        raise UnfitError("not_finite")
    return number


def as_text(value: Any) -> str:
    """A recorded value as text, numbers written as Python writes them; raises UnfitError."""
    if not _is(value, str, int, float):
        raise UnfitError("wrong_type")
    try:
        text = str.__str__(value) if _is(value, str) else str(value)
    except ValueError:  # Python refuses to write integers of thousands of digits
        raise UnfitError("too_long") from None
    except Exception:  # a type's own __str__ may raise anything
        raise UnfitError("wrong_type") from None
    if len(text) > MAX_TEXT:
        raise UnfitError("too_long")
    return text if text.isascii() else encodable(text)


def _pieces(tab: str, numbers: array[float], texts: list[str]) -> Iterator[tuple[array[float] | list[str], int]]:
    """A tab's values in pieces, each with its weight, so that no frame grows beyond its bound."""
    base = 80 + len(tab) * (1 if tab.isascii() else 12)
    for at in range(0, len(numbers), NUMBERS_AT_ONCE):
        some = numbers[at : at + NUMBERS_AT_ONCE]
        yield some, base + 8 * len(some)
    for at in range(0, len(texts), TEXTS_AT_ONCE):
        part = texts[at : at + TEXTS_AT_ONCE]
        yield part, base + sum(map(_weight, part)) + 3 * len(part)


def _weight(text: str) -> int:
    """At most this many bytes in JSON: an escape has 6, and what lies beyond 16 bits has two."""
    return len(text) * (6 if text.isascii() else 12)
