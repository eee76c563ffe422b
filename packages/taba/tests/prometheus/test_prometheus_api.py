"""What a Grafana asks, over HTTP: the numbers of /metrics, errors as Prometheus tells them, bounds, completeness."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import count
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metrics_world import CLASSIC, samples
from promql_cases import expressions
from server_process import FRAME, Answer, ServerProcess, frame_bytes, wait_until

FORM = "application/x-www-form-urlencoded"
TIERS = ["1s for 10m", "1m for 1h", "10m for 30d"]


class RecordedServer(ServerProcess):
    """A server, and the time to which its events lead up."""

    now: int


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = RecordedServer(
        tmp_path_factory.mktemp("api"), gather_ms=10, limits={"answer_rows": 3_000}, tiers={"fleet": TIERS}
    )
    yield server
    server.close()


@pytest.fixture(scope="module")
def recorded(server):
    """Events of two clients within the last hours."""
    server.now = int(time.time())
    for client, amount in (("web-1", 1), ("web-2", 3)):
        server.record(
            [
                *({"tab": "hits{site=a}", "value": amount, "time": server.now - ago} for ago in range(0, 9_000, 10)),
                {"tab": "hits{site=b}", "value": 5, "time": server.now - 30},
                *(
                    {"tab": "wait.ms", "type": "percentile", "value": 5 * amount + n, "time": server.now - n}
                    for n in range(100)
                ),
                {"tab": "depth", "type": "gauge", "value": amount, "time": server.now - 20},
                {"tab": "rare", "type": "gauge", "value": amount, "time": server.now - 900},
                {"tab": "brief", "type": "gauge(5)", "value": amount, "time": server.now - 60},
                {"tab": "release", "type": "gauge", "value": f"v{amount}", "time": server.now - 20},
                {"tab": "people", "type": "uniques", "value": client, "time": server.now - 200},
                {"tab": "people", "type": "uniques", "value": "all", "time": server.now - 2_000},
                {"tab": "pages", "type": "top", "value": '/a"\\b', "time": server.now - 20},
                {"tab": "errors", "type": "buffer", "value": "x", "time": server.now - 20},
                {"tab": "balance", "value": -amount, "time": server.now - 20},
            ],
            client=client,
        )
    return server


def ask(server: ServerProcess, path: str, *, post: bool = False, **parameters: Any) -> Answer:
    """Any answer."""
    fields = urlencode({name.replace("match", "match[]"): value for name, value in parameters.items()}, doseq=True)
    if post:
        return server.post(fields.encode(), FORM, f"/api/v1/{path}")
    return server.request("GET", f"/api/v1/{path}?{fields}")


def data(server: ServerProcess, path: str, **parameters: Any) -> Any:
    """The data of an answer that must succeed."""
    found = ask(server, path, **parameters)
    assert (found.status, found.content["status"]) == (200, "success"), found
    return found.content["data"]


def instant(server: ServerProcess, query: str, **parameters: Any) -> dict[frozenset[tuple[str, str]], float]:
    """An instant vector by its labels."""
    found = data(server, "query", query=query, **parameters)
    assert found["resultType"] == "vector"
    return {frozenset(one["metric"].items()): float(one["value"][1]) for one in found["result"]}


def labelled(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def test_every_sample_of_the_metrics_page_has_the_same_value_here(recorded: RecordedServer):
    """A board may be drawn from a Prometheus that scrapes, or from the server itself: the numbers are the same."""
    page = samples(recorded.request("GET", "/metrics?tab=*").body.decode(), CLASSIC)
    own = {key: value for key, value in page.items() if not key[0].startswith("taba_")}
    here = instant(recorded, '{__name__=~".+",__name__!~"taba_.*"}')
    assert {labels | {("__name__", name)} for name, labels in own} == here.keys()
    for (name, labels), value in own.items():
        assert here[labels | {("__name__", name)}] == value, (name, labels)


def test_clients_have_series_of_their_own_where_they_are_mentioned(recorded: RecordedServer):
    """What single clients' series say is in `/v1/projections`, and the fleet's is their sum."""
    found = instant(recorded, "sum by (client) (increase(hits_events_total[1m]))", time=recorded.now)
    assert found == {
        labelled(client="web-1"): pytest.approx(7, abs=2),
        labelled(client="web-2"): pytest.approx(7, abs=2),
    }
    projected = recorded.get("/v1/projections", tab="hits{site=a}", from_=0)["tabs"]["hits{site=a}"]
    for client, windows in projected.items():
        (whole,) = windows.values()
        series = instant(recorded, f'hits_total{{site="a",client="{client}"}}')
        assert list(series.values()) == [whole["total"]]
    assert instant(recorded, 'depth{client=~"web-.*"}') == {
        labelled(__name__="depth", client="web-1"): 1,
        labelled(__name__="depth", client="web-2"): 3,
    }
    assert list(instant(recorded, "avg without (client) (depth)").values()) == [2]
    assert instant(recorded, 'release_holders{client="web-2"}') == {
        labelled(__name__="release_holders", client="web-2", value="v3"): 1
    }
    assert list(instant(recorded, 'people_distinct{client="web-2",window="1h"}').values()) == [2]


def test_gauges_are_remembered_as_long_as_they_are_looked_back_for(recorded: RecordedServer):
    """Five minutes as in Prometheus, as long as is asked for, and never longer than they last."""
    assert instant(recorded, "rare") == {}
    assert list(instant(recorded, "rare", lookback_delta="1h").values()) == [4]
    assert list(instant(recorded, "rare", lookback_delta=3_600).values()) == [4]
    assert list(instant(recorded, "brief", time=recorded.now - 56).values()) == [4]
    assert instant(recorded, "brief", time=recorded.now - 55) == instant(recorded, "brief") == {}
    assert instant(recorded, "depth", time=recorded.now - 20.5) == {}


def test_windows_are_of_the_label_that_names_them(recorded: RecordedServer):
    """Uniques over an hour are no sum of those over minutes: the label chooses, five minutes where it is not there."""
    assert instant(recorded, "people_distinct") == {labelled(__name__="people_distinct", window="5m"): 2}
    assert instant(recorded, 'people_distinct{window="1h"}') == {labelled(__name__="people_distinct", window="1h"): 3}
    assert instant(recorded, 'people_distinct{window!="5m"}') == {}
    over = data(recorded, "query_range", query="people_distinct", start=recorded.now - 600, end=recorded.now, step=60)[
        "result"
    ]
    assert [[time, float(value)] for time, value in over[0]["values"]] == [
        [recorded.now - ago, 2] for ago in (180, 120, 60, 0)
    ]


def test_no_rate_is_finer_than_what_is_kept(recorded: RecordedServer):
    """Where slices are wider than the window, the rate is that of the slice, exact, and the answer says so."""
    at = recorded.now - 6_000
    found = ask(recorded, "query", query='rate(hits_total{site="a"}[1m])', time=at)
    (series,) = found.content["data"]["result"]
    assert float(series["value"][1]) == pytest.approx(0.4)
    assert any("whole slices: 10m at most, where 1m was asked for" in info for info in found.content["infos"])
    over = ask(recorded, "query_range", query="increase(hits_total[10m])", start=at, end=at + 600, step=5)
    assert any("kept in slices of 10m" in info for info in over.content["infos"])
    assert {value for one in over.content["data"]["result"] for _, value in one["values"]} <= {"240", "0"}


def test_a_window_of_which_a_part_is_no_longer_kept_has_no_value(recorded: RecordedServer):
    """Half of what happened is not told as if it were all."""
    found = ask(recorded, "query", query='increase(hits_total{site="a"}[40d])', time=recorded.now)
    assert found.content["data"]["result"] == []
    assert any("nothing older is kept" in info for info in found.content["infos"])
    assert len(instant(recorded, 'increase(hits_total{site="a"}[20d])', time=recorded.now)) == 1


def test_what_can_be_browsed(recorded: RecordedServer):
    """Metrics, labels and values are found as Grafana looks for them."""
    names = data(recorded, "label/__name__/values")
    assert {"hits_total", "hits_events_total", "wait_seconds_bucket", "depth", "people_distinct"} <= set(names)
    assert data(recorded, "labels", match="hits_total") == ["__name__", "client", "site"]
    assert data(recorded, "labels", match="wait_seconds_bucket") == ["__name__", "client", "le"]
    assert data(recorded, "label/site/values", match='hits_total{site!="b"}') == ["a"]
    assert data(recorded, "label/client/values", match="depth") == ["web-1", "web-2"]
    assert {"web-1", "web-2"} <= set(data(recorded, "label/client/values"))
    assert data(recorded, "label/none/values") == []
    assert data(recorded, "series", match=["hits_total", 'hits_total{site="a"}']) == [
        {"__name__": "hits_total", "site": "a"},
        {"__name__": "hits_total", "site": "b"},
    ]
    assert {"__name__": "depth", "client": "web-1"} in data(recorded, "series", match='depth{client!=""}')
    assert data(recorded, "metadata", metric="hits_total")["hits_total"][0]["type"] == "counter"
    assert data(recorded, "metadata", metric="wait_seconds")["wait_seconds"][0]["unit"] == "seconds"
    assert data(recorded, "status/buildinfo")["version"].startswith("2.")
    assert data(recorded, "rules") == {"groups": []}


def test_forms_are_taken_as_query_strings_are(recorded: RecordedServer):
    """Grafana posts by default; fields of the form come before those of the address."""
    asked = {"query": "sum(hits_total)", "time": recorded.now}
    assert ask(recorded, "query", post=True, **asked).content == ask(recorded, "query", **asked).content
    both = recorded.post(urlencode(asked).encode(), FORM, "/api/v1/query?query=1&other=x")
    assert both.content["data"]["resultType"] == "vector"
    assert data(recorded, "query", query="1+1", time="2026-01-31T12:00:00.5Z")["result"] == [1769860800.5, "2"]


@pytest.mark.parametrize(
    ("path", "parameters", "status", "kind", "told"),
    [
        ("query", {}, 400, "bad_data", 'invalid parameter "query": 1:1: parse error: no expression found'),
        (
            "query",
            {"query": "irate(hits_total[1m])"},
            400,
            "bad_data",
            "1:1: parse error: there is no function 'irate'",
        ),
        ("query", {"query": "hits_total[5m]"}, 400, "bad_data", "a range vector cannot be shown"),
        ("query", {"query": "rate(depth[5m])"}, 400, "bad_data", "depth is a gauge"),
        ("query", {"query": 'people_distinct{window="x"}'}, 400, "bad_data", "'x' is not a duration"),
        ("query", {"query": "1", "time": "soon"}, 400, "bad_data", 'cannot parse "soon" to a valid timestamp'),
        ("query", {"query": "1", "time": "1e300"}, 400, "bad_data", "out of range"),
        ("query", {"query": "1", "limit": "-1"}, 400, "bad_data", 'invalid parameter "limit"'),
        ("query", {"query": "1", "lookback_delta": "0"}, 400, "bad_data", 'invalid parameter "lookback_delta"'),
        ("query", {"query": '{__name__=~"hits_.*"} + 1'}, 422, "execution", "same labelset"),
        (
            "query",
            {"query": '{__name__=~"hits_.*"} + hits_total'},
            422,
            "execution",
            "many-to-many matching not allowed",
        ),
        ("query_range", {"query": "1"}, 400, "bad_data", 'invalid parameter "start"'),
        ("query_range", {"query": "1", "start": 9, "end": 1, "step": 1}, 400, "bad_data", "must not be before start"),
        ("query_range", {"query": "1", "start": 1, "end": 9, "step": 0}, 400, "bad_data", "zero or negative query"),
        ("query_range", {"query": "1", "start": 1, "end": 9, "step": "x"}, 400, "bad_data", "to a valid duration"),
        ("query_range", {"query": "1", "start": 0, "end": 1_000_000, "step": 1}, 400, "bad_data", "exceeded maximum"),
        (
            "query_range",
            {"query": "vector(1)", "start": 0, "end": 10_000, "step": 1},
            422,
            "execution",
            "limits.answer_rows",
        ),
        ("series", {}, 400, "bad_data", "no match[] parameter provided"),
        ("series", {"match": "sum(x)"}, 400, "bad_data", "a selector of series is expected"),
        ("series", {"match": "{}"}, 400, "bad_data", "at least one non-empty matcher"),
        ("labels", {"match": "a{"}, 400, "bad_data", 'invalid parameter "match[]": 1:3: parse error'),
        ("label/x-y/values", {}, 400, "bad_data", "invalid label name"),
        ("metadata", {"limit": "many"}, 400, "bad_data", 'invalid parameter "limit"'),
    ],
)
def test_errors_are_told_as_prometheus_tells_them(
    recorded: RecordedServer, path: str, parameters: Mapping[str, Any], status: int, kind: str, told: str
):
    """Grafana shows `error`; programs go by the status and by `errorType`."""
    found = ask(recorded, path, **parameters)
    assert found.status == status, found
    assert found.content["status"] == "error"
    assert found.content["errorType"] == kind
    assert told in found.content["error"]


def test_what_is_too_large_is_refused_or_cut_and_says_so(recorded: RecordedServer):
    """A limit cuts with a warning; a form without end is not read to its end."""
    for path, parameters in (("query", {"query": "hits_total"}), ("series", {"match": "hits_total"}), ("labels", {})):
        found = ask(recorded, path, limit=1, **parameters).content
        assert found["warnings"] == ["results truncated due to limit"]
        assert len(found["data"]["result"] if path == "query" else found["data"]) == 1
    assert recorded.post(b"query=1&x=" + b"x" * (2 << 20), FORM, "/api/v1/query").status == 400


def test_an_answer_says_how_complete_it_is(recorded: RecordedServer):
    """Up to now something may be missing, and `infos` say from when on; what is long complete says nothing."""
    found = ask(recorded, "query", query="sum(hits_total)", time=time.time() + 60).content
    assert any("complete to" in info and "2 of 2 clients" in info for info in found["infos"])
    wait_until(lambda: "infos" not in ask(recorded, "query", query="sum(hits_total)", time=recorded.now).content)


def test_the_newest_rate_lacks_nothing_that_is_still_on_its_way(recorded: RecordedServer):
    """A client that has sent until four seconds ago is not shown as if it had done nothing since."""
    numbers = count(1)

    def lacks_nothing() -> bool:
        now, number = time.time(), next(numbers)
        tab = f"slow.n{number}"
        sent = frame_bytes("slow", number, {tab: [1.0] * 10}, start=now - 6, stop=now - 4)
        assert recorded.post(sent, FRAME).status == 200
        return list(instant(recorded, f"increase(slow_n{number}_total[3s])").values()) == [10]

    # What answers say of their completeness may be a fifth of a second old, and after ten the client is silent.
    wait_until(lacks_nothing)


def test_the_same_question_has_its_series_in_the_same_order(recorded: RecordedServer):
    """Colours of a chart go by the order of series: it does not hang on how they were found."""
    for query in ("sum by (client, site) (hits_events_total)", "hits_total", "wait_seconds_bucket"):
        orders = {str([one["metric"] for one in data(recorded, "query", query=query)["result"]]) for _ in range(5)}
        assert len(orders) == 1


def test_new_tabs_are_there_at_once(recorded: RecordedServer):
    """What was recorded a moment ago is named and drawn: nothing of the names is kept too long."""
    for number in range(3):
        recorded.record([{"tab": f"fresh.n{number}", "value": 7}], client="web-1")
        assert list(instant(recorded, f"fresh_n{number}_total").values()) == [7]


SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
NAMED = st.sampled_from(
    [
        "hits_total",
        "wait_seconds_bucket",
        "depth",
        "people_distinct",
        '{__name__=~".+"}',
        'depth{client!=""}',
        "pages_top",
    ]
)
TIMES = st.one_of(st.integers(-5_000, 100), st.floats().map(str), st.text(max_size=9))


def at(server: RecordedServer, time: str | int) -> str:
    """A time as it is asked for: an offset from the server's, or any text."""
    return str(server.now + time) if isinstance(time, int) else time


