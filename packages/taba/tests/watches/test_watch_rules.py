"""Rules: what is read is what was written, and a mistake is named where it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba import durations
from taba.watches.rule import (
    COMPARISONS,
    AbsentClient,
    AbsentTab,
    Rule,
    RuleError,
    Term,
    Threshold,
    check_fields,
    parse,
)

names = st.from_regex(r"[a-z][a-z0-9_.:/-]{0,12}", fullmatch=True)
globs = st.builds(
    lambda name, star, tags: (
        name + star + ("{" + ",".join(f"{k}={v}" for k, v in sorted(tags.items())) + "}") * bool(tags)
    ),
    names,
    st.sampled_from(["", "*", "?", "[a-f]"]),
    st.dictionaries(
        st.from_regex(r"[a-z_][a-z0-9_.-]{0,5}", fullmatch=True),
        st.sampled_from(["pay", "b*", "a (b)", "x/y"]),
        max_size=2,
    ),
)
keys = st.lists(st.from_regex(r"[a-z_][a-z0-9_.-]{0,6}", fullmatch=True), max_size=3, unique=True).map(tuple)
groupings = st.one_of(keys.filter(lambda some: "tab" not in some), st.sampled_from([("tab",), ("tab", "client")]))
lengths = st.one_of(st.integers(1, 10_000), st.sampled_from([1.5, 90.25])).map(lambda s: durations.parse(f"{s}s"))
numbers = st.floats(allow_nan=False, allow_infinity=False)
fields = st.sampled_from(["p99", "p99.9", "count", "rate", "clients", "distinct", "own_field"])


def whole(terms, by, over, comparison, limit):
    return Threshold(tuple(terms), by, float(over), comparison, limit)


one_term = st.lists(st.builds(Term, fields, globs), min_size=1, max_size=1)
two_terms = st.lists(st.builds(Term, fields, names), min_size=2, max_size=2)
thresholds = st.builds(
    whole, st.one_of(one_term, two_terms), groupings, lengths, st.sampled_from(sorted(COMPARISONS)), numbers
)
absences = st.one_of(
    st.builds(AbsentClient, st.from_regex(r"[a-z][a-z0-9_:@-]{0,9}\*?", fullmatch=True)),
    st.builds(AbsentTab, globs, groupings, lengths.map(float)),
)
rules = st.builds(Rule, st.one_of(thresholds, absences), st.one_of(st.just(0.0), lengths.map(float)))


@given(rules)
def test_a_rule_that_is_written_is_read_again(rule):
    """Every rule has one written form, and that form means the rule."""
    assert parse(str(rule)) == rule


@given(st.one_of(st.text(max_size=60), st.text("p9()absentclitabforover{}=.,/<>!= 10sm*", max_size=60)))
def test_whatever_is_written_is_a_rule_or_an_error_with_a_place(text):
    """No text breaks the reader, and the place that an error names is in the text or right behind it."""
    try:
        rule = parse(text)
    except RuleError as error:
        assert 1 <= error.place <= len(text) + 1
        assert f"at character {error.place}" in str(error)
    else:
        assert parse(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "condition", "hold"),
    [
        (
            "p99(request.ms) > 200 for 1m",
            Threshold((Term("p99", "request.ms"),), (), 60.0, ">", 200.0),
            60.0,
        ),
        ("absent(client web-*) for 30s", AbsentClient("web-*"), 30.0),
        ("  absent( tab  orders )over 1d", AbsentTab("orders", (), 86400.0), 0.0),
        (
            "total(errors)/total(requests) by route,client over 5m>=1e-2",
            Threshold((Term("total", "errors"), Term("total", "requests")), ("route", "client"), 300.0, ">=", 0.01),
            0.0,
        ),
        (
            "value(queue{host=a b}) < -3",
            Threshold((Term("value", "queue{host=a b}"),), ("client",), 60.0, "<", -3.0),
            0,
        ),
    ],
)
def test_what_rules_mean(text, condition, hold):
    """The examples of the documentation, and what is assumed where nothing is said."""
    assert parse(text) == Rule(condition, hold)


@pytest.mark.parametrize(
    ("text", "told", "place"),
    [
        ("", "a value is missing", 1),
        ("p99(request.ms", "expected ')', not the end", 15),
        ("p99(request.ms) 200", "a comparison is missing: one of >=, <=, ==, !=, >, <", 17),
        ("p99 > 3", "'p99' of which tab? Write it as p99(request.ms)", 5),
        ("p99(x) > 200ms", "'ms' is too much", 13),
        ("p99(x) > 3 for", "after 'for' is not a duration", 15),
        ("p99(x) over 0.5s > 3", "a window is at least 1 s long", 13),
        ("absent(foo)", "write absent(client web-*) or absent(tab orders)", 11),
        ("total(e*) / total(r) > 1", "in a division each side is of one", 1),
        ("total(e) / value(q) > 1", "value() is of each client", 12),
        ("p99(x) by tab,route > 1", "by tab is every tab by itself", 11),
        ("p99([z-a]) > 1", "'z' comes after 'a'", 5),
        ("absent(client ) for 1m", "a glob over clients is missing", 15),
    ],
)
def test_mistakes_are_named_where_they_stand(text, told, place):
    """An error says what was expected, and at which character."""
    with pytest.raises(RuleError) as caught:
        parse(text)
    assert told in str(caught.value)
    assert caught.value.place == place


def test_a_field_that_no_type_has_is_refused():
    """Also in the second term, with the nearest that there is."""
    with pytest.raises(RuleError, match=r"no answer has a field 'p98': did you mean p99\? \(at character 12\)"):
        check_fields(parse("count(a) / p98(b) > 1"), {"count", "p99"})
    check_fields(parse("distinct(a) > 1"), {"uniques"})
