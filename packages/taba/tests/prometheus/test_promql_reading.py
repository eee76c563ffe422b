"""Queries are read as they are meant, or refused with the place, what is wrong, and what there is."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promql_cases import expressions

from taba.prometheus.promql.parser import MAX_DEPTH, parse, parse_selector
from taba.prometheus.promql.syntax import Binary, Expression, Matcher, Selector
from taba.prometheus.promql.tokens import SyntaxProblem

WORDS = "sum by without rate histogram_quantile topk offset bool and or on group_left Inf NaN __name__ a le"
MARKS = """( ) { } [ ] , - + * / ^ % @ : ' " ` \\ é 5 .5 5m 1h30m 1e3 0x1F = == =~ "x" #c"""
PIECES = [*WORDS.split(" "), *MARKS.split(" "), "\0", "\n"]


@given(expressions)
@settings(max_examples=300)
def test_what_is_written_reads_as_itself(expression: Expression):
    """The text of an expression means the expression: nothing is lost, added or grouped otherwise."""
    assert parse(str(expression)) == expression


@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join), st.text(max_size=40)))
@settings(max_examples=500)
def test_whatever_comes_is_read_or_refused_with_its_place(query: str):
    """No text makes the parser fail in another way, and each refusal names line and column."""
    try:
        assert parse(str(parse(query))) == parse(query)
    except SyntaxProblem as error:
        assert re.match(r"\d+:\d+: parse error: \S", str(error))
        assert 0 <= error.position <= len(query)


@pytest.mark.parametrize(
    ("query", "means"),
    [
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("2 ^ 3 ^ 2", "2 ^ (3 ^ 2)"),
        ("-2 ^ 2", "-(2 ^ 2)"),
        ("10 - 4 - 3", "(10 - 4) - 3"),
        ("a or b and c unless d", "a or ((b and c) unless d)"),
        ("a > 1 + 1", "a > (1 + 1)"),
        ("SUM(a) BY (x,)", "sum by (x) (a)"),
        ("{__name__='a', b!~`x\\d`}", 'a{b!~"x\\\\d"}'),
        ("a{b='\\x41\\101\\u0041\\n'}", 'a{b="AAA\\n"}'),
        ("rate(a[1h30m] offset 1d)", "rate(a[90m] offset 24h)"),
        ("a offset -5m # to come", "a offset -300s"),
        ("count", '{__name__="count"}'),
        ("sum / on_disk", '({__name__="sum"}) / on_disk'),
        ("0x1F + .5 + 1e3 + Inf", "31 + 0.5 + 1000 + inf"),
    ],
)
def test_operators_bind_as_in_prometheus(query: str, means: str):
    """Precedence, letters' case, numbers, escapes and durations are those of PromQL."""
    assert parse(query) == parse(means)
    assert str(parse(query)) == str(parse(means))


