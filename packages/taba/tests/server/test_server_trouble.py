"""Limits, overload, a full disk, damage, a type that is missing: clear answers, and nothing acknowledged is lost."""

import contextlib
import http.client
import sqlite3
import subprocess
import threading
import time

import msgspec
import pytest
from disks import small_disk
from handler_cases import EWMA
from server_process import FRAME, ServerProcess, frame_bytes, wait_until


@pytest.fixture
def started(tmp_path):
    """Start servers with settings of the test's own."""
    servers = []

    def start(folder=tmp_path, **settings):
        servers.append(ServerProcess(folder, **{"gather_ms": 10} | settings))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def test_the_limit_of_tabs(started):
    """Beyond the limit new tabs are rejected and counted; known ones go on, and losses make no tabs without end."""
    server = started(limits={"tabs": 20}, gather_ms=2)
    events = [{"tab": f"t{number}", "value": 1} for number in range(200)]
    answer = server.post(msgspec.json.encode({"client": "c", "events": events}))
    assert answer.status == 200
    assert 0 < answer.content["accepted"] <= 20
    assert "the limit of 20 tabs (limits.tabs) is reached" in answer.content["rejected"][0]["error"]
    again = server.post(msgspec.json.encode({"client": "c", "events": events}))
    assert again.content["accepted"] == answer.content["accepted"]
    for number in range(200, 230):
        server.post(frame_bytes("c", number, {f"t{number}": [1], "text": [1]}), FRAME)
    lost = sum(count for (reason, _), count in server.dropped().items() if reason == "tab_limit")
    assert lost == 2 * (200 - answer.content["accepted"]) + 60
    # The server still says how it is.
    assert server.totals("taba.server.fold.ms", of="count")["taba.server.fold.ms"] > 30
    assert len(server.get("/v1/tabs", match=["*", "taba.*"])["tabs"]) < 60


def test_more_than_may_wait(started):
    """What cannot be folded in time is told to come again; the same bytes then count once."""
    server = started(limits={"pending_mb": 1}, gather_ms=700)
    body = msgspec.json.encode({"client": "c", "events": [{"tab": "a", "value": 1}] * 20_000})
    assert len(body) < 1 << 20 < 3 * len(body)
    statuses, sequences = [], [str(number) for number in range(1, 7)]

    def send(sequence):
        while True:
            answer = server.post(body, taba_source="s", taba_sequence=sequence)
            statuses.append(answer.status)
            if answer.status == 200:
                return
            assert answer.status in (429, 503)
            assert answer.headers["retry-after"].isdigit()
            assert "limits.pending_mb" in answer.content["error"]
            time.sleep(0.2)

    threads = [threading.Thread(target=send, args=(sequence,)) for sequence in sequences]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses.count(200) == len(sequences)
    assert len(statuses) > len(sequences)
    assert server.totals("a") == {"a": 120_000.0}


def test_a_full_disk(started, tmp_path):
    """While the disk is full events get 503 and ping says why; nothing taken is lost, and it goes on by itself."""
    with small_disk(tmp_path / "disk", "6m") as disk:
        server = started(data=str(disk / "data"))
        total = 0
        server.record([{"tab": "a", "value": 1}])
        with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))
        for sequence in range(1, 200):
            events = [{"tab": f"b{n}", "type": "top", "value": f"{sequence}-{n}"} for n in range(50)]
            body = msgspec.json.encode({"client": "c", "events": [*events, {"tab": "a", "value": 1}]})
            answer = server.post(body, taba_source="s", taba_sequence=str(sequence))
            if answer.status != 200:
                break
            total += 1
        assert answer.status == 503, answer
        assert answer.headers["retry-after"] == "1"
        assert "is full: make room on it" in answer.content["error"]
        ping = server.request("GET", "/ping")
        assert ping.status == 503
        assert "is full" in ping.content["status"]
        assert server.totals("a") == {"a": total + 1.0}
        (disk / "ballast").unlink()
        # Whoever asks before sending must learn that there is room again.
        wait_until(lambda: server.request("GET", "/ping").status == 200)
        assert server.post(body, taba_source="s", taba_sequence=str(sequence)).status == 200
        assert server.totals("a") == {"a": total + 2.0}
        server.kill()
        server.start()
        assert server.totals("a") == {"a": total + 2.0}
        server.close()


def test_a_damaged_chunk(started, tmp_path):
    """Bytes of a chunk that changed: questions about its type in its shard say so, all others are answered."""
    server = started(shards=1)
    server.record([{"tab": "a", "value": 1}, {"tab": "b", "type": "top", "value": "x"}])
    server.stop()
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "taba.db", isolation_level=None)) as database:
        (body,) = database.execute("SELECT body FROM chunks WHERE type = 'top' LIMIT 1").fetchone()
        changed = body[:100] + bytes([body[100] ^ 1]) + body[101:]
        database.execute("UPDATE chunks SET body = ? WHERE type = 'top'", (changed,))
    server.start()
    assert server.totals("a") == {"a": 1.0}
    answer = server.request("GET", "/v1/aggregates?tab=b")
    assert (answer.status, list(answer.content)) == (503, ["error"])
    assert "is damaged: its checksum does not fit. Restore the store from a backup" in answer.content["error"]
    # The compactor goes on with what it can read, and says once what it cannot.
    for _ in range(3):
        server.record([{"tab": "a", "value": 1}, {"tab": "z", "type": "uniques", "value": "x"}])
    wait_until(lambda: {"counter", "uniques"} <= server.types("fleet"))
    assert server.totals("a") == {"a": 4.0}
    assert server.log().count("checksum does not fit") <= 2


