"""How fresh and how complete answers are: within a second, and never said to be more complete than they are."""

import asyncio
import json
import threading
import time
from contextlib import closing

from server_process import FRAME, ServerProcess, frame_bytes, wait_until
from starlette.requests import Request

from taba import frame
from taba.config import Settings
from taba.server import submissions
from taba.server.answering import Answering
from taba.server.app import Handlers
from taba.server.service import Service
from taba.states.query import Selection, Window


def test_an_event_is_in_the_answer_within_a_second(tmp_path):
    """At the defaults, through HTTP, over and over: from sending to seeing it takes less than a second.

    A machine that is busy may hold up some of them, and not most.
    """
    server = ServerProcess(tmp_path)
    server.record([{"tab": "warm", "value": 1}])
    server.totals("warm")
    took = []
    for number in range(1, 8):
        begun = time.monotonic()
        server.record([{"tab": "fresh", "value": 1}])
        while server.totals("fresh", "1m", "count").get("fresh") != number:
            assert time.monotonic() < begun + 60
        took.append(time.monotonic() - begun)
    assert sorted(took)[3] < 1.0, took
    server.close()


def complete_to(server):
    return server.get("/v1/aggregates", tab="none")["complete_to"]


def test_complete_to_waits_for_the_slowest_live_client(server):
    """Never later than what each live client has sent; a client that closes is not waited for any more."""
    before = time.time()
    assert before - 1 < complete_to(server) <= time.time()
    now = time.time()
    server.post(frame_bytes("fast", 1, {"a": [1]}, start=now - 0.25, stop=now), FRAME)
    server.post(frame_bytes("slow", 1, {"a": [1]}, start=now - 5.25, stop=now - 5), FRAME)
    wait_until(lambda: complete_to(server) == now - 5)
    for name in ("/v1/aggregates", "/v1/projections", "/v1/series", "/v1/tabs", "/v1/clients"):
        assert server.get(name)["complete_to"] == now - 5
    server.post(frame_bytes("slow", 2, {}, start=now - 5, stop=now - 3), FRAME)
    wait_until(lambda: complete_to(server) == now - 3)
    server.post(frame_bytes("slow", 3, {"a": [1]}, start=now - 3, stop=now - 3, closing=True), FRAME)
    wait_until(lambda: complete_to(server) >= now)
    # A client that begins again is waited for again.
    server.post(frame_bytes("slow", 1, {}, epoch="again", start=now - 3, stop=now - 2), FRAME)
    wait_until(lambda: complete_to(server) == now - 2)


def test_a_silent_client_is_not_waited_for_for_ever(server):
    """A client that has died holds answers back for ten seconds since it was heard, no longer; it stays known."""
    now = time.time()
    server.post(frame_bytes("dead", 1, {"a": [1]}, start=now - 9, stop=now - 8.5), FRAME)
    assert complete_to(server) == now - 8.5
    wait_until(lambda: complete_to(server) > now)
    assert time.time() > now + 9
    assert clients(server) == {"current": 0, "known": 1}


def clients(server):
    return server.get("/v1/aggregates", tab="none")["clients"]


def test_complete_to_waits_for_frames_that_are_missing(server):
    """What is complete ends where a frame is missing, and goes on once it or its tombstone has come."""
    now = time.time()

    def post(sequence, **more):
        body = frame_bytes(
            "gap", sequence, {"a": [1]}, start=now - 6 + sequence, stop=now - 5 + sequence, began=now - 5, **more
        )
        assert server.post(body, FRAME).status == 200

    post(4)
    wait_until(lambda: complete_to(server) == now - 5)
    post(1)
    wait_until(lambda: complete_to(server) == now - 4)
    post(3)
    assert complete_to(server) == now - 4
    drops = frame.Drops(["a"], ["full"], [1])
    grave = frame.Header("gap", "e", 2, now - 4, now - 3, drops=drops, began=now - 5, first=2)
    server.post(frame.encode(grave), FRAME)
    wait_until(lambda: complete_to(server) == now - 1)


def test_answers_say_of_how_many_clients_they_are(server):
    """Current are the clients that are heard and of which nothing is missing; known also the others, until they end."""
    assert clients(server) == {"current": 0, "known": 0}
    now = time.time()
    for name in ("one", "two", "late", "gap"):
        behind = 20 if name == "late" else 0
        server.post(frame_bytes(name, 1, {"a": [1]}, start=now - behind, stop=now - behind), FRAME)
    server.record([{"tab": "a", "value": 1}], client="json")
    wait_until(lambda: clients(server) == {"current": 4, "known": 5})
    server.post(frame_bytes("gap", 3, {"a": [1]}, start=now, stop=now), FRAME)
    server.post(frame_bytes("two", 2, {"a": [1]}, start=now, stop=now, closing=True), FRAME)
    wait_until(lambda: clients(server) == {"current": 3, "known": 4})
    for path in ("/v1/aggregates", "/v1/projections", "/v1/series", "/v1/tabs", "/v1/ledger"):
        assert server.get(path)["clients"] == {"current": 3, "known": 4}
    plain = server.get("/v1/aggregates", accept="text/plain", tab="a").body.decode()
    assert plain.splitlines()[1] == "# clients 3 of 4"