@pytest.mark.parametrize(
    ("query", "place", "told"),
    [
        ("", "1:1", "no expression found in input"),
        ("irate(a[5m])", "1:1", "rate(…) with a range as short"),
        ("sum(holt_winters(a[5m]))", "1:5", "there is no function 'holt_winters' here: there are rate, increase"),
        ("quantile(0.9, a)", "1:1", "histogram_quantile(0.99"),
        ("rate(a)", "1:6", "argument 1 of rate must be of the type range vector, not instant vector"),
        ("rate(sum(a)[5m:1m])", "1:12", "subqueries are not taken here"),
        ("rate(a[5m:1m])", "1:10", "subqueries are not taken here"),
        ("a @ 1234", "1:3", "the modifier @ is not taken here"),
        ("a + on(x) b", "1:5", "on(…) is not taken here"),
        ("a *\n  group_left b", "2:3", "group_left(…) is not taken here"),
        ("1 == 2", "1:3", "comparisons between scalars must use bool modifier"),
        ("a and 1", "1:3", "takes vectors on both sides"),
        ("a + bool b", "1:3", "bool modifier can only be used on comparison operators"),
        ("a[5m] + 1", "1:7", "use rate(…) or increase(…)"),
        ('{x=~".*"}', "1:1", "at least one non-empty matcher"),
        ('a{x=~"("}', "1:6", "'(' is no regular expression that can be used: unclosed group"),
        ('a{x=~"b)|(c"}', "1:6", "is no regular expression"),
        ('a{x=~"(?=b)"}', "1:6", "look-around"),
        ('a{__name__="b"}', "1:3", "metric name must not be set twice"),
        ('a{x="b}', "1:5", 'the text that begins with " does not end'),
        ("a{x=b}", "1:5", "expected is a text in quotation marks"),
        ("a[0s]", "1:3", "a range must be more than 0"),
        ("a[5mx]", "1:3", "'5mx' is neither a number nor a duration"),
        ("sum(a", "1:6", "unexpected end of input; expected is ')'"),
        ("topk(a)", "1:1", "expected topk(number, vector), got 1"),
        ("histogram_quantile(a, a)", "1:20", "must be of the type scalar, not instant vector"),
        ('"x"', "1:1", "a text cannot be worked out"),
        ("a $ b", "1:3", "unexpected character '$'"),
        ("rate(a[5m]) offset 5m", "1:13", "offset stands behind a metric"),
    ],
)
def test_what_is_not_taken_is_named(query: str, place: str, told: str):
    """A refusal says where, names the construct, and says what does instead."""
    with pytest.raises(SyntaxProblem) as refused:
        parse(query)
    assert str(refused.value).startswith(f"{place}: parse error: ")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        "(" * 10_000 + "a" + ")" * 10_000,
        "-" * 10_000 + "a",
        "sum(" * 1_000 + "a" + ")" * 1_000,
        "+".join(["a"] * 1_000),
        "2^" * 1_000 + "2",
        "a{" + ",".join(f'x{n}="{n}"' for n in range(1_000)) + "}",
        "a" * 100_000,
        "0x" + "f" * 300,
        "a[" + "9" * 5_000 + "s]",
        "a offset " + "9" * 5_000 + "y",
        'a{x=~"' + "(a{99}){99}" * 99 + '"}',
    ],
    ids=lambda query: query[:6],
)
def test_what_is_too_large_is_refused(query: str):
    """Nesting, length, matchers and patterns are bounded: nothing overflows."""
    with pytest.raises(SyntaxProblem):
        parse(query)


def test_the_deepest_query_that_is_taken_can_be_worked_with():
    """What the bounds let through does not overflow later."""
    deep = parse("(" * (MAX_DEPTH - 1) + "a" + ")" * (MAX_DEPTH - 1))
    assert isinstance(deep, Selector)
    long = parse(" + ".join(["a"] * 100))
    assert isinstance(long, Binary)
    assert parse(str(parse(" + ".join(["a"] * 20)))) == parse(" + ".join(["a"] * 20))


def test_a_pattern_that_backtracks_elsewhere_takes_no_time():
    """Patterns are matched in time linear in the text: none of them keeps the server busy."""
    import polars as pl

    from taba.prometheus.promql.labels import fits

    begun = time.perf_counter()
    found = fits(pl.Series(["a" * 20_000 + "!"]), Matcher("x", "=~", "(a*)*(a*)*b|(a|aa)+c"))
    assert found.to_list() == [False]
    assert time.perf_counter() - begun < 30  # for ever, where an engine backtracks


def test_selectors_alone():
    """`match[]` takes a selector and nothing else."""
    assert parse_selector('a{b="c"}') == (Matcher("__name__", "=", "a"), Matcher("b", "=", "c"))
    for query in ("1", "rate(a[5m])", "a[5m]", "a offset 5m", "a + a"):
        with pytest.raises(SyntaxProblem):
            parse_selector(query)
