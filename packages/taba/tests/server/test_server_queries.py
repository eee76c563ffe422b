"""The answers over HTTP: each type, windows, clients, groups, series, lists; as JSON, CSV, Arrow and lines."""

import csv
import io
import json
import time
from urllib.parse import quote

import polars as pl
import pytest
from server_process import ServerProcess

NOTHING = {"count": 0, "total": 0.0, "mean": None, "min": None, "max": None, "rate": 0.0}


@pytest.fixture(scope="module")
def begun():
    """When the events are: a while ago, at a full minute."""
    return time.time() // 60 * 60 - 300


@pytest.fixture(scope="module")
def server(tmp_path_factory, begun):
    """Events of every type, of three clients, over a minute."""
    server = ServerProcess(tmp_path_factory.mktemp("queries"), gather_ms=2)
    for number in range(3):
        events = [
            {"tab": "bids.won", "value": 2, "tags": {"exchange": "fbx", "region": "eu"}, "time": begun + number},
            {"tab": "bids.won{exchange=adx}", "value": 5, "time": begun + 10 * number},
            {"tab": "bids.won", "value": 1, "time": begun + 59.5},
            {"tab": "latency", "type": "percentile", "value": 10.0 + number, "time": begun + 1},
            {"tab": "queue", "type": "gauge", "value": number, "time": begun + 5},
            {"tab": "version", "type": "gauge", "value": f"v{number // 2}", "time": begun + 5},
            {"tab": "users", "type": "uniques", "value": f"u{number % 2}", "time": begun},
            {"tab": "pages", "type": "top", "value": "/a" if number else '/b "q"', "time": begun},
            {"tab": "errors", "type": "buffer", "value": f"oh {number}", "time": begun + number},
        ]
        server.record(events, client=f"web-{number}")
    yield server
    server.close()


def over_the_minute(server, begun, path="/v1/aggregates", **parameters):
    answer = server.get(path, from_=begun, to=begun + 60, **parameters)
    return answer["tabs"]


def test_the_answers_of_each_type(server, begun):
    """Every type's fleet answer, as the reference says it."""
    found = {tab: next(iter(windows.values())) for tab, windows in over_the_minute(server, begun).items()}
    assert found == {
        "bids.won": {"count": 3, "total": 3.0, "mean": 1.0, "min": 1.0, "max": 1.0, "rate": 0.05},
        "bids.won{exchange=adx}": {"count": 3, "total": 15.0, "mean": 5.0, "min": 5.0, "max": 5.0, "rate": 0.25},
        "bids.won{exchange=fbx,region=eu}": {
            "count": 3,
            "total": 6.0,
            "mean": 2.0,
            "min": 2.0,
            "max": 2.0,
            "rate": 0.1,
        },
        "errors": {
            "count": 3,
            "values": [{"time": begun + number, "value": f"oh {number}"} for number in (2, 1, 0)],
        },
        "latency": {"count": 3, "total": 33.0, "mean": 11.0, "min": 10.0, "max": 12.0, "rate": 0.05}
        | {name: pytest.approx(11.0, rel=0.01) for name in ("p50", "p75")}
        | {name: pytest.approx(12.0, rel=0.01) for name in ("p90", "p95", "p99", "p99.9")}
        | {"error": 0.01},
        "pages": {"count": 3, "values": [{"value": "/a", "count": 2}, {"value": '/b "q"', "count": 1}], "bound": 0},
        "queue": {
            "sum": 3.0,
            "mean": 1.0,
            "min": 0.0,
            "max": 2.0,
            "clients": 3,
            "values": [{"value": value, "clients": 1} for value in (0.0, 1.0, 2.0)],
        },
        "users": {"uniques": 2, "error": 0.0325},
        "version": {
            "sum": 0.0,
            "mean": None,
            "min": None,
            "max": None,
            "clients": 3,
            "values": [{"value": "v0", "clients": 2}, {"value": "v1", "clients": 1}],
        },
    }


def test_projections(server, begun):
    """By client: a gauge is the value and its time; a client glob picks some."""
    found = over_the_minute(server, begun, "/v1/projections", tab=["queue", "bids.won"], client="web-[12]")
    window = f"{begun}/{begun + 60}"
    assert set(found) == {"queue", "bids.won", "bids.won{exchange=adx}", "bids.won{exchange=fbx,region=eu}"}
    assert found["queue"] == {f"web-{n}": {window: {"value": float(n), "time": begun + 5}} for n in (1, 2)}
    assert found["bids.won"]["web-1"][window]["count"] == 1


