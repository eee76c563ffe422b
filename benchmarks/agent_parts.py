"""What the benchmark `agent` puts around an agent: a sink that notes when frames arrive, and senders of frames."""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from backports import zstd

from taba.frame import CONTENT_TYPE, Header, decode, encode, pack_values

SPAWN = multiprocessing.get_context("spawn")
FLUSHES = 4
"""Frames a second of each client, on the quarter second as the client makes them."""


def made_frame(client: str, sequence: int, tabs: int, events: int, stop: float) -> bytes:
    """A frame of `events` numbers over `tabs` tabs, spread as prices are, with two places."""
    counts = [events // tabs + (place < events % tabs) for place in range(tabs)]
    chance = random.Random(f"{client} {sequence}")
    values = array("d", [round(chance.lognormvariate(3, 1), 2) for _ in range(sum(counts))])
    names = [f"shop.orders.{place:03}{{region=eu-{place % 5}}}" for place in range(tabs)]
    kinds = ["percentile" if place % 5 == 0 else "counter" for place in range(tabs)]
    return encode(
        Header(
            client, "bench", sequence, stop - 0.25, stop, names, kinds, counts, began=0.0, recorded=sequence * events
        ),
        pack_values(values),
    )


def serve_sink(pipe: Connection) -> None:
    """Take frames and note when each arrived; at each message on the pipe, tell and forget them."""
    import uvicorn

    arrivals: dict[tuple[str, int], float] = {}
    wire = [0]

    async def app(scope: dict[str, object], receive, send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        now = time.time()
        wire[0] += len(body)
        if body:
            packed = any(name == b"content-encoding" for name, _ in scope["headers"])  # type: ignore[attr-defined]
            for one in decode(zstd.decompress(body) if packed else body):
                arrivals.setdefault((one.header.client, one.header.sequence), now)
        answer = b'{"accepted":0,"rejected":[]}'
        fields = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": answer})

    class Sink(uvicorn.Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets)
            pipe.send(self.servers[0].sockets[0].getsockname()[1])
            asyncio.get_running_loop().add_reader(pipe.fileno(), tell)

    def tell() -> None:
        os.set_blocking(pipe.fileno(), True)  # the event loop has changed it, and what is told may be long
        pipe.recv()
        pipe.send((dict(arrivals), wire[0]))
        arrivals.clear()
        wire[0] = 0

    Sink(uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off")).run()  # type: ignore[arg-type]


@dataclass
class Sink:
    """A sink in a process of its own."""

    port: int
    pipe: Connection
    process: BaseProcess

    def taken(self) -> tuple[dict[tuple[str, int], float], int]:
        """When each frame arrived since the last call, and the bytes of the bodies as they travelled."""
        self.pipe.send("tell")
        return self.pipe.recv()


@contextmanager
def running_sink() -> Iterator[Sink]:
    """A sink, ended in the end."""
    pipe, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=serve_sink, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Sink(pipe.recv(), pipe, process)
    finally:
        process.terminate()
        process.join()


@dataclass
class AgentProcess:
    """`taba agent` in a process of its own."""

    pid: int
    port: int


@contextmanager
def running_agent(spool: Path, servers: int | Sequence[int], *flags: str) -> Iterator[AgentProcess]:
    """An agent that sends to a port of this machine, or to several, ended in the end."""
    command = [str(Path(sys.executable).with_name("taba")), "agent", "--port", "0", "--spool", str(spool), "--json"]
    for port in [servers] if isinstance(servers, int) else servers:
        command += ["--servers", f"http://127.0.0.1:{port}"]
    command += ["--log-level", "error", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = int(json.loads(process.stdout.readline())["url"].rpartition(":")[2])
        yield AgentProcess(process.pid, port)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def send_on_time(port: int, clients: int, tabs: int, events: int, seconds: float, pipe: Connection) -> None:
    """Each client posts a frame on each quarter second, over a connection of its own; tells when each was sent."""
    sent: dict[tuple[str, int], float] = {}
    answered: list[float] = []
    start = time.time() + 1.0
    flushes = [-(-start * FLUSHES // 1) / FLUSHES + step / FLUSHES for step in range(int(seconds * FLUSHES))]

    def run(name: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        frames = [made_frame(name, number, tabs, events, stop) for number, stop in enumerate(flushes, 1)]
        for number, (stop, frame) in enumerate(zip(flushes, frames, strict=True), 1):
            time.sleep(max(0.0, stop - time.time()))
            begun = sent[name, number] = time.time()
            _post(connection, frame)
            answered.append(time.time() - begun)

    _all(run, [f"bench-{number}" for number in range(clients)])
    pipe.send((sent, answered))


def send_at_once(port: int, clients: int, tabs: int, events: int, frames: int, pipe: Connection) -> None:
    """Each client posts its frames one after another, as fast as they are answered; tells the seconds it took."""
    made = {
        f"bench-{number}": [made_frame(f"bench-{number}", one, tabs, events, 0.25) for one in range(1, frames + 1)]
        for number in range(clients)
    }
    pipe.send("ready")
    pipe.recv()

    def run(name: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for frame in made[name]:
            _post(connection, frame)

    begun = time.perf_counter()
    _all(run, list(made))
    pipe.send((time.perf_counter() - begun, sum(len(frame) for some in made.values() for frame in some)))


def _post(connection: http.client.HTTPConnection, frame: bytes) -> None:
    connection.request("POST", "/v1/events", frame, {"Content-Type": CONTENT_TYPE})
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, body


def _all(run, names: Sequence[str]) -> None:
    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def processor_seconds(pid: int) -> float:
    """What a process has used so far, of all its threads."""
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()  # noqa: PTH123, SIM115
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    """The memory that a process holds."""
    with open(f"/proc/{pid}/status") as lines:  # noqa: PTH123
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
