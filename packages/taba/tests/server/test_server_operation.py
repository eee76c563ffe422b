"""What an operator does with a running server: asks how it is, and gives it other settings."""

import contextlib
import http.client
import sqlite3
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from server_process import FRAME, frame_bytes, is_read, wait_until


def test_status(server, tmp_path):
    """How the server is and what it has, as JSON and as lines."""
    server.post(frame_bytes("c", 1, {"a": [1]}), FRAME)
    server.record([{"tab": "b", "value": 1}], client="j")
    found = server.get("/v1/status")
    assert found["status"] == "ok"
    assert found["pid"] == server.pid
    assert found["store"] == str(tmp_path / "data" / "taba.db")
    assert found["shards"] == 8
    assert found["accounts"] == found["clients"] == 2
    assert found["waiting_bytes"] == 0
    assert time.time() - 60 < found["started"] < time.time()
    assert found["tabs"] == len(server.get("/v1/tabs", match=["*", "taba.*"])["tabs"])
    plain = server.get("/v1/status", accept="text/plain").body.decode().splitlines()
    assert [line.split("  ")[0] for line in plain] == list(found)
    assert f"pid  {server.pid}" in plain
    assert server.request("GET", "/v1/status?verbose=1").status == 400


def refusal(server):
    return server.post(msgspec.json.encode({"client": "c", "events": [{"tab": "new", "value": 1}]})).content["rejected"]


def test_limits_can_be_changed_while_it_runs(server):
    """After SIGHUP the new limits hold, nothing is lost meanwhile, and what needs a restart is named."""
    server.record([{"tab": "a", "value": 1}])
    pid = server.pid
    server.reload(limits={"tabs": 1, "body_mb": 1, "answer_rows": 1, "future_s": 7200}, gather_ms=20, shards=3)
    wait_until(lambda: "the settings were read again" in server.log())
    assert "the settings were read again; shards need a restart" in server.log()
    assert "the limit of 1 tabs" in refusal(server)[0]["error"]
    assert server.post(b" " * (2 << 20)).status == 413
    assert server.request("GET", "/v1/aggregates?tab=a").status == 400
    server.record([{"tab": "a", "value": 1, "time": time.time() + 3600}])
    server.reload(limits={})
    wait_until(lambda: server.log().count("the settings were read again") == 2)
    assert refusal(server) == []
    assert server.totals("a", "1h") == {"a": 1.0}
    assert server.pid == pid


def test_bad_settings_change_nothing(server):
    """Settings that cannot be read are told, and the old ones hold; the log's level can change too."""
    server.reload(limits={"tabs": -3})
    wait_until(lambda: "the settings stay as they were" in server.log())
    assert refusal(server) == []
    server.reload(limits={"body_mb": 1}, log_level="error")
    wait_until(lambda: server.post(b" " * (2 << 20)).status == 413)
    server.reload(limits={"tabs": "many"})
    wait_until(lambda: server.log().count("the settings stay as they were") == 2)
    assert "the settings were read again" not in server.log()


def test_settings_that_need_a_restart_are_named_until_there_is_one(server, tmp_path):
    """Also when they are read again; and the status goes on saying what holds."""
    data = str(tmp_path / "data")
    for times in (1, 2):
        server.reload(shards=3, data=str(tmp_path / "elsewhere"))
        wait_until(lambda times=times: server.log().count("data, shards need a restart") == times)
    assert server.get("/v1/status")["store"] == str(Path(data) / "taba.db")
    server.reload(shards=8, data=data)
    wait_until(lambda: server.log().count("the settings were read again") == 3)
    assert server.log().count("need a restart") == 2


def open_files(pid, name):
    """How many files that are so named a process has open."""
    found = 0
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            found += name in str(one.readlink())
    return found


def test_bursts_of_questions_leave_nothing_open(server):
    """Threads that answer come and go; the files that are open do not grow with them."""
    server.record([{"tab": "a", "value": 1}])
    counts = []
    for burst in range(3):
        time.sleep(2 if burst else 0)  # idle threads have ended then
        threads = [threading.Thread(target=server.get, args=("/v1/aggregates",), kwargs={"tab": "a"}) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts.append(open_files(server.pid, "taba.db"))
    assert max(counts[1:]) <= counts[0] + 6, counts
    assert counts[-1] <= 3 * (4 + 4), counts


def asked(server, body):
    """A connection on which a frame was sent that the server has, and has begun to store."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.request("POST", "/v1/events", body, {"Content-Type": FRAME})
    wait_until(lambda: is_read(connection.sock))
    time.sleep(0.5)
    return connection


def test_a_stop_while_the_store_is_slow_ends(server, tmp_path):
    """Another process has the file for longer than requests may take: the server stores what it has, and ends. Who
    asked is told to send it again, and the same bytes then count once."""
    body = frame_bytes("c", 1, {"a": [1]})
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "taba.db", isolation_level=None)) as other:
        server.post(frame_bytes("c", 0 + 2, {"a": [1]}), FRAME)
        other.execute("BEGIN IMMEDIATE")
        asking = asked(server, body)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        answer = asking.getresponse()
        other.execute("ROLLBACK")
        stopping.join(60)
        assert not stopping.is_alive()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    server.start()
    assert server.post(body, FRAME).content.get("duplicate") is True
    assert server.totals("a") == {"a": 2.0}


def test_a_stop_waits_for_no_other_process_for_long(server, tmp_path):
    """One that hangs has the file locked: the server ends all the same, and what it could not store is sent again."""
    server.post(frame_bytes("c", 1, {"a": [1]}), FRAME)
    body = frame_bytes("c", 2, {"a": [1]})
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "taba.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asking = asked(server, body)
        server.stop()
        assert asking.getresponse().status == 503
    server.start()
    assert server.post(body, FRAME).status == 200
    assert server.totals("a") == {"a": 2.0}
