"""The command `taba agent` as it runs: its door, its memory across a kill -9, its refusals, its signals."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from agent_sink import Sink, made_frame, sinks

from taba.compression import pack
from taba.frame import CONTENT_TYPE

TABA = Path(sys.executable).with_name("taba")


class Agent:
    """A running `taba agent`."""

    def __init__(self, folder: Path, *flags: str, config: str = "") -> None:
        self._config = folder / "taba.toml"
        self._config.write_text(config)
        self._log = folder / "agent.log"
        command = [
            str(TABA),
            "agent",
            "--config",
            str(self._config),
            "--json",
            "--spool",
            str(folder / "spool"),
            *flags,
        ]
        environment = {name: text for name, text in os.environ.items() if not name.startswith("TABA_")}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        assert self.process.stdout is not None
        told = self.process.stdout.readline()
        assert told, self.log()
        self.port = int(json.loads(told)["url"].rpartition(":")[2])

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def configure(self, config: str) -> None:
        """Write other settings, and have them read."""
        self._config.write_text(config)
        self.process.send_signal(signal.SIGHUP)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def post(self, body: bytes, **headers: str) -> tuple[int, Any]:
        return self.ask("POST", "/v1/events", body, **({"Content_Type": CONTENT_TYPE} | headers))

    def status(self) -> Any:
        return self.ask("GET", "/v1/status")[1]

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@contextmanager
def _agent(folder: Path, sink: Sink | None, *flags: str, config: str = "") -> Iterator[Agent]:
    servers = ("--servers", sink.url) if sink else ()
    agent = Agent(folder, "--port", "0", *servers, *flags, config=config)
    try:
        yield agent
    finally:
        if agent.process.poll() is None:
            agent.end()
        assert "Traceback" not in agent.log(), agent.log()


def _wait(condition: Callable[[], object], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in vain for {seconds} s"
        time.sleep(0.01)


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """The answer to a frame is a promise; a repetition after the kill is known, and is not kept twice."""
    with sinks(1) as [sink]:
        sink.well, sink.script = False, [500] * 10_000
        with _agent(tmp_path, sink) as agent:
            for sequence in range(1, 20):
                assert agent.post(made_frame("c", sequence)) == (200, {"accepted": 3, "rejected": []})
            agent.end(signal.SIGKILL)
        sink.well, sink.script = True, []
        with _agent(tmp_path, sink) as agent:
            assert agent.post(made_frame("c", 19))[1]["duplicate"] is True
            _wait(lambda: sink.sequences("c") == list(range(1, 20)))
            _wait(lambda: agent.status()["spool"]["waiting_bytes"] == 0)


def test_a_frame_that_is_sent_twice_is_kept_once_and_a_new_one_beside_it_is_not_lost(tmp_path: Path) -> None:
    with sinks(1) as [sink], _agent(tmp_path, sink) as agent:
        agent.post(made_frame("c", 1))
        assert agent.post(made_frame("c", 1) + made_frame("c", 2)) == (200, {"accepted": 6, "rejected": []})
        _wait(lambda: sink.sequences("c") == [1, 2])
        assert agent.status()["counts"]["duplicates"] == 1
        assert sink.duplicates == 0


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"", {}, 400, "no frame"),
        (b"{}", {"Content_Type": "application/json"}, 400, "send JSON to a server"),
        (b"TABA", {}, 400, "cut off"),
        (made_frame("c", 1)[:-1], {}, 400, "cut off"),
        (made_frame("c", 1) + b"x", {}, 400, "cut off"),
        (made_frame("no spaces", 1), {}, 400, "is not a client id"),
        (made_frame("c", 0), {}, 400, "counts from 1"),
        (made_frame("c", 1), {"Content_Encoding": "gzip"}, 400, "is not gzip"),
        (made_frame("c", 1), {"Content_Encoding": "br"}, 400, "send gzip, deflate, zstd, or none"),
        pytest.param(pack(bytes(2 << 20), 1), {"Content_Encoding": "zstd"}, 413, "agent.body_mb", id="a bomb"),
        pytest.param(b"x" * (1 << 20) + b"y", {}, 413, "agent.body_mb", id="too large"),
    ],
)
def test_what_is_no_frame_is_refused_and_harms_nothing(
    tmp_path: Path, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    with sinks(1) as [sink], _agent(tmp_path, sink, "--body-mb", "1") as agent:
        code, answer = agent.post(body, **headers)
        assert code == status
        assert says in answer["error"]
        assert agent.post(made_frame("c", 7))[0] == 200
        _wait(lambda: sink.sequences("c") == [7])


def test_agents_may_stand_in_a_row(tmp_path: Path) -> None:
    """One that gathers from others takes their bundles as they are."""
    near, far = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far.mkdir()
    with (
        sinks(1) as [sink],
        _agent(far, sink) as second,
        _agent(near, None, "--servers", f"http://127.0.0.1:{second.port}") as first,
    ):
        for sequence in range(1, 10):
            assert first.post(made_frame("c", sequence))[0] == 200
        _wait(lambda: sink.sequences("c") == list(range(1, 10)))
        assert not any("refused" in name for name in first.status()["counts"])


def test_a_body_that_the_spool_can_never_hold_is_too_large(tmp_path: Path) -> None:
    """Told to come back, a client would come back for ever."""
    with sinks(1) as [sink], _agent(tmp_path, sink, "--spool-mb", "1") as agent:
        status, answer = agent.post(made_frame("c", 1, {"a": 100_000}))
        assert status == 413
        assert "agent.spool_mb" in answer["error"]


def test_trouble_is_told_once_and_not_once_a_second(tmp_path: Path) -> None:
    """The agent's own small frames still fit where those of clients do not."""
    with sinks(1) as [sink], _agent(tmp_path, sink, "--spool-mb", "1") as agent:
        sink.well, sink.script = False, [500] * 10_000
        for sequence in range(1, 12):
            agent.post(made_frame("c", sequence, {"a": 11_000}))
        for _ in range(12):
            assert agent.post(made_frame("c", 99, {"a": 11_000}))[0] == 503
            assert agent.ask("GET", "/ping")[0] == 503
            time.sleep(0.25)
        assert agent.log().count("clients are told to come back") == 1


