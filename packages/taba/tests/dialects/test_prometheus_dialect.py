"""Prometheus' formats, names and types, read without I/O: beside its own library, and what hypothesis finds."""

import math
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.openmetrics import exposition as open_metrics
from prometheus_client.parser import text_string_to_metric_families
from remote_write_sender import Series, native, write_1, write_2

from taba import names
from taba.compression import PackingError
from taba.dialects.buckets import BucketsError
from taba.dialects.prometheus import messages, requests, snappy, text
from taba.dialects.prometheus.kinds import Kinds, Role, meaning
from taba.dialects.prometheus.naming import LabelError, checked, client_of, tab_of
from taba.dialects.prometheus.native import buckets_of
from taba.dialects.prometheus.parts import Parts
from taba.dialects.prometheus.parts import buckets_of as parts_buckets
from taba.dialects.prometheus.targets import target, with_target

VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LABELS = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), VALUES.filter(bool), max_size=4)
NUMBERS = st.floats(0, 1e15)


def registry(rows: list[tuple[dict[str, str], float]]) -> CollectorRegistry:
    """Metrics of each type, with such labels and numbers."""
    made = CollectorRegistry()
    for place, (labels, number) in enumerate(rows):
        keys = [f"l_{key}" for key in labels]
        given_labels = {f"l_{key}": value for key, value in labels.items()}
        kinds = [Counter(f"c{place}", "c", keys, registry=made), Gauge(f"g{place}", 'g "\\', keys, registry=made)]
        kinds += [Histogram(f"h{place}", "h", keys, registry=made), Summary(f"s{place}", "s\n", keys, registry=made)]
        for one, act in zip(kinds, ("inc", "set", "observe", "observe"), strict=True):
            getattr(one.labels(**given_labels) if keys else one, act)(number)
    return made


@given(st.lists(st.tuples(LABELS, NUMBERS), max_size=3))
def test_pages_are_read_as_their_own_library_reads_them(rows: list[tuple[dict[str, str], float]]) -> None:
    made = registry(rows)
    classic = generate_latest(made)
    page = text.read(classic, open_metrics=False)
    assert page.errors == []
    theirs = [one for family in text_string_to_metric_families(classic.decode()) for one in family.samples]
    ours = [(dict(text.labels(head)), value) for head, value in zip(page.heads, page.values, strict=True)]
    assert ours == [({"__name__": one.name, **one.labels}, one.value) for one in theirs]
    opened = text.read(open_metrics.generate_latest(made), open_metrics=True)
    assert opened.errors == []
    assert [dict(text.labels(head)) for head in opened.heads if "_created" not in head] == [
        labels for labels, _ in ours if not labels["__name__"].endswith("_created")
    ]
    assert set(opened.kinds.values()) <= {"counter", "gauge", "histogram", "summary"}


@pytest.mark.parametrize(
    ("line", "labels", "value", "time"),
    [
        ("a 1", {}, 1, None),
        ("a 1 1700000000000", {}, 1, 1_700_000_000_000),
        ("a{} +Inf", {}, math.inf, None),
        ('a{b="c",} 1e-3 5', {"b": "c"}, 0.001, 5),
        ('\ta { b = "c" , d="" }\t2', {"b": "c", "d": ""}, 2, None),
        ('a{b="c"}2', {"b": "c"}, 2, None),
        (r'a{b="\\ \" \n } # {x} \d"} 3', {"b": '\\ " \n } # {x} \\d'}, 3, None),
        ('a{b="c"} 4 7 # {id="x"} 0.5 9', {"b": "c"}, 4, 7),
        ("a 4 # {} 1", {}, 4, None),
        ('{"ünd.so", "k.ey"="v"} 5', {"__name__": "ünd.so", "k.ey": "v"}, 5, None),
        ('a{b="} 1"} 6', {"b": "} 1"}, 6, None),
    ],
)
def test_lines_as_programs_write_them(line: str, labels: dict[str, str], value: float, time: int | None) -> None:
    page = text.read(f"{line}\n".encode(), open_metrics=False)
    assert page.errors == []
    assert page.values == [value]
    assert page.times == [time]
    assert dict(text.labels(page.heads[0])) == {"__name__": "a"} | labels


