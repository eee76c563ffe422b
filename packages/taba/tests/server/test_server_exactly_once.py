"""Each event counts once: through repeats, races, kill -9 and restarts, in whatever form it was sent."""

import http.client
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import msgspec
import pytest
from server_process import FRAME, JSON, NDJSON, ServerProcess, frame_bytes, is_read, lines, wait_until

CLIENTS = 6


@pytest.fixture
def store(either_store):
    """All tests here run on SQLite and on Redis."""
    return either_store


def test_a_repeated_request_counts_once(server):
    """The same source and sequence again, at any time, is told to be a repeat and counts nothing."""
    body = msgspec.json.encode({"client": "c", "events": [{"tab": "a", "value": 3}]})
    assert server.post(body, taba_source="s", taba_sequence="1").content == {"accepted": 1, "rejected": []}
    for _ in range(3):
        answer = server.post(body, taba_source="s", taba_sequence="1")
        assert answer.content == {"accepted": 0, "rejected": [], "duplicate": True}
    server.post(body, taba_source="s", taba_sequence="3")
    server.post(body, taba_source="s", taba_sequence="2")
    server.post(body, taba_source="other", taba_sequence="1")
    server.post(body)
    server.post(body)
    assert server.totals("a") == {"a": 18.0}


def test_a_rejection_counts_once(server):
    """What is rejected is counted as lost once, however often the request is repeated."""
    body = msgspec.json.encode({"client": "c", "events": [{"tab": "a", "value": "x"}, {"tab": "a", "value": 1}]})
    for _ in range(3):
        server.post(body, taba_source="s", taba_sequence="1")
    assert server.totals("a") == {"a": 1.0}
    assert server.dropped() == {("wrong_type", "a"): 1.0}


def test_the_same_request_many_times_at_once(server):
    """Of a request that is sent ten times at the same moment one is taken and nine are repeats."""
    bodies = [msgspec.json.encode({"client": "c", "events": [{"tab": "a", "value": 2**n}]}) for n in range(20)]

    def send(number):
        return server.post(bodies[number], taba_source="s", taba_sequence=str(number + 1)).content

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(send, [number for number in range(20) for _ in range(10)]))
    assert sum(answer["accepted"] for answer in answers) == 20
    assert sum(answer.get("duplicate", False) for answer in answers) == 180
    assert server.totals("a") == {"a": 2.0**20 - 1}


def test_repeats_are_known_after_kill_9(server):
    """Receipts are stored with the events, so a server that was killed knows its repeats."""
    body = frame_bytes("c", 1, {"a": [1, 2]})
    server.post(body, FRAME)
    server.record([{"tab": "a", "value": 4}], taba_source="s", taba_sequence="9")
    for _ in range(2):
        server.kill()
        server.start()
        assert server.post(body, FRAME).content["duplicate"] is True
        assert server.record([{"tab": "a", "value": 4}], taba_source="s", taba_sequence="9")["duplicate"] is True
    assert server.totals("a") == {"a": 7.0}


def test_stopping_answers_what_is_under_way(tmp_path, store):
    """SIGTERM: requests that were taken are stored and answered; the others were not taken."""
    server = ServerProcess(tmp_path, gather_ms=300, **store)
    address = urlsplit(server.url)
    opened = [http.client.HTTPConnection(address.hostname, address.port, timeout=60) for _ in range(10)]
    for number, one in enumerate(opened):
        body = msgspec.json.encode({"client": "c", "events": [{"tab": "a", "value": 2**number}]})
        one.request("POST", "/v1/events", body, {"Content-Type": JSON})
    wait_until(lambda: all(is_read(one.sock) for one in opened))
    server.stop()
    assert [one.getresponse().status for one in opened] == [200] * 10
    server.start()
    assert server.totals("a") == {"a": 1023.0}
    server.close()


