"""OTLP's requests in both forms: what each point means, what is refused; and nothing that comes breaks the door."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from taba import names
from taba.agent.book import Book, Outcome, Work
from taba.dialects.cumulative import Recorded, Verdict, increase
from taba.dialects.heard import Heard
from taba.dialects.otlp import messages, naming, protobuf
from taba.dialects.otlp.translation import FUTURE, SECOND, Translation
from taba.frame import check, decode, encode, pack_values

NOW = 1_700_000_000 * SECOND
START = NOW - 60 * SECOND


class Remembered:
    """A book in memory: whatever is not known counts whole."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str, int], Recorded] = {}
        self.full = False

    def increase(self, client: str, tab: str, now: Recorded) -> tuple[Verdict, Recorded | None]:
        if self.full:
            return Verdict.REFUSED, None
        key = (client, tab, now.start)
        found = increase(self.series.get(key), now, whole=True)
        self.series[key] = now
        return found

    def level(self, client: str, tab: str, now: Recorded) -> int | float | None:
        before = self.series.get((client, tab, 0))
        value = (now.value or 0) + ((before.value or 0) if before else 0)
        self.series[client, tab, 0] = Recorded(0, now.time, value)
        return value


def request(*metrics: Mapping[str, Any], resource: Mapping[str, Any] | None = None, scope: str = "s") -> dict[str, Any]:
    named = {"service.name": "shop"} if resource is None else resource
    of_scope = {"scope": {"name": scope}, "metrics": list(metrics)}
    return {"resourceMetrics": [{"resource": {"attributes": attributes(named)}, "scopeMetrics": [of_scope]}]}


