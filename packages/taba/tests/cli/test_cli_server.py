"""`taba server`: several processes on one port, as one service, whatever is killed."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from command_process import COMMAND, PATIENCE, Serving, environment, start, until
from engines import EngineServer, shared
from live_reader import LiveReader
from server_process import is_read

from taba.again import LONGEST_PAUSE, pause


@contextlib.contextmanager
def served(home: Path, workers: int, *arguments: object) -> Iterator[Serving]:
    serving: Any = start(home, "server", *(["--workers", workers] if workers else []), *arguments)
    try:
        yield serving
    finally:
        serving.close()


@contextlib.contextmanager
def connections(url: str, count: int) -> Iterator[list[http.client.HTTPConnection]]:
    """So many connections, all of them open at once."""
    address = urlsplit(url)
    opened = [http.client.HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE) for _ in range(count)]
    try:
        for one in opened:
            one.connect()
        yield opened
    finally:
        for one in opened:
            one.close()


def status(connection: http.client.HTTPConnection) -> dict[str, Any]:
    connection.request("GET", "/v1/status")
    return json.load(connection.getresponse())


def pids_by_connection(url: str, count: int) -> Counter[int]:
    """How many of so many connections each worker has."""
    with connections(url, count) as opened:
        return Counter(status(one).get("pid") for one in opened)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter while it is read
        return False


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def record(url: str, tab: str) -> int:
    """One event, over a connection of its own; the status."""
    with connections(url, 1) as (connection,):
        body = json.dumps({"client": "c", "events": [{"tab": tab, "value": 1}]})
        connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status


def test_connections_spread_over_the_workers_and_the_parent_stays_small(tmp_path):
    """Each worker gets a share of what comes; all answer from one store; the parent holds none of their libraries."""
    with served(tmp_path, 3) as serving:
        assert len(set(serving.told["pids"])) == 3
        assert sorted(children(serving.process.pid)) == sorted(serving.told["pids"])
        spread = pids_by_connection(serving.url, 40)
        assert set(spread) == set(serving.told["pids"])
        assert min(spread.values()) >= 2, spread
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: record(serving.url, "spread"), range(40))) == {200}
        assert serving.count("spread") == 40
        assert "polars" not in Path(f"/proc/{serving.process.pid}/maps").read_text()
        assert serving.run("tabs", "host.*").returncode == 1, "no metrics of this machine"
        code, told = serving.stop()
    assert (code, told) == (0, "")
    assert not any(runs(pid) for pid in serving.told["pids"])


def test_watchers_of_any_worker_see_what_any_worker_has_taken(tmp_path):
    """And a service that is stopped does not wait for them."""
    with served(tmp_path, 2) as serving, contextlib.ExitStack() as stack:
        readers = [
            stack.enter_context(contextlib.closing(LiveReader(serving.url, tab="seen", window="1h"))) for _ in range(12)
        ]
        for number in range(1, 7):
            assert record(serving.url, "seen") == 200
            for reader in readers:
                reader.shows_total("seen", float(number), "1h")
        assert serving.stop() == (0, "")
        for reader in readers:
            until(lambda: reader.ended)  # noqa: B023


def test_workers_share_the_processors(tmp_path):
    """Each computes with its part of them, and with one thread at least."""
    with served(tmp_path, 2) as serving:
        for pid in serving.told["pids"]:
            names = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/comm")]
            threads = [name for name in names if re.fullmatch(r"polars-\d+\n", name)]
            assert len(threads) == max((os.cpu_count() or 1) // 2, 1)


def test_what_waits_for_a_killed_worker_is_the_next_ones(tmp_path):
    """Connections that come while a worker is away wait for the one that takes its place, and none is refused."""
    with served(tmp_path, 2) as serving:
        killed, other = serving.told["pids"]
        os.kill(killed, signal.SIGKILL)
        until(lambda: not runs(killed))
        found = pids_by_connection(serving.url, 20)
        assert (killed in found, other in found, len(found)) == (False, True, 2)
        assert "was ended by SIGKILL; another starts in 0 s" in serving.await_told(f"worker {killed}")
        assert serving.stop()[0] == 0


def test_two_servers_never_share_a_port(tmp_path):
    """Though the workers of one do."""
    with served(tmp_path, 2) as serving:
        port = str(urlsplit(serving.url).port)
        for command in ("server", "up"):
            ended = serving.run(command, "--port", port, "--data", "other")
            assert ended.returncode == 1
            assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr


def test_what_is_under_way_is_answered_and_stored_before_the_end(tmp_path):
    """SIGTERM to the parent drains every worker."""
    with served(tmp_path, 2, "--gather-ms", 1500, "--data", "store") as serving:
        with connections(serving.url, 8) as opened:
            body = json.dumps({"client": "c", "events": [{"tab": "drained", "value": 1}]})
            for one in opened:
                one.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
            until(lambda: all(is_read(one.sock) for one in opened))
            code, told = serving.stop()
            assert [one.getresponse().status for one in opened] == [200] * 8
        assert (code, told) == (0, "")
    with served(tmp_path, 1, "--data", "store") as again:
        assert again.count("drained") == 8
        assert again.stop(signal.SIGINT) == (0, "")


@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.2])
def test_a_stop_while_it_starts_leaves_nothing(tmp_path, seconds):
    """Whatever has begun ends; what is left would hold the pipe, and the reading would not end."""
    process = subprocess.Popen(
        [*COMMAND, "server", "--port", "0", "--workers", "3"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(seconds)
    process.terminate()
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, -signal.SIGTERM)
    assert told == ""


def test_the_first_worker_serves_before_the_others_start(tmp_path):
    """It may have to make the store, or to change it, and has it alone meanwhile."""
    with served(tmp_path, 3) as serving:
        begun = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19] for pid in serving.told["pids"]]
        with connections(serving.url, 30) as opened:
            started = {told["pid"]: told["started"] for told in map(status, opened)}
        # Between the two clocks a busy machine may hold us up, and not a hundred times.
        boot = max(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) for _ in range(100))
        first, *others = serving.told["pids"]
        ticks = os.sysconf("SC_CLK_TCK")
        assert all(boot + int(ticked) / ticks > started[first] - 0.02 for ticked in begun[1:])
        assert all(started[other] > started[first] for other in others)


def test_workers_end_with_a_killed_parent(tmp_path):
    """No process is left that holds the port or the data."""
    with served(tmp_path, 2) as serving:
        serving.process.kill()
        serving.process.wait(PATIENCE)
        until(lambda: not any(runs(pid) for pid in serving.told["pids"]))
        address = urlsplit(serving.url)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.hostname, address.port), PATIENCE)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--store", "redis://127.0.0.1:1"], "redis://127.0.0.1:1"),
        (["--data", "file"], "the data directory file cannot be used"),
        (["--handlers", "nowhere.py"], "nowhere.py"),
    ],
)
def test_what_keeps_a_worker_from_serving_ends_the_command(tmp_path, arguments, expected):
    """The reason is told once, and nothing is left that runs: it would hold the pipe, and the reading would not end."""
    (tmp_path / "file").write_text("no folder")
    ended = subprocess.run(
        [*COMMAND, "server", "--port", "0", "--workers", "3", *arguments],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=tmp_path,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("taba: ") == 1
    assert expected in ended.stderr.replace("\n", "")
    assert "Traceback" not in ended.stderr


def test_a_hangup_is_for_all_workers_and_a_mistake_for_none(tmp_path):
    """Each takes the new settings; so does one that starts later."""
    file = tmp_path / "taba.toml"
    file.write_text("workers = 2\n")
    with served(tmp_path, 0, "--config", file) as serving:
        assert record(serving.url, "first") == 200
        file.write_text("limits = 3")
        serving.process.send_signal(signal.SIGHUP)
        assert "the settings stay as they were" in serving.await_told("limits is 3: expected a table")
        file.write_text("workers = 5\ngather_ms = 5\nshards = 3\n[limits]\nbody_mb = 1\n")
        serving.process.send_signal(signal.SIGHUP)
        serving.await_told("workers need a restart")
        for _ in range(2):
            serving.await_told("shards need a restart")
        os.kill(serving.told["pids"][0], signal.SIGKILL)
        assert len(pids_by_connection(serving.url, 20)) == 2
        with connections(serving.url, 20) as opened:
            for one in opened:
                one.putrequest("POST", "/v1/events")
                one.putheader("Content-Length", str(2 << 20))
                one.endheaders()
                answer = one.getresponse()
                assert answer.status == 413
        time.sleep(1)
        code, said = serving.stop()
        assert code == 0
        assert "need a restart" not in said, "each has read them once"


def test_a_valkey_of_our_own_is_the_parents(tmp_path):
    """One Valkey for all workers, which outlives each of them and ends with the command."""
    with served(tmp_path, 2, "--store", "valkey", "--data", "store") as serving:
        assert record(serving.url, "kept") == 200
        (own,) = set(children(serving.process.pid)) - set(serving.told["pids"])
        os.kill(serving.told["pids"][0], signal.SIGKILL)
        assert len(pids_by_connection(serving.url, 20)) == 2
        assert serving.count("kept") == 1
        assert runs(own)
        code, _ = serving.stop()
        assert (code, runs(own)) == (0, False)
    with served(tmp_path, 1, "--store", "valkey", "--data", "store") as again:
        assert again.count("kept") == 1
        again.process.kill()
        until(lambda: not any(runs(pid) for pid in again.told["pids"]))


def test_workers_on_a_cluster(tmp_path):
    """As on any other store: what one takes, each answers."""
    url = f"{shared('cluster').url}?prefix={tmp_path.name}"
    with served(tmp_path, 2, "--store", url) as serving:
        for _ in range(10):
            assert record(serving.url, "clustered") == 200
        for _ in range(10):
            assert serving.count("clustered") == 10
        assert serving.stop()[0] == 0


def test_a_worker_that_cannot_start_again_is_tried_until_it_can(tmp_path):
    """The store may be away for a while; meanwhile the other worker gets all connections, and says so."""
    engine = EngineServer(tmp_path / "engine")
    try:
        with served(tmp_path, 2, "--store", engine.url) as serving:
            assert record(serving.url, "before") == 200
            engine.kill()
            os.kill(serving.told["pids"][0], signal.SIGKILL)
            serving.await_told("was ended by SIGKILL")
            serving.await_told("did not start: ")
            with connections(serving.url, 10) as opened:
                for one in opened:
                    one.request("GET", "/ping")
                    assert one.getresponse().status in (200, 503)
            engine.start()
            until(lambda: len(pids_by_connection(serving.url, 20)) == 2)
            until(lambda: record(serving.url, "after") == 200)
            until(lambda: serving.count("before") == 1)
            assert serving.stop()[0] == 0
    finally:
        engine.close()


def test_the_pause_grows_up_to_a_bound():
    """One death costs nothing; those that go on dying do not keep a processor busy."""
    assert [pause(failures) for failures in (0, 1, 2, 3, 4)] == [0, 0, 0.5, 1, 2]
    assert pause(50) == LONGEST_PAUSE
