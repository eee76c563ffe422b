"""A query -> its answer: each part is worked out for all series and all times at once.

A selector means the fleet's series, which carry no label `client`, unless that label is mentioned: by a matcher of the
selector, or in `by (…)` or `without (…)` of the aggregation that it is in. Then it means one series for each client.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from taba.prometheus.promql.aggregations import aggregate
from taba.prometheus.promql.histograms import histogram_quantile
from taba.prometheus.promql.labels import fits_empty
from taba.prometheus.promql.operators import operate
from taba.prometheus.promql.syntax import (
    CLIENT,
    RANKED,
    Aggregation,
    Binary,
    Call,
    Expression,
    Matcher,
    Negation,
    Number,
    Selector,
)
from taba.prometheus.promql.vectors import Floats, Integers, Result, Vector, bounded, unlabelled, unnamed


class Source(Protocol):
    """Where series come from. Times are milliseconds since 1970, ascending."""

    def instant(self, matchers: tuple[Matcher, ...], times: Integers, *, by_client: bool) -> Vector:
        """The series that fit, as they are at the times."""
        ...

    def risen(
        self, matchers: tuple[Matcher, ...], times: Integers, length: int, *, per_second: bool, by_client: bool
    ) -> Vector:
        """How much they rose within `length` milliseconds before each time; `per_second`: on average in a second."""
        ...


def evaluate(expression: Expression, source: Source, times: Integers) -> Result:
    """A vector, or a scalar's value at each time; raises QueryError."""
    return _Evaluation(source, times).of(expression, by_client=False)


def mentions_client(matchers: tuple[Matcher, ...]) -> bool:
    """Whether a selector is over the series of single clients. A matcher that wants no client wants the fleet."""
    return any(matcher.label == CLIENT and not _wants_none(matcher) for matcher in matchers)


def _wants_none(matcher: Matcher) -> bool:
    return (matcher.operator, matcher.value) in {("=", ""), ("!~", ".+"), ("!~", ".*")} and fits_empty(matcher)


@dataclass(slots=True)
class _Evaluation:
    source: Source
    times: Integers
    series: int = 0
    """How many series its selectors have given so far. What is made of them is never larger than they are."""

    def of(self, node: Expression, *, by_client: bool) -> Result:
        if isinstance(node, Number):
            return np.full(len(self.times), node.value)
        if isinstance(node, Selector):
            by_client = by_client or mentions_client(node.matchers)
            return self._given(self.source.instant(node.matchers, self.times - node.offset, by_client=by_client))
        if isinstance(node, Negation):
            operand = self.of(node.operand, by_client=by_client)
            return operand.with_values(-operand.values) if isinstance(operand, Vector) else -operand
        if isinstance(node, Binary):
            left, right = (self.of(side, by_client=by_client) for side in (node.left, node.right))
            return operate(node, left, right)
        if isinstance(node, Aggregation):
            return self._aggregated(node, by_client=by_client)
        return self._called(node, by_client=by_client)

    def _aggregated(self, node: Aggregation, *, by_client: bool) -> Vector:
        # What keeps the labels of its series leaves it to the aggregation around which they are.
        inherits = by_client and (node.without or node.operator in RANKED)
        vector = self.of(node.argument, by_client=CLIENT in node.labels or inherits)
        parameter = None if node.parameter is None else self.of(node.parameter, by_client=False)
        assert isinstance(vector, Vector)
        assert not isinstance(parameter, Vector)
        return aggregate(node, vector, parameter)

    def _called(self, node: Call, *, by_client: bool) -> Result:
        if node.function in ("rate", "increase"):
            return self._risen(node, by_client=by_client)
        arguments = [self.of(argument, by_client=by_client) for argument in node.arguments]
        if node.function == "time":
            return self.times / 1000
        return _WORKED_OUT[node.function](arguments, len(self.times))

    def _risen(self, node: Call, *, by_client: bool) -> Vector:
        (selector,) = node.arguments
        assert isinstance(selector, Selector)
        assert selector.range is not None
        by_client = by_client or mentions_client(selector.matchers)
        times = self.times - selector.offset
        found = self.source.risen(
            selector.matchers, times, selector.range, per_second=node.function == "rate", by_client=by_client
        )
        return unnamed(self._given(found))

    def _given(self, vector: Vector) -> Vector:
        self.series += vector.series
        bounded(self.series, len(self.times), "what the query selects")
        return vector


def _vector(given: Result) -> Vector:
    assert isinstance(given, Vector)
    return given


def _scalar(given: Result) -> Floats:
    assert not isinstance(given, Vector)
    return given


def _each(compute: Callable[..., Floats]) -> Callable[[list[Result], int], Vector]:
    """A function of each value, and of scalars that follow the vector."""

    def called(arguments: list[Result], _: int) -> Vector:
        vector = _vector(arguments[0])
        with np.errstate(all="ignore"):
            return vector.with_values(compute(vector.values, *map(_scalar, arguments[1:])))

    return called


def _rounded(values: Floats, to: Floats | float = 1.0) -> Floats:
    """To the nearest multiple; ties go up, as in Prometheus."""
    inverse = 1.0 / np.asarray(to)
    return np.floor(values * inverse + 0.5) / inverse


def _sorted(*, descending: bool) -> Callable[[list[Result], int], Vector]:
    """By value where there is one time; over many, order means nothing, and the series stay as they are."""

    def called(arguments: list[Result], times: int) -> Vector:
        vector = _vector(arguments[0])
        if times != 1:
            return vector
        values = vector.values[:, 0]
        return vector.take(np.argsort(-values if descending else values, kind="stable"))

    return called


def _from_scalar(arguments: list[Result], times: int) -> Vector:
    return unlabelled(_scalar(arguments[0]).reshape(1, times))


_WORKED_OUT: dict[str, Callable[[list[Result], int], Vector]] = {
    "abs": _each(np.abs),
    "ceil": _each(np.ceil),
    "floor": _each(np.floor),
    "round": _each(_rounded),
    "clamp_min": _each(np.maximum),
    "clamp_max": _each(np.minimum),
    "sort": _sorted(descending=False),
    "sort_desc": _sorted(descending=True),
    "vector": _from_scalar,
    "histogram_quantile": lambda arguments, _: histogram_quantile(_scalar(arguments[0]), _vector(arguments[1])),
}