def test_complete_to_survives_a_restart(server):
    """What is complete follows from what is stored, not from what a process remembers."""
    now = time.time()
    server.post(frame_bytes("slow", 1, {"a": [1]}, start=now - 5, stop=now - 4), FRAME)
    server.kill()
    server.start()
    assert complete_to(server) == now - 4


def test_what_answers_say_is_complete_is_in_them(server):
    """While a client sends frame after frame: an answer that is complete to a frame's end has that frame's events."""
    stop = threading.Event()
    sent = []

    def send():
        number = 0
        while not stop.is_set():
            number += 1
            end = time.time()
            server.post(frame_bytes("steady", number, {"steady": [1]}, start=end, stop=end), FRAME)
            sent.append(end)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end or len(sent) < 4:
            answer = server.get("/v1/aggregates", tab="steady", window="1h")
            if "steady" in answer["tabs"]:
                known = [moment for moment in list(sent) if moment <= answer["complete_to"]]
                assert answer["tabs"]["steady"]["1h"]["count"] >= len(known)
    finally:
        stop.set()
        thread.join()


def test_an_answer_is_complete_to_before_it_was_read(tmp_path):
    """What arrives while an answer is worked out does not make that answer more complete."""
    now = [1_700_000_000.0]
    service = Service(Settings(data=tmp_path), lambda: now[0])

    def post(sequence, stop):
        body = frame_bytes("c", sequence, {"a": [1]}, start=stop - 0.5, stop=stop)
        service.intake.fold(submissions.read(FRAME, body, {}, None, now[0]))

    class Busy:
        """The service, to which a frame comes between its reading and its answering."""

        def __getattr__(self, name):
            return getattr(service, name)

        def windows(self, *arguments):
            found = service.windows(*arguments)
            now[0] += 5
            post(2, 1_700_000_004.0)
            return found

    post(1, 1_699_999_999.0)
    scope = {"type": "http", "method": "GET", "query_string": b"tab=a&window=1m", "headers": []}
    response = asyncio.run(Handlers(Busy(), Answering(service)).aggregates(Request(scope)))
    answer = json.loads(response.body)
    assert (answer["complete_to"], answer["tabs"]["a"]["1m"]["count"]) == (1_699_999_999.0, 1)
    service.store.close()


def test_events_that_come_late_are_counted(server):
    """Of frames and of JSON alike, by client; what comes in time is not among them, and they are in their own time."""
    now = time.time()
    server.post(frame_bytes("backlog", 1, {"orders": [1.0] * 7}, start=now - 61, stop=now - 60), FRAME)
    server.post(frame_bytes("backlog", 2, {"orders": [1.0] * 5}), FRAME)
    server.record([{"tab": "orders", "value": 1, "time": now - 30}, {"tab": "orders", "value": 1}], client="c1")
    late = server.get("/v1/projections", tab="taba.client.late", window="1m")["tabs"]["taba.client.late"]
    assert {client: found["1m"]["total"] for client, found in late.items()} == {"backlog": 7, "c1": 1}
    assert server.totals("orders", "1d") == {"orders": 14}


def test_what_is_said_to_be_complete_has_the_tabs_of_other_servers(tmp_path):
    """A tab that is new, and came to another server on the store, is in each answer that claims to be that complete."""
    settings = Settings(data=tmp_path, shards=2)
    with closing(Service(settings)) as one, closing(Service(settings)) as other:
        answering = Answering(other)
        claimed = 0
        for sequence in range(1, 60):
            now = time.time()
            body = frame_bytes("maker", sequence, {f"made.{sequence}": [1]}, start=now - 0.01, stop=now)
            one.intake.fold(submissions.read(FRAME, body, {}, None, now))
            time.sleep(0.013 * (sequence % 5))
            complete = answering.head()["complete_to"]
            if complete >= now:
                claimed += 1
                window = Window("10m", now - 600, time.time() + 60)
                assert list(other.windows(Selection([f"made.{sequence}"]), [window])), f"{sequence} of {claimed}"
        assert claimed > 3


def test_answers_say_how_many_events_came_late(server):
    """An event that was older than ten seconds when it came is in its own slice, and counted in every answer's head."""
    now = time.time()
    server.record([{"tab": "late", "value": 1, "time": now - age} for age in (0, 1, 30, 200)])
    wait_until(lambda: server.get("/v1/aggregates", tab="late", window="10m")["late"] == 2)
    for path in ("/v1/projections", "/v1/series", "/v1/tabs", "/v1/clients", "/v1/ledger", "/v1/watches"):
        assert server.get(path)["late"] == 2, path