def attributes(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    def value(one: Any) -> dict[str, Any]:
        match one:
            case bool():
                return {"boolValue": one}
            case int():
                return {"intValue": str(one)}
            case float():
                return {"doubleValue": one}
            case list():
                return {"arrayValue": {"values": [value(part) for part in one]}}
            case _:
                return {"stringValue": one}

    return [{"key": key, "value": value(one)} for key, one in given.items()]


def point(tags: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    times = {"startTimeUnixNano": str(START), "timeUnixNano": str(NOW)}
    return {"attributes": attributes(tags or {})} | times | fields


def summed(name: str, *points: dict[str, Any], monotonic: bool = True, temporality: int = 1) -> dict[str, Any]:
    told = {"aggregationTemporality": temporality, "isMonotonic": monotonic, "dataPoints": list(points)}
    return {"name": name, "unit": "1", "sum": told}


def gauged(name: str, *points: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "gauge": {"dataPoints": list(points)}}


def as_json(asked: dict[str, Any]) -> tuple[messages.Reader, Any]:
    return messages.JsonReader(), messages.read(json.dumps(asked).encode())


def as_protobuf(asked: dict[str, Any]) -> tuple[messages.Reader, Any]:
    made = json_format.ParseDict(asked, ExportMetricsServiceRequest())
    return protobuf.ProtobufReader(), protobuf.read(made.SerializeToString())


def translated(
    asked: dict[str, Any],
    book: Remembered | None = None,
    read: Any = as_json,
    tags: tuple[str, ...] = ("service.name",),
) -> Translation:
    reader, message = read(asked)
    made = Translation(reader, book or Remembered(), tags, NOW)
    made.take(message)
    return made


def recorded(made: Translation) -> dict[str, tuple[str, list[float], list[float]]]:
    """By tab: type, numbers and weights; frames are checked as a server would."""
    found = {}
    for heard in made.gathering.heard():
        checked(heard)
        at = 0
        weights = heard.weights or [1.0] * len(heard.numbers)
        for tab, kind, count in zip(heard.names, heard.types, heard.counts, strict=True):
            found[tab] = (kind, list(heard.numbers[at : at + count]), list(weights[at : at + count]))
            at += count
    return found


def checked(heard: Heard) -> None:
    from taba.agent.outlet import Place, numbered

    frame = numbered(heard, Place(heard.start), "e", True)
    [again] = decode(encode(frame.header, pack_values(heard.numbers) + pack_values(heard.weights)))
    check(again.header, len(again.values) // 8)
    names.check_client(heard.client)
    for tab in heard.names:
        names.parse(tab)
    assert all(map(math.isfinite, heard.numbers))


READERS = pytest.mark.parametrize("read", [as_json, as_protobuf])


@READERS
def test_both_forms_mean_the_same(read: Callable[..., Any]) -> None:
    """Each kind of point, with attributes of every type."""
    buckets = {"count": "4", "sum": 20.0, "bucketCounts": ["0", "4", "0"], "explicitBounds": [0.0, 10.0], "min": 2.0}
    fine = {"count": "3", "sum": 4.0, "scale": 0, "zeroCount": "1", "positive": {"offset": 0, "bucketCounts": ["2"]}}
    quantiles = {"count": "5", "sum": 9.5, "quantileValues": [{"quantile": 0.5, "value": 1.5}, {"quantile": 1.0}]}
    made = translated(
        request(
            summed("a", point({"s": "x", "i": 7, "d": 0.5, "b": True, "l": ["p", 1]}, asInt="3")),
            summed("a.cumulative", point(asDouble=2.5), temporality=2),
            summed("level", point(asInt="-2"), monotonic=False, temporality=2),
            summed("difference", point(asInt="-2"), monotonic=False),
            gauged("g", point(asDouble=1.25), point({"k": "v"}, asDouble=1.5)),
            {"name": "h", "histogram": {"aggregationTemporality": 1, "dataPoints": [point(**buckets)]}},
            {"name": "e", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [point(**fine)]}},
            {"name": "q", "summary": {"dataPoints": [point(**quantiles)]}},
            {"name": "nothing"},
        ),
        read=read,
    )
    assert made.rejected == 0, made.why()
    found = recorded(made)
    [a] = [tab for tab in found if tab.startswith("a{b=true,d=0.5,i=7,l=")]
    assert found.pop(a) == ("counter", [3.0], [1.0])
    shop = "{service.name=shop}"
    assert found.pop(f"h{shop}") == ("percentile", [2.0, 6.0], [1.0, 3.0])
    kind, numbers, weights = found.pop(f"e{shop}")
    assert (kind, sum(n * w for n, w in zip(numbers, weights, strict=True)), sum(weights)) == ("percentile", 4.0, 3.0)
    assert found == {
        f"a.cumulative{shop}": ("counter", [2.5], [1.0]),
        f"level{shop}": ("gauge", [-2.0], [1.0]),
        f"difference{shop}": ("gauge", [-2.0], [1.0]),
        f"g{shop}": ("gauge", [1.25], [1.0]),
        "g{k=v,service.name=shop}": ("gauge", [1.5], [1.0]),
        f"q.count{shop}": ("counter", [5.0], [1.0]),
        f"q.sum{shop}": ("counter", [9.5], [1.0]),
        "q{quantile=0.5,service.name=shop}": ("gauge", [1.5], [1.0]),
        "q{quantile=1,service.name=shop}": ("gauge", [0.0], [1.0]),
    }
    assert made.gathering.heard()[0].start == NOW / SECOND


@READERS
@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (summed("m", point(asInt="1"), temporality=0), "invalid"),
        (summed("m", point(asInt="-1")), "invalid"),
        (summed("m", point()), "invalid"),
        (summed("m", point(asDouble="NaN")), "not_finite"),
        (gauged("m", point(asDouble="Infinity")), "not_finite"),
        (gauged("m", point(asInt="1", timeUnixNano=str(NOW + FUTURE + 1))), "future"),
        (gauged("m", point(asInt="1", startTimeUnixNano=str(NOW + 1))), "invalid"),
        (gauged("m", point({f"k{i}": "v" for i in range(16)}, asInt="1")), "too_many_tags"),
        (
            {
                "name": "m",
                "histogram": {"aggregationTemporality": 1, "dataPoints": [point(count="3", bucketCounts=["2"])]},
            },
            "invalid",
        ),
        (
            {
                "name": "m",
                "histogram": {"aggregationTemporality": 1, "dataPoints": [point(count="1", explicitBounds=[1.0])]},
            },
            "invalid",
        ),
        (
            {"name": "m", "histogram": {"aggregationTemporality": 2, "dataPoints": [point(count="1", sum="NaN")]}},
            "not_finite",
        ),
        (
            {
                "name": "m",
                "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [point(scale=99, count="1")]},
            },
            "invalid",
        ),
        ({"name": "m", "summary": {"dataPoints": [point(count="1", sum="NaN")]}}, "not_finite"),
    ],
)
def test_a_point_that_cannot_be_taken_is_refused_and_counted_and_harms_no_other(
    metric: dict[str, Any], reason: str, read: Callable[..., Any]
) -> None:
    """With its reason in the answer and in the ledger; what came beside it counts."""
    made = translated(request(metric, summed("beside", point(asInt="4"))), read=read)
    assert made.rejected == 1
    assert made.why().startswith("1 x m: ")
    assert recorded(made) == {"beside{service.name=shop}": ("counter", [4.0], [1.0])}
    drops = Counter[tuple[str, str]]()
    for heard in made.gathering.heard():
        if heard.drops:
            drops.update(
                dict(zip(zip(heard.drops.names, heard.drops.reasons, strict=True), heard.drops.counts, strict=True))
            )
    assert drops == {("m", reason): 1}


