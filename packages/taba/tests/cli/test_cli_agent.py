"""`taba agent` as a person and as systemd run it: what it says, what it loads, how it ends."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from command_process import COMMAND, PATIENCE, Serving, environment, start, until

RECORD = "import taba\ntaba.start(client='web-1')\ntaba.counter('seen').record(1)\nassert taba.flush()"


@pytest.fixture
def server(tmp_path):
    server = start(tmp_path, "up", "--no-agent", "--no-host-metrics", "--data", "store")
    try:
        yield server
    finally:
        server.close()


def record_through(address: str, home: Path) -> None:
    variables = environment(home) | {"TABA_AGENT": address}
    subprocess.run([sys.executable, "-c", RECORD], env=variables, check=True, timeout=PATIENCE)


def test_what_a_program_hands_to_the_agent_is_counted_by_the_server(tmp_path, server):
    agent = start(tmp_path, "agent", "--servers", server.url, "--socket", "agent.sock", "--statsd", "off")
    try:
        assert agent.told["socket"] == "agent.sock"
        assert (tmp_path / "agent.sock").stat().st_mode & 0o777 == 0o660
        record_through(agent.url, tmp_path)
        record_through(f"unix://{tmp_path}/agent.sock", tmp_path)
        until(lambda: server.count("seen") == 2)
        assert agent.stop() == (0, "")
        assert (tmp_path / ".local/state/taba/spool").is_dir()
    finally:
        agent.close()


def test_without_json_it_says_where_it_listens_spools_and_sends(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "agent", "--port", "0", "--spool", "frames", "--servers", "10.0.0.5:8300"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("The agent listens at http://127.0.0.1:")
        assert line.endswith(", spools to frames and sends to http://10.0.0.5:8300\n")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


def test_an_agent_stands_beside_every_service_and_never_loads_the_servers_libraries(tmp_path):
    """Polars alone would double its memory. Asked of the process itself, as it ends."""
    program = (
        "import atexit, sys\n"
        "heavy = ('polars', 'starlette', 'psutil')\n"
        "tell = lambda: print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
        "atexit.register(tell)\n"
        "from taba.cli import main; main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "agent", "--help"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ended.returncode, ended.stderr) == (0, "[]\n")
    process = subprocess.Popen(
        [sys.executable, "-c", program, "agent", "--port", "0", "--json", "--log-level", "error"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        record_through(json.loads(process.stdout.readline())["url"], tmp_path)
    finally:
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=PATIENCE)
    assert (process.returncode, told) == (0, "[]\n")


def test_a_port_or_a_spool_that_another_agent_has_is_told(tmp_path):
    agent = start(tmp_path, "agent", "--spool", "frames")
    try:
        port = agent.url.rpartition(":")[2]
        taken = run(tmp_path, "agent", "--port", port, "--spool", "others")
        assert taken.returncode == 1
        assert taken.stderr.splitlines()[-1].startswith(f"taba: cannot listen on 127.0.0.1:{port}: Address already")
        shared = run(tmp_path, "agent", "--port", "0", "--spool", "frames")
        assert shared.returncode == 1
        assert shared.stderr.splitlines()[-1].startswith("taba: ")
        assert "frames" in shared.stderr
        assert "Traceback" not in taken.stderr + shared.stderr
    finally:
        agent.close()


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment(home), capture_output=True, text=True, timeout=PATIENCE, cwd=home
    )


def test_a_hangup_reads_the_settings_again_and_a_mistake_in_them_ends_nothing(tmp_path, server):
    file = tmp_path / "taba.toml"
    file.write_text('[agent]\nservers = ["http://127.0.0.1:9"]\n')
    agent = start(tmp_path, "agent", "--config", file)
    try:
        record_through(agent.url, tmp_path)
        file.write_text("[agent]\nlanes = 0\n")
        agent.process.send_signal(signal.SIGHUP)
        assert "agent.lanes is 0: expected a whole number from 1 to 64" in agent.await_told("agent.lanes")
        file.write_text(f'[agent]\nservers = ["{server.url}"]\n')
        agent.process.send_signal(signal.SIGHUP)
        until(lambda: server.count("seen") == 1)
        assert agent.stop()[0] == 0
    finally:
        agent.close()


@contextlib.contextmanager
def service_manager(path: Path):
    """A socket such as systemd gives to a service of `Type=notify`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(path))
        told.settimeout(PATIENCE)
        yield lambda: told.recv(4096).decode().partition("\n")[0]


@pytest.mark.parametrize("command", [["agent"], ["up", "--no-agent", "--no-host-metrics"], ["server"]])
def test_systemd_is_told_when_it_serves_reloads_and_stops(tmp_path, command):
    """What the units in deploy/ rely on."""
    with service_manager(tmp_path / "notify") as told:
        serving: Serving = start(tmp_path, *command, NOTIFY_SOCKET=str(tmp_path / "notify"))
        try:
            assert told() == "READY=1"
            serving.process.send_signal(signal.SIGHUP)
            assert (told(), told()) == ("RELOADING=1", "READY=1")
            serving.process.send_signal(signal.SIGTERM)
            assert told() == "STOPPING=1"
            assert serving.process.wait(PATIENCE) == 0
        finally:
            serving.close()