def test_a_types_parameter_may_be_written_in_any_way(server):
    """The same type in another writing is no conflict; another parameter is."""
    writings = [("30", "30.0", "3e1"), ("30.0", "30"), ("2592000", "2592000.0", "2.592e6"), ("0.25", "25e-2")]
    for tab, parameters in enumerate(writings):
        for parameter in (*parameters, *parameters):
            server.record(
                [{"tab": f"g{tab}", "type": f"gauge({parameter})", "value": 1}, {"tab": f"g{tab}", "value": 2}]
            )
    event = {"tab": "g0", "type": "gauge(7)", "value": 1}
    answer = server.post(msgspec.json.encode({"client": "c", "events": [event]}))
    assert "is of type gauge(30), not gauge(7)" in answer.content["rejected"][0]["error"]


class Poster(threading.Thread):
    """A client that numbers its requests and repeats each until it is answered, as agents do."""

    def __init__(self, server, name, until):
        super().__init__()
        self.server, self.client, self.until = server, name, until
        self.random = random.Random(name)
        self.counts, self.repeats = {}, 0

    def run(self):
        sequence = 0
        while time.monotonic() < self.until:
            sequence += 1
            events = [
                {
                    "tab": f"t{self.random.randrange(20)}",
                    "value": self.random.randint(-8, 80) / 8,
                    "client": self.client,
                }
                for _ in range(self.random.randint(1, 40))
            ]
            self.deliver(sequence, events)
            for event in events:
                count, total = self.counts.get(event["tab"], (0, 0))
                self.counts[event["tab"]] = count + 1, total + event["value"]

    def deliver(self, sequence, events):
        content_type, body, headers = self.written(sequence, events)
        while True:
            try:
                answer = self.server.post(body, content_type, **headers)
                if answer.status == 200:
                    return
                assert answer.status == 503, answer
            except (OSError, http.client.HTTPException):
                pass
            self.repeats += 1
            time.sleep(0.01)

    def written(self, sequence, events):
        headers = {"taba_source": self.client, "taba_sequence": str(sequence)}
        form = sequence % 3
        if form == 0:
            return "application/json", msgspec.json.encode({"events": events}), headers
        if form == 1:
            return NDJSON, lines(events), headers
        by_tab = {}
        for event in events:
            by_tab.setdefault(event["tab"], []).append(event["value"])
        # A frame has an identity of its own.
        return FRAME, frame_bytes(self.client, sequence, by_tab), {}


def kill_while_posting(server, seconds, kills):
    rng = random.Random(7)
    until = time.monotonic() + seconds
    posters = [Poster(server, f"c{number}", until) for number in range(CLIENTS)]
    for poster in posters:
        poster.start()
    for _ in range(kills):
        time.sleep(rng.uniform(0.3, 0.9) * seconds / kills)
        server.kill()
        server.start()
    for poster in posters:
        poster.join(60)
    assert not any(poster.is_alive() for poster in posters)
    expected = {}
    for poster in posters:
        for tab, (count, total) in poster.counts.items():
            before = expected.get(tab, (0, 0))
            expected[tab] = before[0] + count, before[1] + total
    return posters, expected


def check_exact(server, posters, expected):
    assert server.totals("t*", "1h") == {tab: total for tab, (_, total) in expected.items()}
    assert server.totals("t*", "1h", "count") == {tab: count for tab, (count, _) in expected.items()}
    found = server.get("/v1/projections", tab="t*", window="1h")["tabs"]
    for poster in posters:
        for tab, (count, total) in poster.counts.items():
            answer = found[tab][poster.client]["1h"]
            assert (answer["count"], answer["total"]) == (count, total)
    taken = server.get("/v1/aggregates", tab="taba.client.events", client="c*", window="1h")["tabs"]
    assert taken["taba.client.events"]["1h"]["total"] == sum(count for count, _ in expected.values())
    assert server.dropped() == {}


def test_kill_9_while_clients_post(server):
    """Clients repeat what was not answered; at the end every total is exact, of every client, after compaction too."""
    posters, expected = kill_while_posting(server, seconds=4, kills=3)
    check_exact(server, posters, expected)
    assert sum(poster.repeats for poster in posters) > 0
    server.settle()
    check_exact(server, posters, expected)
    server.kill()
    server.start()
    check_exact(server, posters, expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kill_9_again_and_again(server):
    """The same for minutes, with dozens of kills."""
    posters, expected = kill_while_posting(server, seconds=120, kills=60)
    check_exact(server, posters, expected)