@READERS
def test_a_point_without_a_value_says_so_and_is_no_event(read: Callable[..., Any]) -> None:
    """NO_RECORDED_VALUE is respected."""
    made = translated(
        request(gauged("g", point(flags=1)), summed("c", point(flags=1, asInt="3"), temporality=2)), read=read
    )
    assert (made.rejected, recorded(made)) == (0, {})


def test_what_a_tab_cannot_hold_still_tells_series_apart() -> None:
    """Attributes that are left out, or characters: two counters of one tab add up, each by its own growth."""
    many = {f"k{i:02}": "v" for i in range(20)}
    book = Remembered()
    for one, other, total in ((10, 100, 110), (11, 150, 51)):
        time = {"timeUnixNano": str(NOW + one * SECOND)}
        both = [point(many | {"k19": value}, asInt=str(amount), **time) for value, amount in (("x", one), ("y", other))]
        made = translated(request(summed("c", *both, temporality=2)), book)
        [heard] = made.gathering.heard()
        assert (len(set(heard.names)), sum(heard.numbers)) == (1, total)
        assert len(names.parse(heard.names[0])[1]) == names.MAX_TAGS
        assert made.left_out == 10
        assert "10 attributes left out" in made.why()


def test_of_two_scopes_counters_add_up_and_a_second_gauge_is_refused() -> None:
    """One of two gauges of a tab would be lost, and nobody would know."""
    both = [request(summed("c", point(asInt="2")), gauged("g", point(asInt="1")), scope=scope) for scope in "ab"]
    made = translated({"resourceMetrics": both[0]["resourceMetrics"] + both[1]["resourceMetrics"]})
    assert made.reasons() == {"same_tab": 1}
    [heard] = made.gathering.heard()
    assert heard.names.count("c{service.name=shop}") == 2
    again = translated(
        request(gauged("g", point(asInt="1"), point(asInt="5", timeUnixNano=str(NOW + 1)), point(asInt="3")))
    )
    assert recorded(again)["g{service.name=shop}"][1] == [5.0], "the latest stays"


def test_series_beyond_what_is_remembered_are_refused() -> None:
    """And the sender is told which setting it is."""
    book = Remembered()
    book.full = True
    made = translated(request(summed("c", point(asInt="2"), temporality=2)), book)
    assert "agent.series" in made.why()


