"""Expressions as texts: whatever can be asked can be written down, and read again as the very same."""

import math
from datetime import UTC, datetime, timedelta, timezone
from keyword import kwlist
from operator import eq, ge, gt, le, lt, ne

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog import QueryError, note, parse
from eventlog.expressions import Both, Either, Expression, Field, IsIn, IsNull, Not, StartsWith

TEXTS = st.text(st.characters(), max_size=6) | st.text("'\"\\\n\0{}#\u2028ud8\ud800", max_size=6)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=4),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 2**64, "None", "inf"]),
    st.datetimes(timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=-3, minutes=-30))])),
)  # fmt: skip
NAMES = st.sampled_from(
    ["price", "user", "time", "type", "notes", "match", "_", "ü", "x1", "datetime", "note", "float"]
)
NOTE_NAMES = NAMES | st.sampled_from([*kwlist, "ﬁ", "ª", "ſ"])  # Python reads some of its letters as others
FIELDS = st.builds(Field, st.sampled_from(["", "Impression", "Ü"]), NAMES) | NOTE_NAMES.map(note)
LEAVES = st.one_of(
    st.builds(lambda field, sign, value: sign(field, value), FIELDS, st.sampled_from([eq, ne, lt, le, gt, ge]), VALUES),
    st.builds(IsIn, FIELDS, st.lists(VALUES, max_size=3).map(tuple)),
    st.builds(StartsWith, FIELDS, TEXTS),
    st.builds(IsNull, FIELDS),
)
WHERES = st.recursive(
    LEAVES,
    lambda inner: st.builds(Both, inner, inner) | st.builds(Either, inner, inner) | st.builds(Not, inner),
    max_leaves=8,
)


def shape(one: object) -> object:
    """An expression as plain values that compare: types, signs of zero and NaN included."""
    if isinstance(one, Field):
        return one.key
    if isinstance(one, Expression):
        return (type(one), *(shape(getattr(one, name)) for name in type(one).__dataclass_fields__))  # type: ignore[attr-defined]
    if isinstance(one, tuple):
        return tuple(map(shape, one))
    return (type(one), repr(one.isoformat() if isinstance(one, datetime) else one))


@settings(max_examples=300, deadline=None)
@given(WHERES)
def test_any_expression_is_read_as_it_was_written(where):
    """Quotes, backslashes, any character, infinities, NaN, times, keywords as notes, precedence: nothing is lost."""
    assert shape(parse(str(where))) == shape(where)


def test_a_long_chain_is_read_as_it_was_written():
    """Hundreds of parts joined one by one need no parentheses within each other, which Python limits to 200."""
    for join in (Both, Either):
        where: Expression = note("n0") == 0
        for number in range(1, 300):
            where = join(where, note(f"n{number}") == number)
        assert shape(parse(str(where))) == shape(where)


@given(st.text("abx.'\"()[]{}<>=!&|~,: \\0159-+*/@#iInotd\ud800\0\n", max_size=25) | st.text(max_size=15))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text):
    """No text at all gives anything but an expression or a QueryError."""
    try:
        assert isinstance(parse(text), Expression)
    except QueryError as error:
        assert str(error).startswith("where: ")


@pytest.mark.parametrize(
    "text",
    [
        "x in {y}", "x == {[]: 1}", "x == datetime('yesterday')", "x == datetime(1)", "x == datetime()",
        "x == float('high')", "x == float(x)", "x == datetime('2011-01-01', 1)", "note('a b') == 1", "note(x) == 1",
        "note() == 1", "x.startswith('a', start=1)", "x.is_null(a=1)", "x in [y]", "x == (1).real", "x == int('1')",
    ],
)  # fmt: skip
def test_what_is_nearly_an_expression_is_refused(text):
    """What looks like a value, a note or a call, and is none, is told and not passed over."""
    with pytest.raises(QueryError, match="where: "):
        parse(text)


def test_values_that_python_has_no_sign_for():
    """A time is written as such, infinity and NaN as Python makes them, within lists too."""
    assert (
        str(Field("A", "seen") > datetime(2011, 2, 14, tzinfo=UTC)) == "A.seen > datetime('2011-02-14T00:00:00+00:00')"
    )
    assert str(note("x").is_in([math.inf, 1])) == "notes.x in [float('inf'), 1]"
    assert str(note("class") < 1) == "note('class') < 1"
    seen = Field("A", "seen") >= datetime(2011, 2, 14, tzinfo=UTC)
    assert shape(parse("datetime('2011-02-14T00:00Z') <= A.seen")) == shape(seen)
