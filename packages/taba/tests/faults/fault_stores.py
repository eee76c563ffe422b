"""The stores that the faults run over: SQLite in a folder, one Redis, a Cluster; each with faults of its own.

    sqlite     none: the servers are all there is
    redis      appendfsync always; the engine is killed and started again, and frozen
    cluster    three masters with a replica each, every write on both (store_replicas = 1): masters and replicas are
               killed and come back, masters freeze for longer than the node timeout, slots move to and fro, a fourth
               master joins, all nodes are killed at once
    valkey     the same with Valkey's own way of moving slots, CLUSTER MIGRATESLOTS
    sentinel   one master with a replica, and three Sentinels; the master is killed and frozen

One fault of an engine is over before the next begins: of a master and its replica one is always there.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import valkey
from engines import (
    CALM_TIMEOUT,
    NODE_TIMEOUT,
    EngineCluster,
    EngineServer,
    await_that,
    cli,
    free_port,
    identity,
    migrate,
    named_by,
    sentinel,
    slots_of,
)

WHOLE_SECONDS = 120.0
"""How long a Cluster may take until all is well again."""


class Sqlite:
    """A folder; nothing of it runs by itself."""

    kinds: tuple[str, ...] = ()
    rest = 2.0
    """Seconds at most from one fault to the next."""

    def __init__(self, folder: Path) -> None:
        self.settings: dict[str, Any] = {"data": str(folder / "data")}

    def recover(self) -> None:
        """All is well again."""

    def close(self) -> None:
        """End what runs."""


class Redis(Sqlite):
    """One server that writes each command to its disk before it answers."""

    kinds = ("kill", "freeze")

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder)
        self.engine = EngineServer(folder / "redis", **settings)
        self.settings["store"] = self.engine.url

    def kill(self, chance: random.Random) -> None:
        """Ended with SIGKILL, and started again."""
        self.engine.kill()
        time.sleep(chance.uniform(0, 1.5))
        self.engine.start()

    def freeze(self, chance: random.Random) -> None:
        """Stopped for a while, so that it hangs."""
        self.engine.signal(signal.SIGSTOP)
        time.sleep(chance.uniform(0.5, 3.5))
        self.engine.signal(signal.SIGCONT)

    def close(self) -> None:
        self.engine.close()


class Cluster(Sqlite):
    """Masters with a replica each."""

    kinds = ("kill", "kill", "freeze", "replica", "restart", "move", "balance", "grow", "all")
    program = "redis"

    def __init__(self, folder: Path, replicas: int = 1, **settings: Any) -> None:
        super().__init__(folder)
        self.cluster = EngineCluster(folder / "cluster", self.program, **settings)
        self.settings |= {"store": self.cluster.url, "store_replicas": replicas}

    def kill(self, chance: random.Random) -> None:
        """A master is killed, its replica follows it, and it comes back as that one's replica."""
        one = self._master(chance)
        before = len(self.cluster.masters())
        one.kill()
        await_that(lambda: len(self.cluster.masters()) == before, "a replica follows", WHOLE_SECONDS)
        time.sleep(chance.uniform(0, 1))
        one.start()

    def freeze(self, chance: random.Random) -> None:
        """A master hangs; its replica follows it where that takes long; it wakes and learns so."""
        one = self._master(chance)
        one.signal(signal.SIGSTOP)
        time.sleep(chance.uniform(0.3, 5))
        one.signal(signal.SIGCONT)
        time.sleep(0.3)

    def replica(self, chance: random.Random) -> None:
        """A replica is killed and comes back; meanwhile its master's writes are refused."""
        masters = self.cluster.masters()
        one = chance.choice([server for server in self.cluster.servers if server not in masters])
        one.kill()
        time.sleep(chance.uniform(0, 1.5))
        one.start()

    def restart(self, chance: random.Random) -> None:
        """A master is killed and is back before anybody takes it for dead."""
        one = self._master(chance)
        one.kill()
        one.start()

    def move(self, chance: random.Random) -> None:
        """Some slots of a master go to another one."""
        one, other = chance.sample(self.cluster.masters(), 2)
        with self._calm():
            cli(
                "--cluster", "reshard", _host(one), "--cluster-from", identity(one), "--cluster-to", identity(other),
                "--cluster-slots", str(chance.randrange(100, 2500)), "--cluster-yes",
            )  # fmt: skip

    def balance(self, chance: random.Random) -> None:
        """Every master gets as many slots as another, a new one too."""
        with self._calm():
            cli("--cluster", "rebalance", _host(self._master(chance)), "--cluster-use-empty-masters")

    def grow(self, chance: random.Random) -> None:
        """A master joins with a replica and gets its part of the slots; once only."""
        if len(self.cluster.masters()) == 3:
            self.cluster.add_master(replicas=1)
            self.cluster.wait_until_whole(WHOLE_SECONDS)
        self.balance(chance)

    def all(self, chance: random.Random) -> None:
        """Every node is killed, and all are started again."""
        for server in self.cluster.servers:
            server.kill()
        time.sleep(chance.uniform(0, 1))
        for server in self.cluster.servers:
            server.start(wait=False)
        for server in self.cluster.servers:
            await_that(server.answers, "it is back", WHOLE_SECONDS)

    def recover(self) -> None:
        for server in self.cluster.servers:
            if not server.runs:
                server.start()
        self.cluster.wait_until_whole(WHOLE_SECONDS)

    def close(self) -> None:
        self.cluster.close()

    @contextlib.contextmanager
    def _calm(self) -> Iterator[None]:
        """No node is taken for dead meanwhile that only a busy machine holds up: that would end the moving of slots."""
        self._set_node_timeout(CALM_TIMEOUT)
        yield
        self._set_node_timeout(NODE_TIMEOUT)

    def _set_node_timeout(self, milliseconds: int) -> None:
        for server in self.cluster.servers:
            server.client.config_set("cluster-node-timeout", milliseconds)

    def _master(self, chance: random.Random) -> EngineServer:
        return chance.choice(self.cluster.masters())


