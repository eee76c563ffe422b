"""Names, tags, client ids and types: which keep the rules, and how they are written."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taba import names
from taba.names import NameRuleError

fuzz = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

tab_names = st.from_regex(names.NAME_PATTERN, fullmatch=True)
tags = st.dictionaries(
    st.from_regex(names.KEY_PATTERN, fullmatch=True),
    st.from_regex(names.VALUE_PATTERN, fullmatch=True),
    max_size=names.MAX_TAGS,
)


@given(tab_names, tags)
@fuzz
def test_a_tab_is_read_as_it_was_written(name, some):
    written = names.join(name, some)
    assert names.split(written) == (name, some)
    assert names.parse(written) == (name, some)


@given(tab_names, tags, st.randoms())
@fuzz
def test_a_tab_has_one_written_form(name, some, random):
    """The order in which tags are given does not matter."""
    pairs = list(some.items())
    random.shuffle(pairs)
    assert names.join(name, dict(pairs)) == names.join(name, some)


@given(st.text(max_size=300) | st.integers() | st.floats() | st.none() | st.binary())
@fuzz
def test_anything_becomes_a_value_that_keeps_the_rules(value):
    cleaned = names.clean_value(value)
    names.check_tags({"key": cleaned})
    assert names.clean_value(cleaned) == cleaned


@given(st.text(max_size=250))
@fuzz
def test_arbitrary_text_is_a_tab_or_refused_with_a_reason(text):
    try:
        name, some = names.parse(text)
    except NameRuleError as error:
        assert str(error)
    else:
        names.check_name(name)
        names.check_tags(some)


@pytest.mark.parametrize("name", ["a", "bids.won", "_x", "9", "a/b:c-d", "x" * 200])
def test_names_that_keep_the_rules(name):
    assert names.check_name(name) == name


@pytest.mark.parametrize("name", ["", ".a", "-a", "a b", "a{", "é", "x" * 201, "a\n", None, 7])
def test_names_that_break_the_rules(name):
    with pytest.raises(NameRuleError, match="is not a name"):
        names.check_name(name)


@pytest.mark.parametrize("client", ["web-1", "a@b:8/x", "c" * 200])
def test_client_ids_that_keep_the_rules(client):
    assert names.check_client(client) == client


@pytest.mark.parametrize("client", ["", "a b", "c" * 201, "a\r\n", None])
def test_client_ids_that_break_the_rules(client):
    with pytest.raises(NameRuleError, match="is not a client id"):
        names.check_client(client)


@pytest.mark.parametrize(
    "some", [{"": "1"}, {"9": "1"}, {"a b": "1"}, {"a": ""}, {"a": "x,y"}, {"a": 1}, {"a": "x" * 201}]
)
def test_tags_that_break_the_rules(some):
    with pytest.raises(NameRuleError, match=r"the tag|a tag's key"):
        names.check_tags(some)


def test_a_tab_has_a_bounded_number_of_tags():
    with pytest.raises(NameRuleError, match="17 tags: a tab has at most 16"):
        names.check_tags({f"k{number}": "v" for number in range(17)})


@pytest.mark.parametrize("tab", ["a{", "a{x}", "a{x=1", "a{x=1,x=2}", "a{}", "a{x=1}}", "a{x=1}b", "{x=1}"])
def test_tabs_that_are_written_wrongly(tab):
    with pytest.raises(NameRuleError):
        names.parse(tab)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("counter", ("counter", None)), ("gauge(30)", ("gauge", 30.0)), ("gauge(1e-3)", ("gauge", 0.001))],
)
def test_types_are_read(written, meant):
    assert names.parse_type(written) == meant


@pytest.mark.parametrize("written", ["", "Counter", "gauge(", "gauge()", "gauge(x)", "gauge(1)(2)", "gauge(--)", None])
def test_types_that_are_written_wrongly(written):
    with pytest.raises(NameRuleError):
        names.parse_type(written)
