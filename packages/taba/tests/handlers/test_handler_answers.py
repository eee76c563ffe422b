"""Each built-in type answers as plain Python does: exactly where it says so, within its stated bound elsewhere."""

import random

import pytest
import references
from handler_cases import START, alike, answer, answers, event_lists, folded, handler_of, merged
from hypothesis import given
from hypothesis import strategies as st

from taba.handlers import buffer as buffers
from taba.handlers import top as tops

UNTIL, SECONDS = START + 1_000.0, 1_024.0


def by_tab(events):
    found = {}
    for event in events:
        found.setdefault((event[0],), []).append(event)
    return found


@given(events=event_lists(handler_of("counter")))
def test_counter_is_exact(events):
    """Count, total, mean, least, greatest and rate equal the plain sums, by tab and by client."""
    handler = handler_of("counter")
    found = answers(handler, folded(handler, events), seconds=SECONDS)
    assert found == {tab: references.counter(some, SECONDS) for tab, some in by_tab(events).items()}


@given(events=event_lists(handler_of("percentile")))
def test_percentile_counts_and_adds_exactly(events):
    """The sketch rounds values, not counts, totals or bounds; its rate is events per second."""
    handler = handler_of("percentile")
    for tab, found in answers(handler, folded(handler, events), seconds=SECONDS).items():
        some = by_tab(events)[tab]
        expected = references.counter(some, SECONDS) | {"rate": len(some) / SECONDS}
        assert {name: found[name] for name in expected} == expected
        assert found["error"] == 0.01


@pytest.mark.parametrize("expiry", [None, 250.0])
@given(data=st.data())
def test_gauge_is_the_last_value_by_time_then_value(expiry, data):
    """Per client the last value, unless it has expired; for the fleet statistics over the clients' last values."""
    handler = handler_of("gauge")
    events = data.draw(event_lists(handler))
    states = folded(handler, events, expiry)
    single = answers(handler, states, per_client=True)
    fleet = answers(handler, states)
    for tab, some in by_tab(events).items():
        expected = references.gauge(some, UNTIL, expiry)
        found = fleet[tab]
        shown = {item["value"]: item["clients"] for item in found.pop("values")}
        held = expected.pop("values")
        assert shown == dict(held)
        alike(found, {name: expected[name] for name in found})
        last = references.last_by_client(some, UNTIL, expiry)
        for client in {event[1] for event in some}:
            time, value = last.get(client, (None, None))
            assert single[(*tab, client)] == {"value": value, "time": time}


def test_gauge_lists_the_values_that_most_clients_hold():
    """At most 20 values are listed, the most held first."""
    handler = handler_of("gauge")
    events = [("t", f"c{n}", START, f"v{int(n**0.5)}") for n in range(1_000)]
    shown = answer(handler, events)["values"]
    assert len(shown) == 20
    assert [item["clients"] for item in shown] == sorted((item["clients"] for item in shown), reverse=True)
    assert shown[0] == {"value": "v30", "clients": 61}


@given(events=event_lists(handler_of("top")))
def test_top_is_exact_under_its_capacity(events):
    """Every value with its exact count, the most frequent first, and nothing trimmed."""
    handler = handler_of("top")
    for tab, found in answers(handler, folded(handler, events)).items():
        exact = references.top(by_tab(events)[tab])
        assert found["count"] == exact.total()
        assert found["bound"] == 0
        assert len(found["values"]) == min(len(exact), tops.SHOWN)
        shown = [(item["value"], item["count"]) for item in found["values"]]
        assert all(exact[value] == count for value, count in shown)
        assert [count for _, count in shown] == [count for _, count in exact.most_common(tops.SHOWN)]


@pytest.mark.parametrize("seed", range(3))
def test_top_keeps_its_bound_beyond_its_capacity(seed):
    """Of Zipf-like values no count is too high, none too low by more than the bound, and the sum is exact."""
    handler = handler_of("top")
    rng = random.Random(seed)
    events = [("t", "c", START + n % 50, f"v{int(rng.paretovariate(0.4)) % 20_000}") for n in range(60_000)]
    parts = [folded(handler, events[part::4]) for part in range(4)]
    found = answers(handler, merged(handler, *parts))["t",]
    exact = references.top(events)
    assert len(exact) > 3 * tops.CAPACITY
    assert found["count"] == len(events)
    assert 0 < found["bound"] < len(events) / 100
    for item in found["values"]:
        assert 0 <= exact[item["value"]] - item["count"] <= found["bound"]
    missing = max(count for value, count in exact.items() if value not in {item["value"] for item in found["values"]})
    assert missing <= found["values"][-1]["count"] + found["bound"]