class Valkey(Cluster):
    """Valkey's Cluster, where slots move whole."""

    program = "valkey"

    def balance(self, chance: random.Random) -> None:
        masters = sorted(self.cluster.masters(), key=lambda one: len(slots_of(one)))
        few, many = masters[0], masters[-1]
        most = slots_of(many)
        if len(most) - len(slots_of(few)) > 100:
            wanted = set(most[: (len(most) - len(slots_of(few))) // 2])
            with self._calm():
                for first, last in runs(wanted):
                    migrate(many, few, first, last)

    def move(self, chance: random.Random) -> None:
        one, other = chance.sample(self.cluster.masters(), 2)
        mine = slots_of(one)[: chance.randrange(100, 2500)]
        with self._calm():
            for first, last in runs(mine):
                migrate(one, other, first, last)


class Sentinel(Sqlite):
    """A master with a replica, and three Sentinels that have the replica follow it when it is away."""

    kinds = ("kill", "freeze")
    rest = 16.0  # Sentinels take ten seconds to make a replica of who was master; until then writes are refused

    def __init__(self, folder: Path, replicas: int = 1) -> None:
        super().__init__(folder)
        first = EngineServer(folder / "one", repl_diskless_sync_delay="0")
        second = EngineServer(folder / "two", repl_diskless_sync_delay="0", replicaof=f"127.0.0.1 {first.port}")
        self.servers = [first, second]
        ports: list[int] = []
        for _ in range(3):
            ports.append(free_port(ports))
        self._sentinels = [sentinel(folder / f"sentinel-{port}", port, first.port) for port in ports]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.settings |= {"store": f"redis+sentinel://{hosts}/main", "store_replicas": replicas}
        self.recover()

    def kill(self, chance: random.Random) -> None:
        """The master is killed, the replica follows it, and it comes back as that one's replica."""
        one = self.master()
        one.kill()
        await_that(
            lambda: any(self._leads(other) for other in self.servers if other.runs), "one follows", WHOLE_SECONDS
        )
        time.sleep(chance.uniform(0, 1))
        one.start()

    def freeze(self, chance: random.Random) -> None:
        """The master hangs for longer than Sentinels wait, and wakes as a second master for a moment."""
        one = self.master()
        one.signal(signal.SIGSTOP)
        others = [other for other in self.servers if other is not one]
        await_that(lambda: any(map(self._leads, others)), "one follows", WHOLE_SECONDS)
        time.sleep(chance.uniform(0, 1))
        one.signal(signal.SIGCONT)

    def master(self) -> EngineServer:
        """Whom the Sentinels name."""
        return next(server for server in self.servers if self._leads(server))

    def _leads(self, server: EngineServer) -> bool:
        with contextlib.suppress(valkey.exceptions.ValkeyError):
            return bool(server.client.role()[0] == b"master")
        return False

    def recover(self) -> None:
        def whole() -> bool:
            try:
                roles = [server.client.role() for server in self.servers]
            except valkey.exceptions.ValkeyError:
                return False
            return sorted(role[0] for role in roles) == [b"master", b"slave"] and all(
                role[3] == b"connected" for role in roles if role[0] == b"slave"
            )

        await_that(whole, "one follows the other", WHOLE_SECONDS)
        master = self.master().port
        for _, port in self._sentinels:
            await_that(lambda port=port: named_by(port) == master, "the Sentinels know", WHOLE_SECONDS)

    def close(self) -> None:
        for process, _ in self._sentinels:
            process.kill()
            process.wait(60)
        for server in self.servers:
            server.close()


STORES: dict[str, Callable[[Path], Sqlite]] = {
    "sqlite": Sqlite,
    "redis": Redis,
    "cluster": Cluster,
    "valkey": Valkey,
    "sentinel": Sentinel,
    "redis everysec": partial(Redis, appendfsync="everysec"),
    "cluster unsafe": partial(Cluster, replicas=0),
}


def chosen(variable: str, default: str) -> list[str]:
    """The stores that a variable names, as in `redis,cluster`."""
    names = (os.environ.get(variable) or default).split(",")
    assert set(names) <= set(STORES), f"{variable} is one or more of {', '.join(STORES)}, with commas between"
    return names


class EngineFaults(threading.Thread):
    """One fault of a store after another, with pauses between, until it is stopped. `done` is how often what was."""

    def __init__(self, store: Sqlite, seed: int, told: Callable[[str], None]) -> None:
        super().__init__(name="faults-engine", daemon=True)
        self.done: Counter[str] = Counter()
        self.slowest: dict[str, float] = {}
        """The most seconds that a fault of a kind lasted, until all was well again."""
        self._store, self._told = store, told
        self._chance = random.Random(f"engine {seed}")
        self._stopped = threading.Event()
        self._failed: BaseException | None = None

    def run(self) -> None:
        """In the order of the kinds at first, so that a short run has each; then by chance."""
        kinds = list(dict.fromkeys(self._store.kinds))
        self._chance.shuffle(kinds)
        try:
            while kinds and not self._stopped.wait(self._chance.uniform(self._store.rest / 8, self._store.rest)):
                kind = kinds.pop()
                kinds = kinds or [self._chance.choice(self._store.kinds)]
                begun = time.monotonic()
                getattr(self._store, kind)(self._chance)
                self._store.recover()
                seconds = time.monotonic() - begun
                self._told(f"engine: {kind}, {seconds:.1f} s")
                self.done[f"{kind} engine"] += 1
                self.slowest[kind] = max(self.slowest.get(kind, 0.0), round(seconds, 1))
        except BaseException as error:
            self._failed = error

    def stop(self) -> Counter[str]:
        """End the last fault; what was done. Raises what went wrong in a fault itself."""
        self._stopped.set()
        self.join(240)
        assert not self.is_alive(), "a fault does not end"
        if self._failed is not None:
            raise self._failed
        return self.done


def runs(slots: Iterable[int]) -> list[tuple[int, int]]:
    """Slots that follow one another, as first and last."""
    found: list[tuple[int, int]] = []
    for slot in sorted(slots):
        if found and found[-1][1] == slot - 1:
            found[-1] = (found[-1][0], slot)
        else:
            found.append((slot, slot))
    return found


def _host(server: EngineServer) -> str:
    return f"127.0.0.1:{server.port}"
