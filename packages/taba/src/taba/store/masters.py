"""Where the masters are: one server, the master that Sentinels know, or those of a Cluster by slot.

Of the client library only plain connections are used. Its own way with Clusters sends commands again by itself, and
cannot wait for replicas on the connection that wrote.
"""

from __future__ import annotations

import math
import threading
from binascii import crc_hqx
from typing import Any, Protocol

import valkey
from valkey import exceptions
from valkey.backoff import NoBackoff
from valkey.exceptions import ValkeyError
from valkey.retry import Retry
from valkey.sentinel import Sentinel

from taba.store.address import Address
from taba.store.trouble import UncoveredError, UnsafeError

SLOTS = 16384
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0

Node = tuple[str, int]


class Masters(Protocol):
    """Where the masters are."""

    def of(self, key: str) -> valkey.Valkey:
        """The master that has a key."""
        ...

    def masters(self) -> list[valkey.Valkey]:
        """All masters."""
        ...

    def moved(self, error: Exception) -> None:
        """Find out anew where keys are, after an error that says that they are elsewhere."""
        ...

    def at(self, host: str, port: int) -> valkey.Valkey:
        """The master there."""
        ...

    def close(self) -> None:
        """End all connections."""
        ...


def masters_of(address: Address) -> Masters:
    """The masters at an address; connections are made when they are needed."""
    return _Cluster(address) if address.kind == "cluster" else _Single(address)


class _Single:
    """One server, or the master that Sentinels know."""

    def __init__(self, address: Address) -> None:
        if address.kind == "sentinel":
            asked = Sentinel(
                list(address.hosts), socket_timeout=CONNECT_SECONDS, socket_connect_timeout=CONNECT_SECONDS
            )
            self._master = asked.master_for(address.name, **_options(address))
        elif address.kind == "unix":
            self._master = valkey.Valkey(unix_socket_path=address.name, **_options(address))
        else:
            ((host, port),) = address.hosts
            self._master = valkey.Valkey(host, port, **_options(address))

    def of(self, key: str) -> valkey.Valkey:
        del key
        return self._master

    def at(self, host: str, port: int) -> valkey.Valkey:
        del host, port
        return self._master

    def masters(self) -> list[valkey.Valkey]:
        return [self._master]

    def moved(self, error: Exception) -> None:
        if isinstance(error, exceptions.ReadOnlyError | UnsafeError):
            self._master.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        self._master.close()


class _Cluster:
    """The masters of a Cluster, by slot; asked anew of any node when it has changed."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._clients: dict[Node, valkey.Valkey] = {}
        self._ranges: list[tuple[int, int, Node]] = []
        self._changing = threading.Lock()
        self._known_at = -math.inf

    def of(self, key: str) -> valkey.Valkey:
        if not self._ranges:
            self.moved(UncoveredError())
        slot = slot_of(key)
        for first, last, node in self._ranges:
            if first <= slot <= last:
                return self.at(*node)
        raise UncoveredError(f"no master has slot {slot}")

    def at(self, host: str, port: int) -> valkey.Valkey:
        with self._changing:
            if (host, port) not in self._clients:
                self._clients[host, port] = valkey.Valkey(host, port, **_options(self._address))
            return self._clients[host, port]

    def masters(self) -> list[valkey.Valkey]:
        self.moved(UncoveredError())
        return [self.at(*node) for node in dict.fromkeys(node for _, _, node in self._ranges)]

    def moved(self, error: Exception) -> None:
        if isinstance(error, exceptions.TryAgainError | exceptions.AskError | UnsafeError):
            return  # the slots are where they were
        failed: Exception = UncoveredError("no node of the Cluster is known")
        for host, port in dict.fromkeys([*(node for _, _, node in self._ranges), *self._address.hosts]):
            try:
                self._ranges = _ranges(self.at(host, port), host)
                return
            except (ValkeyError, OSError) as unanswered:
                failed = unanswered
        raise failed

    def close(self) -> None:
        with self._changing:
            while self._clients:
                self._clients.popitem()[1].close()


def _ranges(client: valkey.Valkey, asked: str) -> list[tuple[int, int, Node]]:
    """(first slot, last slot, its master), as a node knows it."""
    rows: Any = client.execute_command("CLUSTER", "SLOTS")
    return [
        (int(first), int(last), ((master[0] or b"").decode() or asked, int(master[1])))
        for first, last, master, *_ in rows
    ]


def slot_of(key: str) -> int:
    """The slot of a key: of what is between the first { and the } behind it, or of all of it."""
    begin = key.find("{")
    end = key.find("}", begin + 1) if begin >= 0 else -1
    hashed = key[begin + 1 : end] if end > begin + 1 else key
    return crc_hqx(hashed.encode(), 0) % SLOTS


def _options(address: Address) -> dict[str, Any]:
    more: dict[str, Any] = {"ssl": True, "ssl_ca_certs": address.ca} if address.tls else {}
    if address.kind != "unix":
        more["socket_keepalive"] = True
    return more | {
        "db": address.database,
        "username": address.user,
        "password": address.password,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "client_name": "taba",
    }