@pytest.mark.parametrize(
    ("resource", "client"),
    [
        ({}, "unknown_service"),
        ({"service.name": "shop"}, "shop"),
        ({"service.name": "shop", "service.namespace": "eu", "service.instance.id": "a b"}, "eu/shop/a-b"),
        ({"service.name": "shop", "host.name": "h1", "process.pid": 7}, "shop/h1:7"),
        ({"service.name": "shop", "host.name": "h1", "k8s.pod.name": "p-1"}, "shop/p-1"),
        ({"service.name": "shop", "host.name": "h1"}, "shop/h1"),
        ({"process.pid": 7}, "unknown_service/7"),
    ],
)
def test_a_resource_is_a_client(resource: Mapping[str, Any], client: str) -> None:
    """By the most telling of what it says."""
    made = translated(request(summed("c", point(asInt="1")), resource=resource))
    assert made.gathering.heard()[0].client == client


def test_the_settings_name_the_attributes_of_a_resource_that_become_tags() -> None:
    """A point's own attribute of the same name goes before them."""
    resource = {"service.name": "shop", "service.version": "1.2", "deployment.environment.name": "prod"}
    asked = request(summed("c", point({"service.version": "9"}, asInt="1")), resource=resource)
    assert list(recorded(translated(asked, tags=("service.version", "deployment.environment.name", "none")))) == [
        "c{deployment.environment.name=prod,service.version=9}"
    ]


@given(st.text(max_size=400), st.dictionaries(st.text(max_size=300), st.text(max_size=300), max_size=20))
def test_any_names_make_tabs_and_clients(name: str, given_tags: dict[str, str]) -> None:
    """Whatever the text; and the same each time."""
    tags, _ = naming.tags({}, sorted(given_tags.items()))
    tab = names.join(naming.metric(name), tags)
    names.parse(tab)
    names.check_client(naming.client({"service.name": name, "service.instance.id": name}))


@given(st.text(min_size=201, max_size=400, alphabet="ab,"), st.text(min_size=201, max_size=400, alphabet="ab,"))
def test_two_names_that_are_too_long_stay_two(one: str, other: str) -> None:
    """A digest of the whole is at their end."""
    for make in (naming.metric, naming.key, naming.value):
        assert (make(one) == make(other)) == (one == other)


SEED = json_format.ParseDict(
    request(
        summed("a", point({"k": "v"}, asInt="3"), temporality=2),
        gauged("g", point(asDouble=1.0)),
        {
            "name": "h",
            "histogram": {
                "aggregationTemporality": 2,
                "dataPoints": [point(count="2", bucketCounts=["1", "1"], explicitBounds=[1.0])],
            },
        },
        {
            "name": "e",
            "exponentialHistogram": {
                "aggregationTemporality": 2,
                "dataPoints": [point(scale=3, count="1", positive={"offset": 2, "bucketCounts": ["1"]})],
            },
        },
        {"name": "q", "summary": {"dataPoints": [point(count="1", quantileValues=[{"quantile": 0.5}])]}},
    ),
    ExportMetricsServiceRequest(),
).SerializeToString()


def takes(reader: messages.Reader, read: Callable[[bytes], Any], body: bytes) -> None:
    """Either refused as a whole, or what is recorded keeps the rules."""
    try:
        message = read(body)
    except messages.MessageError:
        return
    made = Translation(reader, Remembered(), ("service.name",), NOW)
    made.take(message)
    recorded(made)