def test_other_paths_and_methods_are_told_apart(tmp_path: Path) -> None:
    with sinks(1) as [sink], _agent(tmp_path, sink) as agent:
        assert agent.ask("GET", "/ping") == (200, {"status": "ok"})
        assert agent.ask("GET", "/v1/aggregates")[0] == 404
        assert agent.ask("GET", "/v1/events")[0] == 405
        assert agent.ask("POST", "/ping", b"")[0] == 405


def test_status_tells_what_an_operator_asks(tmp_path: Path) -> None:
    with sinks(1) as [sink], _agent(tmp_path, sink) as agent:
        agent.post(made_frame("c", 1))
        _wait(lambda: sink.sequences("c") == [1])
        told = agent.status()
        assert told["status"] == "ok"
        assert told["pid"] == agent.process.pid
        assert told["servers"][0]["url"] == sink.url
        assert told["servers"][0]["up"] is True
        assert [lane["lane"] for lane in told["lanes"]] == [*(f"live-{number}" for number in range(1, 9)), "backlog"]
        assert told["counts"]["events{way=in}"] == 3


def test_two_agents_never_share_a_spool(tmp_path: Path) -> None:
    with sinks(1) as [sink], _agent(tmp_path, sink) as agent:
        command = [str(TABA), "agent", "--port", "0", "--spool", str(tmp_path / "spool"), "--servers", sink.url]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert f"in use by the process {agent.process.pid}" in second.stderr.replace("\n", " ")


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with sinks(1) as [sink], socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [str(TABA), "agent", "--port", str(port), "--spool", str(tmp_path / "s"), "--servers", sink.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "cannot listen on 127.0.0.1" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_unix_socket_serves_the_real_client(tmp_path: Path) -> None:
    """And one that a killed agent left behind is replaced."""
    path = tmp_path / "taba.sock"
    start = f"import taba; taba.start(client='prog', agent='unix://{path}'); c = taba.counter('u.v')"
    program = f"{start}\nfor _ in range(500): c.record(1)\ntaba.stop()"
    with sinks(1) as [sink]:
        with _agent(tmp_path, sink, "--socket", str(path)) as agent:
            assert path.stat().st_mode & 0o777 == 0o660
            agent.end(signal.SIGKILL)
        assert path.exists()
        with _agent(tmp_path, sink, "--socket", str(path)):
            subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
            _wait(lambda: sum(sum(one.counts) for one in sink.frames.values() if one.client == "prog") == 500)
        assert not path.exists(), "an agent that stops takes its socket away"


def test_a_file_in_the_socket_s_place_is_left_alone(tmp_path: Path) -> None:
    """A mistyped --socket deletes nobody's file."""
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    flags = ("--port", "0", "--spool", str(tmp_path / "spool"), "--socket", str(path))
    done = subprocess.run([str(TABA), "agent", *flags], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "what is there is no socket" in done.stderr.replace("\n", " ")
    assert path.read_text() == "mine"


def test_hangup_reads_the_settings_again(tmp_path: Path) -> None:
    with sinks(2) as (old, new):
        config = f'[agent]\nservers = ["{old.url}"]\n'
        with _agent(tmp_path, None, config=config) as agent:
            agent.post(made_frame("c", 1))
            _wait(lambda: old.sequences("c") == [1])
            agent.configure(f'[agent]\nservers = ["{new.url}"]\nspool_mb = 9\n')
            _wait(lambda: agent.status()["spool"]["limit_bytes"] == 9 << 20)
            agent.post(made_frame("c", 2))
            _wait(lambda: new.sequences("c") == [2])
            agent.configure('[agent]\nservers = "nonsense\n')
            _wait(lambda: "taba.toml" in agent.log())
            assert agent.post(made_frame("c", 3))[0] == 200, "a mistake in the file stops nothing"
            _wait(lambda: new.sequences("c") == [2, 3])


def test_it_ends_well_and_needs_no_polars(tmp_path: Path) -> None:
    with sinks(1) as [sink], _agent(tmp_path, sink) as agent:
        maps = Path(f"/proc/{agent.process.pid}/maps").read_text()
        assert "polars" not in maps
        assert agent.end() == 0


def test_a_full_spool_refuses_says_so_and_recovers(tmp_path: Path) -> None:
    """Nothing that was answered is lost, and what was not is the client's to send again."""
    with sinks(1) as [sink], _agent(tmp_path, sink, "--spool-mb", "1") as agent:
        sink.well, sink.script = False, [500] * 10_000
        big = {f"tab.{number}": 40 for number in range(100)}
        answered = []
        for sequence in range(1, 100):
            status, told = agent.post(made_frame("c", sequence, big))
            if status == 503:
                assert "agent.spool_mb" in told["error"]
                break
            answered.append(sequence)
        assert 10 < len(answered) < 60
        status, told = agent.ask("GET", "/ping")
        assert status == 503
        assert "agent.spool_mb" in told["status"]
        sink.well, sink.script = True, []
        _wait(lambda: sink.sequences("c") == answered)
        _wait(lambda: agent.post(made_frame("c", len(answered) + 1, big))[0] == 200)
        assert agent.ask("GET", "/ping")[0] == 200


def test_requests_in_a_row_are_all_answered_and_the_connection_lives_on(tmp_path: Path) -> None:
    """Many at once, of which some wait for the disk and some do not: the answers come in order, and reading goes on."""
    frame = made_frame("c", 1)
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(frame)}\r\n\r\n"
    )
    post, ping = head.encode() + frame, b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
    with sinks(1) as [sink], _agent(tmp_path, sink) as agent:
        with socket.create_connection(("127.0.0.1", agent.port), timeout=60) as connection:
            for batch in (post + ping + post * 150, ping):
                connection.sendall(batch)
                wanted = batch.count(b"HTTP/1.1")
                answers = b""
                while answers.count(b"HTTP/1.1 200") < wanted:
                    part = connection.recv(1 << 16)
                    assert part, "the connection was closed"
                    answers += part
        with socket.create_connection(("127.0.0.1", agent.port), timeout=60) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(b"GET /ping HTTP/1.1\r\nX: " + b"a" * (1 << 20))
            with contextlib.suppress(ConnectionResetError):
                assert b" 400 " in connection.recv(1 << 16)
        assert agent.ask("GET", "/ping")[0] == 200


