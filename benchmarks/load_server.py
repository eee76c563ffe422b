"""The way of events, each part a process of its own: agents, servers, engines; and what each uses.

A store on an engine lies in servers that are started here, with new data. Several servers have one store.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil

from benchmarks.agent_parts import AgentProcess, running_agent
from benchmarks.engines import Engines, EngineUse, running_engines
from taba.config import Settings

SPAWN = multiprocessing.get_context("spawn")
START_SECONDS = 60
STOP_SECONDS = 60
STORES = ("sqlite", "redis", "cluster", "valkey")
OWN_FSYNC = "always"
"""What `store = "valkey"` starts its own server with."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Which parts the way has. `fsync` is an engine's appendfsync; without agents clients post to the servers."""

    store: str = "sqlite"
    fsync: str = ""
    servers: int = 1
    agents: int = 0
    shards: int = 8

    @property
    def durability(self) -> str:
        """How often the store writes to its disk, in the engine's words."""
        return self.fsync or (OWN_FSYNC if self.store == "valkey" else "everysec")

    def described(self) -> str:
        """In words, as in a title."""
        servers = "one server" if self.servers == 1 else f"{self.servers} servers"
        if self.store == "sqlite":
            where = "the embedded store (SQLite)"
        else:
            names = {"redis": "Redis", "valkey": "Valkey", "cluster": "a Redis Cluster of 3 masters"}
            where = f"{names[self.store]}, appendfsync {self.durability}"
        agents = {0: "", 1: ", through an agent"}.get(self.agents, f", through {self.agents} agents")
        return f"{servers} on {where}{agents}"


@dataclass(slots=True)
class ServerProcess:
    """A running server."""

    process: SpawnProcess
    host: str
    port: int

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self.host, self.port

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process.pid is not None
        return self.process.pid


@dataclass(slots=True)
class Way:
    """A running way of events."""

    shape: Shape
    settings: Settings
    servers: list[ServerProcess]
    agents: list[AgentProcess]
    engines: Engines | None

    @property
    def doors(self) -> list[tuple[str, int]]:
        """Where events go: to the agents, where there are any."""
        return [("127.0.0.1", agent.port) for agent in self.agents] or [server.address for server in self.servers]

    @property
    def address(self) -> tuple[str, int]:
        """Where to ask: the last server, which of several is not the one that the first client posts to."""
        return self.servers[-1].address

    @property
    def parts(self) -> dict[str, list[int]]:
        """The process ids of each part."""
        found = {
            "agents": [agent.pid for agent in self.agents],
            "servers": [server.pid for server in self.servers],
            "engine": self.engines.pids if self.engines else [],
        }
        return {part: pids for part, pids in found.items() if pids}

    def processor_seconds(self) -> dict[str, float]:
        """What each part has used."""
        return {part: sum(map(processor_seconds, pids)) for part, pids in self.parts.items()}

    def written(self) -> dict[str, int]:
        """Bytes that each part has had written to disks, without those of an engine's children."""
        return {
            part: sum(psutil.Process(pid).io_counters().write_bytes for pid in pids)
            for part, pids in self.parts.items()
        }

    def peak_memory(self) -> dict[str, int]:
        """The most bytes that were resident at once, each part's processes added up."""
        return {part: sum(map(peak_memory, pids)) for part, pids in self.parts.items()}

    def engine_use(self) -> EngineUse | None:
        """What the engines tell of themselves."""
        return self.engines.use() if self.engines else None

    def fate(self) -> str:
        """Whether the servers still run, in words; for error messages."""
        codes = [server.process.exitcode for server in self.servers]
        return "the servers still run" if not any(codes) else f"the servers ended with exit codes {codes}"


@contextmanager
def running_way(shape: Shape) -> Iterator[Way]:
    """All parts on free ports and with new data, ended when the block ends."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taba-load-")))
        settings = Settings(port=0, data=folder / "data", shards=shape.shards)
        engines = None
        if shape.store != "sqlite":
            engines = stack.enter_context(running_engines(shape.store, shape.durability))
            settings = msgspec.structs.replace(settings, store=engines.url)
        servers = [stack.enter_context(_running_server(settings)) for _ in range(shape.servers)]
        ports = [server.port for server in servers]
        agents = [
            stack.enter_context(running_agent(folder / f"spool-{number}", ports)) for number in range(shape.agents)
        ]
        yield Way(shape, settings, servers, agents, engines)


def _serve(settings: Settings, pipe: Connection) -> None:
    from taba.server.main import serve

    serve(settings, pipe.send)


@contextmanager
def _running_server(settings: Settings) -> Iterator[ServerProcess]:
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=_serve, args=(settings, there), name="server")
    process.start()
    there.close()
    try:
        if not here.poll(START_SECONDS):
            raise RuntimeError("the server did not start in time")
        url = urlsplit(here.recv())
        yield ServerProcess(process, url.hostname or "127.0.0.1", url.port or 0)
    finally:
        process.terminate()
        process.join(STOP_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def processor_seconds(pid: int) -> float:
    """User and system time that a process has used, all its threads together, and its children that have ended."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def peak_memory(pid: int) -> int:
    """The most bytes of a process that were resident at once."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def busy_seconds() -> float:
    """Processor time that all processes of the machine have used, and what its host took away."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system + times.irq + times.softirq + times.steal