def test_groups(server, begun):
    """By a tag the tabs of a name are grouped; tabs without it are the name's own group."""
    found = over_the_minute(server, begun, tab="bids.won", by="exchange")
    totals = {tab: next(iter(windows.values()))["total"] for tab, windows in found.items()}
    assert totals == {"bids.won": 3.0, "bids.won{exchange=adx}": 15.0, "bids.won{exchange=fbx}": 6.0}
    found = over_the_minute(server, begun, tab="bids.won", by="")
    assert {tab: next(iter(windows.values()))["total"] for tab, windows in found.items()} == {"bids.won": 24.0}
    found = over_the_minute(server, begun, tab="bids.won{exchange=fbx}", by="region,exchange")
    assert set(found) == {"bids.won{exchange=fbx,region=eu}"}


def test_windows_end_now(server):
    """The default windows, and any others; a tab that is silent in one has zeros and nulls there."""
    found = server.get("/v1/aggregates", tab="bids.won{exchange=adx}")["tabs"]["bids.won{exchange=adx}"]
    assert list(found) == ["1m", "10m", "1h", "1d"]
    assert found["1m"] == NOTHING
    assert found["10m"]["total"] == found["1d"]["total"] == 15.0
    assert found["1h"]["rate"] == pytest.approx(15 / 3600)
    found = server.get("/v1/aggregates", tab="bids.won{exchange=adx}", window=["2h", "90s,1d"])
    assert set(found["tabs"]["bids.won{exchange=adx}"]) == {"2h", "90s", "1d"}


def test_series(server, begun):
    """Points by step, each with its slice's begin; slices with nothing have none."""
    answer = server.get("/v1/series", tab="bids.won{exchange=adx}", from_=begun, to=begun + 60, step="10s")
    assert (answer["step"], answer["from"], answer["to"]) == (10, begun, begun + 60)
    points = answer["tabs"]["bids.won{exchange=adx}"]
    assert [(point["time"], point["total"], point["rate"]) for point in points] == [
        (begun + 10 * number, 5.0, 0.5) for number in range(3)
    ]
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun))
    same = server.get("/v1/series", tab="bids.won{exchange=adx}", from_=text, to=begun + 60, step="10s")
    assert same == answer | {"complete_to": same["complete_to"]}
    fine = server.get("/v1/series", tab="queue", from_=begun, to=begun + 60, client="web-2", step="1m")["tabs"]["queue"]
    assert [(point["time"], point["sum"]) for point in fine] == [(begun, 2.0)]


def test_a_series_for_each_client(server, begun):
    """Points by client, of all types; a gauge's are its last values, and their time is their slice's."""
    span = {"from_": begun, "to": begun + 60, "step": "1m"}
    answer = server.get("/v1/series", tab=["queue", "latency", "bids.won{exchange=adx}"], each="client", **span)
    found = answer["tabs"]
    assert found["queue"] == {f"web-{n}": [{"time": begun, "value": float(n)}] for n in range(3)}
    assert {client: points[0]["p50"] for client, points in found["latency"].items()} == {
        f"web-{n}": pytest.approx(10.0 + n, rel=0.01) for n in range(3)
    }
    assert {client: points[0]["total"] for client, points in found["bids.won{exchange=adx}"].items()} == {
        f"web-{n}": 5.0 for n in range(3)
    }
    one = server.get("/v1/series", tab="bids.won", by="", client="web-2", each="client", **span)["tabs"]
    assert {client: points[0]["total"] for client, points in one["bids.won"].items()} == {"web-2": 8.0}
    for form in ("text/csv", "text/plain", "application/vnd.apache.arrow.stream"):
        assert b"web-1" in server.get("/v1/series", form, tab="queue", each="client", **span).body


def test_one_tab_and_no_other(server, begun):
    """A glob that begins with = is the tab as it is listed: the one without tags, or with just these."""
    assert set(over_the_minute(server, begun, tab="=bids.won")) == {"bids.won"}
    assert set(over_the_minute(server, begun, tab=["=bids.won{exchange=adx}", "=users", "=bids", "page*"])) == {
        "bids.won{exchange=adx}",
        "users",
        "pages",
    }
    assert over_the_minute(server, begun, tab="=bids.won{exchange=fbx}") == {}


