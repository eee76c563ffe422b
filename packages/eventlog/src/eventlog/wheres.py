"""`where` as a Polars expression, with the very meaning that `Expression.holds` gives it, or not at all.

Python and Polars do not compare alike: Polars takes NaN for equal to itself and above all numbers, turns integers to
floats, and refuses what Python merely finds unequal. So a comparison becomes an expression only where its values are
all of one type, and the value beside it too; for everything else the answer is None, and the plain way is gone.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from eventlog.expressions import Both, Compare, Either, Expression, IsIn, IsNull, Not, StartsWith

Kinds = Mapping[tuple[str, str], type | None]  # of each field: the type of all its values; None where all are null
TIME = pl.Datetime("us", "UTC")
DTYPES: Mapping[type, Any] = {
    str: pl.String, int: pl.Int64, float: pl.Float64, bool: pl.Boolean, bytes: pl.Binary, datetime: TIME,
}  # fmt: skip
_EXACT = 2**53


def column(key: tuple[str, str]) -> str:
    """What the column of a field is called."""
    return f"{key[0]}.{key[1]}"


def vectorised(where: Expression, kinds: Kinds) -> pl.Expr | None:  # noqa: PLR0911  (a line for each form)
    """The expression over columns, true, false or null as `holds` is; None where that can't be promised."""
    match where:
        case Both(left, right) | Either(left, right):
            one, two = vectorised(left, kinds), vectorised(right, kinds)
            if one is None or two is None:
                return None
            return one & two if isinstance(where, Both) else one | two
        case Not(inner):
            found = vectorised(inner, kinds)
            return None if found is None else ~found
        case IsNull(field):
            return pl.col(column(field.key)).is_null()
        case Compare(field, sign, value):
            return _compare(pl.col(column(field.key)), kinds[field.key], sign, value)
        case IsIn(field, values):
            return _is_in(pl.col(column(field.key)), kinds[field.key], values)
        case StartsWith(field, beginning):
            kind = kinds[field.key]
            if kind is None:
                return _unknown()
            told = pl.col(column(field.key)).str.starts_with(pl.lit(beginning))
            return told if kind is str and isinstance(beginning, str) else None
    return None


def _unknown() -> pl.Expr:
    return pl.lit(None, dtype=pl.Boolean)


def literal(value: Any, kind: type) -> pl.Expr | None:
    """A value as one of a column of that type, where it can be without becoming another."""
    if type(value) is int and kind is float and abs(value) <= _EXACT:
        value = float(value)
    if type(value) is not kind:
        return None
    if kind is float and math.isnan(value):
        return None
    if kind is int and not -(2**63) <= value < 2**63:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return None
        value = value.astimezone(UTC)
    return pl.lit(value, dtype=DTYPES[kind])


def _compare(found: pl.Expr, kind: type | None, sign: str, value: Any) -> pl.Expr | None:
    if kind is None or value is None:
        return _unknown()
    beside = literal(value, kind)
    if beside is None or (kind is bool and sign not in ("==", "!=")):
        return None
    number = ~found.is_nan() if kind is float else pl.lit(True)
    told: Mapping[str, pl.Expr] = {
        "==": found == beside,
        "!=": found != beside,
        "<": found < beside,
        "<=": found <= beside,
        ">": (found > beside) & number,
        ">=": (found >= beside) & number,
    }
    return told[sign]


def _is_in(found: pl.Expr, kind: type | None, values: tuple[Any, ...]) -> pl.Expr | None:
    if kind is None:
        return _unknown()
    told = pl.when(found.is_null()).then(None).otherwise(False)
    for value in values:
        if value is None:
            continue
        beside = literal(value, kind)
        if beside is None:
            return None
        told = told | (found == beside)
    return told
