"""What queries come to, worked out on series that are written down here."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promql_cases import WrittenSource, expressions

from taba.prometheus.promql.evaluate import evaluate
from taba.prometheus.promql.parser import parse
from taba.prometheus.promql.tokens import QueryError
from taba.prometheus.promql.vectors import MAX_VALUES, ExecutionError, Vector

NAN, INF = math.nan, math.inf
SOURCE = WrittenSource(
    ("a", {"x": "1"}, [1, 2]),
    ("a", {"x": "2"}, [4, None]),
    ("b", {"x": "1"}, [10, 20]),
    ("b", {"x": "3"}, [30, 0]),
    ("n", {"x": "1", "y": "p"}, [NAN, 5]),
    ("n", {"x": "2", "y": "q"}, [INF, -1.5]),
    ("h_bucket", {"le": "1"}, [1, 0]),
    ("h_bucket", {"le": "5"}, [3, 0]),
    ("h_bucket", {"le": "+Inf"}, [4, 0]),
)


def worked_out(query: str, source: WrittenSource = SOURCE, times: int = 2) -> dict[str, list[float | None]]:
    """The values of each series, by its labels as written; of a scalar under nothing."""
    found = evaluate(parse(query), source, np.arange(1, times + 1) * 1000)
    if not isinstance(found, Vector):
        return {"": found.tolist()}
    found = found.narrowed()
    labels = [
        ",".join(f"{name}={value}" for name, value in sorted(row.items()) if value is not None)
        for row in found.labels.to_dicts()
    ]
    assert len(set(labels)) == len(labels)
    values = np.where(found.present, found.values, None).tolist()
    return dict(zip(labels, values, strict=True))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("1 + 2 * 3", {"": [7, 7]}),
        ("time()", {"": [1, 2]}),
        ("a", {"__name__=a,x=1": [1, 2], "__name__=a,x=2": [4, None]}),
        ("-a", {"x=1": [-1, -2], "x=2": [-4, None]}),
        ("a * 2", {"x=1": [2, 4], "x=2": [8, None]}),
        ("a * b", {"x=1": [10, 40]}),
        ("b % 7", {"x=1": [3, 6], "x=3": [2, 0]}),
        ("2 ^ a", {"x=1": [2, 4], "x=2": [16, None]}),
        ("a / 0", {"x=1": [INF, INF], "x=2": [INF, None]}),
        ("a > 1", {"__name__=a,x=1": [None, 2], "__name__=a,x=2": [4, None]}),
        ("1 < bool a", {"x=1": [0, 1], "x=2": [1, None]}),
        ("b > a", {"__name__=b,x=1": [10, 20]}),
        ("a == bool a", {"x=1": [1, 1], "x=2": [1, None]}),
        ("1 > bool 2", {"": [0, 0]}),
        ("a and b", {"__name__=a,x=1": [1, 2]}),
        ("a unless b", {"__name__=a,x=2": [4, None]}),
        ("a or b", {"__name__=a,x=1": [1, 2], "__name__=a,x=2": [4, None], "__name__=b,x=3": [30, 0]}),
        ("sum(a)", {"": [5, 2]}),
        ("avg(a)", {"": [2.5, 2]}),
        ("min by (x) ({__name__=~'a|b'})", {"x=1": [1, 2], "x=2": [4, None], "x=3": [30, 0]}),
        ("max without (x) (a)", {"": [4, 2]}),
        ("count by (__name__) ({__name__=~'a|b'})", {"__name__=a": [2, 1], "__name__=b": [2, 2]}),
        ("group(a)", {"": [1, 1]}),
        ("sum(nothing)", {}),
        ("sum(nothing) or vector(0)", {"": [0, 0]}),
        ("max(n)", {"": [INF, 5]}),
        ("min(n{x='1'})", {"": [NAN, 5]}),
        ("sum(n)", {"": [NAN, 3.5]}),
        ("topk(1, a)", {"__name__=a,x=1": [None, 2], "__name__=a,x=2": [4, None]}),
        ("bottomk(1, b)", {"__name__=b,x=1": [10, None], "__name__=b,x=3": [None, 0]}),
        ("topk by (x) (1, {__name__=~'a|b', x='1'})", {"__name__=b,x=1": [10, 20]}),
        ("topk(1, n)", {"__name__=n,x=1,y=p": [None, 5], "__name__=n,x=2,y=q": [INF, None]}),
        ("bottomk(1, n)", {"__name__=n,x=2,y=q": [INF, -1.5]}),
        ("topk(0 / 0, a)", {}),
        ("topk(1.9, a)", {"__name__=a,x=1": [None, 2], "__name__=a,x=2": [4, None]}),
        ("bottomk(0.9, a)", {}),
        ("sum by (y) (n{x!='1'})", {"y=q": [INF, -1.5]}),
        ("rate(a[2s])", {"x=1": [0.5, 1], "x=2": [2, None]}),
        ("increase(a[2s])", {"x=1": [1, 2], "x=2": [4, None]}),
        ("abs(n)", {"x=1,y=p": [NAN, 5], "x=2,y=q": [INF, 1.5]}),
        ("floor(n)", {"x=1,y=p": [NAN, 5], "x=2,y=q": [INF, -2]}),
        ("round(n)", {"x=1,y=p": [NAN, 5], "x=2,y=q": [INF, -1]}),
        ("round(b, 15)", {"x=1": [15, 15], "x=3": [30, 0]}),
        ("clamp_max(clamp_min(b, 15), 25)", {"x=1": [15, 20], "x=3": [25, 15]}),
        ("histogram_quantile(0.5, h_bucket)", {"": [3, NAN]}),
        ("histogram_quantile(0.25, h_bucket)", {"": [1, NAN]}),
        ("histogram_quantile(0.9, h_bucket)", {"": [5, NAN]}),
        ("histogram_quantile(-1, h_bucket)", {"": [-INF, NAN]}),
        ("histogram_quantile(2, h_bucket)", {"": [INF, NAN]}),
        ("histogram_quantile(0.5, h_bucket{le!='+Inf'})", {"": [NAN, NAN]}),
        ("histogram_quantile(0.5, h_bucket{le='+Inf'})", {"": [NAN, NAN]}),
        ("histogram_quantile(0.5, a)", {}),
    ],
)
def test_each_construct(query: str, expected: dict[str, list[float | None]]):
    """What each operator, function and aggregation gives, as PromQL defines it."""
    found = worked_out(query)
    assert found.keys() == expected.keys()
    for labels, values in expected.items():
        assert found[labels] == pytest.approx(values, nan_ok=True), labels


def test_series_are_sorted_by_value_at_one_time():
    """`sort`, `sort_desc` and `topk` order an instant answer."""
    source = WrittenSource(*((f"s{n}", {}, [value]) for n, value in enumerate([3, 1, 2])))
    assert list(worked_out("sort({__name__=~'s.'})", source, 1)) == ["__name__=s1", "__name__=s2", "__name__=s0"]
    assert list(worked_out("sort_desc({__name__=~'s.'})", source, 1)) == ["__name__=s0", "__name__=s2", "__name__=s1"]
    assert list(worked_out("topk(2, {__name__=~'s.'})", source, 1)) == ["__name__=s0", "__name__=s2"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("{__name__=~'a|b'} + a", r"found duplicate series on the left hand-side of '\+' \({x=\"1\"}\)"),
        ("a == bool {__name__=~'a|b'}", "found duplicate series on the right hand-side"),
        ("rate({__name__=~'a|b'}[1m])", "vector cannot contain metrics with the same labelset"),
    ],
)
def test_vectors_that_do_not_go_together(query: str, told: str):
    """What has no one meaning is refused, as Prometheus refuses it."""
    with pytest.raises(ExecutionError, match=told):
        worked_out(query)


def test_an_offset_moves_what_is_read():
    """`offset` shifts the times of its selector alone."""
    source = WrittenSource(("a", {}, [1]))
    worked_out("a + rate(a[1m] offset 2s) + a offset -1s", source, 1)
    assert [times.tolist() for _, times, _ in source.asked] == [[1000], [-1000], [2000]]


@pytest.mark.parametrize(
    ("query", "by_client"),
    [
        ("a", {"a": False}),
        ("a{client='web-1'} + b{x='1'}", {"a": True, "b": False}),
        ("a{client=~'.*'}", {"a": True}),
        ("a{client=''}", {"a": False}),
        ("sum by (client) (rate(a[1m]) / b)", {"a": True, "b": True}),
        ("sum without (client) (a)", {"a": True}),
        ("sum by (client) (sum by (x) (a))", {"a": False}),
        ("sum by (client) (sum without (x) (a))", {"a": True}),
        ("sum by (client) (topk(1, a))", {"a": True}),
        ("topk(1, sum by (client) (a)) + sum(b)", {"a": True, "b": False}),
    ],
)
def test_a_mention_of_the_client_asks_for_the_clients_series(query: str, by_client: dict[str, bool]):
    """The fleet's series unless `client` is mentioned by a matcher, or by the aggregation around."""
    source = WrittenSource(("a", {"x": "1"}, [1]), ("b", {"x": "1"}, [1]))
    worked_out(query, source, 1)
    assert {name: asked for name, _, asked in source.asked} == by_client


