import sys
from dataclasses import dataclass

import pytest
from answering_server import AnsweringServer

from taba.cli.app import run


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def server():
    """A server whose answers the test sets."""
    server = AnsweringServer()
    yield server
    server.close()


@pytest.fixture
def taba(monkeypatch, capsys, tmp_path):
    """Run a command of `taba` in this process."""
    for name in ("TABA_SERVER", "TABA_CLIENT", "TABA_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def command(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["taba", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            run()
        except SystemExit as ended:
            code = ended.code or 0
        shown = capsys.readouterr()
        return Ended(code, shown.out, shown.err)

    return command
