"""What a person reads: numbers that are short and true, lines that fit, blocks that never show too little."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.text import Text

from taba.cli import charts
from taba.cli.grid import Column, Grid, Group, lines
from taba.cli.numbers import NOTHING, ago, number


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1234, "1,234"),
        (99_999, "99,999"),
        (100_000, "100k"),
        (123_456, "123k"),
        (999_499, "999k"),
        (999_999, "1.00M"),
        (1_234_567, "1.23M"),
        (-1_234_567, "-1.23M"),
        (2.5e15, "2.50P"),
        (999.4e15, "999P"),
        (4e18, "4.00e18"),
        (-1e300, "-1.00e300"),
        (2**70, "1.18e21"),
        (20.58, "20.6"),
        (9.996, "10.0"),
        (0.04567, "0.0457"),
        (0.9996, "1.00"),
        (999.7, "1,000"),
        (12_345.6, "12,346"),
        (99_999.7, "100k"),
        (0.00012, "1.20e-4"),
        (None, NOTHING),
        (math.nan, NOTHING),
        (math.inf, "∞"),
        ("v1.2", "v1.2"),
        (True, "True"),
    ],
)
def test_numbers_are_short(value, shown):
    assert number(value) == shown


@given(st.floats(1e-300, 1e300) | st.integers(1, 10**30))
def test_numbers_are_true(value):
    """Within half of the third digit, and exact for whole numbers below 100,000."""
    shown = number(value).replace(",", "")
    factor = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}.get(shown[-1], 1.0)
    read = float(shown.rstrip("kMGTP")) * factor
    assert read == pytest.approx(value, rel=0.0051)
    if isinstance(value, int) and value < 100_000:
        assert read == value


@given(st.floats(-1e17, 1e17))
def test_numbers_stay_narrow(value):
    assert len(number(value)) <= 10


def test_times_are_told_as_a_person_would():
    told = [ago(seconds) for seconds in (-1, 0, 12, 119, 130, 7000, 8000, 200_000)]
    assert told == ["now", "now", "12 s ago", "119 s ago", "2 min ago", "116 min ago", "2 h ago", "2 days ago"]


def grid(titles: int = 8) -> Grid:
    columns = [Column("window", left=True), Column("count"), Column("mean", spare=1), Column("p99.9", spare=2)]
    rows = [["1m", "12,345", "1.5", "900"], ["10m", "3", "–", "–"]]
    return Grid(columns, groups=[Group(Text("t" * titles), rows), Group(Text("b"), rows[:1])])


def test_a_wide_terminal_has_the_tab_beside_its_rows():
    shown, left_out = lines(grid(), 80)
    assert [line.plain for line in shown] == [
        "tab       window   count  mean  p99.9",
        "tttttttt  1m      12,345   1.5    900",
        "          10m          3     –      –",
        "b         1m      12,345   1.5    900",
    ]
    assert left_out == []


def test_a_narrow_one_has_it_above_them():
    shown, left_out = lines(grid(), 31)
    assert [line.plain for line in shown] == [
        "  window   count  mean  p99.9",
        "tttttttt",
        "  1m      12,345   1.5    900",
        "  10m          3     –      –",
        "b",
        "  1m      12,345   1.5    900",
    ]
    assert left_out == []


def test_what_is_left_out_is_named():
    shown, left_out = lines(grid(), 24)
    assert left_out == ["p99.9"]
    assert shown[2].plain == "  1m      12,345   1.5"
    assert lines(grid(), 1)[1] == ["mean", "p99.9"], "the other columns are never left out"


def test_long_texts_are_cut_where_the_terminal_ends():
    columns = [Column("time", left=True), Column("value", left=True, flexible=True)]
    shown, _ = lines(Grid(columns, groups=[Group(Text("errors"), [["12:00", "x" * 100]])]), 40)
    assert max(line.cell_len for line in shown) == 40
    assert shown[-1].plain.endswith("x…")


LEVELS = st.lists(st.none() | st.floats(0, 1e9), min_size=1, max_size=40)


@example([5e-324])
@given(LEVELS)
def test_only_nothing_is_drawn_as_nothing(values):
    low, high = charts.scale(values, from_zero=True)
    drawn = charts.spark(values, low, high)
    assert len(drawn) == len(values)
    assert [mark == " " for mark in drawn] == [value is None for value in values]
    if high > 0:
        assert [mark == "▁" for mark in drawn if mark != " "] == [v == 0 for v in values if v is not None]


@given(LEVELS, st.integers(2, 10))
def test_a_chart_shows_every_value_and_fills_its_height(values, height):
    low, high = charts.scale(values, from_zero=True)
    drawn = charts.chart(values, low, high, height)
    assert [len(line) for line in drawn] == [len(values)] * height
    assert [mark == " " for mark in drawn[-1]] == [value is None for value in values]
    if high > 0:
        assert "█" in drawn[0]


def test_equal_values_are_drawn_halfway_up():
    assert charts.spark([5, 5], 5, 5) == "▄▄"
    assert charts.spark([0, 0], 0, 0) == "▁▁"


@given(st.floats(1, 1e9), st.integers(1, 200))
def test_a_step_needs_no_more_points_than_there_are(span, points):
    step = charts.step_for(span, points)
    assert step * points >= span
    assert step in charts.STEPS or step % 86_400 == 0


def test_texts_that_would_break_a_line_are_shown_escaped():
    """A recorded text may have line ends and a terminal's own commands in it: each row stays one line, and harmless."""
    rows = [["süd\n✓", "1"], ["\x1b[31mred\x07", "2"], ["left\u202eright", "3"]]
    shown, _ = lines(Grid([Column("value", left=True), Column("1m")], groups=[Group(Text("notes"), rows)]), 80)
    values = [r"süd\n✓", r"\x1b[31mred\x07", r"left\u202eright"]
    titles = ["notes", "", ""]
    rows = zip(titles, values, "123", strict=True)
    assert [line.plain for line in shown[1:]] == [f"{title:5}  {value:15}  {count:>2}" for title, value, count in rows]
