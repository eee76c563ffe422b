"""Commands of `taba` as processes of their own, in a home of their own: those that serve, and those that ask."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

COMMAND = [sys.executable, "-c", "from taba.cli import main; main()"]
PATIENCE = 120.0
"""Seconds for what happens at once on a machine that has time: one that is busy takes far longer."""


def environment(home: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TABA_", "XDG_"))}
    return clean | {"HOME": str(home)}


@dataclass
class Serving:
    """A running `taba up` or `taba agent`; `told` is the JSON line with which it began."""

    process: subprocess.Popen[str]
    told: dict[str, str]
    home: Path

    @property
    def url(self) -> str:
        return self.told["url"]

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
        """How many events of a tab there are; -1 where the store is away, of which workers learn one by one."""
        try:
            with urlopen(f"{self.url}/v1/aggregates?tab={tab}&window=1d&by=none", timeout=PATIENCE) as answer:
                tabs = json.load(answer)["tabs"]
        except HTTPError as error:
            if error.code != 503:
                raise
            return -1
        return tabs[tab]["1d"]["count"] if tab in tabs else 0

    def await_told(self, text: str) -> str:
        """The line on standard error that holds a text, once it is there; fails where the process ends first."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line:
                return line
        raise AssertionError(f"it ended and never told {text!r}")

    def close(self) -> None:
        """End it whatever its state."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=PATIENCE)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """The exit code, and what it had to say."""
        self.process.send_signal(how)
        _, told = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, told


def start(home: Path, command: str, *arguments: object, before: str = "", **variables: str) -> Serving:
    """Start `taba up` or `taba agent` on a free port, and wait until it listens; `before` is Python that runs first."""
    python, switch, code = COMMAND
    process = subprocess.Popen(
        [python, switch, f"{before}\n{code}", command, "--port", "0", "--json", *map(str, arguments)],
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
    return Serving(process, json.loads(line), home)


def until(true: Callable[[], object]) -> None:
    """Wait until something holds; fail where it never does."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
