"""An agent that listens for StatsD, and the server behind it, both real."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from server_process import ServerProcess

TABA = Path(sys.executable).with_name("taba")
ROOT = Path(__file__).parents[4]
NODE_FOLDER = Path(__file__).parents[1] / "node"
PATIENCE = 120.0


def node() -> str:
    """Node's program: the machine's, or the one that `make setup` installed."""
    found = shutil.which("node", path=f"{ROOT / '.tools/bin'}:{os.environ['PATH']}")
    assert found, "there is no node: run make setup"
    return found


class World:
    """`statsd` are the addresses that the agent listens on, by scheme; `local` is the client of what comes to them."""

    def __init__(self, folder: Path, *flags: str, addresses: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.unix = folder / "statsd.sock"
        asked = addresses or ("udp://127.0.0.1:0", "tcp://127.0.0.1:0", f"unixgram://{self.unix}")
        self.server = ServerProcess(folder)
        command = [str(TABA), "agent", "--port", "0", "--json", "--spool", str(folder / "spool")]
        command += ["--servers", self.server.url, *flags]
        for one in asked:
            command += ["--statsd", one]
        clean = {name: text for name, text in os.environ.items() if not name.startswith("TABA_")}
        self._log = folder / "agent.log"
        with self._log.open("ab") as log:
            self.agent = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, env=clean | {"HOME": str(folder)}
            )
        assert self.agent.stdout is not None
        told = self.agent.stdout.readline()
        assert told, self.log()
        self.url = json.loads(told)["url"]
        listens = [one["address"] for one in self.status()["statsd"]["listens"]]
        self.ports = {one.partition(":")[0]: int(one.rpartition(":")[2]) for one in listens if "unixgram" not in one}

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def status(self) -> Any:
        with urlopen(f"{self.url}/v1/status", timeout=PATIENCE) as answer:
            return json.load(answer)

    def counts(self) -> dict[str, int]:
        """What the agent counts of StatsD."""
        found = self.status()["counts"].items()
        return {name.removeprefix("statsd."): count for name, count in found if name.startswith("statsd.")}

    def answers(self) -> dict[str, Any]:
        """The aggregates of all tabs, and of what the agent says of this door."""
        found = [self.server.get("/v1/aggregates", tab=tab, window="1d") for tab in ("*", "taba.agent.statsd.*")]
        return {tab: answer["1d"] for one in found for tab, answer in one["tabs"].items()}

    def ledger(self) -> Any:
        """The accounts of the clients that StatsD is heard of."""
        found = self.server.get("/v1/ledger")["ledger"]
        return {client: row for client, row in found.items() if client.startswith("statsd@")}

    def udp(self, *packets: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", self.ports["udp"]))
            for packet in packets:
                sender.send(packet)

    def wait(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert self.agent.poll() is None, self.log()
            assert time.monotonic() < end, f"in vain: {self.counts()} {self.ledger()} {self.answers()} {self.log()}"
            time.sleep(0.05)

    def wait_for(self, answers: dict[str, dict[str, Any]]) -> None:
        """Wait until the tabs answer so, as far as is asked."""

        def as_wanted() -> bool:
            found = self.answers()
            return all(
                tab in found and {name: found[tab].get(name) for name in wanted} == wanted
                for tab, wanted in answers.items()
            )

        self.wait(as_wanted)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End the agent."""
        self.agent.send_signal(how)
        code = self.agent.wait(PATIENCE)
        assert self.agent.stdout is not None
        self.agent.stdout.close()
        return code

    def close(self) -> None:
        if self.agent.poll() is None:
            self.end()
        self.server.close()
        assert "Traceback" not in self.log(), self.log()


@contextlib.contextmanager
def world(folder: Path, *flags: str, addresses: tuple[str, ...] = ()) -> Iterator[World]:
    made = World(folder, *flags, addresses=addresses)
    try:
        yield made
    finally:
        made.close()
