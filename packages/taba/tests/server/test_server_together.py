"""Two servers on one store, a data directory or a Redis: one truth, whichever of them is asked, and whichever dies."""

import http.client
import random
import threading
import time

import msgspec
import pytest
from server_process import FRAME, ServerProcess, frame_bytes, wait_until

from taba import frame

CLIENTS = 5


@pytest.fixture
def store(either_store):
    """All tests here run on SQLite and on Redis."""
    return either_store


@pytest.fixture
def pair(tmp_path, store):
    """Two servers that share their data."""
    servers = []
    try:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            servers.append(ServerProcess(tmp_path / name, data=str(tmp_path / "data"), gather_ms=10, **store))
        yield servers
    finally:
        for server in servers:
            server.close()


def test_a_frame_that_went_to_one_counts_nothing_at_the_other(pair):
    """Frames, tombstones and numbered requests of JSON: a repeat is known by both."""
    a, b = pair
    body = frame_bytes("c", 1, {"x": [1, 2]})
    drops = frame.Drops(["x"], ["full"], [2])
    grave = frame.encode(frame.Header("c", "e", 1, 1.0, 2.0, drops=drops, first=1))
    assert a.post(body, FRAME).content["accepted"] == 2
    for again in (body, grave):
        assert b.post(again, FRAME).content["duplicate"] is True
    b.record([{"tab": "x", "value": 4}], taba_source="s", taba_sequence="1")
    assert a.record([{"tab": "x", "value": 4}], taba_source="s", taba_sequence="1")["duplicate"] is True
    assert a.totals("x") == b.totals("x") == {"x": 7.0}
    ledgers = [server.get("/v1/ledger")["total"] for server in pair]
    assert ledgers[0] == ledgers[1] == {"recorded": 3, "folded": 3, "dropped": {}, "in_flight": 0}


def test_what_one_takes_the_other_answers(pair):
    """A tab that came to be at one server is soon in the other's lists and answers, with its completeness."""
    a, b = pair
    assert b.totals("*") == {}
    took = []
    for number in range(5):
        for server, other in ((a, b), (b, a)):
            tab = f"t{number}.{server.pid}"
            server.post(frame_bytes("c", 1, {tab: [3]}, epoch=tab), FRAME)
            begun = time.monotonic()
            wait_until(lambda other=other, tab=tab: other.totals(tab) == {tab: 3.0})
            took.append(time.monotonic() - begun)
    assert sorted(took)[7] < 5, took
    assert [told["tab"] for told in a.get("/v1/tabs")["tabs"]] == [told["tab"] for told in b.get("/v1/tabs")["tabs"]]
    assert a.get("/v1/clients")["clients"] == b.get("/v1/clients")["clients"]


def test_a_name_has_one_type_at_both(pair):
    """The type that a name was given at one server holds at the other at once, also for events that name none."""
    a, b = pair
    a.record([{"tab": "kind", "type": "gauge", "value": 5}])
    answer = b.post(msgspec.json.encode({"client": "c", "events": [{"tab": "kind", "type": "counter", "value": 1}]}))
    assert "tab kind is of type gauge, not counter" in answer.content["rejected"][0]["error"]
    b.record([{"tab": "kind", "value": 7}], client="c2")
    assert a.get("/v1/aggregates", tab="kind")["tabs"]["kind"]["1m"]["sum"] == 12.0


def test_both_compact(pair):
    """Both servers' compactors work on the same chunks; nothing is lost or doubled by it, and neither complains."""
    a, b = pair
    for number in range(1, 41):
        (a, b)[number % 2].post(frame_bytes("c", number, {f"t{number % 7}": [1]}), FRAME)
        time.sleep(0.05)
    a.settle()
    assert sum(a.totals("t*").values()) == sum(b.totals("t*").values()) == 40
    for server in pair:
        assert "failed" not in server.log()


class Sender(threading.Thread):
    """A client that sends each frame to either server, again until one has answered."""

    def __init__(self, servers, name, until):
        super().__init__()
        self.servers, self.client, self.until = servers, name, until
        self.random = random.Random(name)
        self.count = self.total = self.repeats = self.duplicates = 0

    def run(self):
        sequence = recorded = 0
        while time.monotonic() < self.until:
            sequence += 1
            values = [float(self.random.randint(1, 9)) for _ in range(self.random.randint(1, 20))]
            recorded += len(values)
            tab = f"t{self.random.randrange(9)}"
            self.deliver(frame_bytes(self.client, sequence, {tab: values}, recorded=recorded))
            self.count, self.total = self.count + len(values), self.total + sum(values)

    def deliver(self, body):
        while True:
            try:
                answer = self.random.choice(self.servers).post(body, FRAME)
            except (OSError, http.client.HTTPException):
                self.repeats += 1
                time.sleep(0.02)
                continue
            assert answer.status in (200, 503), answer
            self.duplicates += bool(answer.content.get("duplicate"))
            # Now and then an answer is lost on its way.
            if answer.status == 200 and self.random.random() < 0.9:
                return


def test_kill_9_of_one_while_the_other_goes_on(pair):
    """Clients send to whichever answers; at the end both have every event once, and nothing is in flight."""
    until = time.monotonic() + 6
    senders = [Sender(pair, f"k{number}", until) for number in range(CLIENTS)]
    for sender in senders:
        sender.start()
    rng = random.Random(3)
    try:
        for number in range(4):
            time.sleep(rng.uniform(0.4, 0.9))
            pair[number % 2].kill()
            pair[number % 2].start()
    finally:
        for sender in senders:
            sender.join(60)
    assert not any(sender.is_alive() for sender in senders)
    assert sum(sender.repeats for sender in senders) > 0
    assert sum(sender.duplicates for sender in senders) > 0
    for server in pair:
        assert sum(server.totals("t*").values()) == sum(sender.total for sender in senders)
        assert sum(server.totals("t*", of="count").values()) == sum(sender.count for sender in senders)
        told = server.get("/v1/ledger", client="k*")
        for sender in senders:
            row = told["ledger"][sender.client]
            assert (row["recorded"], row["folded"], row["in_flight"]) == (sender.count, sender.count, 0)
        assert told["total"]["dropped"] == {}
        assert server.dropped() == {}