@given(query=st.one_of(NAMED, expressions.map(str), st.text(max_size=20)), time=TIMES, post=st.booleans())
@SHARED
def test_no_query_makes_the_server_fail(recorded: RecordedServer, query: str, time: str | int, post: bool):
    """Whatever is asked, the answer is one or the other of Prometheus' forms, and never a 500."""
    found = ask(recorded, "query", post=post, query=query, time=at(recorded, time))
    assert found.status in (200, 400, 422), found
    assert found.content["status"] == ("success" if found.status == 200 else "error")


@given(
    path=st.sampled_from(["query_range", "series", "labels", "metadata", "label/le/values", "label/client/values"]),
    query=st.one_of(NAMED, NAMED.map("sum by (client, le) (rate({}[3m]))".format), st.text(max_size=20)),
    times=st.tuples(TIMES, TIMES, st.one_of(st.integers(-1, 5_000).map(str), st.text(max_size=5))),
    limit=st.one_of(st.just("3"), st.text(max_size=3)),
)
@SHARED
def test_no_fields_make_the_server_fail(
    recorded: RecordedServer, path: str, query: str, times: tuple[str | int, str | int, str], limit: str
):
    """The same of all other calls, with whatever fields."""
    start, end = (at(recorded, time) for time in times[:2])
    found = ask(recorded, path, query=query, match=query, start=start, end=end, step=times[2], limit=limit)
    assert found.status in (200, 400, 422), found
    assert found.content["status"] == ("success" if found.status == 200 else "error")
