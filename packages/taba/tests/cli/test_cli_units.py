"""The units in deploy/ start what exists, with flags that exist, and give it the time that it takes to stop."""

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
import typer

from taba.cli.app import app
from taba.config import Agent

DEPLOY = Path(__file__).parents[4] / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def unit(path: Path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(path.read_text())
    return parser


def test_there_is_a_unit_for_each_command_that_serves():
    assert [path.name for path in UNITS] == ["taba-agent.service", "taba-server.service", "taba.service"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_what_a_unit_starts_exists(path):
    program, command, *words = unit(path)["Service"]["ExecStart"].split()
    assert program == "/opt/taba/bin/taba"
    known = {flag for option in COMMANDS[command].params for flag in (*option.opts, *option.secondary_opts)}
    assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_restarts_always_reloads_and_waits_for_the_end(path):
    service = unit(path)["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert service["ExecReload"].endswith("kill -HUP $MAINPID")
    assert int(service["TimeoutStopSec"]) > Agent().drain_s + 5, "or systemd would kill what is still draining"
    assert int(service["LimitNOFILE"]) > Agent().connections


def test_folders_are_those_that_systemd_makes():
    """With ProtectSystem=strict no other can be written."""
    agent, *servers = (unit(path)["Service"] for path in UNITS)
    assert "--spool %S/" + agent["StateDirectory"] in agent["ExecStart"]
    assert "--socket %t/" + agent["RuntimeDirectory"] + "/" in agent["ExecStart"]
    for server in servers:
        assert "--data %S/" + server["StateDirectory"] in server["ExecStart"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_the_unit(path, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("this machine has no systemd-analyze")
    own = tmp_path / path.name
    own.write_text(path.read_text().replace("/opt/taba/bin/taba", "/bin/true"))
    ended = subprocess.run(["systemd-analyze", "verify", own], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
