"""The command line and a real server together, as a person uses them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

COMMAND = [sys.executable, "-c", "from taba.cli import main; main()"]
PATIENCE = 20.0


def environment(home: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TABA_", "XDG_"))}
    return clean | {"HOME": str(home)}


@dataclass
class Up:
    """A running `taba up`."""

    process: subprocess.Popen[str]
    url: str
    home: Path

    def run(self, *arguments: object, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=environment(self.home) | {"TABA_SERVER": self.url},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def json(self, *arguments: object) -> Any:
        ended = self.run(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def count(self, tab: str) -> int:
        """How many events of a tab there are."""
        with urlopen(f"{self.url}/v1/aggregates?tab={tab}&window=1d&by=none", timeout=PATIENCE) as answer:
            tabs = json.load(answer)["tabs"]
        return tabs[tab]["1d"]["count"] if tab in tabs else 0

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """The exit code, and what it had to say."""
        self.process.send_signal(how)
        _, told = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, told


def start(home: Path, *arguments: object, **variables: str) -> Up:
    process = subprocess.Popen(
        [*COMMAND, "up", "--port", "0", "--json", *map(str, arguments)],
        env=environment(home) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate(timeout=PATIENCE)[1])
    return Up(process, json.loads(line)["url"], home)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Up]:
    up = start(tmp_path_factory.mktemp("home"))
    yield up
    if up.process.poll() is None:
        assert up.stop() == (0, "")


def test_what_is_recorded_is_shown(up):
    assert up.run("record", "shop.sales", 5, "--tag", "till=a", "--client", "till-1").returncode == 0
    assert up.run("record", "shop.sales", "2.5", "--tag", "till=b", "--client", "till-2").returncode == 0
    until(lambda: up.count("shop.sales") == 2)
    assert re.search(r"shop\.sales\{till=a\} +1m +1 +5 ", up.run("agg", "shop.*", "--window", "1m").stdout)
    by_till = up.json("agg", "shop.sales", "--by", "till", "--window", "1m")["tabs"]
    assert sorted(by_till) == ["shop.sales{till=a}", "shop.sales{till=b}"]
    assert up.json("agg", "shop.*", "--client", "till-2", "--window", "1m")["tabs"]["shop.sales{till=b}"]["1m"] == {
        "count": 1,
        "total": 2.5,
        "mean": 2.5,
        "min": 2.5,
        "max": 2.5,
        "rate": pytest.approx(2.5 / 60),
    }
    assert "till-1" in up.run("proj", "shop.*").stdout
    assert "till-2" in up.run("clients", "till-*").stdout
    assert "counter" in up.run("tabs", "shop.*").stdout
    assert "▏" in up.run("series", "shop.sales{till=a}").stdout
    watched = up.run("watch", "shop.*", "--count", 2, "--json").stdout.splitlines()
    assert [sorted(json.loads(line)["tabs"]) for line in watched] == [sorted(by_till)] * 2


def test_a_text_is_a_gauge_that_clients_hold(up):
    for client in ("web-1", "web-2"):
        up.run("record", "release", "v1.4.2", "--type", "gauge", "--client", client)
    assert "v1.4.2 ×2" in up.run("agg", "release").stdout


def test_this_machine_records_itself(up):
    """A new server has something to show within seconds."""
    until(lambda: up.run("tabs", "host.process.cpu").returncode == 0)
    tabs = {tab["tab"] for tab in up.json("tabs", "host.*")["tabs"]}
    assert {"host.cpu.percent", "host.load", "host.memory.used.percent", "host.processes"} <= tabs
    assert up.json("agg", "host.cpu.percent", "--window", "1m")["tabs"]["host.cpu.percent"]["1m"]["count"] > 0


def test_an_import_is_counted_once_though_it_is_killed(up, tmp_path):
    events = tmp_path / "events.ndjson"
    events.write_text('{"tab": "import.killed", "value": 1}\n' * 4_000)
    arguments = ["import", events, "--batch", 200]
    for _ in range(2):
        running = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            env=environment(up.home) | {"TABA_SERVER": up.url},
            stdout=subprocess.DEVNULL,
        )
        time.sleep(1.1)
        running.kill()
        running.wait(PATIENCE)
    taken = up.count("import.killed")
    assert 0 < taken < 4_000, "it was killed on the way"
    assert up.run(*arguments, timeout=60).returncode == 0
    assert up.count("import.killed") == 4_000


def test_an_access_log_becomes_tabs(up, tmp_path):
    line = '1.2.3.4 - - [23/Nov/2026:10:00:00 +0000] "{} /p?q HTTP/1.1" {} 100 "-" "agent" 0.250'
    log = tmp_path / "access.log"
    log.write_text("\n".join([line.format("GET", 200)] * 3 + [line.format("POST", 503), "garbage", ""]))
    ended = up.run("tail", log, "--once", "--prefix", "web", "--json")
    assert json.loads(ended.stdout) == {"lines": 5, "unparsed": 1}
    found = up.json("agg", "web.*", "--window", "1m")["tabs"]
    got = {tab: windows["1m"] for tab, windows in found.items()}
    assert got["web.requests{method=GET,status=2xx}"]["count"] == 3
    assert got["web.requests{method=POST,status=5xx}"]["count"] == 1
    assert got["web.bytes"]["total"] == 400
    assert got["web.ms"]["p50"] == pytest.approx(250, rel=0.02)
    assert got["web.addresses"]["uniques"] == 1
    assert got["web.paths"]["values"] == [{"value": "/p", "count": 4}]
    assert got["web.unparsed"]["total"] == 1


def test_a_log_is_followed_until_the_service_is_stopped(up, tmp_path):
    line = b'1.2.3.4 - - [x] "GET / HTTP/1.1" 200 1\n'
    log = tmp_path / "access.log"
    log.write_bytes(line)
    tail = subprocess.Popen(
        [*COMMAND, "tail", log, "--from-start", "--prefix", "followed"],
        env=environment(up.home) | {"TABA_SERVER": up.url},
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: up.count("followed.bytes") == 1)
    with log.open("ab") as file:
        file.write(line * 5)
    until(lambda: up.count("followed.bytes") == 6)
    log.rename(tmp_path / "access.log.1")
    log.write_bytes(line * 2)
    until(lambda: up.count("followed.bytes") == 8)
    with log.open("ab") as file:
        file.write(line)
    tail.send_signal(signal.SIGTERM)
    _, told = tail.communicate(timeout=PATIENCE)
    assert (tail.returncode, told.count("following")) == (0, 1), told
    until(lambda: up.count("followed.bytes") == 9)


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [*COMMAND, "up", "--port", str(port)], env=environment(tmp_path), capture_output=True, text=True, timeout=30
        )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"taba: cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_data_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "data").write_text("no folder")
    ended = subprocess.run(
        [*COMMAND, "up", "--port", "0", "--data", tmp_path / "data"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("taba: ")
    assert "Traceback" not in ended.stderr


def test_settings_come_from_file_and_variables_and_data_outlives_the_server(tmp_path):
    (tmp_path / "taba.toml").write_text('data = "store"\nhost_metrics = false\n')
    arguments = ["--config", tmp_path / "taba.toml"]
    first = start(tmp_path, *arguments, TABA_SHARDS="2")
    first.run("record", "kept", 1)
    assert first.stop(signal.SIGINT) == (0, "")
    again = start(tmp_path, *arguments, TABA_SHARDS="2")
    assert again.count("kept") == 1
    assert again.run("tabs", "host.*").returncode == 1, "host_metrics is off"
    assert again.stop() == (0, "")
    assert (tmp_path / "store").is_dir()


def test_the_demo_shows_what_to_try(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "up", "--demo", "--port", "0"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    shown = ""
    while "Ctrl-C" not in shown:
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        shown += line
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    process.communicate()
    assert "listens at  http://127.0.0.1:" in shown
    assert "data in     demo-data" in shown
    assert all(f" {words} " in shown for words in ("watch 'host.*'", "record hello 1", "agg hello"))
    assert (tmp_path / "demo-data").is_dir()
