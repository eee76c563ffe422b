"""From recorded values to frames: good ones arrive exactly, bad ones are counted, nothing raises."""

import math
from array import array
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taba import frame
from taba.client import drain
from taba.client.drain import Drain
from taba.client.tabs import OVERFLOW, Handle, Registry
from taba.names import MAX_TEXT

TYPES = ["counter", "percentile", "gauge", "gauge(30)", "uniques", "top", "buffer", "of_my_own"]


class Raises:
    def __float__(self):
        raise RuntimeError("no")

    def __repr__(self):
        raise RuntimeError("no")


class Lazy:
    """As a web framework's user that is fetched once somebody asks for it."""

    @property
    def __class__(self):
        raise RuntimeError("there is no database here")


class Unwritable(int):
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


class Colour(StrEnum):
    RED = "red"


def taken(kind, values, limit=1_000_000):
    """What is sent of the values of one tab, as numbers, texts and drops by reason; and the Drain."""
    handle = Handle("t", kind)
    handle.events.extend(values)
    some = Drain(limit)
    drafts = some.take([handle])
    assert handle.events == []
    numbers = [number for draft in drafts for number in draft.numbers]
    texts = [text for draft in drafts for text in draft.texts.values]
    return numbers, texts, {reason: count for (_, reason), count in some.drops.items()}, some


@pytest.mark.parametrize("kind", ["counter", "percentile", "gauge", "buffer"])
def test_whatever_is_a_number_is_taken_as_one(kind):
    values = [1, 2.5, True, Decimal("0.1"), Fraction(1, 2), -(10**30), 5e-324, 1.7e308, 1.7e308]
    assert taken(kind, values)[:3] == ([float(value) for value in values], [], {})


@pytest.mark.parametrize("kind", ["counter", "percentile"])
def test_among_numbers_the_bad_are_dropped_and_counted(kind):
    values = [1, "2", math.nan, 3, math.inf, -math.inf, 10**400, None, Raises(), b"4", [5], 6]
    numbers, texts, drops, _ = taken(kind, values)
    assert (numbers, texts) == ([1, 3, 6], [])
    assert drops == {"wrong_type": 5, "not_finite": 4}


@pytest.mark.parametrize("kind", ["uniques", "top"])
def test_among_texts_numbers_are_written_and_the_bad_are_dropped_and_counted(kind):
    values = ["a", 1, 2.5, Colour.RED, "", "é\ud800", "x" * MAX_TEXT, "x" * (MAX_TEXT + 1), 10**5000, None, b"b"]
    numbers, texts, drops, _ = taken(kind, values)
    assert (numbers, texts) == ([], ["a", "1", "2.5", "red", "", "é?", "x" * MAX_TEXT])
    assert drops == {"too_long": 2, "wrong_type": 2}
    assert all(type(text) is str for text in texts)


def test_a_buffer_takes_numbers_and_texts():
    numbers, texts, drops, _ = taken("buffer", [1, "a", 2, None, "b" * 2000, "c"])
    assert (numbers, texts, drops) == ([1, 2], ["a", "c"], {"wrong_type": 1, "too_long": 1})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, "a", 2, "b"], ([], ["a", "b"], {"superseded": 2})),
        (["a", "b", 1], ([1], [], {"superseded": 2})),
        (["a", 1, None], ([1], [], {"superseded": 1, "wrong_type": 1})),
        (["a", "b"], ([], ["a", "b"], {})),
    ],
)
def test_a_gauges_last_value_stays_the_last(values, expected):
    """Between numbers and texts a frame keeps no order, so the older kind must not be in it."""
    assert taken("gauge(30)", values)[:3] == expected


def test_of_too_many_values_the_newest_are_kept():
    numbers, _, drops, _ = taken("counter", range(10), limit=4)
    assert (numbers, drops) == ([6, 7, 8, 9], {"flush_limit": 6})


def test_a_tab_complains_once():
    """A log line says what was wrong; a million bad values do not write a million lines."""
    handle = Handle("t", "counter")
    some = Drain(100)
    for _ in range(3):
        handle.events.extend(["bad", math.nan])
        some.take([handle])
    assert len(some.complaints) == 1
    assert "t, type counter" in some.complaints[0]
    assert "'bad' is of the wrong type" in some.complaints[0]
    assert some.drops == {("t", "wrong_type"): 3, ("t", "not_finite"): 3}


def test_events_beyond_the_limit_on_tabs_are_dropped_and_counted():
    registry = Registry()
    registry.limit = 1
    registry.handle("a", "counter", {}).record(1)
    for name in "bcd":
        registry.handle(name, "top", {}).record("x")
    some = Drain(100)
    (draft,) = some.take(registry.active())
    assert draft.names == ["a"]
    assert some.drops == {(OVERFLOW, "tab_limit"): 3}