@pytest.mark.parametrize("line", ["a", "a b", "1 2", 'a{b="c} 1', "a 1 2 3", "a 1_0", "a ١", 'a{b="c" 1', "{} 1 x"])
def test_a_line_that_is_none_is_told_and_its_neighbours_are_taken(line: str) -> None:
    page = text.read(f"x 1\n{line}\ny 2\n".encode(), open_metrics=False)
    bad = [head for head in page.heads if head not in ("x", "y")]
    for head in bad:
        with pytest.raises(text.PageError):
            checked(text.labels(head))
    assert len(page.errors) + len(bad) == 1
    assert page.heads[0] == "x"
    assert page.heads[-1] == "y"


def test_a_page_that_is_cut_off_is_no_page() -> None:
    """Its last number may be a part of one; OpenMetrics says where a page ends."""
    for body, open_ in ((b"a 12", False), (b"a 12\n", True), (b"a 12\n# EOF\nb 1\n", True), (b"\xff\n", False)):
        with pytest.raises(text.PageError):
            text.read(body, open_metrics=open_)
    assert text.read(b"a 1 1.5\n# EOF\n", open_metrics=True).times == [1500]


@given(st.binary(max_size=300) | st.text('ab{}"=, 1\\\n#', max_size=80).map(str.encode))
def test_no_bytes_break_a_parser(body: bytes) -> None:
    """Each says in its own words that they are nothing it knows."""
    try:
        page = text.read(body + b"\n", open_metrics=False)
        for head in page.heads:
            text.labels(head)
    except text.PageError:
        pass
    for version in (requests.VERSION_1, requests.VERSION_2):
        try:
            for one in requests.read(body, version).series:
                requests.labels(one.key)
        except requests.RequestError:
            pass
    for raw in (body, bytes([len(body)]) + body):
        with suppress(PackingError):
            snappy.unpack(raw, 1000)


@given(st.data())
def test_a_request_that_is_cut_or_changed_breaks_nothing(data: st.DataObject) -> None:
    series = [Series({"__name__": "a", "b": "c"}, [(1.5, 7), (2, 8)], "counter", 5)]
    series.append(Series({"__name__": "h"}, histograms=[native(3, 4.0, 9, 3, [(0, 2), (3, 1)], [1, 0, 0])]))
    version = data.draw(st.sampled_from([requests.VERSION_1, requests.VERSION_2]))
    body = bytearray((write_1 if version == requests.VERSION_1 else write_2)(series))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = requests.read(bytes(body[: data.draw(st.integers(0, len(body)))]), version)
        for one in read.series:
            for sample in one.histograms:
                buckets_of(sample.value)
            meaning(checked(requests.labels(one.key)), Kinds(), one.kind, patient=True)
    except (requests.RequestError, BucketsError, LabelError):
        pass


@given(st.lists(st.tuples(VALUES.filter(bool), VALUES.filter(bool), VALUES.filter(bool)), max_size=8))
def test_names_are_made_fit_and_never_become_one(series: list[tuple[str, str, str]]) -> None:
    """Each tab and client keeps Taba's rules, and series that differ are different tabs or clients."""
    found = {}
    for name, key, value in series:
        pairs = {"__name__": name, "x" + key: value, "instance": value}
        tab, client = tab_of(name, pairs), client_of(pairs)
        names.parse(tab)
        names.check_client(client)
        assert found.setdefault((tab, client), (name, key, value)) == (name, key, value)
        assert (tab_of(name, pairs), client_of(pairs)) == (tab, client)
    assert tab_of("up", {"__name__": "up", "job": "a b", "instance": "x"}) == "up{job=a b}"


