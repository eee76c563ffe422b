"""A source of series that a test writes down, and expressions made at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from hypothesis import strategies as st

from taba.prometheus.promql import labels as label_tables
from taba.prometheus.promql.functions import FUNCTIONS
from taba.prometheus.promql.syntax import (
    AGGREGATIONS,
    ARITHMETIC,
    COMPARISONS,
    NAME,
    RANKED,
    SETS,
    Aggregation,
    Binary,
    Call,
    Expression,
    Matcher,
    Negation,
    Number,
    Selector,
)
from taba.prometheus.promql.vectors import Integers, Vector

Written = tuple[str, dict[str, str], Sequence[float | None]]
"""A series: name, labels, and its values at the times; None where it has none."""


class WrittenSource:
    """Series as a test writes them; how much they rise in any window is their value. Remembers what was asked."""

    def __init__(self, *series: Written) -> None:
        rows = [{NAME: name, **labels} for name, labels, _ in series]
        self.labels = pl.DataFrame(rows, infer_schema_length=None)
        self.values = np.array([[np.nan if one is None else one for one in values] for *_, values in series])
        self.present = np.array([[one is not None for one in values] for *_, values in series])
        self.asked: list[tuple[str, Integers, bool]] = []

    def instant(self, matchers: tuple[Matcher, ...], times: Integers, *, by_client: bool) -> Vector:
        self.asked.append((str(matchers[0].value), times, by_client))
        found = label_tables.select(self.labels.with_row_index("row"), matchers)["row"].to_numpy().astype(np.int64)
        return Vector(self.labels, self.values, self.present).take(found)

    def risen(
        self, matchers: tuple[Matcher, ...], times: Integers, length: int, *, per_second: bool, by_client: bool
    ) -> Vector:
        found = self.instant(matchers, times, by_client=by_client)
        return Vector(found.labels, found.values / (length / 1000 if per_second else 1), found.present)


_words = st.sampled_from(["a", "b"]) | st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,5}", fullmatch=True)
_labels = st.sampled_from(["a", "le"]) | st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,5}", fullmatch=True)
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
_matchers = st.one_of(
    st.builds(Matcher, _labels.filter(lambda name: name != NAME), st.sampled_from(["=", "!="]), _texts),
    st.builds(
        Matcher,
        _labels.filter(lambda name: name != NAME),
        st.sampled_from(["=~", "!~"]),
        st.sampled_from(["a|b", ".*", ".+", "x[0-9]{2}", r"\d+\.\d", ""]),
    ),
)
_numbers = st.builds(Number, st.floats(allow_nan=False))
_length = st.integers(1, 10**10)


def selectors(ranges: st.SearchStrategy[int | None]) -> st.SearchStrategy[Selector]:
    """Selectors of a named metric, with ranges drawn from `ranges`."""

    def made(name: str, rest: list[Matcher], length: int | None, offset: int) -> Selector:
        return Selector((Matcher(NAME, "=", name), *rest), length, offset)

    return st.builds(made, _words, st.lists(_matchers, max_size=3), ranges, st.integers(-(10**10), 10**10) | st.just(0))


_instant = selectors(st.none())
_ranged = selectors(_length)


def _calls(vectors: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    kinds = {"instant vector": vectors, "scalar": _numbers, "range vector": _ranged}

    def of(name: str) -> st.SearchStrategy[Expression]:
        function = FUNCTIONS[name]
        arguments = st.tuples(*(kinds[kind] for kind in function.takes))
        return arguments.map(lambda given: Call(name, given, function.gives))

    return st.sampled_from(sorted(name for name in FUNCTIONS if FUNCTIONS[name].gives != "scalar")).flatmap(of)


def _aggregations(vectors: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def made(operator: str, argument: Expression, labels: list[str], without: bool, count: Number) -> Aggregation:
        return Aggregation(operator, argument, tuple(labels), without, count if operator in RANKED else None)

    return st.builds(
        made,
        st.sampled_from(AGGREGATIONS),
        vectors,
        st.lists(_labels, max_size=3, unique=True),
        st.booleans(),
        _numbers,
    )


def _operations(vectors: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    return st.one_of(
        st.builds(Binary, st.sampled_from([*ARITHMETIC, *SETS]), vectors, vectors),
        st.builds(Binary, st.sampled_from(ARITHMETIC), vectors, _numbers),
        st.builds(Binary, st.sampled_from(COMPARISONS), _numbers, vectors, st.booleans()),
        st.builds(Negation, vectors),
    )


expressions: st.SearchStrategy[Expression] = st.recursive(
    _instant, lambda inner: st.one_of(_calls(inner), _aggregations(inner), _operations(inner)), max_leaves=6
)
"""Instant vectors of all that there is."""