def test_a_users_type(started):
    """A handler of the user's own has windows, series, clients and groups without a line about them."""
    server = started(handlers=[str(EWMA)])
    now = time.time()
    for client in ("c1", "c2"):
        events = [{"tab": f"e{{k={n % 2}}}", "type": "ewma", "value": 6, "time": now - 10 + n} for n in range(10)]
        server.record(events, client=client)
    found = server.get("/v1/aggregates", tab="e", by="")["tabs"]["e"]["1m"]
    assert 1.5 < found["rate"] < 2.0
    assert set(server.get("/v1/projections", tab="e{k=1}")["tabs"]["e{k=1}"]) == {"c1", "c2"}
    assert server.get("/v1/series", tab="e", step="5s")["tabs"]["e{k=0}"]
    server.stop()
    assert server.log() == ""


def test_a_type_that_is_missing(started, tmp_path):
    """Started without a user's handler: its tabs are listed, their events rejected and counted, their States kept."""
    server = started(handlers=[str(EWMA)])
    server.record([{"tab": "e", "type": "ewma", "value": 6}, {"tab": "a", "value": 1}])
    server.stop()
    server = started()
    assert server.get("/v1/tabs", match="e")["tabs"][0]["type"] == "ewma"
    assert server.get("/v1/aggregates")["tabs"].keys() == {"a"}
    answer = server.post(msgspec.json.encode({"client": "c", "events": [{"tab": "e", "value": 1}]}))
    assert "ewma" in answer.content["rejected"][0]["error"]
    assert server.dropped() == {("unknown_type", "e"): 1.0}
    wait_until(lambda: "counter" in server.types("fleet"))
    server.stop()
    server = started(handlers=[str(EWMA)])
    assert server.get("/v1/aggregates", tab="e", window="1h")["tabs"]["e"]["1h"]["rate"] > 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"handlers": ["nowhere.py"]}, "there is no handler file nowhere.py"),
        ({"host": "203.0.113.1", "insecure": True}, "cannot listen on 203.0.113.1"),
        ({"host": "no.such.host.invalid"}, "cannot listen on no.such.host.invalid"),
    ],
)
def test_a_server_that_cannot_start(tmp_path, settings, words):
    """It ends at once, with the reason."""
    with pytest.raises(AssertionError, match=words):
        ServerProcess(tmp_path, **settings)


def test_connections_that_say_nothing(started):
    """Hundreds of idle and half-open connections keep nobody from being answered."""
    server = started(limits={"head_s": 60.0, "body_s": 60.0})
    host, port = server.url.removeprefix("http://").split(":")
    idle = [http.client.HTTPConnection(host, int(port), timeout=60) for _ in range(200)]
    for number, connection in enumerate(idle):
        connection.connect()
        if number % 2:
            connection.send(b"POST /v1/events HTTP/1.1\r\nContent-Length: 10\r\n\r\n{")
    begun = time.monotonic()
    server.record([{"tab": "a", "value": 1}])
    assert server.totals("a") == {"a": 1.0}
    assert time.monotonic() - begun < 55
    for connection in idle:
        connection.close()


def test_memory_stays_bounded(started):
    """Hundreds of requests later the server is hardly larger than before."""
    server = started(cache_mb=1, gather_ms=1)

    def resident():
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(server.pid)], capture_output=True, text=True, check=True)
        return int(told.stdout) / 1024

    def load():
        for _ in range(40):
            server.record([{"tab": f"t{n % 10}", "value": 1} for n in range(20)])

    load()
    before = resident()
    load()
    load()
    assert resident() < before + 100


FRAIL = """
import polars as pl

from taba.handlers import Handler, Measure


class Frail(Handler):
    "The sum of small numbers."

    type = "frail"
    measures = {"small": Measure(fold=pl.col("number").cast(pl.Int8, strict=True).sum(), merge="sum")}
    projection = {"small": pl.col("small")}
    empty = {"small": 0}
"""


def test_what_a_handler_fails_on_is_refused_and_not_repeated_for_ever(started, tmp_path):
    """It would fail again: 400, so that a client or an agent gives it up, counts it, and goes on with the next."""
    (tmp_path / "frail.py").write_text(FRAIL)
    server = started(handlers=[str(tmp_path / "frail.py")])
    events = [{"tab": "f", "type": "frail", "value": 300}]
    answer = server.post(msgspec.json.encode({"client": "c", "events": events}))
    assert answer.status == 400
    assert "could not be folded" in answer.content["error"]
    server.record([{"tab": "f", "type": "frail", "value": 3}])
    assert server.get("/ping")["status"] == "ok"
    (tmp_path / "server.log").write_text("")  # the failure is logged with its traceback, which is right here
