"""`GET /v1/noisiest`: who records most, by events and by States."""

import csv
import io
import time

import pytest
from server_process import FRAME, ServerProcess, frame_bytes

from taba.frame import Drops


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A loud client, a quiet one, and tabs of every kind of count."""
    server = ServerProcess(tmp_path_factory.mktemp("noisiest"), gather_ms=2)
    loud = [{"tab": "orders", "value": 1}] * 60
    loud += [{"tab": "request.ms", "type": "percentile", "value": float(number + 1)} for number in range(30)]
    loud += [{"tab": "queue", "type": "gauge", "value": number} for number in range(10)]
    server.record(loud, client="loud")
    quiet = [{"tab": "orders", "value": 1}, {"tab": "errors", "type": "buffer", "value": "oh"}]
    server.record(quiet, client="quiet")
    yield server
    server.close()


def named(rows, key):
    return {row[key]: row for row in rows}


def test_clients_by_all_their_events(server):
    """A client's events are all that it recorded, also to tabs whose type counts none."""
    answer = server.get("/v1/noisiest")
    clients = answer["noisiest"]["clients"]
    assert [row["client"] for row in clients] == ["loud", "quiet"]
    assert [(row["events"], row["tabs"], row["dropped"]) for row in clients] == [(100, 3, 0), (2, 2, 0)]
    assert answer["total"] == {
        "events": 102,
        "counted": 91,
        "states": answer["total"]["states"],
        "clients": 2,
        "tabs": 4,
    }
    assert answer["clients"] == {"current": 2, "known": 2}, "like each answer it says how complete it is"
    assert answer["complete_to"] > time.time() - 60


def test_tabs_by_what_their_type_counts(server):
    """A count is said where it is one: a gauge and a buffer keep only their last values, and say null."""
    tabs = server.get("/v1/noisiest", order="events")["noisiest"]["tabs"]
    found = [(row["tab"], row["type"], row["events"], row["clients"]) for row in tabs]
    assert found[:2] == [("orders", "counter", 61, 2), ("request.ms", "percentile", 30, 1)]
    assert {row[:3] for row in found[2:]} == {("queue", "gauge", None), ("errors", "buffer", None)}


def test_the_order_of_states_shows_what_costs_most(server):
    """A sketch with thirty bins costs more than a counter of twice as many events."""
    tabs = server.get("/v1/noisiest", order="states")["noisiest"]["tabs"]
    assert tabs[0]["tab"] == "request.ms"
    assert tabs[0]["states"] >= 25 > named(tabs, "tab")["orders"]["states"] >= 2


def test_only_so_many_are_given_and_the_total_is_of_all(server):
    """The answer is bounded, and says of how much it is a part."""
    answer = server.get("/v1/noisiest", most=1)
    assert [len(answer["noisiest"][kind]) for kind in ("clients", "tabs")] == [1, 1]
    assert answer["total"]["tabs"] == 4


def test_events_lost_are_beside_those_counted(server):
    """A client that has events refused is loud too."""
    server.post(b'{"client": "wrong", "events": [{"tab": "orders", "value": "text"}, {"tab": "orders", "value": 1}]}')
    server.post(b'{"client": "hopeless", "events": [{"tab": "orders", "value": "text"}]}')
    drops = Drops(["orders"], ["memory"], [7])
    server.post(frame_bytes("lossy", 1, {"orders": [1.0]}, drops=drops), FRAME)
    clients = named(server.get("/v1/noisiest")["noisiest"]["clients"], "client")
    assert (clients["wrong"]["events"], clients["wrong"]["dropped"]) == (1, 1)
    assert (clients["lossy"]["events"], clients["lossy"]["dropped"]) == (1, 7)
    assert (clients["wrong"]["reasons"], clients["lossy"]["reasons"]) == ({"wrong_type": 1}, {"memory": 7})
    assert (clients["hopeless"]["events"], clients["hopeless"]["dropped"]) == (0, 1)
    assert clients["loud"]["dropped"] == 0


def test_tables_and_lines(server):
    """Programs take it as a table, people as lines."""
    rows = list(csv.DictReader(io.StringIO(server.get("/v1/noisiest", accept="text/csv").body.decode())))
    assert {row["kind"] for row in rows} == {"client", "tab"}
    assert rows[0]["name"] == "loud"
    assert b"client  loud  100" in server.get("/v1/noisiest", accept="text/plain").body


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("window=2h", "window: 2h is longer than 1h"),
        ("window=x", "window: 'x' is not a duration"),
        ("order=loudness", "order: 'loudness' is not events or states"),
        ("most=0", "most: '0' is not a whole number"),
        ("most=1e3", "most: '1e3' is not a whole number"),
        ("most=101", "most: 101 are asked for, and at most 100 are given"),
        ("tab=x", "tab: there is no such parameter"),
    ],
)
def test_bad_questions_are_told_what_is_wrong(server, query, told):
    """400, with the field."""
    answer = server.request("GET", f"/v1/noisiest?{query}")
    assert answer.status == 400
    assert told in answer.content["error"]


def test_nothing_recorded_is_an_empty_answer(tmp_path):
    """A new server has no noise."""
    server = ServerProcess(tmp_path, gather_ms=2)
    try:
        answer = server.get("/v1/noisiest")
        assert answer["noisiest"] == {"clients": [], "tabs": [], "names": []}
        assert answer["total"] == {"events": 0, "counted": 0, "states": 0, "clients": 0, "tabs": 0}
    finally:
        server.close()
