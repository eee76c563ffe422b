"""Durations and tiers: what is written is understood, and what is not is explained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h", 3600), ("2d", 172_800), ("2y", 63_072_000), ("1.5h", 5400), ("0.1m", 6)],
)
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    parsed = durations.parse(text)
    assert parsed == seconds
    assert isinstance(parsed, int)


def test_parts_of_a_second_are_kept():
    assert durations.parse("0.25s") == 0.25
    assert durations.write(0.25) == "0.25s"


@pytest.mark.parametrize("text", ["", "7x", "90", "-5m", "1h30m", "s", "1e3s", "٣s", "1 m", None])
def test_another_text_is_told_how_to_write_one(text):
    with pytest.raises(durations.DurationError, match="is not a duration: write it as 90s, 10m, 1h or 1d"):
        durations.parse(text)


@pytest.mark.parametrize("text", ["0s", "0.0m", "1001y", "999999999999y"])
def test_durations_have_bounds(text):
    with pytest.raises(durations.DurationError, match="over 0s, at most 1000y"):
        durations.parse(text)


@given(st.integers(1, durations.LONGEST))
def test_what_is_written_means_the_same(seconds):
    assert durations.parse(durations.write(seconds)) == seconds


def test_a_tier_is_a_width_and_how_long_it_is_kept():
    assert durations.parse_tier("10s for 6h") == (10, 21_600)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1m", "write it as '1m for 2h'"),
        ("1m for", "write it as '1m for 2h'"),
        ("1x for 2h", "'1x' is not a duration"),
        ("1.5s for 3m", "a whole number of seconds wide"),
        ("7s for 2m", "not a multiple of 7s"),
    ],
)
def test_another_text_is_no_tier(text, told):
    with pytest.raises(durations.DurationError, match=told):
        durations.parse_tier(text)
