"""The original's protocol: what a body holds is read whole, and what means nothing in it harms nothing beside it."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from old_taba import encode

from taba.dialects.original.reading import MOST_LINES, ProtocolError, TooManyLinesError, read

NOW = 1_700_000_000.0

plain = st.text("abcXYZ019_.:/-", min_size=1, max_size=12).map(lambda text: f"n{text}")
times = st.one_of(st.integers(0, 2**32 - 1), st.floats(0, 2**32 - 1))
numbers = st.one_of(st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counted = st.tuples(st.sampled_from(["CounterGroup", "PercentileGroup", "PercentileCounter", "TotalsCounter"]), numbers)
held = st.tuples(st.sampled_from(["Gauge", "Buffer"]), st.one_of(numbers, texts))
expiring = st.tuples(st.just("ExpiryGauge"), st.tuples(st.one_of(numbers, texts), st.just(2.0**33)).map(list))
events = st.one_of(counted, held, expiring).flatmap(lambda pair: st.tuples(st.just(pair[0]), times, st.just(pair[1])))
bodies = st.dictionaries(
    plain, st.dictionaries(plain, st.lists(events, min_size=1, max_size=6), max_size=4), max_size=4
)

TYPES = {"CounterGroup": "percentile", "PercentileGroup": "percentile", "PercentileCounter": "percentile"}
TYPES |= {"TotalsCounter": "counter", "Gauge": "gauge", "ExpiryGauge": "gauge(+", "Buffer": "buffer"}


def recorded(found):
    """What was read, as (client, tab, type, time, value), in any order."""
    return sorted(
        (block.client, block.name, block.type.split("(")[0], time, repr(value))
        for block in found.blocks
        for time, value in zip(block.times, block.values, strict=True)
    )


def meant(told):
    """What a body's events mean."""
    rows = []
    for client, tabs in told.items():
        for name, some in tabs.items():
            for kind, time, value in some:
                kept = value[0] if kind == "ExpiryGauge" else value
                shown = repr(kept if isinstance(kept, str) else float(kept))
                rows.append((client, name, TYPES[kind].split("(")[0], float(time), shown))
    return sorted(rows)


@given(bodies)
def test_all_that_is_written_is_read(told):
    """Every client, tab, time and value, whatever types and values lie together."""
    found = read(encode(told))
    assert recorded(found) == meant(told)
    assert not found.refused


BAD = [
    b"[",
    b"{}",
    b'["CounterGroup"]',
    b'["CounterGroup", 1]',
    b'["CounterGroup", "now", "1"]',
    b'["CounterGroup", 1, 1]',
    b'["CounterGroup", 1, "x"]',
    b'["CounterGroup", 1, "\\"1\\""]',
    b'["CounterGroup", 1, "true"]',
    b'["CounterGroup", 1, "[]"]',
    b'["CounterGroup", 1, "1, 2"]',
    b'["CounterGroup", 1, "NaN"]',
    b'["CounterGroup", 1, "1e999"]',
    b'["CounterGroup", -1, "1"]',
    b'["CounterGroup", 4294967296, "1"]',
    b'["CounterGroup", 1e999, "1"]',
    b'["counter", 1, "1"]',
    b'["ExpiryGauge", 1, "5"]',
    b'["ExpiryGauge", 1, "[5, true]"]',
    b'["ExpiryGauge", 5, "[5, 5]"]',
    b'["CounterGroup", 1, "1"] ["CounterGroup", 1, "1"]',
    b'["Gauge", 1, "\xff"]',
    b"[" * 5_000,
    b'["Gauge", 1, "' + b"[" * 5_000 + b'"]',
    b"\x00",
]


@given(bodies.filter(lambda told: any(told.values())), st.data())
def test_a_bad_line_is_refused_alone(told, data):
    """Put anywhere among a tab's events, it is refused with its line, and all others are read as without it."""
    lines = encode(told).split(b"\n")
    places = [place for place, line in enumerate(lines) if line.startswith(b"[")]
    bad = {}
    for place in sorted(data.draw(st.sets(st.sampled_from(places), min_size=1, max_size=3)), reverse=True):
        lines.insert(place, data.draw(st.sampled_from(BAD)))
        bad = {line + 1: text for line, text in bad.items()} | {place + 1: lines[place]}
    found = read(b"\n".join(lines))
    assert recorded(found) == meant(told)
    assert {line for line, _ in found.refused} == set(bad)
    assert found.lost.total() == len(bad)


@pytest.mark.parametrize("line", BAD, ids=lambda line: repr(line[:50]))
def test_each_bad_line_has_a_reason(line):
    """It is counted by client, tab and reason, and told in words."""
    found = read(b"1\n\nc\n\nt\n" + line + b"\n\n\n")
    assert not found.blocks
    ((client, name, reason),) = found.lost
    assert (client, name) == ("c", "t")
    assert reason in {"unreadable", "wrong_type", "not_finite", "unknown_type", "too_old", "future", "expired"}
    assert found.refused[0].line == 6


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_do_no_harm(body, begun):
    """Whatever comes is read, or refused as no body of this protocol."""
    try:
        found = read(b"1\n\n" + body if begun else body)
    except ProtocolError as error:
        assert not begun
        assert "version" in str(error)
    else:
        assert all(block.times and len(block.times) == len(block.values) for block in found.blocks)


