"""Clients and agents of the original Taba at the server: every event counted, and their questions answered as then."""

import json
import time
import zlib

import pytest
from keyring import issue
from old_taba import ask, encode, post, record
from server_process import JSON, ServerProcess, wait_until

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("original"), gather_ms=2)
    yield server
    assert server.get("/ping") == {"status": "ok"}
    server.close()


def test_the_published_client_posts_to_the_server(server):
    """The original's own Python client, from its package: all of its functions, with exact totals."""
    calls = [["Counter", "py.bids"]] * 40 + [["Counter", "py.bids", 2.5]] * 4
    calls += [["Percentile", "py.price", price] for price in range(1, 101)]
    calls += [["Gauge", "py.state", "ready"], ["Gauge", "py.state", "busy"], ["Gauge", "py.size", 12]]
    calls += [
        ["Gauge", "py.lease", "mine", time.time() + 300],
        ["Buffer", "py.last", "one"],
        ["Buffer", "py.last", "two"],
    ]
    calls += [["RecordEvent", "py.total", [3], "TotalsCounter"], ["RecordEvent", "py.all", 5, "PercentileCounter"]]
    assert "Traceback" not in record(server.url, "py-1", calls)
    tabs = ask(server.url, "/tabs", name="py.*", re="1")
    for window in ("1m", "10m", "1h", "1d"):
        found = tabs["py.bids"][window]
        assert (found["count"], found["total"], found["average"]) == (44, 50.0, 50 / 44)
        assert (tabs["py.price"][window]["count"], tabs["py.price"][window]["total"]) == (100, 5050.0)
    assert tabs["py.price"]["pct"] == pytest.approx([26, 50, 75, 90, 95, 99, 100], rel=0.02)
    assert tabs["py.price"]["1m"]["pct"] == tabs["py.price"]["pct"]
    assert (tabs["py.state"], tabs["py.size"], tabs["py.lease"]) == ({"busy": 1}, {"12": 1}, {"mine": 1})
    assert [value for value, _ in tabs["py.last"]] == ["two", "one"]
    assert tabs["py.total"] == {"count": 1, "total": 3.0, "average": 3.0}
    assert tabs["py.all"]["1d"]["total"] == 5.0
    assert server.totals("py.bids") == {"py.bids": 50.0}


@pytest.mark.parametrize("zipped", [False, True])
def test_events_of_many_clients_in_one_body(server, zipped):
    """As the original's agent forwards them, and as its Java client writes them, with whole seconds."""
    now, of = int(time.time()), f"many.{zipped}"
    told = {
        f"{of}-{client}": {f"{of}.{tab}": [("CounterGroup", now - 5, tab + 1)] * (client + 1) for tab in range(5)}
        for client in range(20)
    }
    status, answer = post(server.url, encode(told), zipped=zipped)
    assert (status, answer) == (200, {"accepted": 5 * 210, "rejected": []})
    totals = server.totals(f"{of}.*")
    assert totals == {f"{of}.{tab}": 210.0 * (tab + 1) for tab in range(5)}
    found = ask(server.url, "/projection", name=f"{of}.1", client=f"{of}-3,{of}-7")
    assert {client: answer["1d"]["total"] for client, answer in found[f"{of}.1"].items()} == {
        f"{of}-3": 8.0,
        f"{of}-7": 16.0,
    }


def test_bad_lines_harm_nothing_beside_them(server):
    """Each is told with its line and counted by client, tab and reason; all others count."""
    now = time.time()
    body = encode({"b1": {"bad.a": [("CounterGroup", now, 1)] * 3}, "b2": {"bad.b": [("CounterGroup", now, 1)]}})
    body = body.replace(b"bad.b\n", b'bad.b\n["Nonsense", 1, "1"]\n[1\n["CounterGroup", 1, "[]"]\n')
    status, answer = post(server.url, body)
    assert (status, answer["accepted"]) == (200, 4)
    assert [rejection["line"] for rejection in answer["rejected"]] == [14, 15, 16]
    assert "there is no type 'Nonsense'" in answer["rejected"][0]["error"]
    assert "not [" in answer["rejected"][1]["error"]
    assert server.totals("bad.*") == {"bad.a": 3.0, "bad.b": 1.0}
    ledger = server.get("/v1/ledger", client="b2")["ledger"]["b2"]
    assert ledger["folded"] == 1
    assert ledger["dropped"] == {"unknown_type": 1, "unreadable": 1, "wrong_type": 1}
    assert server.dropped()["unreadable", "bad.b"] == 1