def test_what_is_selected_is_bounded_over_the_whole_query():
    """Many selectors cannot hold more together than one may."""
    source = WrittenSource(*(("a", {"x": str(n)}, [1.0]) for n in range(MAX_VALUES // 10_000 // 10)))
    times = np.arange(10_000)
    source.values, source.present = (np.repeat(table, 10_000, axis=1) for table in (source.values, source.present))
    evaluate(parse("sum(a) + sum(a)"), source, times)
    with pytest.raises(ExecutionError, match="would load too many samples into memory"):
        evaluate(parse(" + ".join(["sum(a)"] * 11)), source, times)


@given(expressions, st.integers(1, 3))
@settings(max_examples=200)
def test_whatever_is_read_can_be_worked_out(expression: object, times: int):
    """No query fails in another way than with a QueryError, and answers have one value for each series and time."""
    source = WrittenSource(
        ("a", {"a": "1", "le": "+Inf"}, [1.0] * times),
        ("a", {"a": "2", "le": "0.1"}, [NAN] * times),
        ("b", {"le": "x"}, [None] * times),
    )
    try:
        found = evaluate(parse(str(expression)), source, np.arange(times) * 1000)
    except QueryError:
        return
    assert isinstance(found, Vector)
    assert found.values.shape == found.present.shape == (found.labels.height, times)
