"""Clients of the original Taba at the agent: what was answered is counted once, whatever is killed on the way."""

import signal
import time
import zlib

import pytest
from old_taba import AgentProcess, ask, encode, post, record
from server_process import ServerProcess, wait_until


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    server = ServerProcess(folder, gather_ms=2)
    agent = AgentProcess(folder, server.url)
    yield server, agent
    if agent.process.poll() is None:
        agent.end()
    server.close()


def settled(server, tabs, wanted):
    """Wait until the server counts this."""
    wait_until(lambda: server.totals(tabs) == wanted)


def test_the_published_client_posts_to_its_agent(world):
    """The original's Python client beside two others, through the agent: exact totals, and answers as then."""
    server, agent = world
    calls = [["Counter", "a.bids"]] * 30 + [["Percentile", "a.price", price] for price in range(1, 11)]
    calls += [["Gauge", "a.state", "ready"], ["Gauge", "a.lease", "mine", time.time() + 300], ["Buffer", "a.last", "x"]]
    assert "Traceback" not in record(agent.url, "py-1", calls)
    now = int(time.time())
    body = encode(
        {"java-1": {"a.bids": [("CounterGroup", now, 2)] * 5}, "java-2": {"a.bids": [("CounterGroup", now, 1)]}}
    )
    assert post(agent.url, body) == (200, {"accepted": 6, "rejected": []})
    assert post(agent.url, body, zipped=True)[0] == 200
    settled(server, "a.bids", {"a.bids": 30.0 + 2 * 11})
    settled(server, "a.price", {"a.price": 55.0})
    wait_until(lambda: len(ask(server.url, "/tabs", name="a.*", re="")) == 5)
    tabs = ask(server.url, "/tabs", name="a.*", re="")
    assert (tabs["a.state"], tabs["a.lease"]) == ({"ready": 1}, {"mine": 1})
    assert tabs["a.last"][0][0] == "x"
    ledger = server.get("/v1/ledger")["ledger"]
    assert [ledger[client]["folded"] for client in ("py-1", "java-1", "java-2")] == [43, 10, 2]
    assert [ledger[client]["in_flight"] for client in ("py-1", "java-1", "java-2")] == [0, 0, 0]


def test_what_was_answered_survives_every_kill(world):
    """Agent and server are killed in turns while clients post: each event that was answered counts once."""
    server, agent = world
    taken = 0
    for turn in range(4):
        for number in range(20):
            name, value = f"k.{number % 3}", number + 1
            status, _ = post(agent.url, encode({f"c{number % 4}": {name: [("CounterGroup", time.time(), value)] * 3}}))
            assert status == 200
            taken += 3 * value
        if turn % 2:
            server.kill()
            server.start()
            agent.server = server.url
        agent.end(signal.SIGKILL)
        agent.start()
    wait_until(lambda: sum(server.totals("k.*").values()) == taken, 60)
    ledger = server.get("/v1/ledger")["ledger"]
    assert sum(row["in_flight"] for row in ledger.values()) == 0


def test_refused_lines_are_in_the_ledger(world):
    """By client and reason, with all that came beside them; a body of other protocols is refused as a whole."""
    server, agent = world
    now = time.time()
    body = encode(
        {
            "b": {"b.a": [("CounterGroup", now, 1)] * 3, "b.b": [("Nothing", now, 1)] * 2},
            "only": {"x": [("Nothing", now, 1)]},
        }
    )
    status, answer = post(agent.url, body)
    assert (status, answer["accepted"], len(answer["rejected"])) == (200, 3, 3)
    settled(server, "b.*", {"b.a": 3.0})
    wait_until(lambda: {"b", "only"} <= set(server.get("/v1/ledger")["ledger"]))
    ledger = server.get("/v1/ledger")["ledger"]
    assert (ledger["b"]["recorded"], ledger["b"]["folded"], ledger["b"]["dropped"]) == (5, 3, {"unknown_type": 2})
    assert (ledger["only"]["recorded"], ledger["only"]["dropped"]) == (1, {"unknown_type": 1})
    for path_zipped, bad, wanted in ((False, b"2\n\n", 400), (False, b"", 400)):
        assert post(agent.url, bad, zipped=path_zipped)[0] == wanted
    assert post(agent.url, b"1\n\nc\n\nt\n" + b" " * (20 << 20), zipped=True)[0] == 413
    assert post(agent.url, b"1\n\nc\n\nt\n" + b"x\n" * 600_000, zipped=True)[0] == 413
    assert post(agent.url, zlib.compress(b"x" * 100)[:-3], zipped=False)[0] == 400
    assert post(agent.url, encode({"b": {"b.a": [("CounterGroup", time.time(), 1)]}}))[0] == 200
    settled(server, "b.a", {"b.a": 4.0})


def test_events_keep_their_seconds(world):
    """A body that tells of many seconds is as many frames: each event is in its own slice."""
    server, agent = world
    begin = int(time.time()) - 100
    told = {"s": {"s.t": [("CounterGroup", begin + n / 10, n // 10) for n in range(100)]}}
    assert post(agent.url, encode(told))[1]["accepted"] == 100
    settled(server, "s.t", {"s.t": 450.0})
    points = server.get("/v1/series", tab="s.t", from_=begin, to=begin + 20, step="1s")["tabs"]["s.t"]
    assert [(point["time"] - begin, point["count"], point["total"]) for point in points] == [
        (second, 10, 10.0 * second) for second in range(10)
    ]


def test_the_last_of_a_gauges_values_holds(world):
    """Of numbers, texts and expiring values of one second the last is kept; the others are counted as superseded."""
    server, agent = world
    now = int(time.time()) - 2
    values = [
        ("Gauge", now + 0.1, 5),
        ("Gauge", now + 0.2, "on"),
        ("ExpiryGauge", now + 0.3, ["x", now + 99]),
        ("Gauge", now + 0.4, "off"),
    ]
    assert (
        post(agent.url, encode({"g": {"g.state": values, "g.n": [("Gauge", now, n) for n in range(5)]}}))[1]["accepted"]
        == 9
    )
    wait_until(lambda: ask(server.url, "/tabs", name="g.state,g.n") == {"g.state": {"off": 1}, "g.n": {"4": 1}})
    assert server.get("/v1/ledger")["ledger"]["g"]["dropped"] == {"superseded": 3}