def test_a_gauge_expires_as_each_of_its_events_says(server):
    """Every client says anew when its value expires; one that has expired holds nothing, on one tab with others."""
    now = time.time()
    told = {"e1": {"ex.lease": [("ExpiryGauge", now - 10, ["a", now - 5])]}}
    told |= {f"e{n}": {"ex.lease": [("ExpiryGauge", now, ["b", now + 30 * n])]} for n in (2, 3)}
    told |= {"e4": {"ex.lease": [("Gauge", now, "c")]}, "e5": {"ex.lease": [("ExpiryGauge", now, ["d", now - 1])]}}
    told |= {"e6": {"ex.lease": [("ExpiryGauge", now - 1, [7, now + 1.5])]}}
    status, answer = post(server.url, encode(told))
    assert (status, answer["accepted"], len(answer["rejected"])) == (200, 5, 1)
    assert "expired before it was recorded" in answer["rejected"][0]["error"]
    wait_until(lambda: ask(server.url, "/tabs", name="ex.lease")["ex.lease"] == {"b": 2, "c": 1})
    assert server.get("/v1/tabs", match="ex.lease")["tabs"][0]["type"] == "gauge"
    values = server.get("/v1/aggregates", tab="ex.lease", window="1m")["tabs"]["ex.lease"]["1m"]["values"]
    assert values == [{"value": "b", "clients": 2}, {"value": "c", "clients": 1}]


def refusal(server, event):
    """Why a JSON event is refused."""
    body = json.dumps({"client": "c", "events": [event]}).encode()
    return server.post(body, JSON).content["rejected"][0]["error"]


def test_a_parameter_of_an_events_own(server):
    """`gauge(+2)` is for any of the gauge's tabs, and for nothing else; whatever other parameter the tab has."""
    first = {"tab": "own.g", "type": "gauge(100)", "value": "old", "time": time.time() - 10}
    server.record([first], client="o1")
    own = {"tab": "own.g", "type": "gauge(+2)", "value": "new", "time": time.time() - 5}
    assert server.record([own], client="o2") == {"accepted": 1, "rejected": []}
    found = server.get("/v1/aggregates", tab="own.g", window="1m")["tabs"]["own.g"]["1m"]["values"]
    assert found == [{"value": "old", "clients": 1}]
    server.record([{"tab": "own.c", "value": 1}])
    for kind in ("gauge(+2)", "counter(+2)", "gauge(+x)"):
        assert "tab own.c is of type counter, not" in refusal(server, {"tab": "own.c", "type": kind, "value": 1})
    assert "takes no parameter" in refusal(server, {"tab": "own.new", "type": "counter(+2)", "value": 1})
    assert "is not a number" in refusal(server, {"tab": "own.new", "type": "gauge(+-2)", "value": 1})


def test_what_is_asked_and_in_which_form(server):
    """Names, clients and types as lines and as JSON, by lists and by regular expressions."""
    now = time.time()
    post(server.url, encode({"q-1": {"q.a": [("CounterGroup", now, 1)], "q.t": [("TotalsCounter", now, 2)]}}))
    post(server.url, encode({"q-2": {"q.g": [("Gauge", now, 'say "hi"')], "q$b": [("Buffer", now, 1.5)]}}))
    assert ask(server.url, "/names", name="q.*", re="1") == ["q.a", "q.g", "q.t", "q_b"]
    assert ask(server.url, "/names", "text/plain", name="q.a,q$b,nowhere") == "q.a\nq_b\n"
    assert ask(server.url, "/names", client="q-2") == ["q.g", "q_b"]
    assert ask(server.url, "/clients", client="q-.", re="") == ["q-1", "q-2"]
    assert ask(server.url, "/clients", "*/*", client="q-2") == "q-2\n"
    assert "q-1\nq-2\n" in ask(server.url, "/clients", "text/plain")
    types = {"q.a": "CounterGroup", "q.t": "TotalsCounter", "q.g": "Gauge", "q_b": "Buffer"}
    assert ask(server.url, "/types", name="q.*", re="1") == types
    assert ask(server.url, "/types", "text/plain", name="q.t") == "q.t: TotalsCounter\n"
    assert ask(server.url, "/tabs", "text/plain", name="q.g,q.t") == (
        'q.g: {"say \\"hi\\"": 1}\nq.t: {"count":1,"total":2.0,"average":2.0}\n'
    )
    assert ask(server.url, "/projection", "text/plain", name="q.g").startswith("(q-2, q.g): {")
    assert ask(server.url, "/tabs", name="q.t", client="q-2") == {}
    assert ask(server.url, "/tabs", name="nowhere") == {}
    assert not [name for name in ask(server.url, "/names") if name.startswith("taba.")]


def test_windows_without_events_are_zero(server):
    """As the original answers: counts, totals, averages and percentiles of nothing are 0."""
    post(server.url, encode({"z": {"z.old": [("CounterGroup", time.time() - 1200, 4)]}}))
    found = ask(server.url, "/tabs", name="z.old")["z.old"]
    assert found["1m"] == found["10m"] == {"count": 0, "total": 0.0, "average": 0.0, "pct": [0.0] * 7}
    assert found["1h"] == {"count": 1, "total": 4.0, "average": 4.0, "pct": [4.0] * 7}
    assert list(found) == ["1m", "10m", "1h", "1d", "pct"]