def test_values_recorded_during_the_drain_are_for_the_next():
    """The list object stays, since callers hold its append."""
    handle = Handle("t", "counter")

    class Records:
        def __float__(self):
            handle.record(7.0)
            return 1.0

    events = handle.events
    handle.record(Records())
    some = Drain(100)
    assert list(some.take([handle])[0].numbers) == [1.0]
    assert handle.events is events
    assert events == [7.0]


anything = (
    st.integers()
    | st.floats()
    | st.booleans()
    | st.text(max_size=5)
    | st.none()
    | st.binary(max_size=3)
    | st.sampled_from(["x" * 1025, 10**400, 1e308, Raises(), "\udcff", Decimal("NaN"), object()])
)


@given(st.sampled_from(TYPES), st.lists(anything, max_size=30), st.integers(1, 40))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_recorded_is_sent_plus_dropped_for_any_values(kind, values, limit):
    """The ledger's equation, and that any frame that comes of it is one that a server takes."""
    numbers, texts, drops, some = taken(kind, values, limit)
    assert len(numbers) + len(texts) + sum(drops.values()) == len(values)
    assert all(map(math.isfinite, numbers))
    handle = Handle("t", kind)
    handle.events.extend(values)
    for sequence, draft in enumerate(Drain(limit).take([handle]), 1):
        header = frame.Header("c", "e", sequence, 1.0, 2.0, draft.names, draft.types, draft.counts)
        header.texts, header.drops = draft.texts, some.report()
        body = frame.encode(header, frame.pack_values(draft.numbers))
        (decoded,) = frame.decode(body)
        assert decoded.numbers() == numbers
        assert decoded.header.texts.values == texts


def test_a_large_flush_is_split_into_frames_that_may_be_sent():
    """Ten thousand tabs fit into one frame; what does not is in further ones, and nothing is lost."""
    handles = [Handle(f"{'name' * 20}.{number}", "counter") for number in range(10_000)]
    for handle in handles:
        handle.record(1.0)
    assert len(Drain(100).take(handles)) == 1
    many = Handle("many", "counter")
    many.events.extend([1.0] * 2_500_000)
    wide = Handle("wide", "top")
    wide.events.extend(["\U0001f388" * MAX_TEXT] * 3000)
    drafts = Drain(5_000_000).take([many, wide])
    assert sum(len(draft.numbers) for draft in drafts) == 2_500_000
    assert sum(len(draft.texts.values) for draft in drafts) == 3000
    for draft in drafts:
        header = frame.Header("c", "e", 1, 1.0, 2.0, draft.names, draft.types, draft.counts, draft.texts)
        assert len(frame.encode(header, frame.pack_values(draft.numbers))) <= drain.FRAME_BYTES
        frame.check(header, len(draft.numbers))


def test_a_report_of_drops_is_bounded_and_continued():
    some = Drain(100)
    for number in range(100_000):
        some.drops[f"tab{number}", "refused"] += number + 1
    reports = []
    while (report := some.report()) is not None:
        assert len(frame.encode(frame.Header("c", "e", 1, 1.0, 2.0, drops=report))) < 2 * drain.DROPS_BYTES
        reports.append(report)
    assert len(reports) > 1
    assert sum(sum(report.counts) for report in reports) == sum(range(100_001))


def test_plain_numbers_take_the_quick_way():
    """A million numbers are drained in well under a second."""
    assert drain._all_fit("counter", [1.0, 2]) == (array("d", [1.0, 2.0]), [])
    assert drain._all_fit("top", ["a", "é"]) == (array("d"), ["a", "é"])


@pytest.mark.parametrize("made", [Lazy, lambda: Unwritable(7)], ids=["lazy", "unwritable"])
def test_a_value_whose_own_code_fails_costs_itself_alone(made):
    """Whatever it does when it is looked at, written or shown."""
    bad = made()
    for kind in TYPES:
        good = ["a", "b"] if kind in drain.TEXT_TYPES else [1.0, 2.0]
        numbers, texts, drops, some = taken(kind, [good[0], bad, good[1]])
        sent = [*numbers, *texts]
        assert [one for one in sent if one != 7] == good
        assert drops == ({} if len(sent) == 3 else {"wrong_type": 1})
        assert len(some.complaints) == len(drops)


@pytest.mark.parametrize("places", range(4))
def test_what_a_broken_off_flush_had_taken_is_counted(monkeypatch, places):
    """As by a signal's handler that calls sys.exit() while the main thread flushes."""
    handles = [Handle(f"t{number}", "counter") for number in range(3)]
    for handle in handles:
        handle.events.extend([1.0] * 10)
    some, pieces, seen = Drain(8), drain._pieces, []

    def broken(*arguments):
        seen.append(arguments)
        if len(seen) > places:
            raise SystemExit
        return pieces(*arguments)

    monkeypatch.setattr(drain, "_pieces", broken)
    drafts = []
    try:
        drafts = some.take(handles)
    except SystemExit:
        assert places < 3
    left = sum(len(handle.events) for handle in handles)
    assert sum(sum(draft.counts) for draft in drafts) + some.drops.total() + left == 30
    assert some.drops.total() == (6 if places == 3 else 10 * (places + 1))
