"""StatsD's lines read in bulk: the same as read one by one, whatever comes; numbers to the last bit."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from statsd_reference import Totals, read

from taba.dialects.statsd import columns, decimals, series
from taba.dialects.statsd.gathered import Gathered
from taba.dialects.statsd.gathering import Gatherer
from taba.dialects.statsd.lines import Reader
from taba.dialects.statsd.naming import UnfitError
from taba.frame import Frame, Header, check, pack_values

CLIENTS = ("statsd@a", "statsd@10.0.0.7")
NAMES = [
    "a",
    "a.b",
    "shop.web.endpoint017.requests",
    "x" * 8,
    "y" * 16,
    "z" * 33,
    "é",
    "1",
    ".a",
    "n" * 199,
    "n" * 1500,
]
TAGS = ["", ",k=v", ",k=v,env=prod", ";k=v;env=prod", "[k=v]", "#k=v", ",k", ",=v", ";1k=v", ",k=" + "v" * 300]
VALUES = [
    "1",
    "1\0",
    "1" + 9 * "\0",
    "0",
    "10",
    "3.14",
    "-5",
    "+5",
    "12345678",
    "123456789",
    "0.1234567890123456789",
    "1e3",
    "1e400",
    "nan",
]
VALUES += [
    "",
    "x",
    "1.2.3",
    "-",
    "+-1",
    ".",
    "5.",
    ".5",
    "1_0",
    "9" * 40,
    "0x10",
    "inf",
    "1:2:3",
    "1:x:2",
    "99999999.99999999",
]
TYPES = ["c", "g", "ms", "h", "d", "s", "m", "", "C", "c "]
SECTIONS = [
    "",
    "|@0.1",
    "|@0.3",
    "|@1",
    "|@0",
    "|@2",
    "|@x",
    "|#a:b",
    "|#a:b,c",
    "|#a:b,a:c|@0.5",
    "|c:abc|e:x",
    "|card:low",
]
SECTIONS += [
    "|T1656581400",
    "|T1656581401|#a:b",
    "|T",
    "|Tx",
    "|?",
    "|",
    "\r",
    "|#" + ",".join(f"t{n}:1" for n in range(17)),
]
OTHERS = [
    "_e{5,4}:title|text",
    "_e{5,4}:title|text|#a:b|p:low",
    "_e{5,9}:title|text",
    "_e{1,0}:a|",
    "_e{a,b}:x",
    "_sc|db|2|#a:b|m:x",
]
OTHERS += [
    "_sc|db|9",
    "_sc|db",
    "_sc||1",
    "",
    " ",
    "\r",
    "garbage",
    "a:1",
    "a|c",
    ":1|c",
    "|",
    ":",
    "::|c",
    "a:|c",
    "a|b:1|c",
]

lines = st.one_of(
    st.builds(
        lambda *parts: "".join(parts).encode(),
        *(st.sampled_from(some) for some in (NAMES, TAGS, [":"], VALUES, ["|"], TYPES, SECTIONS)),
    ),
    st.builds(
        lambda name, value, kind: f"{name}:{value}|{kind}".encode(),
        st.sampled_from(["a", "b", "c"]),
        st.one_of(st.integers(-(10**17), 10**17).map(str), st.floats().map(repr), st.decimals().map(str)),
        st.sampled_from(["c", "ms", "g", "s"]),
    ),
    st.sampled_from([one.encode() for one in OTHERS]),
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")),
    st.lists(
        st.sampled_from([b"a", b"1", b":", b"|", b"c", b"g", b"ms", b"#", b"@", b",", b".", b"-", b"\0", b"\xff"]),
        max_size=9,
    ).map(b"".join),
)


def bulk(packets: Sequence[Sequence[tuple[str, bytes]]]) -> list[Gathered]:
    """What a gatherer makes of several times lines, flushing in between."""
    gatherer = Gatherer(Reader())
    found = []
    for lines in packets:
        bodies = [line + b"\n" for _, line in lines]
        begins = np.cumsum([0, *map(len, bodies[:-1])])
        numbers = np.array([gatherer.clients.number(client) for client, _ in lines])
        if len(set(numbers.tolist())) == 1:
            gatherer.take(b"".join(bodies), int(numbers[0]), 0.0)
        elif bodies:
            gatherer.take(b"".join(bodies), (begins, numbers), 0.0)
        found += gatherer.flush(0.0)
    return found


def by_tab(found: Sequence[Gathered]) -> tuple[dict[Any, Any], dict[Any, Any], dict[Any, float], Counter[Any]]:
    numbers, texts, gauges, bad = defaultdict(list), defaultdict(list), {}, Counter()
    for one in found:
        check_frame(one)
        at, weights = 0, one.weights or [1.0] * len(one.numbers)
        for name, kind, count in zip(one.names, one.types, one.counts, strict=True):
            pairs = list(zip(one.numbers[at : at + count], weights[at : at + count], strict=True))
            at += count
            if kind == "gauge" and one.second is None:
                assert count == 1
                gauges[one.client, name] = pairs[0][0]
            else:
                numbers[one.client, one.second, name, kind] += pairs
        if one.texts:
            values = iter(one.texts.values)
            for name, kind, count in zip(one.texts.names, one.texts.types, one.texts.counts, strict=True):
                texts[one.client, one.second, name, kind] += [next(values) for _ in range(count)]
        if one.drops:
            for reason, count in zip(one.drops.reasons, one.drops.counts, strict=True):
                bad[one.client, reason] += count
    return numbers, texts, gauges, bad


def added(pairs: Iterable[tuple[float, float]]) -> Fraction:
    """Numbers times their weights, added up exactly: floats near their greatest would overflow."""
    return sum((Fraction(number) * Fraction(weight) for number, weight in pairs), Fraction())


def check_frame(one: Gathered) -> None:
    """Raise unless a frame can hold it: weights are whole, lists parallel."""
    assert all(weight >= 1 and weight == int(weight) for weight in one.weights)
    header = Header(one.client, "e", 1, 0.0, 1.0, one.names, one.types, one.counts, one.texts, one.drops)
    header.weights = bool(one.weights)
    frame = Frame(header, pack_values(one.numbers) + pack_values(one.weights))
    check(frame.header, len(frame.values) // 8)


@given(st.lists(st.lists(st.tuples(st.sampled_from(CLIENTS), lines), min_size=1, max_size=30), min_size=1, max_size=3))
@settings(deadline=None, max_examples=120)
@example([[("statsd@a", b"a:5|g"), ("statsd@a", b"a:+1:x:+2|g"), ("statsd@a", b"a:7|g|c:x"), ("statsd@a", b"a:-1|g")]])
@example([[("statsd@a", b"a:1.7e308|c"), ("statsd@a", b"a:1.6e308|c"), ("statsd@a", b"a:1.7e308|c")]])
def test_lines_in_bulk_are_what_they_are_one_by_one(packets: list[list[tuple[str, bytes]]]) -> None:
    """A bad line is counted by its reason and harms no neighbour; totals are exact, and counts to within one event."""
    expected = Totals()
    for some in packets:
        read(some, expected)
    numbers, texts, gauges, bad = by_tab(bulk(packets))
    assert bad == dict(expected.bad)
    assert gauges == expected.gauges
    # A set's value is told once in a flush.
    assert {key: set(some) for key, some in texts.items()} == {key: set(some) for key, some in expected.texts.items()}
    assert numbers.keys() == {key for key, some in expected.numbers.items() if some}
    for key, pairs in numbers.items():
        wanted = expected.numbers[key]
        if key[3] == "counter":
            size = added((abs(number), events) for number, events in wanted)
            assert abs(added(pairs) - added(wanted)) <= size / 10**9
        else:
            assert {number for number, _ in pairs} == {number for number, _ in wanted}
        if key[1] is None:
            # The ones of a counter are added up by themselves: each of the two may keep a part of an event.
            count = math.fsum(events for _, events in wanted)
            assert count - 2 < math.fsum(weight for _, weight in pairs) <= count + 1e-6


@given(
    st.lists(
        st.one_of(st.floats().map(repr), st.decimals().map(str), st.text("0123456789.+-e", max_size=19)), min_size=1
    )
)
@settings(deadline=None, max_examples=120)
def test_numbers_are_read_to_the_last_bit(written: list[str]) -> None:
    """What is read eight octets at a time is what float() gives, and what is no number is told."""
    raw = [one.encode() for one in written]
    buffer = b"|".join(raw) + b"|" + columns.PADDING
    stop = np.cumsum([len(one) + 1 for one in raw]) - 1
    start = stop - [len(one) for one in raw]
    numbers, good = decimals.read(np.frombuffer(buffer, np.uint8), columns.words(buffer), start, stop)
    for one, number, fine in zip(raw, numbers.tolist(), good.tolist(), strict=True):
        try:
            wanted = decimals.lines.number(one)
        except UnfitError:
            assert not fine
        else:
            assert fine
            assert (number, math.copysign(1, number)) == (wanted, math.copysign(1, wanted))


def test_fractions_of_events_are_carried_so_that_counts_are_right_in_the_long_run() -> None:
    """At a rate of 0.3 a line stands for 3⅓ events: a frame tells 3 or 4, and the total is exact in each."""
    gatherer = Gatherer(Reader())
    client = gatherer.clients.number("statsd@a")
    counts, totals = Counter(), Counter()
    for _ in range(300):
        gatherer.take(b"ones:1|c|@0.3\nfives:5|c|@0.3\nfives:5|c|@0.3\ntook:7|ms|@0.3\n", client, 0.0)
        (found,) = gatherer.flush(0.0)
        at = 0
        for name, count in zip(found.names, found.counts, strict=True):
            span = slice(at, at + count)
            at += count
            assert set(found.weights[span]) <= {3.0, 4.0}
            counts[name] += sum(found.weights[span])
            totals[name] += sum(n * w for n, w in zip(found.numbers[span], found.weights[span], strict=True))
    assert counts == {"ones": 1000, "fives": 2000, "took": 1000}
    assert totals["ones"] == pytest.approx(1000, rel=1e-12)
    assert totals["fives"] == pytest.approx(10_000, rel=1e-12)
    assert totals["took"] == 7000


def test_a_tag_may_name_the_client_and_a_sign_may_be_a_value() -> None:
    gatherer = Gatherer(Reader("host", signed_changes=False))
    client = gatherer.clients.number("statsd@a")
    gatherer.take(b"a:-5|g|#host:web 1,x:y\na:-5|g|#x:y\na,host=web-2:+5:-7|g\n", client, 0.0)
    _, _, gauges, _ = by_tab(gatherer.flush(0.0))
    assert gauges == {("web_1", "a{x=y}"): -5, ("statsd@a", "a{x=y}"): -5, ("web-2", "a"): -7}


def test_there_are_so_many_tabs_and_clients_and_what_is_silent_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that hold ids must not grow an agent without bound: what finds no room is counted; later there is room."""
    monkeypatch.setattr(series, "MOST_SERIES", 50)
    monkeypatch.setattr("taba.dialects.statsd.gathering.MOST_SERIES", 50)
    monkeypatch.setattr(series, "MOST_CLIENTS", 5)
    gatherer = Gatherer(Reader())
    numbers = [gatherer.clients.number(f"statsd@{host}") for host in range(20)]
    assert len(set(numbers)) == 6  # those beyond come under one client
    gatherer.take(b"".join(b"a.%d:1|c\n" % tab for tab in range(60)) + b"level:5|g\n", numbers[0], 0.0)
    numbers_by_tab, _, _, bad = by_tab(gatherer.flush(0.0))
    assert len(numbers_by_tab) == 50
    assert bad == {("statsd@0", "statsd_tabs"): 11}
    gatherer.take(b"a.0:1|c\n", numbers[0], 700.0)
    gatherer.flush(700.0)
    assert len(gatherer.series) == 1
    gatherer.take(b"".join(b"b.%d:1|c\n" % tab for tab in range(40)), gatherer.clients.number("statsd@19"), 700.0)
    found = gatherer.flush(700.0)
    assert [(one.client, len(one.names), one.drops) for one in found] == [("statsd@19", 40, None)]
