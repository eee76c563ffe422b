"""The time of frames: within one second where it can be, never backwards, whatever is done to the clock."""

from hypothesis import given
from hypothesis import strategies as st

from taba.client.spans import QUARTER, Spans, boundary, until_boundary

NOW = 1_700_000_000.0


@given(st.floats(0, 4e9))
def test_boundaries_are_quarters_of_a_second(now):
    assert boundary(now) <= now < boundary(now) + QUARTER
    assert boundary(now) % QUARTER == 0
    assert 0 < until_boundary(now) <= QUARTER


def test_spans_follow_one_another_without_a_gap():
    spans = Spans(NOW + 0.1, 5.1)
    assert spans.next(NOW + 0.25, 5.251) == (NOW + 0.1, NOW + 0.25)
    assert spans.next(NOW + 0.50, 5.503) == (NOW + 0.25, NOW + 0.50)
    assert spans.next(NOW + 0.60, 5.600) == (NOW + 0.50, NOW + 0.60)


def test_a_late_flush_starts_where_the_last_one_stopped():
    spans = Spans(NOW, 5.0)
    assert spans.next(NOW + 3.5, 8.7) == (NOW, NOW + 3.5)


def test_a_clock_set_back_gives_a_short_span_before_the_new_time():
    spans = Spans(NOW, 5.0)
    assert spans.next(NOW - 3600, 5.25) == (NOW - 3600.25, NOW - 3600)
    assert spans.next(NOW - 3599.75, 5.5) == (NOW - 3600, NOW - 3599.75)


def test_a_clock_set_ahead_gives_a_short_span_too():
    """Events of a quarter second are not spread over the hour that never was."""
    spans = Spans(NOW, 5.0)
    assert spans.next(NOW + 3600, 5.25) == (NOW + 3599.75, NOW + 3600)


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(0, 100)), max_size=20))
def test_a_span_never_starts_after_it_stops(steps):
    now, ticks = NOW, 0.0
    spans = Spans(now, ticks)
    for step, passed in steps:
        now, ticks = now + step, ticks + passed
        start, stop = spans.next(now, ticks)
        assert start <= stop == now
