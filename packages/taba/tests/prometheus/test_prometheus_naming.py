"""What tabs are called in Prometheus: valid, distinct, the same for everybody, and readable."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba.prometheus.naming import (
    COUNTER,
    GAUGE,
    HISTOGRAM,
    OWN,
    RESERVED_LABELS,
    Naming,
    escaped,
    families,
    label_names,
    labels,
    plain,
    written,
)

METRIC = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
TAB_NAMES = st.from_regex(
    r"[a-b0_][a-b0_.:/-]{0,4}(?:[._-](?:ms|s|total|count|sum|bucket|events|mean|top))?", fullmatch=True
)
TYPES = st.sampled_from(["counter", "percentile", "gauge", "gauge(30)", "uniques", "top", "buffer", "own"])
COLUMNS = {"own": ("count", "p99.9", "p99_9", "count_2", "top")}


def samples(name: str, kind: str) -> list[str]:
    return [sample for family in families(name, kind) for sample in family.samples]


def test_the_names_that_people_will_see():
    """The table at the module's head, as code that others build on."""
    assert samples("bids.won", "counter") == [
        "bids_won_total",
        "bids_won_created",
        "bids_won_events_total",
        "bids_won_events_created",
    ]
    assert samples("latency", "percentile") == ["latency_bucket", "latency_sum", "latency_count", "latency_created"]
    assert samples("queue-length", "gauge(30)") == [
        "queue_length",
        "queue_length_mean",
        "queue_length_min",
        "queue_length_max",
        "queue_length_clients",
        "queue_length_holders",
    ]
    assert samples("users", "uniques") == ["users_distinct"]
    assert samples("pages", "top") == ["pages_events_total", "pages_events_created", "pages_top", "pages_top_bound"]
    assert samples("errors", "buffer") == ["errors_buffered"]
    assert [family.name for family in families("x.y", "own", COLUMNS["own"])][:2] == ["x_y_count", "x_y_p99_9"]


@pytest.mark.parametrize(
    ("name", "kind", "expected", "value"),
    [
        ("request.ms", "percentile", "request_seconds", 0.25),
        ("request_us", "percentile", "request_seconds", 0.00025),
        ("sent.bytes", "percentile", "sent_bytes", 250),
        ("cpu.s", "counter", "cpu_seconds", 250),
        ("cpu.seconds.total", "counter", "cpu_seconds", 250),
        ("heap.kib", "gauge", "heap_bytes", 256_000),
        ("uptime.hours", "gauge", "uptime_seconds", 900_000),
    ],
)
def test_a_unit_in_a_name_becomes_the_base_unit_and_the_help_says_so(name: str, kind: str, expected: str, value: float):
    """A number is never in another unit than its name says; what was converted is told with the factor."""
    family = families(name, kind)[0]
    assert family.name == expected
    assert family.name.endswith("_" + family.unit.name)
    assert 250 * family.unit.multiply / family.unit.divide == value
    assert ("divided by" in family.help or "times" in family.help) == (value != 250)


@pytest.mark.parametrize("name", ["requests", "s", "ms", "size.kb", "wait.min", "a.m", "percent"])
def test_what_may_mean_two_things_is_no_unit(name: str):
    """kb is 1,000 or 1,024, m is minutes or metres: such numbers stay as they were recorded, under their own name."""
    family = families(name, "gauge")[0]
    assert (family.name, family.unit.name) == (plain(name), "")


def test_counts_of_a_timed_thing_are_not_converted():
    """How many events and how many clients have no unit, though the tab has."""
    shown = {family.shows: family.unit for kind in ("counter", "gauge") for family in families("a.ms", kind)}
    assert {column for column, unit in shown.items() if unit.divide == 1e3} == {"total", "sum", "mean", "min", "max"}


def test_a_counter_that_falls_is_a_gauge():
    """Prometheus takes each fall of a counter for a restart, so a total that falls must not be called one."""
    total, events = families("balance", "counter", falls=True)
    assert (total.name, total.kind, total.samples) == ("balance", GAUGE, ("balance",))
    assert (events.classic, events.kind) == ("balance_events_total", COUNTER)


