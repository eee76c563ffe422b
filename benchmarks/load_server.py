"""A server in a process of its own, and what it uses: processor, memory and disk."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.agent_parts import AgentProcess, running_agent

SPAWN = multiprocessing.get_context("spawn")
START_SECONDS = 60
STOP_SECONDS = 60


def _serve(data: str, pipe: Connection) -> None:
    from taba.config import Settings
    from taba.server.main import serve

    serve(Settings(port=0, data=Path(data)), pipe.send)


@dataclass(slots=True)
class ServerProcess:
    """A running server."""

    process: SpawnProcess
    host: str
    port: int
    agent: AgentProcess | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self.host, self.port

    @property
    def door(self) -> tuple[str, int]:
        """Where events go: to the agent, where there is one."""
        return ("127.0.0.1", self.agent.port) if self.agent else self.address

    def processor_seconds(self) -> float:
        """What it and its agent have used."""
        return processor_seconds(self.pid) + (processor_seconds(self.agent.pid) if self.agent else 0.0)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process.pid is not None
        return self.process.pid

    def fate(self) -> str:
        """Whether it still runs, in words; for error messages."""
        code = self.process.exitcode
        return "the server still runs" if code is None else f"the server ended with exit code {code}"

    def peak_memory(self) -> int:
        """The most bytes that were resident at once."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10


@contextmanager
def running_server(data: Path, agent: bool = False) -> Iterator[ServerProcess]:
    """A server on a free port, with an agent in front of it or none, ended when the block ends."""
    here, there = SPAWN.Pipe()
    process = SPAWN.Process(target=_serve, args=(str(data), there), name="server")
    process.start()
    there.close()
    try:
        if not here.poll(START_SECONDS):
            raise RuntimeError("the server did not start in time")
        url = urlsplit(here.recv())
        server = ServerProcess(process, url.hostname or "127.0.0.1", url.port or 0)
        with running_agent(data / "spool", server.port) if agent else nullcontext() as server.agent:
            yield server
    finally:
        process.terminate()
        process.join(STOP_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def processor_seconds(pid: int) -> float:
    """User and system time that a process has used, all its threads together."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def busy_seconds() -> float:
    """Processor time that all processes of the machine have used, and what its host took away."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system + times.irq + times.softirq + times.steal


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies in a store that is closed."""

    file_bytes: int
    chunks: int
    states: int
    body_bytes: int
    by_view: list[tuple[str, int, int, int, int]]
    """view, width, chunks, States, bytes"""


def stored(data: Path) -> Stored:
    """Read the store's table of chunks."""
    path = data / "taba.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        rows = database.execute(
            "SELECT view, width, count(*), sum(rows), sum(length(body)) FROM chunks GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
    size = sum(part.stat().st_size for part in data.iterdir())
    return Stored(size, sum(row[2] for row in rows), sum(row[3] for row in rows), sum(row[4] for row in rows), rows)