def test_an_agent_behind_another_buries_nothing_that_is_on_its_way(tmp_path: Path) -> None:
    """It starts on a damaged spool; of an epoch that another agent sends, the newest come before the backlog."""
    with sinks(1) as [sink]:
        sink.well, sink.script = False, [500] * 10_000
        with _agent(tmp_path, sink) as agent:
            for sequence in (1, 2):
                assert agent.post(made_frame("c", sequence), Taba_Source="up/1/live-1", Taba_Sequence="1")[0] == 200
            agent.end(signal.SIGKILL)
        (segment,) = (tmp_path / "spool").glob("*.frames")
        segment.write_bytes(segment.read_bytes() + made_frame("c", 3)[:-20])
        sink.well, sink.script = True, []
        with _agent(tmp_path, sink) as agent:
            for sequence in (50, 3, 4, 5):
                assert agent.post(made_frame("c", sequence), Taba_Source="up/1/live-1", Taba_Sequence="2")[0] == 200
            _wait(lambda: sink.sequences("c") == [1, 2, 3, 4, 5, 50])
            assert [one.first for one in sink.frames.values() if one.client == "c"] == [None] * 6


def test_head_is_answered_without_a_body(tmp_path: Path) -> None:
    """As some health checks ask; the next answer on the connection is not taken for it."""
    with sinks(1) as [sink], _agent(tmp_path, sink) as agent:
        connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=60)
        with contextlib.closing(connection):
            for method, length in (("HEAD", 0), ("GET", 15), ("HEAD", 0), ("GET", 15)):
                connection.request(method, "/ping")
                response = connection.getresponse()
                assert (response.status, len(response.read())) == (200, length)


def test_what_follows_a_body_is_bounded_as_a_head_is(tmp_path: Path) -> None:
    """Trailers without an end fill no memory."""
    with sinks(1) as [sink], _agent(tmp_path, sink) as agent:
        with socket.create_connection(("127.0.0.1", agent.port), timeout=60) as connection:
            connection.sendall(b"POST /v1/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.sendall(b"4\r\nTABA\r\n0\r\nX: ")
            with contextlib.suppress(ConnectionError):
                for _ in range(200):
                    connection.sendall(b"x" * 10_000)
                assert b" 400 " in connection.recv(1000)
        assert agent.ask("GET", "/ping")[0] == 200
