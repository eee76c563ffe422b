"""Boards as documents: what is taken, and what is said of what is not."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba.server.board import MAX_BYTES, Board, BoardError, parse

WHOLE = {
    "title": "Checkout",
    "text": "How the shops sell.",
    "range": {"from": "2026-01-31T12:00:00Z", "to": 1769950800.5},
    "compare": "week",
    "client": "web-*",
    "charts": [
        {
            "tabs": ["orders{shop=*}", "errors"],
            "title": "Orders",
            "text": "Sold, and not.",
            "by": ["shop"],
            "client": "web-1",
            "range": "10m",
            "compare": "hour",
            "figure": "p90",
            "size": "large",
        },
        {"tabs": ["checkout.ms"]},
    ],
}


def test_every_field_is_taken_and_given_back():
    """What is read is what is written again: a board that the page saves is the one it was given."""
    board = parse(json.dumps(WHOLE).encode())
    assert json.loads(msgspec.json.encode(board)) == WHOLE
    assert parse(b"\xef\xbb\xbf" + json.dumps(WHOLE).encode()) == board, "as some editors begin a file"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('{"titel": "a"}', "there is no field 'titel': did you mean 'title'?"),
        ('{"charts": []}', '"title" is missing'),
        ('{"title": ""}', "title: expected text, at least 1 long"),
        ('{"title": 5}', "title: expected text, got a number"),
        ("[]", "expected an object in { }, got a list"),
        ('{"title": "a", "charts": [{"tab": "x"}]}', "charts[0]: there is no field 'tab': did you mean 'tabs'?"),
        ('{"title": "a", "charts": [{"tabs": []}]}', "charts[0].tabs: expected a list, at least 1 long"),
        ('{"title": "a", "charts": [{"tabs": ["x{"]}]}', "charts[0].tabs[0]: 'x{' has no closing }"),
        ('{"title": "a", "charts": [{"tabs": ["x"], "client": "[z-a]"}]}', "charts[0].client: '[z-a]'"),
        ('{"title": "a", "charts": [{"tabs": ["x"], "size": "huge"}]}', "charts[0].size: 'huge' is none of small,"),
        ('{"title": "a", "range": "5x"}', "range: '5x' is not a duration"),
        ('{"title": "a", "compare": "yesterday"}', "compare: 'yesterday' is none of hour, day, week"),
        ('{"title": "a", "range": {"from": 2, "to": 1}}', "range: from must be before to, but 2 is not before 1"),
        ('{"title": "a", "range": {"from": 2, "until": 1}}', "range: there is no field 'until': there are from, to"),
        ('{"title": "a", "range": {"from": "noon", "to": 1}}', "range.from: 'noon' is not a time"),
        ('{"title": "a",\n "charts": [}', "line 2, column 13: this is not JSON: invalid character"),
        ('{"title": "a"', "line 1, column 14: this is not JSON: it ends too soon"),
        ("", "line 1, column 1: this is not JSON"),
        ("[" * 100_000, "expected an object"),
        (" " * (MAX_BYTES + 1), "the file is larger than 256 KB"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(written, told):
    """Who wrote the file by hand finds the mistake without a second program."""
    with pytest.raises(BoardError) as raised:
        parse(written.encode())
    assert told in str(raised.value)


def test_bytes_that_are_no_text_are_told_with_their_line():
    """A file that is no UTF-8 is no board."""
    with pytest.raises(BoardError, match="line 2, column 3: this is not UTF-8 text"):
        parse(b'{"title":\n"a\xff"}')


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.sampled_from(["1h", "x.*", "large"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*WHOLE, *WHOLE["charts"][0], "from", "to", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*WHOLE]), _JSON) | _JSON)
def test_any_json_is_a_board_or_a_board_error(document):
    """Nothing that is no board passes, and nothing fails in another way."""
    try:
        board = parse(json.dumps(document).encode())
    except BoardError as error:
        assert str(error)
    else:
        assert isinstance(board, Board)
        assert parse(msgspec.json.encode(board)) == board


@given(st.binary(max_size=200))
def test_any_bytes_are_a_board_or_a_board_error(written):
    """As above, of what is not even JSON."""
    try:
        parse(written)
    except BoardError as error:
        assert str(error)


def test_the_boards_in_the_documentation_are_boards():
    """What a reader copies works."""
    page = (Path(__file__).parents[4] / "docs/dashboard.md").read_text(encoding="utf-8")
    found = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert [parse(text.encode()).title for text in found] == ["Checkout"]
