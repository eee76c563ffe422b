"""A question: what is asked of a log, checked against the log's types, and the key ranges that it comes to."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import msgspec

from eventlog import keys
from eventlog.catalog import Catalog
from eventlog.errors import EventError, QueryError
from eventlog.expressions import (
    NOTES,
    Both,
    Compare,
    Either,
    Expression,
    Field,
    IsIn,
    IsNull,
    Not,
    StartsWith,
    checked,
)
from eventlog.keys import Range
from eventlog.near import hint
from eventlog.times import END, Micros, micros, zoned


class Question(msgspec.Struct, frozen=True):
    """What is asked of a log. Plain values, so that parts of a scan can travel to other processes."""

    since: Micros = 0
    until: Micros = END
    types: tuple[str, ...] = ()  # empty: all
    columns: tuple[str, ...] | None = None  # None: all fields of the types
    where: Expression | None = None
    sample: Fraction = Fraction(1)
    users: tuple[str, ...] | None = None
    prefix: str = ""


def ask(
    catalog: Catalog,
    *,
    since: object = None,
    until: object = None,
    types: Iterable[type | str] | type | str | None = None,
    columns: Iterable[Any] | None = None,
    where: Expression | bool | None = None,
    sample: float | Fraction = 1,
    users: Iterable[str] | None = None,
    prefix: str = "",
) -> Question:
    """A question, checked against the types of the log, and as narrow as its `where` allows. Raises QueryError."""
    asked = Question(
        since=0 if since is None else _time("since", since),
        until=END if until is None else _time("until", until),
        types=_names(catalog, types),
        columns=None if columns is None else tuple(str(column) for column in columns),
        where=None if where is None else prepare(checked(where), catalog),
        sample=_fraction(sample),
        users=None if users is None else _users(users),
        prefix=_text("prefix", prefix),
    )
    keys.sampled_buckets(asked.sample)
    return narrowed(asked, catalog)


def _fraction(sample: float | Fraction) -> Fraction:
    try:
        return Fraction(sample).limit_denominator(2**32)
    except (ValueError, TypeError, OverflowError):
        raise QueryError(f"sample: {sample!r:.60} is not a number above 0 and at most 1") from None


def _users(users: Iterable[str]) -> tuple[str, ...]:
    if isinstance(users, str):
        raise QueryError(f"users: {users!r:.60} is one user; put it into a list")
    return tuple(_text("user", user) for user in users)


def _text(name: str, value: object) -> str:
    """A text of whole characters."""
    if not isinstance(value, str):
        raise QueryError(f"{name}: {value!r:.60} is not a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise QueryError(f"{name}: {value!r:.60} holds half of a surrogate pair, which is no text") from None
    return value


def _time(name: str, value: object) -> Micros:
    try:
        return micros(value)
    except EventError as error:
        raise QueryError(f"{name}: {str(error).removeprefix('time: ')}") from None


def _names(catalog: Catalog, types: Iterable[type | str] | type | str | None) -> tuple[str, ...]:
    if types is None:
        return ()
    one = isinstance(types, type | str)
    if not one and not isinstance(types, Iterable):
        raise QueryError(f"types: {types!r:.60} is no event type, and no list of them")
    asked: list[Any] = [types] if one else list(types)  # type: ignore[arg-type]
    names = tuple(kind.__name__ if isinstance(kind, type) else str(kind) for kind in asked)
    for name in names:
        if name not in catalog.names():
            there = catalog.names()
            raise QueryError(
                f"types: there is no {name!r} here; {hint(name, there)}there are {', '.join(there) or 'none yet'}"
            )
    return names


def prepare(expression: Expression, catalog: Catalog) -> Expression:
    """An expression whose fields exist, and whose times are microseconds. Raises QueryError."""
    match expression:
        case Both(left, right):
            return Both(prepare(left, catalog), prepare(right, catalog))
        case Either(left, right):
            return Either(prepare(left, catalog), prepare(right, catalog))
        case Not(inner):
            return Not(prepare(inner, catalog))
        case Compare(field, sign, value):
            _known(field, catalog)
            return Compare(field, sign, _value(field, value, catalog))
        case IsIn(field, values):
            _known(field, catalog)
            return IsIn(field, tuple(_value(field, value, catalog) for value in values))
        case StartsWith(field, _) | IsNull(field):
            _known(field, catalog)
    return expression


def _known(field: Field, catalog: Catalog) -> None:
    if field.type == NOTES:
        return
    if field.type and field.type not in catalog.names():
        there = catalog.names()
        told = hint(field.type, there)
        raise QueryError(f"{field}: there is no type {field.type!r}; {told}there are {', '.join(there)}")
    if field.name in ("user", "time", "type"):
        return
    schemas = [one for one in catalog.described().values() if field.type in ("", one.name)]
    if schemas and not any(field.name in schema.types for schema in schemas):
        fields = sorted({name for schema in schemas for name in schema.types})
        told = hint(field.name, ["user", "time", "type", *fields])
        raise QueryError(f"{field}: there is no such field; {told}there are {', '.join(fields)}")


def _value(field: Field, value: Any, catalog: Catalog) -> Any:
    if field.name != "time" or field.type == NOTES:
        return zoned(value)
    schema = catalog.by_name.get(field.type)
    try:
        return micros(value, schema.time_unit if schema else "s")
    except EventError as error:
        raise QueryError(f"where: {error}") from None


def narrowed(asked: Question, catalog: Catalog) -> Question:
    """The question with users and times that its `where` demands, so that they become key ranges."""
    since, until, users, prefix = asked.since, asked.until, asked.users, asked.prefix
    for part in conjuncts(asked.where):
        field = part.fields()
        one = next(iter(field)) if len(field) == 1 else None
        if one is None or not _of_row(one, asked, catalog):
            continue
        match part:
            case Compare(Field(name="user"), "==", str(value)):
                users = (value,) if users is None or value in users else ()
            case IsIn(Field(name="user"), values):
                users = tuple(value for value in values if isinstance(value, str) and (users is None or value in users))
            case StartsWith(Field(name="user"), beginning) if beginning.startswith(prefix):
                prefix = beginning
            case Compare(Field(name="time"), ">" | ">=" | "==" as sign, value):
                since = max(since, value + (sign == ">"))
                until = min(until, value + 1) if sign == "==" else until
            case Compare(Field(name="time"), "<" | "<=" as sign, value):
                until = min(until, value + (sign == "<="))
    if users is not None:  # whose ranges are read, and not those of the prefix
        users = tuple(user for user in users if user.startswith(prefix))
    return msgspec.structs.replace(asked, since=since, until=until, users=users, prefix=prefix)


def conjuncts(where: Expression | None) -> Iterator[Expression]:
    """The parts that must all be true."""
    if isinstance(where, Both):
        yield from conjuncts(where.left)
        yield from conjuncts(where.right)
    elif where is not None:
        yield where


def _of_row(field: Field, asked: Question, catalog: Catalog) -> bool:
    """Whether a field is the user or the time of the row itself, and not of a child in it."""
    if field.type:
        schema = catalog.by_name.get(field.type)
        return schema is not None and schema.parent is None
    children = [one for one in catalog if one.parent is not None and (not asked.types or one.name in asked.types)]
    known = all(name in catalog.by_name for name in asked.types or catalog.names())
    return known and (not children or (field.name == "user" and not any("user" in one.types for one in children)))


def ranges(asked: Question) -> list[Range]:
    """The key ranges of a question, in order and apart."""
    if asked.users is not None:
        try:
            found = [keys.user_range(user, asked.since, asked.until) for user in set(asked.users)]
        except EventError as error:
            raise QueryError(str(error)) from None
        return sorted(one for one in found if one.start < one.stop)
    if asked.prefix:
        return keys.prefix_ranges(asked.prefix, asked.sample)
    return keys.sample_ranges(asked.sample)
