"""Small expressions over the fields of events, for `where`: built with Python's operators, or read from a text.

    Impression.advertiser_id == "a17"
    (Impression.price > 2) & Click.position.is_in([1, 2])      a Click and what it was a click on
    note("score") >= 0.5                                       a derived column
    parse("Impression.price > 2 and user.startswith('u')")     the same as a text

The text of an expression is read as that expression again. What Python has no sign for is written like a call:
`seen > datetime('2011-02-14T07:00:00Z')`, `price < float('inf')`, and `note('class') == 1` where a note's name is a
word of Python's own.

Logic has three values, as in SQL: a comparison with what is not there is neither true nor false, and only true
keeps an event. `== None` is `is_null()`. This module knows no keys and no storage; `questions.narrowed` turns what it
can into key ranges.
"""

import math
import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from keyword import iskeyword
from typing import Any, Final
from unicodedata import normalize

from eventlog.errors import QueryError

NOTES: Final = "notes"
Lookup = Callable[["Field"], Any]

OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Expression:
    """What can be asked of an event. Combine with `&`, `|` and `~`."""

    __slots__ = ()

    def __and__(self, other: "Expression") -> "Expression":
        return Both(self, checked(other))

    def __or__(self, other: "Expression") -> "Expression":
        return Either(self, checked(other))

    def __invert__(self) -> "Expression":
        return Not(self)

    def __bool__(self) -> bool:
        raise QueryError("an expression has no truth of its own: combine with & | ~ in parentheses, not and/or/not")

    def holds(self, lookup: Lookup) -> bool | None:
        """Whether it is true of the event whose values `lookup` finds; None where that can't be said."""
        raise NotImplementedError

    def fields(self) -> "tuple[Field, ...]":
        """The fields that are asked for, each once."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of an event type, or a note (type `notes`). Comparing it makes an Expression."""

    type: str
    name: str

    def __eq__(self, value: object) -> "Expression":  # type: ignore[override]
        return IsNull(self) if value is None else Compare(self, "==", value)

    def __ne__(self, value: object) -> "Expression":  # type: ignore[override]
        return Not(IsNull(self)) if value is None else Compare(self, "!=", value)

    def __lt__(self, value: object) -> "Expression":
        return Compare(self, "<", value)

    def __le__(self, value: object) -> "Expression":
        return Compare(self, "<=", value)

    def __gt__(self, value: object) -> "Expression":
        return Compare(self, ">", value)

    def __ge__(self, value: object) -> "Expression":
        return Compare(self, ">=", value)

    def __hash__(self) -> int:
        return hash((self.type, self.name))

    def is_in(self, values: Collection[Any]) -> "Expression":
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise QueryError(f"{self}.is_in: {values!r:.60} is not a list of values")
        return IsIn(self, tuple(values))

    def startswith(self, beginning: str) -> "Expression":
        if not isinstance(beginning, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise QueryError(f"{self}.startswith: {beginning!r:.60} is not a text")
        return StartsWith(self, beginning)

    def is_null(self) -> "Expression":
        return IsNull(self)

    @property
    def key(self) -> tuple[str, str]:
        """What tells fields apart, since `==` makes an expression."""
        return (self.type, self.name)

    def __str__(self) -> str:
        return f"{self.type}.{self.name}" if self.type else self.name


@dataclass(frozen=True, slots=True)
class Compare(Expression):
    """A field against a value."""

    field: Field
    sign: str
    value: Any

    def holds(self, lookup: Lookup) -> bool | None:
        found = lookup(self.field)
        if found is None or self.value is None:
            return None
        try:
            return OPERATORS[self.sign](found, self.value)
        except TypeError:
            raise QueryError(
                f"{self.field} holds {type(found).__name__}, which can't be compared with {self.value!r}"
            ) from None

    def fields(self) -> tuple[Field, ...]:
        return (self.field,)

    def __str__(self) -> str:
        return f"{_named(self.field)} {self.sign} {_written(self.value)}"


@dataclass(frozen=True, slots=True)
class IsIn(Expression):
    """A field against several values."""

    field: Field
    values: tuple[Any, ...]

    def holds(self, lookup: Lookup) -> bool | None:
        found = lookup(self.field)
        return None if found is None else found in self.values

    def fields(self) -> tuple[Field, ...]:
        return (self.field,)

    def __str__(self) -> str:
        return f"{_named(self.field)} in [{', '.join(map(_written, self.values))}]"


@dataclass(frozen=True, slots=True)
class StartsWith(Expression):
    """A text field that begins so."""

    field: Field
    beginning: str

    def holds(self, lookup: Lookup) -> bool | None:
        found = lookup(self.field)
        if found is None:
            return None
        if not isinstance(found, str):
            raise QueryError(f"{self.field} holds {type(found).__name__}, which does not start with a text")
        return found.startswith(self.beginning)

    def fields(self) -> tuple[Field, ...]:
        return (self.field,)

    def __str__(self) -> str:
        return f"{_named(self.field)}.startswith({self.beginning!r})"


@dataclass(frozen=True, slots=True)
class IsNull(Expression):
    """A field that is not there."""

    field: Field

    def holds(self, lookup: Lookup) -> bool | None:
        return lookup(self.field) is None

    def fields(self) -> tuple[Field, ...]:
        return (self.field,)

    def __str__(self) -> str:
        return f"{_named(self.field)}.is_null()"


@dataclass(frozen=True, slots=True)
class Both(Expression):
    left: Expression
    right: Expression

    def holds(self, lookup: Lookup) -> bool | None:
        left = self.left.holds(lookup)
        if left is False:
            return False
        right = self.right.holds(lookup)
        return False if right is False else (None if left is None or right is None else True)

    def fields(self) -> tuple[Field, ...]:
        return _joined(self.left, self.right)

    def __str__(self) -> str:
        return _chain(self, " and ")


@dataclass(frozen=True, slots=True)
class Either(Expression):
    left: Expression
    right: Expression

    def holds(self, lookup: Lookup) -> bool | None:
        left = self.left.holds(lookup)
        if left is True:
            return True
        right = self.right.holds(lookup)
        return True if right is True else (None if left is None or right is None else False)

    def fields(self) -> tuple[Field, ...]:
        return _joined(self.left, self.right)

    def __str__(self) -> str:
        return _chain(self, " or ")


def _chain(joined: Both | Either, word: str) -> str:
    """What was joined one by one, in one pair of parentheses: Python reads no more than 200 within each other."""
    parts: list[Expression] = []
    left: Expression = joined
    while isinstance(left, Both | Either) and type(left) is type(joined):
        parts.append(left.right)
        left = left.left
    return f"({word.join(map(str, [left, *reversed(parts)]))})"


def _joined(left: Expression, right: Expression) -> tuple[Field, ...]:
    """The fields of both. No set: comparing fields makes expressions."""
    return tuple({field.key: field for field in (*left.fields(), *right.fields())}.values())


@dataclass(frozen=True, slots=True)
class Not(Expression):
    inner: Expression

    def holds(self, lookup: Lookup) -> bool | None:
        found = self.inner.holds(lookup)
        return None if found is None else not found

    def fields(self) -> tuple[Field, ...]:
        return self.inner.fields()

    def __str__(self) -> str:
        return f"not {self.inner}"


def _named(field: Field) -> str:
    """A field as `parse` reads it. Python takes some letters for others, and some words for its own."""
    plain = not iskeyword(field.name) and normalize("NFKC", field.name) == field.name
    return str(field) if plain or field.type != NOTES else f"note({field.name!r})"


def _written(value: Any) -> str:
    """A value as `parse` reads it."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    return f"datetime({value.isoformat()!r})" if isinstance(value, datetime) else repr(value)


def note(name: str) -> Field:
    """A derived column, as `annotate` wrote it."""
    return Field(NOTES, name)


def col(name: str) -> Field:
    """A field by name: `Impression.price`, `notes.score`, or `price` of whatever type is asked for."""
    kind, _, field = name.rpartition(".")
    return Field(kind, field)


def checked(expression: object) -> Expression:
    """An Expression, or QueryError with what was probably meant."""
    if not isinstance(expression, Expression):
        raise QueryError(f"where: {expression!r} is not an expression over fields, such as Impression.price > 2")
    return expression
