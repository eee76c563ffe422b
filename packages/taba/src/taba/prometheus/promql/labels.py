"""Conditions on labels, over columns of labels. Patterns are those of Rust's regex crate: linear in time, as RE2's.

A table of labels has a column of texts for each label; null means that the series has no such label.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from taba.prometheus.promql.syntax import Matcher
from taba.prometheus.promql.tokens import QueryError

MAX_PATTERN = 32_768


def anchored(pattern: str) -> str:
    """The pattern, which must fit a whole value."""
    return f"^(?:{pattern})$"


def check_pattern(pattern: str) -> None:
    """Raise QueryError for what is no regular expression, or too large a one."""
    if len(pattern) > MAX_PATTERN:
        raise QueryError(f"a regular expression of {len(pattern)} characters: at most {MAX_PATTERN} are taken")
    # By itself too: what closes a bracket that it has not opened fits into the anchored one.
    for whole in (pattern, anchored(pattern)):
        _contains(pl.Series([""]), whole, pattern)


def fits(values: pl.Series, matcher: Matcher) -> pl.Series:
    """Which of a label's values, null standing for none, the matcher fits."""
    texts = values.fill_null("")
    if matcher.operator in ("=", "!="):
        equal = texts == matcher.value
        return equal if matcher.operator == "=" else ~equal
    found = _contains(texts, anchored(matcher.value), matcher.value)
    return found if matcher.operator == "=~" else ~found


def fits_empty(matcher: Matcher) -> bool:
    """Whether a series without the label fits."""
    return bool(fits(pl.Series([""]), matcher).item())


def select(labels: pl.DataFrame, matchers: Iterable[Matcher]) -> pl.DataFrame:
    """The rows that all matchers fit. Each is tried once for each value that its label has."""
    for matcher in matchers:
        if labels.is_empty():
            break
        if matcher.label not in labels.columns:
            if not fits_empty(matcher):
                labels = labels.clear()
            continue
        values = labels[matcher.label].unique()
        fitting = values.filter(fits(values, matcher))
        labels = labels.filter(pl.col(matcher.label).is_in(fitting.implode(), nulls_equal=True))
    return labels


def _contains(texts: pl.Series, whole: str, pattern: str) -> pl.Series:
    try:
        return texts.str.contains(whole)
    except pl.exceptions.ComputeError as error:
        told = str(error).partition("\n\nThis error occurred")[0]
        reason = told.rpartition("error: ")[2].strip()
        shown = pattern if len(pattern) <= 60 else f"{pattern[:59]}…"
        raise QueryError(f"{shown!r} is no regular expression that can be used: {reason}") from None