@given(bodies, st.data())
def test_a_body_that_is_cut_or_changed_does_no_harm(told, data):
    """A piece taken out, or some bytes in it: read or refused, and every value that is read is a value."""
    body = bytearray(encode(told))
    start = data.draw(st.integers(0, len(body)))
    body[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=4))
    try:
        found = read(bytes(body))
    except ProtocolError:
        return
    for block in found.blocks:
        assert all(0 <= time < 2**32 for time in block.times)
        assert block.is_text or all(map(math.isfinite, block.values))


@pytest.mark.parametrize("body", [b"", b"2\n\n", b"\n1\n\n", b"one\n\n", b"\x1f\x8b\x08"])
def test_another_protocol_is_told(body):
    """A body without the version in its first line is refused, with what is taken."""
    with pytest.raises(ProtocolError, match="version 1 is taken here"):
        read(body)


def test_what_is_missing_at_the_end_is_forgiven():
    """As the original does: the last blank lines may be missing, and blank lines may be many."""
    whole = encode({"c": {"t": [("CounterGroup", 1, 5)]}, "d": {"t": [("CounterGroup", 1, 6)]}})
    for body in (whole, whole.rstrip(b"\n"), whole + b"\n\n\n", whole.replace(b"\n\n\n", b"\n\n\n\n\n")):
        assert [(block.client, block.values) for block in read(body).blocks] == [("c", [5.0]), ("d", [6.0])]
    assert not read(b"1\n\nc\n\n\nd\n\n\n").blocks


def test_names_are_made_fit():
    """Characters that the original takes and Taba does not become `_`; what is too long is refused."""
    told = {
        "web$(1)@x": {"/a?b=~c!": [("CounterGroup", 1, 1)], "x" * 201: [("Gauge", 1, "v")] * 2},
        "y" * 201: {"t": [("Gauge", 1, 1)]},
    }
    found = read(encode(told))
    assert [(block.client, block.name) for block in found.blocks] == [("web__1_@x", "_a_b__c_")]
    assert found.lost == {("web__1_@x", "x" * 200, "bad_name"): 2, ("unknown", "t", "bad_client"): 1}


def test_without_a_name_nothing_is_taken_for_one():
    """Else each flush of such a program would make a client, or a tab, of the time and value of its first event."""
    events = [("CounterGroup", 1, 1), ("CounterGroup", 2, 1)]
    told = {"c": {"": events, "t": events, " ": events}, "": {"u": events, "v": events}, "d": {"t": events}}
    found = read(encode(told))
    assert [(block.client, block.name) for block in found.blocks] == [("c", "t"), ("d", "t")]
    assert found.lost == {
        ("c", "", "bad_name"): 4,
        ("unknown", "u", "bad_client"): 2,
        ("unknown", "v", "bad_client"): 2,
    }
    body = encode(told).split(b"\n")
    assert all(body[line - 1].startswith(b"[") for line, _ in found.refused)


def test_values_of_gauges_and_buffers():
    """Numbers stay numbers, texts texts; of a list the first counts, and of all else the JSON."""
    values = [1, 2.5, "on", [7, 99], ["off", 99], True, None, {"a": [1]}, []]
    for kind in ("Gauge", "Buffer"):
        found = read(encode({"c": {"t": [(kind, NOW, value) for value in values]}}))
        assert [value for block in found.blocks if not block.is_text for value in block.values] == [1.0, 2.5, 7.0]
        assert [value for block in found.blocks if block.is_text for value in block.values] == [
            "on", "off", "true", "null", '{"a":[1]}', "[]",
        ]  # fmt: skip


def test_texts_as_the_java_client_writes_them():
    """It sends ISO 8859-1, whatever it means: what is no UTF-8 is read as that, and what is UTF-8 as UTF-8."""
    body = encode({"c": {"t": [("Gauge", NOW, "ready")] * 2}})
    body = body.replace(b"ready", "réady".encode("latin-1"), 1).replace(b"ready", "réady€".encode())
    assert [block.values for block in read(body).blocks] == [["réady", "réady€"]]


@pytest.mark.parametrize(("left", "written"), [(30.00002, "30"), (29.9999, "30"), (0.25, "0.25"), (86_400, "8.64e+04")])
def test_when_a_gauge_expires_is_its_own_parameter(left, written):
    """What a client works out anew for each event is the same type."""
    (block,) = read(encode({"c": {"t": [("ExpiryGauge", NOW, ["v", NOW + left])]}})).blocks
    assert block.type == f"gauge(+{written})"


def test_lines_are_bounded():
    """A body of millions of short lines is refused before anything is made of it."""
    with pytest.raises(TooManyLinesError, match="more than 500,000 lines"):
        read(b"1\n\nc\n\nt\n" + b"x\n" * MOST_LINES)
    assert json.dumps(read(b"1\n\n" + b"\n" * 1000).blocks) == "[]"