@given(
    st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.binary(min_size=1, max_size=4)), max_size=6),
    st.integers(0, len(SEED)),
)
def test_no_protobuf_breaks_the_door(changes: list[tuple[int, bytes]], cut: int) -> None:
    """Bytes changed anywhere, and cut off anywhere."""
    body = bytearray(SEED)
    for place, put in changes:
        body[place : place + len(put)] = put
    for given_bytes in (bytes(body), bytes(body[:cut])):
        takes(protobuf.ProtobufReader(), protobuf.read, given_bytes)


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.sampled_from(["1", "NaN", "-1", "18446744073709551615", "x"])
)
ANY_POINT = st.dictionaries(
    st.sampled_from(
        ["asInt", "asDouble", "count", "sum", "min", "max", "scale", "zeroCount", "flags", "startTimeUnixNano"]
    ),
    NUMBERS,
) | st.fixed_dictionaries(
    {"bucketCounts": st.lists(NUMBERS, max_size=5), "explicitBounds": st.lists(NUMBERS, max_size=4), "count": NUMBERS},
    optional={"positive": st.fixed_dictionaries({"offset": NUMBERS, "bucketCounts": st.lists(NUMBERS, max_size=3)})},
)


@given(
    st.sampled_from(["sum", "gauge", "histogram", "exponentialHistogram", "summary"]),
    st.lists(ANY_POINT, max_size=4),
    NUMBERS,
    st.binary(max_size=8),
    st.integers(0, 200),
)
def test_no_json_breaks_the_door(kind: str, points: list[Any], temporality: Any, put: bytes, place: int) -> None:
    """Numbers of any size and kind where any are; and bytes changed anywhere."""
    metric = {"name": "m", kind: {"dataPoints": points, "aggregationTemporality": temporality, "isMonotonic": True}}
    body = json.dumps(request(metric)).encode()
    for given_bytes in (body, body[:place] + put + body[place + len(put) :]):
        takes(messages.JsonReader(), messages.read, given_bytes)


def test_a_request_of_too_many_parts_is_refused_whole() -> None:
    """Messages without content cost memory and time."""
    body = b'{"resourceMetrics":[' + b",".join([b"{}"] * 250_000) + b"]}"
    with pytest.raises(messages.MessageError, match="send them in parts"):
        Translation(messages.JsonReader(), Remembered(), (), NOW).take(messages.read(body))
    with pytest.raises(messages.MessageError):
        messages.read(b'{"resourceMetrics":' + b"[" * 100_000)


EXTREMES = [
    10**400,
    -(10**400),
    2**63,
    2**64,
    2**63 - 1,
    -(2**63),
    2**53 + 1,
    -1,
    0,
    "9" * 30,
    1e308,
    "NaN",
    "-Infinity",
]


def test_numbers_of_any_size_cost_no_more_than_their_points(tmp_path):
    """What does not fit into 64 bits is refused point by point, by a real book too; the good one beside it counts."""
    book = Book(tmp_path / "book", sync=False, most=10_000, began=NOW - 3600 * SECOND, clock=lambda: NOW)
    points = good = 0

    def entered(metric: dict[str, Any], time: int) -> Callable[[Book], Outcome]:
        def run(book: Book) -> Outcome:
            reader, asked = as_json(request(metric, gauged("good", point(asInt=1))))
            taken = Translation(reader, book, [], time)
            taken.take(asked)
            nonlocal points
            points += taken.points
            return Outcome(taken.gathering.heard())

        return run

    for turn, (value, other) in enumerate(product(EXTREMES, EXTREMES)):
        time = NOW + turn * SECOND
        at = {"timeUnixNano": str(time), "startTimeUnixNano": str(START)}
        for told in (
            *(
                summed(f"s{t}{m}", point(asInt=value, **at), monotonic=m, temporality=t)
                for t in (1, 2)
                for m in (True, False)
            ),
            summed("d", point(asDouble=value, **at), monotonic=False, temporality=1),
            {"name": "q", "summary": {"dataPoints": [point(count=value, sum=other, **at)]}},
            {
                "name": "h",
                "histogram": {
                    "aggregationTemporality": 2,
                    "dataPoints": [point(count=value, sum=other, bucketCounts=[value], min=other, **at)],
                },
            },
        ):
            (answer,) = book.enter([Work(entered(told, time))]).answers
            if isinstance(answer, Exception):
                assert isinstance(answer, messages.MessageError), (told, answer)
            else:
                good += 1
    book.close()
    assert points == 2 * good > 500