def test_names_that_end_as_samples_do():
    """promtool, and OpenMetrics where a histogram of the shorter name exists, refuse such names for other types."""
    assert families("queue.count", "gauge")[0].name == "queue_count_value"
    assert families("jobs.total", "gauge")[0].name == "jobs_total_value"
    assert families("jobs.total", "counter")[0].classic == "jobs_total"
    assert families("build_info", "gauge")[0].name == "build_info_value"


def test_two_names_with_one_base_are_told_apart():
    """The one that is written as the metric is keeps the name, whichever was recorded first."""
    naming = Naming({"a.b": "counter", "a_b": "counter", "a/b": "percentile"})
    plainly, others = naming.families["a_b"], [naming.families["a.b"], naming.families["a/b"]]
    assert plainly[0].name == "a_b"
    for found in others:
        assert re.fullmatch(r"a_b_[0-9a-f]{8}", found[0].name)
    assert naming.named["a_b_total"] == ("a_b", plainly[0])


def test_a_name_whose_samples_another_has():
    """`a.events` (a counter) has the samples that the counter `a` has for its events."""
    naming = Naming({"a": "counter", "a_events": "counter"})
    assert naming.families["a"][1].name == "a_events"
    assert re.fullmatch(r"a_events_[0-9a-f]{8}", naming.families["a_events"][0].name)


@given(st.dictionaries(TAB_NAMES, TYPES, max_size=12), st.randoms())
def test_no_two_tabs_share_a_sample_and_order_never_matters(types: dict[str, str], random):
    """A scrape with a name twice is refused whole, so whatever is recorded, all names are valid and distinct."""
    naming = Naming(types, COLUMNS, falling=[name for name in types if "0" in name])
    every = [family for found in naming.families.values() for family in found]
    texts = [text for family in every for text in {family.name, *family.samples}]
    assert len(texts) == len(set(texts))
    assert not set(OWN) & set(texts)
    assert all(METRIC.fullmatch(text) for text in texts)
    assert set(naming.named) == {sample for family in every for sample in family.samples}
    shuffled = list(types.items())
    random.shuffle(shuffled)
    again = Naming(dict(shuffled), COLUMNS, falling=[name for name in types if "0" in name])
    assert again.families == naming.families


@given(st.sets(st.from_regex(r"(?:[ab_][a_.-]{0,4}|le|value|window|quantile|tag_le)", fullmatch=True), max_size=8))
def test_labels_of_a_tab_are_valid_and_distinct(keys: set[str]):
    """A label twice, or one that Prometheus keeps for itself, would spoil the whole scrape."""
    given_names = label_names(keys)
    assert set(given_names) == keys
    assert len(set(given_names.values())) == len(keys)
    assert all(LABEL.fullmatch(label) and label not in RESERVED_LABELS for label in given_names.values())


def test_labels_of_a_tab():
    """Keys that need no change keep their names."""
    name, found = labels("bids.won{data.centre=fra-1,exchange=fbx,le=7}")
    assert (name, found) == ("bids.won", {"data_centre": "fra-1", "exchange": "fbx", "tag_le": "7"})
    assert written(found) == 'data_centre="fra-1",exchange="fbx",tag_le="7"'


@given(st.text(max_size=40))
def test_an_escaped_value_has_neither_a_bare_quote_nor_a_line_end(value: str):
    """Read back as the text formats say it, it is what it was."""
    text = escaped(value)
    assert re.fullmatch(r'(?:[^"\\\n]|\\["\\n])*', text)
    assert re.sub(r'\\(["\\n])', lambda found: {"n": "\n"}.get(found[1], found[1]), text) == value


def test_every_kind_of_tab_has_families():
    """Nothing that can be recorded is missing."""
    for kind in ("counter", "percentile", "gauge", "uniques", "top", "buffer"):
        found = families("a", kind)
        assert {family.kind for family in found} <= {COUNTER, GAUGE, HISTOGRAM}
        assert all(family.help.startswith(f"a ({kind}): ") for family in found)
