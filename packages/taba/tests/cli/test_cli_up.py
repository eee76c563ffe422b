"""The command line and a real server together, as a person uses them."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from command_process import COMMAND, PATIENCE, Serving, environment, start, until


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Serving]:
    up = start(tmp_path_factory.mktemp("home"), "up", "--no-agent")
    try:
        yield up
        assert up.stop() == (0, "")
    finally:
        up.close()


def test_what_is_recorded_is_shown(up):
    assert up.run("record", "shop.sales", 5, "--tag", "till=a", "--client", "till-1").returncode == 0
    assert up.run("record", "shop.sales", "2.5", "--tag", "till=b", "--client", "till-2").returncode == 0
    until(lambda: up.count("shop.sales") == 2)
    assert re.search(r"shop\.sales\{till=a\} +1h +1 +5 ", up.run("agg", "shop.*", "--window", "1h").stdout)
    by_till = up.json("agg", "shop.sales", "--by", "till", "--window", "1h")["tabs"]
    assert sorted(by_till) == ["shop.sales{till=a}", "shop.sales{till=b}"]
    assert up.json("agg", "shop.*", "--client", "till-2", "--window", "1h")["tabs"]["shop.sales{till=b}"]["1h"] == {
        "count": 1,
        "total": 2.5,
        "mean": 2.5,
        "min": 2.5,
        "max": 2.5,
        "rate": pytest.approx(2.5 / 3600),
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
    assert up.json("agg", "host.cpu.percent", "--window", "1h")["tabs"]["host.cpu.percent"]["1h"]["count"] > 0


def test_an_import_is_counted_once_though_it_is_killed(up, tmp_path):
    """Killed twice on the way, as soon as more of it is there; a batch takes a moment to gather, so it isn't done."""
    events = tmp_path / "events.ndjson"
    events.write_text('{"tab": "import.killed", "value": 1}\n' * 4_000)
    arguments = ["import", events, "--batch", 100]
    for _ in range(2):
        before = up.count("import.killed")
        running = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            env=environment(up.home) | {"TABA_SERVER": up.url},
            stdout=subprocess.DEVNULL,
        )
        try:
            until(lambda before=before: up.count("import.killed") > before)
        finally:
            running.kill()
            running.wait(PATIENCE)
    taken = up.count("import.killed")
    assert 0 < taken < 4_000, "it was killed on the way"
    assert up.run(*arguments).returncode == 0
    assert up.count("import.killed") == 4_000