def test_types_that_the_original_did_not_have(server):
    """They are answered as here, over the same windows; a counter recorded here is a TotalsCounter there."""
    server.record([{"tab": "new.top", "type": "top", "value": "x"}, {"tab": "new.c{k=v}", "value": 2}])
    found = ask(server.url, "/tabs", name="new.top,new.c")
    assert found["new.top"]["1d"]["values"] == [{"value": "x", "count": 1}]
    assert found["new.c{k=v}"] == {"count": 1, "total": 2.0, "average": 2.0}
    assert ask(server.url, "/projection", name="new.top")["new.top"]["c1"]["1d"]["count"] == 1
    assert ask(server.url, "/projection", name="new.top", client="nobody") == {}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/post", b"", 400, "line 1: the version is ''"),
        ("/post", b"2\n\nc\n\n", 400, "the version is '2'"),
        ("/post?x=1", b"1\n\n", 400, "x: there is no such parameter"),
        ("/post_zip", b"1\n\nc\n\n", 400, "the body is not deflate"),
        ("/post_zip", zlib.compress(b"1\n\nc\n\nt\n" + b'["CounterGroup", 1, "1"]\n' * 99)[:-9], 400, "is cut off"),
        ("/post_zip", zlib.compress(b"1\n\nc\n\nt\n" + b" " * (70 << 20)), 413, "unpacks to more than 64 MB"),
        ("/post_zip", zlib.compress(b"1\n\nc\n\nt\n" + b"x\n" * 600_000), 413, "more than 500,000 lines"),
        ("/post", b"x" * (65 << 20), 413, "more than 64 MB"),
    ],
)
def test_bodies_that_are_refused(server, path, body, status, said):
    """Each with what is wrong; nothing of them is taken, and no bomb is unpacked."""
    answer = server.post(body, FORM, path)
    assert answer.status == status
    assert said in answer.content["error"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/tabs?raw=1", "raw: there is no such parameter"),
        ("/tabs?re=1&name=(", "name: '(' is not a regular expression: unclosed group"),
        ("/projection?re=1&client=[", "client: '[' is not a regular expression"),
        ("/names?name=a&name=b", "name: it is given 2 times"),
        ("/types?client=x", "client: there is no such parameter"),
        ("/tabs?name=" + "x" * 20_001, "at most 20000 are taken"),
    ],
)
def test_questions_that_are_refused(server, path, said):
    """400 with the field and the reason."""
    answer = server.request("GET", path)
    assert answer.status == 400
    assert said in answer.content["error"]


def test_only_as_many_answers_as_may_be(tmp_path):
    """A question over more tabs than are answered at once is refused with the limit's name."""
    server = ServerProcess(tmp_path, gather_ms=2, limits={"answer_rows": 10})
    try:
        body = encode({"c": {f"t{number}": [("TotalsCounter", time.time(), 1)] for number in range(20)}})
        assert post(server.url, body)[1]["accepted"] == 20
        answer = server.request("GET", "/tabs")
        assert answer.status == 400
        assert "more than 10 rows (limits.answer_rows)" in answer.content["error"]
        assert list(ask(server.url, "/tabs", name="t1,t2")) == ["t1", "t2"]
    finally:
        server.close()


def test_a_token_for_some_tabs_and_clients(tmp_path):
    """What it may not write is refused event by event, as `token:ID`, and nothing of it is another client's loss."""
    tokens = tmp_path / "tokens"
    text = issue(tokens, write=("mine.*",), clients=("me-*",))
    asks = {"Authorization": f"Bearer {issue(tokens, read=True)}"}
    server = ServerProcess(tmp_path, gather_ms=2, tokens=str(tokens))
    try:
        body = encode(
            {
                "me-1": {"mine.a": [("CounterGroup", time.time(), 1)] * 2, "other": [("CounterGroup", time.time(), 1)]},
                "you": {"mine.a": [("CounterGroup", time.time(), 1), ("Nonsense", time.time(), 1)]},
            }
        )
        assert post(server.url, body)[0] == 401
        status, answer = post(server.url, body, Authorization=f"Bearer {text}")
        assert (status, answer["accepted"]) == (200, 2)
        ledger = json.loads(server.request("GET", "/v1/ledger", headers=asks).body)["ledger"]
        assert (ledger["me-1"]["folded"], ledger["me-1"]["dropped"]) == (2, {"not_allowed": 1})
        assert "you" not in ledger
        (told,) = [row["dropped"] for client, row in ledger.items() if client.startswith("token:")]
        assert told == {"not_allowed": 2}
    finally:
        server.close()


def test_the_way_in_for_json_is_as_it_was(server):
    """Both ways in take events for the same tab: one name, one type."""
    post(server.url, encode({"j1": {"j.ms": [("CounterGroup", time.time(), 3)]}}))
    event = {"tab": "j.ms", "type": "percentile", "value": 4}
    server.record([event], client="j2")
    assert refusal(server, event | {"type": "counter"}) == "tab j.ms is of type percentile, not counter"
    assert ask(server.url, "/tabs", name="j.ms")["j.ms"]["1m"]["total"] == 7.0
