"""Which filters of Polars and Spark can be asked of the log: those of which `where` gives no less than they do.

Both filter again what they are given, so a filter that is left out here costs time and never a wrong line.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from eventlog.catalog import KINDS, Catalog
from eventlog.errors import QueryError
from eventlog.expressions import NOTES, Compare, Expression, Field, IsIn, StartsWith
from eventlog.questions import Question, narrowed, prepare
from eventlog.times import micros

_EXACT: Final = 2**53
_PLAIN: Final = {"str": str, "int": int, "float": float, "bool": bool}


def narrower(asked: Question, catalog: Catalog, demands: Iterable[Expression]) -> Question:
    """A question whose lines must also satisfy `demands`."""
    for one in demands:
        try:
            where = prepare(one, catalog)
        except QueryError:
            continue
        asked = msgspec.structs.replace(asked, where=where if asked.where is None else asked.where & where)
    return narrowed(asked, catalog)


def comparison(catalog: Catalog, name: str, sign: str, value: Any) -> Expression | None:
    """A comparison of a table's column, if `where` can say it.

    Polars and Spark take NaN to be above all numbers, `where` not: there "above 2" is said as "not at most 2".
    """
    kind = kind_of(catalog, name)
    if kind == "time":
        try:
            micros(value)
        except ValueError:
            return None
        return Compare(_field(name), sign, value)
    if not _fits(value, kind) or (kind is bool and sign != "=="):
        return None
    if kind is float and sign in (">", ">="):
        return ~Compare(_field(name), "<=" if sign == ">" else "<", value)
    return Compare(_field(name), sign, value)


def membership(catalog: Catalog, name: str, values: Iterable[Any]) -> Expression | None:
    """A column that is one of some values, if `where` can say it."""
    kind, told = kind_of(catalog, name), tuple(values)
    return IsIn(_field(name), told) if all(_fits(value, kind) for value in told) else None


def beginning(catalog: Catalog, name: str, value: Any) -> Expression | None:
    """A text column that begins so, if `where` can say it."""
    known = isinstance(value, str) and kind_of(catalog, name) is str
    return StartsWith(_field(name), value) if known else None


def _fits(value: Any, kind: Any) -> bool:
    if type(value) is int and kind is float:
        return abs(value) <= _EXACT
    return type(value) is kind and not (kind is float and math.isnan(value))


def _field(name: str) -> Field:
    kind, _, field = name.rpartition(".")
    return Field(kind, field)


def kind_of(catalog: Catalog, name: str) -> Any:
    """The one type that all values of a column have, in every stored version: a class, "time", or None."""
    kind, _, field = name.rpartition(".")
    if name in ("id", "row") or field == "count":
        return None
    if field == "time":
        return "time"
    if kind == NOTES:
        found = KINDS.get(catalog.notes.get(field, ""))
        return found if found in _PLAIN.values() else None
    if name in ("user", "type"):
        own = name == "user" and any(one.parent is not None and "user" in one.types for one in catalog)
        return None if own else str
    told = {text.removesuffix(" | None") for text in catalog.told_types(field)}
    return _PLAIN.get(told.pop()) if len(told) == 1 else None