def test_an_access_log_becomes_tabs(up, tmp_path):
    line = '1.2.3.4 - - [23/Nov/2026:10:00:00 +0000] "{} /p?q HTTP/1.1" {} 100 "-" "agent" 0.250'
    log = tmp_path / "access.log"
    log.write_text("\n".join([line.format("GET", 200)] * 3 + [line.format("POST", 503), "garbage", ""]))
    ended = up.run("tail", log, "--once", "--prefix", "web", "--json")
    assert json.loads(ended.stdout) == {"lines": 5, "unparsed": 1}
    found = up.json("agg", "web.*", "--window", "1h")["tabs"]
    got = {tab: windows["1h"] for tab, windows in found.items()}
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
            [*COMMAND, "up", "--port", str(port), "--no-agent"],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"taba: cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_data_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "data").write_text("no folder")
    ended = subprocess.run(
        [*COMMAND, "up", "--port", "0", "--no-agent", "--data", tmp_path / "data"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("taba: ")
    assert "Traceback" not in ended.stderr


def test_settings_come_from_file_and_variables_and_data_outlives_the_server(tmp_path):
    (tmp_path / "taba.toml").write_text('data = "store"\nhost_metrics = false\n')
    arguments = ["--config", tmp_path / "taba.toml"]
    first = start(tmp_path, "up", "--no-agent", *arguments, TABA_SHARDS="2")
    first.run("record", "kept", 1)
    assert first.stop(signal.SIGINT) == (0, "")
    again = start(tmp_path, "up", "--no-agent", *arguments, TABA_SHARDS="2")
    assert again.count("kept") == 1
    assert again.run("tabs", "host.*").returncode == 1, "host_metrics is off"
    assert again.stop() == (0, "")
    assert (tmp_path / "store").is_dir()


RECORD = "import sys, taba\ntaba.start(client=sys.argv[1])\ntaba.counter('inside').record(1)\nassert taba.flush()"


def record_through(agent: str, up: Serving) -> None:
    """A program records one event to `inside` through an agent."""
    variables = environment(up.home) | {"TABA_AGENT": agent}
    subprocess.run([sys.executable, "-c", RECORD, "web-1"], env=variables, check=True, timeout=PATIENCE)


def test_an_agent_inside_takes_what_programs_record_and_keeps_it_beside_the_data(tmp_path):
    up = start(tmp_path, "up", "--no-host-metrics", "--data", "store")
    try:
        assert up.told["agent"] != up.url
        record_through(up.told["agent"], up)
        until(lambda: up.count("inside") == 1)
        assert (tmp_path / "store/spool").is_dir()
        record_through(up.told["agent"], up)
        assert up.stop()[0] == 0
        again = start(tmp_path, "up", "--no-host-metrics", "--data", "store")
        try:
            until(lambda: again.count("inside") == 2)
        finally:
            again.close()
    finally:
        up.close()


def test_an_agent_that_stops_has_sent_what_it_holds_before_the_server_stops(tmp_path):
    """The agent inside is told first, so that the server still takes what is left."""
    up = start(tmp_path, "up", "--no-host-metrics", "--data", "store")
    try:
        for _ in range(3):
            record_through(up.told["agent"], up)
        assert up.stop()[0] == 0
        alone = start(tmp_path, "up", "--no-host-metrics", "--no-agent", "--data", "store")
        try:
            assert "agent" not in alone.told
            assert alone.count("inside") == 3, "no agent could have sent it now"
        finally:
            alone.close()
    finally:
        up.close()


def test_where_the_agents_port_is_taken_the_server_says_so_and_goes_on(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = start(tmp_path, "up", "--no-host-metrics", "--agent-port", port)
        try:
            assert "agent" not in up.told
            assert up.run("record", "a", 1).returncode == 0
            code, told = up.stop()
        finally:
            up.close()
    assert code == 0
    assert told == f"no agent inside: 127.0.0.1:{port} is taken, perhaps by an agent that runs already\n"


def test_an_agent_inside_is_told_of_with_the_flags_that_it_has_here(tmp_path):
    """`--insecure` would open the server, and not what was asked for."""
    up = start(tmp_path, "up", "--no-host-metrics", "--agent-port", 0, "--agent-host", "0.0.0.0")
    try:
        assert "agent" not in up.told
        _, told = up.stop()
    finally:
        up.close()
    assert "no agent inside: 0.0.0.0 can be reached" in told
    assert "agent.insecure (--agent-insecure)" in told


def test_a_hangup_reads_the_settings_again_and_a_mistake_in_them_ends_nothing(tmp_path):
    """For the server and for the agent inside it."""
    file = tmp_path / "taba.toml"
    file.write_text("host_metrics = false\n[limits]\ntabs = 1000\n")
    up = start(tmp_path, "up", "--config", file)
    try:
        assert up.run("record", "first", 1).returncode == 0
        file.write_text("limits = 3")
        up.process.send_signal(signal.SIGHUP)
        assert "limits is 3: expected a table, [limits]" in up.await_told("limits is 3")
        assert up.run("record", "second", 1).returncode == 0
        file.write_text("host_metrics = false\n[limits]\ntabs = 1\n[agent]\nport = 1\n")
        up.process.send_signal(signal.SIGHUP)
        assert "need a restart" in up.await_told("of the agent inside, port")
        until(lambda: up.run("record", f"tab{time.monotonic_ns()}", 1).returncode == 1)
        code, told = up.stop()
    finally:
        up.close()
    assert (code, "Traceback" in told) == (0, False), told


def test_the_demo_shows_what_to_try(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "up", "--demo", "--port", "0", "--no-host-metrics"],
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
    assert "agent at    http://127.0.0.1:" in shown
    assert "data in     demo-data" in shown
    assert all(f" {words} " in shown for words in ("watch 'host.*'", "record hello 1", "agg hello"))
    assert (tmp_path / "demo-data").is_dir()