def test_top_adds_up_what_was_trimmed_of_a_value():
    """A value that is trimmed from every State is not forgotten: the bound covers all that was lost of it."""
    handler = handler_of("top")
    parts = [
        [("t", "c", START, f"{part}-{n}") for n in range(tops.CAPACITY) for _ in range(3)]
        + [("t", "c", START, "x")] * 2
        for part in range(4)
    ]
    found = answers(handler, merged(handler, *(folded(handler, part) for part in parts)))["t",]
    assert "x" not in {item["value"] for item in found["values"]}
    assert found["bound"] >= 8
    assert found["count"] == sum(map(len, parts))


def test_top_merging_a_trimmed_state_alone_changes_nothing():
    """A State that is trimmed already is not trimmed again: it holds the CAPACITY most frequent values."""
    handler = handler_of("top")
    states = folded(handler, [("t", "c", START, f"v{n}") for n in range(1_100) for _ in range(1 + n // 1_000)])
    again = merged(handler, merged(handler, states))
    assert states.filter(states["label"].is_not_null()).height == tops.CAPACITY
    columns = states.columns
    assert again.select(columns).sort("label").rows() == states.sort("label").rows()


@given(events=event_lists(handler_of("buffer"), max_size=300), pieces=st.integers(1, 4))
def test_buffer_holds_the_newest(events, pieces):
    """The newest 100 values with their times, newest first, whatever way the States came together."""
    handler = handler_of("buffer")
    found = answers(handler, merged(handler, *(folded(handler, events[piece::pieces]) for piece in range(pieces))))
    for tab, some in by_tab(events).items():
        shown = found[tab]["values"]
        assert [item["time"] for item in shown] == references.newest(some)
        recorded = [(time, value) for *_, time, value in some]
        for item in shown:
            recorded.remove((item["time"], item["value"]))


def test_buffer_beyond_its_capacity():
    """Of 10,000 values in one State the newest 100 are there, with text and numbers as they were recorded."""
    handler = handler_of("buffer")
    events = [("t", "c", START + n / 16_384, float(n) if n % 2 else f"n{n}") for n in range(10_000)]
    random.Random(0).shuffle(events)
    found = answer(handler, events)
    expected = [{"time": START + n / 16_384, "value": float(n) if n % 2 else f"n{n}"} for n in range(9_999, 9_899, -1)]
    assert found["values"] == expected
    assert found["count"] == buffers.CAPACITY


def test_buffer_counts_what_it_shows():
    """Values recorded again at the same time are values of their own, up to the newest 100 in all."""
    handler = handler_of("buffer")
    found = answer(handler, [("t", "c", START, 1.0)] * 90 + [("t", "c", START + 1, 2.0)] * 30)
    assert found["count"] == len(found["values"]) == buffers.CAPACITY
    assert [item["value"] for item in found["values"]] == [2.0] * 30 + [1.0] * 70


@given(events=event_lists(handler_of("uniques")))
def test_uniques_of_a_few_are_exact(events):
    """A few distinct values are counted exactly."""
    handler = handler_of("uniques")
    for tab, found in answers(handler, folded(handler, events)).items():
        exact = len({value for *_, value in by_tab(events)[tab]})
        assert abs(found["uniques"] - exact) <= 1


@pytest.mark.parametrize("value", ['"', "\\", "\x00", "\n", "é", "日本", "{}", "a,b", "😀", " ", "null", "1e999"])
@pytest.mark.parametrize("type_name", ["gauge", "top", "buffer"])
def test_texts_come_back_as_they_were(type_name, value):
    """Any text survives its way into an answer's JSON."""
    found = answer(handler_of(type_name), [("t", "c", START, value)])
    assert found["values"][0]["value"] == value


@pytest.mark.parametrize(
    "value", [0.0, -1.5, 1e300, -1e-300, 5e-324, 1.7976931348623157e308, 0.1, 123456789.0, 2**53 + 2.0]
)
@pytest.mark.parametrize("type_name", ["gauge", "buffer"])
def test_numbers_come_back_as_they_were(type_name, value):
    """Any finite number survives its way into an answer's JSON."""
    found = answer(handler_of(type_name), [("t", "c", START, value)])
    assert found["values"][0]["value"] == value