def test_lists_of_tabs_that_are_bounded(server):
    """`limit` gives the first of them and says how many match; `brief` gives what needs no look into the store."""
    whole = server.get("/v1/tabs")
    assert whole["matched"] == len(whole["tabs"])
    part = server.get("/v1/tabs", limit=2)
    assert (part["tabs"], part["matched"]) == (whole["tabs"][:2], whole["matched"])
    brief = server.get("/v1/tabs", brief="true", match="*")
    assert brief["tabs"] == [{"tab": row["tab"], "type": row["type"]} for row in whole["tabs"]]
    assert server.get("/v1/tabs", brief="true", limit=1, match="bids.*")["matched"] == 3


def test_a_series_shows_a_gauge_that_expires_as_it_is_now(server):
    """In the slice that has not ended, a value is there until it expires, not until the slice would end."""
    server.record([{"tab": "expiring", "type": "gauge(20)", "value": 7}])
    points = server.get("/v1/series", tab="expiring", step="1h", from_=time.time() - 7200)["tabs"]["expiring"]
    assert points[-1]["sum"] == 7.0
    assert points[-1]["clients"] == 1


def test_tabs_and_clients(server, begun):
    """What there is, who recorded it, and when last."""
    tabs = {row["tab"]: row for row in server.get("/v1/tabs", match="bids.*")["tabs"]}
    assert tabs["bids.won{exchange=fbx,region=eu}"] == {
        "tab": "bids.won{exchange=fbx,region=eu}",
        "name": "bids.won",
        "tags": {"exchange": "fbx", "region": "eu"},
        "type": "counter",
        "clients": 3,
        "last_seen": tabs["bids.won{exchange=fbx,region=eu}"]["last_seen"],
    }
    assert begun - 60 <= tabs["bids.won"]["last_seen"] <= begun + 60
    clients = {row["client"]: row for row in server.get("/v1/clients", match="web-*")["clients"]}
    assert list(clients) == ["web-0", "web-1", "web-2"]
    assert clients["web-1"]["tabs"] >= 9
    assert abs(clients["web-1"]["last_seen"] - time.time()) < 600


@pytest.mark.parametrize("path", ["/v1/aggregates", "/v1/projections", "/v1/series", "/v1/tabs", "/v1/clients"])
def test_every_answer_in_every_format(server, path):
    """The same answer as JSON, CSV, Arrow and lines: as many rows, the same figures."""
    parameters = {} if path in ("/v1/tabs", "/v1/clients") else {"tab": "bids.won"}
    if path == "/v1/series":
        parameters["from_"] = int(time.time()) - 3600
    table = list(csv.DictReader(io.StringIO(server.get(path, accept="text/csv", **parameters).body.decode())))
    arrow = pl.read_ipc_stream(server.get(path, accept="application/vnd.apache.arrow.stream", **parameters).body)
    lines = server.get(path, accept="text/plain", **parameters)
    assert lines.headers["content-type"].startswith("text/plain")
    plain = [line for line in lines.body.decode().splitlines() if not line.startswith("#")]
    assert len(table) == arrow.height == len(plain) > 0
    assert list(table[0]) == arrow.columns
    first = next(name for name in ("tab", "client") if name in arrow.columns)
    assert [row[first] for row in table] == arrow[first].to_list()
    for row, line in zip(table, plain, strict=True):
        assert line.startswith(row[first])
    if "total" in table[0]:
        assert [float(row["total"] or 0) for row in table] == arrow["total"].fill_null(0).to_list()


def test_types_side_by_side_in_a_table(server, begun):
    """In CSV and Arrow the columns of all types are there; a type has nothing in those of others."""
    body = server.get("/v1/aggregates", accept="text/csv", from_=begun, to=begun + 60).body.decode()
    rows = {row["tab"]: row for row in csv.DictReader(io.StringIO(body))}
    assert len(rows) >= 9
    assert rows["latency"]["p50"]
    assert not rows["queue"]["p50"]
    assert json.loads(rows["errors"]["values"])[0]["value"] == "oh 2"