@given(st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=6), st.randoms())
def test_parts_of_histograms_come_together_in_any_order(scrapes: list[list[int]], random: object) -> None:
    """Whatever order the parts of different series come in, the last scrape is whole, and says what the program had."""
    bounds = [1.0, 2.0, 5.0, math.inf]
    running = [0] * len(bounds)
    lanes: list[list[tuple[Role, float, float, int]]] = [[] for _ in range(len(bounds) + 2)]
    for at, counts in enumerate(scrapes, 1):
        running = [before + now for before, now in zip(running, counts, strict=True)]
        below = [sum(running[: place + 1]) for place in range(len(bounds))]
        for lane, bound, value in zip(lanes, bounds, below, strict=False):
            lane.append((Role.BUCKET, bound, value, at))
        lanes[-2].append((Role.SUM, 0, float(at), at))
        lanes[-1].append((Role.COUNT, 0, below[-1], at))
    parts, found = Parts(), []
    while any(lanes):
        lane = random.choice([one for one in lanes if one])  # type: ignore[attr-defined]
        parts.add(*lane.pop(0))
        found += parts.whole()
    times = [at for at, _ in found]
    assert times == sorted(times)
    last, told = found[-1]
    assert last == len(scrapes) or len(told.below) == len(bounds)
    for (_, one), (_, other) in pairwise(found):
        assert parts_buckets(one)[0].count <= parts_buckets(other)[0].count
    if last == len(scrapes):
        assert parts_buckets(told)[0].count == sum(running)


def test_native_buckets_are_where_prometheus_says() -> None:
    """Bucket i of schema 0 is (2^(i-1), 2^i]; spans say how far apart buckets lie, deltas how their counts differ."""
    one = messages.HISTOGRAM.FromString(native(6, 9.0, 1, 0, [(0, 2), (2, 1)], [1, 1, 1]))
    buckets, total = buckets_of(one)
    assert list(zip(buckets.lows, buckets.highs, buckets.counts, strict=True)) == [(0.5, 1, 1), (1, 2, 2), (8, 16, 3)]
    assert total == 9.0


@pytest.mark.parametrize(
    ("name", "kinds", "role", "tab"),
    [
        ("a_total", {}, Role.COUNTER, "a_total"),
        ("a_total", {"a": "counter"}, Role.COUNTER, "a_total"),
        ("a", {"a": "counter"}, Role.COUNTER, "a"),
        ("a_count", {"a": "summary"}, Role.COUNTER, "a_count"),
        ("a_sum", {"a": "histogram"}, Role.SUM, "a"),
        ("a_count", {"a_count": "gauge", "a": "histogram"}, Role.GAUGE, "a_count"),
        ("a_created", {"a": "counter"}, Role.CREATED, "a_total"),
        ("a_created", {"a_created": "gauge", "a_total": "counter"}, Role.CREATED, "a_total"),
        ("kube_pod_created", {"kube_pod_created": "gauge"}, Role.GAUGE, "kube_pod_created"),
        ("a", {}, Role.UNCLEAR, "a"),
        ("a_info", {}, Role.GAUGE, "a_info"),
        ("a", {"a": "unknown"}, Role.GAUGE, "a"),
    ],
)
def test_what_a_sample_is(name: str, kinds: dict[str, str], role: Role, tab: str) -> None:
    known = Kinds()
    known.tell(kinds)
    found = meaning({"__name__": name}, known, patient=True)
    assert (found.role, found.tabs[0]) == (role, tab)


@pytest.mark.parametrize(
    ("written", "url", "labels"),
    [
        ("127.0.0.1:9100", "http://127.0.0.1:9100/metrics", {"instance": "127.0.0.1:9100"}),
        ("node=https://a.b/x?y=z", "https://a.b:443/x?y=z", {"instance": "a.b:443", "job": "node"}),
        ("http://[::1]:9/?a=b=c", "http://[::1]:9/?a=b=c", {"instance": "[::1]:9"}),
    ],
)
def test_targets(written: str, url: str, labels: dict[str, str]) -> None:
    found = target(written)
    assert (found.url, dict(found.labels)) == (url, labels)
    own = dict(with_target([("__name__", "a"), ("instance", "other"), ("job", "own")], found))
    assert own["exported_instance"] == "other"
    assert own["instance"] == labels["instance"]
    assert own.get("exported_job", own["job"]) == "own"


@pytest.mark.parametrize(
    "written", ["", "ftp://a", "http://", "http://a:b", "http://u:p@a", "http://a b", "a=", "http://a#b"]
)
def test_what_is_no_target(written: str) -> None:
    with pytest.raises(ValueError, match="is no page to scrape"):
        target(written)
