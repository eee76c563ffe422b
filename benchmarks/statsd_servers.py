"""StatsD servers, each started on loopback with its defaults, and what each says that it has received."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engines import await_that, free_port
from benchmarks.peers_build import go_program, node_package
from benchmarks.peers_run import BACKEND, STATSD, STATSD_EXPORTER

NODE_FLUSH_SECONDS = 10.0
"""How often Node's statsd works out what it has, its default."""
TABA = [sys.executable, "-c", "from taba.cli import main; main()"]


@dataclass(frozen=True, slots=True)
class Listening:
    """A running server: whose processor time counts, its port, and how to learn what it has received, in lines."""

    pid: int
    port: int
    received: Callable[[], int]
    settle: float
    """For how many seconds after the last packet its work is watched."""


@contextmanager
def _running(command: Sequence[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, **more)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)
        if process.stdout:
            process.stdout.close()


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


@contextmanager
def _taba(*words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A command of Taba's, and what it tells once it listens."""
    with tempfile.TemporaryDirectory(prefix="taba-statsd-") as folder:
        filled = [word.replace("FOLDER", folder) for word in words]
        with _running([*TABA, *filled, "--port", "0", "--json"], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())


def _agent(process: subprocess.Popen[str], url: str) -> Listening:
    def status() -> dict[str, Any]:
        return json.loads(_get(f"{url}/v1/status"))

    port = int(status()["statsd"]["listens"][0]["address"].rpartition(":")[2])
    return Listening(process.pid, port, lambda: status()["counts"].get("statsd.lines", 0), 3.0)


@contextmanager
def taba_agent() -> Iterator[Listening]:
    """The agent by itself; the server to which it sends is another process, whose time does not count."""
    with _taba("server", "--data", "FOLDER/data") as (_, server):
        spool = ("--spool", "FOLDER/spool", "--servers", server["url"], "--statsd", "udp://127.0.0.1:0")
        with _taba("agent", *spool) as (process, told):
            yield _agent(process, told["url"])


@contextmanager
def taba_up() -> Iterator[Listening]:
    """Agent, server and store in one process."""
    words = ("up", "--data", "FOLDER/data", "--no-host-metrics", "--agent-port", "0", "--agent-statsd")
    with _taba(*words, "udp://127.0.0.1:0") as (process, told):
        yield _agent(process, told["agent"])


@contextmanager
def node_statsd() -> Iterator[Listening]:
    """The first of its kind, on Node."""
    package = node_package(*STATSD)
    with tempfile.TemporaryDirectory(prefix="taba-statsd-") as name:
        folder, port = Path(name), free_port()
        (folder / "told.js").write_text(BACKEND)
        settings = {
            "address": "127.0.0.1",
            "port": port,
            "mgmt_address": "127.0.0.1",
            "mgmt_port": free_port(),
            "backends": [str(folder / "told.js")],
        }
        (folder / "config.js").write_text(json.dumps(settings))
        command = ["node", str(package / "stats.js"), str(folder / "config.js")]
        with (folder / "told").open("w") as told, _running(command, stdout=told, stderr=told) as process:
            await_that(lambda: (folder / "told").read_text().count("{"), "statsd flushes")
            yield Listening(process.pid, port, lambda: _last(folder / "told"), NODE_FLUSH_SECONDS + 2)


def _last(told: Path) -> int:
    return json.loads([line for line in told.read_text().splitlines() if line.startswith("{")][-1])["received"]


@contextmanager
def statsd_exporter() -> Iterator[Listening]:
    """A StatsD server in Go, for Prometheus to scrape; here nobody does."""
    program, port, web = go_program(*STATSD_EXPORTER), free_port(), free_port()
    command = [str(program), f"--statsd.listen-udp=127.0.0.1:{port}", "--statsd.listen-tcp=", "--log.level=error"]
    command.append(f"--web.listen-address=127.0.0.1:{web}")
    with _running(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        await_that(lambda: _answers(web), "statsd_exporter answers")
        yield Listening(process.pid, port, lambda: _samples(web), 3.0)


def _answers(port: int) -> bool:
    try:
        return bool(_get(f"http://127.0.0.1:{port}/metrics"))
    except OSError:
        return False


def _samples(port: int) -> int:
    """The lines that it could not use are not among these: it knows no sets."""
    told = _get(f"http://127.0.0.1:{port}/metrics").decode()
    found = re.findall(r"^statsd_exporter_lines_total (\S+)$", told, re.MULTILINE)
    return round(sum(map(float, found)))


SERVERS = {
    "Taba, `taba agent`": taba_agent,
    "Taba, `taba up`": taba_up,
    "statsd (Node)": node_statsd,
    "statsd_exporter (Go)": statsd_exporter,
}
