"""Keys: their order is that of bucket, user and time; none begins another; ids go there and back, or are refused."""

import contextlib
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog import EventError, EventIdError, keys
from eventlog.times import END, day_of, day_start, micros, moment

users = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30) | st.text("\0\1ÿu", min_size=1, max_size=6)
times = st.integers(0, END - 1)
uniques = st.binary(min_size=8, max_size=8)
rows = st.tuples(users, times, uniques)
codes = st.binary(min_size=2, max_size=2)


@given(rows, rows)
def test_order_is_bucket_user_time(left, right):
    """Keys sort as (bucket, user's bytes, time, unique) do, whatever bytes users hold."""

    def told(one):
        user, time, unique = one
        return keys.row(*one)[0], user.encode(), time, unique

    assert (keys.row(*left) < keys.row(*right)) == (told(left) < told(right))


@given(rows, rows, st.binary(max_size=20))
def test_rows_delimit_themselves(left, right, place):
    """A key says itself where its row ends; no row is the beginning of another."""
    one, other = keys.row(*left), keys.row(*right)
    assert keys.row_end(one + place) == len(one)
    assert one == other or not other.startswith(one)
    assert keys.read_row(one) == left
    assert keys.row_time(one) == left[1]


@given(rows, times, uniques, codes)
def test_ids_go_there_and_back(row, time, unique, code):
    """An event's id gives its row and its place; a child's begins with its root's."""
    key, place = keys.row(*row), keys.child_place(time, unique, code)
    root, child = keys.event_id(key), keys.event_id(key, place)
    assert keys.read_event_id(root) == (key, keys.ROOT)
    assert keys.read_event_id(child) == (key, place)
    assert child.startswith(f"{root}.")


@given(rows, st.data())
def test_changed_ids_are_refused(row, data):
    """What is no id is refused with EventIdError; what is read as an id is exactly that id."""
    good = keys.event_id(keys.row(*row), keys.child_place(row[1], row[2], b"ab"))
    at = data.draw(st.integers(0, len(good)))
    changed = good[:at] + data.draw(st.text(max_size=3)) + good[at + data.draw(st.integers(0, 3)) :]
    with contextlib.suppress(EventIdError):
        assert keys.event_id(*keys.read_event_id(changed)) == changed


@pytest.mark.parametrize("text", ["", ".", "a", "a.b", "x" * 70_000, "é", "\ud800", "A" * 26 + "==", "=", " ", "\0"])
def test_what_is_no_id(text):
    """Texts of any kind are refused, and the error is short."""
    with pytest.raises(EventIdError) as error:
        keys.read_event_id(text)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("value", [None, 7, b"abc", 1.5, ["a"]])
def test_ids_of_other_types(value):
    """Whatever is no text is no id."""
    with pytest.raises(EventIdError):
        keys.read_event_id(value)


@given(users, times, times, rows)
def test_a_users_range(user, since, until, row):
    """A user's range holds that user's rows of those times, and nothing else."""
    low, high = keys.user_range(user, since, until)
    assert (low <= keys.row(*row) < high) == (row[0] == user and since <= row[1] < until)


@given(users, rows)
def test_a_prefixs_ranges(beginning, row):
    """The ranges of a prefix hold the rows of users that begin so, and nothing else."""
    inside = [one for one in keys.prefix_ranges(beginning) if one.start <= keys.row(*row) and keys.row(*row) < one.stop]
    assert len(inside) == row[0].startswith(beginning)


@given(rows, st.fractions(0, 1).filter(bool))
def test_a_samples_ranges(row, sample):
    """A sample's ranges hold every user in the sample; a smaller sample lies within a larger."""
    [one] = keys.sample_ranges(sample)
    key = keys.row(*row)
    assert keys.share(row[0]) >= sample or (one.start <= key and (not one.stop or key < one.stop))
    assert key[0] == int(keys.share(row[0]) * 256)


@pytest.mark.parametrize("user", ["", "\ud800", "u" * 1025, "ж" * 513, "u" * 65536])
def test_users_that_can_not_be(user):
    """Empty, broken Unicode, too long: a clear error, and a short one."""
    with pytest.raises(EventError, match="user") as error:
        keys.user_prefix(user)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    "value",
    [True, None, [], {}, float("nan"), float("inf"), -float("inf"), -1, -0.001, 2**53, 10**30, 10**400, 10**5000, 1e300,
     1.7e308, "", "yesterday", "2011-02-30", "2300-01-01", "1969-12-31T23:59:59Z", "\ud800", "9" * 5000, date.max,
     date.min,
     datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), b"2011", 1j, timedelta(1), Fraction(1, 2)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_times_that_can_not_be(value):
    """Whatever is no time from 1970 to 2255 is an EventError with a short text."""
    with pytest.raises(EventError, match="time") as error:
        micros(value)
    assert len(str(error.value)) < 300


@given(times)
def test_times_go_there_and_back(time):
    """A moment is its microseconds; a time's day holds it."""
    assert micros(moment(time)) == micros(moment(time).isoformat()) == micros(time, "us") == time
    assert 0 <= time - day_start(day_of(time)) < 86_400_000_000