@pytest.mark.parametrize("accept", ["*/*", "text/html, */*", "", "application/json;q=0.9"])
def test_other_formats_are_json(server, accept):
    """Who asks for something else, or for anything, gets JSON."""
    answer = server.request("GET", "/v1/tabs", headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/json"
    assert answer.content["tabs"]


def test_nothing_in_every_format(server):
    """An answer without tabs is empty, and no error."""
    assert server.get("/v1/aggregates", tab="none")["tabs"] == {}
    assert server.get("/v1/series", tab="none")["tabs"] == {}
    assert server.get("/v1/tabs", match="none")["tabs"] == []
    assert server.get("/v1/clients", match="none")["clients"] == []
    for path, name in (
        ("/v1/aggregates", "tab"),
        ("/v1/series", "tab"),
        ("/v1/tabs", "match"),
        ("/v1/clients", "match"),
    ):
        for accept in ("text/csv", "text/plain", "application/vnd.apache.arrow.stream"):
            assert server.get(path, accept=accept, **{name: "none"}).status == 200


BAD = {
    "window=7x": "window: '7x' is not a duration: write it as 90s, 10m, 1h or 1d",
    "window=": "window: ",
    "window=0s": "window: ",
    "window=-1m": "window: ",
    "window=nan": "window: ",
    "window=9999y": "window: ",
    "window=" + "9" * 400 + "s": "window: ",
    "window=1m&from=1": "window: give either windows, or from and to",
    "window=" + ",".join(f"{n}s" for n in range(1, 30)): "window: 29 windows; at most 20",
    "from=yesterday": "from: 'yesterday' is not a time",
    "from=nan": "from: ",
    "from=-1": "from: ",
    "from=1e300": "from: ",
    "from=1&from=2": "from: it is given 2 times",
    "from=20&to=10": "from: it must be before to",
    "from=5&to=5": "from: it must be before to",
    "from=9999-12-31": "from: ",
    "from=2026-13-01": "from: ",
    "from=1&to=later": "to: 'later' is not a time",
    "to=5": "to: it goes with from",
    "tab=a{": "tab: ",
    "tab=a{b}": "tab: ",
    "tab=[z-a]": "tab: ",
    "tab=" + "?" * 20_000: "tab: ",
    "client=[z-a]": "client: ",
    "client=a&client=b": "client: it is given 2 times",
    "tabs=a": "tabs: there is no such parameter: did you mean 'tab'?",
    "limit=1": "limit: there is no such parameter",
}


@pytest.mark.parametrize(("query", "word"), BAD.items(), ids=[query[:30] for query in BAD])
@pytest.mark.parametrize("path", ["/v1/aggregates", "/v1/projections"])
def test_questions_that_mean_nothing(server, path, query, word):
    """A 400 with the field and what it takes."""
    answer = server.request("GET", f"{path}?{query}")
    assert (answer.status, list(answer.content)) == (400, ["error"]), answer
    assert word in answer.content["error"]


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/v1/series?step=0s", "step: "),
        ("/v1/series?step=x", "step: "),
        ("/v1/series?from=1&step=1s", "step: "),
        ("/v1/series?window=1m", "window: there is no such parameter"),
        ("/v1/series?from=5&to=4", "from: it must be before to"),
        ("/v1/series?each=tab", "each: 'tab' is not client"),
        ("/v1/tabs?limit=0", "limit: '0' is not a whole number"),
        ("/v1/tabs?limit=-1", "limit: "),
        ("/v1/tabs?limit=%C2%B2", "limit: "),
        ("/v1/tabs?limit=" + "9" * 30, "limit: "),
        ("/v1/tabs?brief=yes", "brief: 'yes' is not true"),
        ("/v1/projections?by=k", "by: there is no such parameter"),
        ("/v1/tabs?tab=a", "tab: there is no such parameter"),
        ("/v1/tabs?match=a{", "a{"),
        ("/v1/tabs?match=[z-a]", "z-a"),
        ("/v1/clients?match=[z-a]", "z-a"),
        ("/v1/clients?match=a&match=b", "match: it is given 2 times"),
        ("/ping?x=1", "x: there is no such parameter"),
    ],
)
def test_other_questions_that_mean_nothing(server, path, word):
    """The same for the other paths."""
    answer = server.request("GET", path)
    assert (answer.status, list(answer.content)) == (400, ["error"]), answer
    assert word in answer.content["error"]


@pytest.mark.parametrize("text", ["é", "%", "a b", "😀", "'", '"', "\\", "{k=\\}", "[é]", "\x00", "\x7f"])
def test_any_characters_in_questions(server, text):
    """Whatever is asked for is found or not found, or is a 400; the server is well after it."""
    for path, name in (("aggregates", "tab"), ("aggregates", "client"), ("aggregates", "by"), ("tabs", "match")):
        answer = server.request("GET", f"/v1/{path}?{name}={quote(text)}")
        assert answer.status in (200, 400), answer
