"""Clients, an agent, two servers on one store, and the links between them; all real processes.

    clients --uplink--> agent --link 0--> server 0 --\\
                              --link 1--> server 1 --+-- store

Every port stays the same for as long as the world lives, so what is started again is found again.
"""

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fault_client import MARK, Options, Tallies
from fault_proxy import Link, Wire
from fault_stores import STORES

TABA = Path(sys.executable).with_name("taba")
SERVER = Path(__file__).with_name("fault_server.py")
CLIENT = Path(__file__).with_name("fault_client.py")
SHOWN = 4000
"""Characters of a log that a failed test shows."""
PATIENCE = 120.0
"""Seconds that a part may take for what it must do in the end."""

_ports = itertools.count(random.SystemRandom().randrange(30_000, 32_000))


def free_port() -> int:
    """A port that nobody has, outside the range from which the system takes ports by itself, and that of engines."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there is always a next port")


class Part:
    """One process: its command, its log, its port. Starting does not wait."""

    def __init__(self, name: str, command: Sequence[str], log: Path, port: int = 0) -> None:
        self.name = name
        self.command = list(command)
        self.port = port
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._told_to_end = False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def crashed(self) -> bool:
        """Whether it ended, and not because it was told to."""
        return self._process is not None and not self.runs and not self._told_to_end

    def start(self) -> None:
        """Start it; it must not run."""
        assert not self.runs
        self._told_to_end = False
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=_environment()
            )

    def say(self, line: str) -> None:
        """A line to its standard input."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def heard(self) -> bytes:
        """What it writes to its standard output, until it ends."""
        assert self._process is not None
        return self._process.communicate(timeout=PATIENCE)[0]

    def signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        self._told_to_end |= which in (signal.SIGKILL, signal.SIGTERM)
        self._process.send_signal(which)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.signal(signal.SIGKILL)
        self.ended()

    def ended(self, seconds: float = PATIENCE) -> int:
        """Wait until it has ended; its exit code."""
        assert self._process is not None
        code = self._process.wait(seconds)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        return code

    def stop(self) -> int:
        """End it as an operator does, with SIGTERM; its exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def said(self) -> str:
        """The end of its log; the whole is in the file."""
        return self.log.read_text(errors="replace")[-SHOWN:] if self.log.exists() else ""

    def failures(self) -> str:
        """From its log the first thing that nobody thought of, if there is one."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        place = text.find("Traceback")
        return text[max(place - 200, 0) : place + SHOWN] if place >= 0 else ""

    def memory(self) -> int:
        """Bytes that it holds in memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS"))

    def get(self, path: str, timeout: float = 20.0, **parameters: Any) -> tuple[int, Any]:
        """Status and JSON of a GET; OSError or HTTPException where no answer comes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            query = urlencode({name.rstrip("_"): value for name, value in parameters.items()}, doseq=True)
            connection.request("GET", f"{path}?{query}" if query else path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        try:
            return response.status, json.loads(body)
        except ValueError:
            return response.status, body.decode(errors="replace")

    def asked(self, path: str, **parameters: Any) -> Any:
        """The JSON of a GET that must succeed."""
        status, content = self.get(path, **parameters)
        assert status == 200, (self.name, path, status, content)
        return content

    def wait_ready(self) -> None:
        """Wait until it answers."""
        await_(lambda: not self.runs or _answers(self), f"{self.name} answers", more=self.said)
        assert self.runs, f"{self.name} ended by itself: {self.said()}"

    def close(self) -> None:
        """End it, whatever its state."""
        if self._process is not None:
            if self.runs:
                self.signal(signal.SIGCONT)
                self.kill()
            self.ended()


class Server(Part):
    """A server on a store, which it may share; `store` are the settings that name it."""

    def __init__(self, name: str, folder: Path, store: Mapping[str, Any], port: int | None = None) -> None:
        port = port or free_port()
        settings = {**store, "port": port, "host_metrics": False, "log_level": "warning"}
        command = [sys.executable, str(SERVER), json.dumps(settings)]
        super().__init__(name, command, folder / f"{name}.log", port)


class Agent(Part):
    """An agent on a spool; `flags` are further ones, as on the command line."""

    def __init__(self, name: str, folder: Path, spool: Path, servers: Sequence[str], flags: Sequence[str] = ()) -> None:
        port = free_port()
        self.spool = spool
        command = [str(TABA), "agent", "--port", str(port), "--spool", str(spool)]
        for url in servers:
            command += ["--servers", url]
        super().__init__(name, [*command, *flags], folder / f"{name}.log", port)

    def status(self) -> dict[str, Any]:
        return self.asked("/v1/status")

    def spool_bytes(self) -> int:
        """Bytes of all files of the spool."""
        sizes = []
        for path in self.spool.rglob("*"):
            with contextlib.suppress(OSError):  # gone meanwhile
                sizes.append(path.stat().st_size if path.is_file() else 0)
        return sum(sizes)


class Client(Part):
    """A recording program."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.options = options
        command = [sys.executable, str(CLIENT), json.dumps(options.__dict__)]
        super().__init__(options.client, command, folder / f"{options.client}.log")

    def finish(self) -> Tallies:
        """Its tallies, once all that it recorded has been answered and it has ended."""
        self.say("finish")
        return self.tallies()

    def tallies(self) -> Tallies:
        """Its tallies when it has ended; it was told to finish."""
        written = self.heard()
        assert self.ended() == 0, self.said()
        return Tallies(**json.loads(written))

    def recorded_at_most(self) -> int:
        """How many events it recorded, at most, if it was killed."""
        mark = Path(self.options.mark)
        return MARK.unpack(mark.read_bytes())[0] if mark.exists() and mark.stat().st_size else 0


class World:
    """All of it. Nothing runs until `start`; `close` ends everything."""

    def __init__(
        self,
        folder: Path,
        seed: int = 1,
        agent_flags: Sequence[str] = (),
        spool: Path | None = None,
        store: str = "sqlite",
    ) -> None:
        self.folder = folder
        self.store = STORES[store](folder)
        self.seed = seed
        self.wire = Wire()
        self.servers = [Server(f"server-{number}", folder, self.store.settings) for number in range(2)]
        self.links = [self.wire.link(server.port, free_port()) for server in self.servers]
        self.agent = Agent("agent", folder, spool or folder / "spool", [link.url for link in self.links], agent_flags)
        self.uplink: Link = self.wire.link(self.agent.port, free_port())
        self.clients: list[Client] = []
        self.killed: list[Client] = []
        self._others: list[Part] = []

    def start(self) -> None:
        """Start the servers and the agent."""
        for part in self.parts:
            part.start()
        for part in self.parts:
            part.wait_ready()

    @property
    def parts(self) -> list[Part]:
        """The servers and the agent."""
        return [*self.servers, self.agent]

    def add(self, part: Part) -> Any:
        """Another process, which the world ends too."""
        self._others.append(part)
        return part

    def add_clients(self, number: int, **options: Any) -> list[Client]:
        """Start so many more clients; they wait to be told."""
        first = len(self.clients) + len(self.killed)
        added = []
        for one in range(first, first + number):
            name = f"web-{one}"
            mark = str(self.folder / f"{name}.mark")
            given = {"agent": self.uplink.url, "seed": self.seed} | options
            added.append(Client(self.folder, Options(client=name, mark=mark, **given)))
            added[-1].start()
        self.clients += added
        return added

    def say(self, command: str) -> None:
        """A command to every client."""
        for client in self.clients:
            client.say(command)

    def kill_client(self, client: Client) -> None:
        """End a client with SIGKILL; it stays dead."""
        client.kill()
        self.clients.remove(client)
        self.killed.append(client)

    def recover(self) -> None:
        """Whatever was done to links and processes, all is well again."""
        self.store.recover()
        for link in (*self.links, self.uplink):
            link.forward()
        for part in self.parts:
            assert not part.crashed, f"{part.name} ended by itself: {part.said()}"
            if part.runs:
                part.signal(signal.SIGCONT)
            else:
                part.start()
        for part in self.parts:
            part.wait_ready()

    def finish(self) -> dict[str, Tallies]:
        """Finish all clients; their tallies."""
        self.say("finish")
        return {client.name: client.tallies() for client in self.clients}

    def memory(self) -> dict[str, int]:
        """Bytes in memory of the servers and the agent."""
        return {part.name: part.memory() for part in self.parts}

    def close(self) -> None:
        """End everything; what went wrong inside a part fails the test."""
        try:
            for part in (*self.clients, *self.killed, *self._others, self.agent, *self.servers):
                part.close()
        finally:
            self.wire.close()
            self.store.close()
        for part in (*self.parts, *self._others, *self.clients, *self.killed):
            assert not part.failures(), f"{part.name}: {part.failures()}"


@contextlib.contextmanager
def world(folder: Path, **options: Any) -> Iterator[World]:
    """A world that runs, and ends."""
    made = World(folder, **options)
    try:
        made.start()
        yield made
    finally:
        made.close()


def await_(condition: Any, what: str, seconds: float = PATIENCE, more: Any = lambda: "") -> None:
    """Wait until `condition` holds; fail, saying `what` did not come, and what `more` tells."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in vain for {seconds} s: {what}; {more()}"
        time.sleep(0.05)


def tell(text: str) -> None:
    """A line on standard output, which pytest shows where a test fails, or with -s."""
    sys.stdout.write(text + "\n")


def _answers(part: Part) -> bool:
    try:
        return part.get("/ping", timeout=2)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def _environment() -> Mapping[str, str]:
    """This process's variables without those that are settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TABA_")}
