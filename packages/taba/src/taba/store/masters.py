"""Where the masters are: one server, the master that Sentinels know, or those of a Cluster by slot.

Of the client library only plain connections are used. Its own way with Clusters sends commands again by itself, and
cannot wait for replicas on the connection that wrote.
"""

from __future__ import annotations

import random
import threading
from binascii import crc_hqx
from collections.abc import Sequence
from typing import Any, Protocol

import valkey
from valkey import exceptions
from valkey.exceptions import ValkeyError

from taba.store.address import Address
from taba.store.connections import client, sentinels_client, socket_client
from taba.store.trouble import UncoveredError

SLOTS = 16384
UNNAMED = b"?"
"""What a node is called that is to be called by its hostname, and has none."""
ASK_SECONDS = 1.0
"""The same, where a node is asked for where the slots are: there are others to ask."""

Node = tuple[str, int]
_Range = tuple[int, int, list[Node]]
"""First slot, last slot, their master and its replicas."""


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
            self._master = sentinels_client(address)
        elif address.kind == "unix":
            self._master = socket_client(address)
        else:
            self._master = client(address, *address.hosts[0])

    def of(self, key: str) -> valkey.Valkey:
        del key
        return self._master

    def at(self, host: str, port: int) -> valkey.Valkey:
        del host, port
        return self._master

    def masters(self) -> list[valkey.Valkey]:
        return [self._master]

    def moved(self, error: Exception) -> None:
        # A connection that is made anew leads to whoever is the master now.
        del error
        self._master.connection_pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        self._master.close()


class _Cluster:
    """The masters of a Cluster, by slot; asked anew of any node when it has changed."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._clients: dict[Node, valkey.Valkey] = {}
        self._ranges: list[_Range] = []
        self._changing = threading.Lock()

    def of(self, key: str) -> valkey.Valkey:
        if not self._ranges:
            self.moved(UncoveredError())
        slot = slot_of(key)
        for first, last, (master, *_) in self._ranges:
            if first <= slot <= last:
                return self.at(*master)
        raise UncoveredError(f"no master has slot {slot}")

    def at(self, host: str, port: int) -> valkey.Valkey:
        with self._changing:
            if (host, port) not in self._clients:
                self._clients[host, port] = client(self._address, host, port)
            return self._clients[host, port]

    def masters(self) -> list[valkey.Valkey]:
        self.moved(UncoveredError())
        return [self.at(*master) for master in dict.fromkeys(nodes[0] for _, _, nodes in self._ranges)]

    def moved(self, error: Exception) -> None:
        if type(error) in (exceptions.TryAgainError, exceptions.AskError):
            return  # the slots are where they were
        before = _nodes(self._ranges)
        best: list[_Range] = []
        failed: Exception = UncoveredError("no node of the Cluster is known")
        asked = list(before | set(self._address.hosts))
        # Any of them may be cut off from the others, and know no better than we do; a node that was removed knows none.
        for node in random.sample(asked, len(asked)):
            try:
                best = max(best, self._asked(*node), key=_covered)
            except (ValkeyError, OSError) as unanswered:
                failed = unanswered
            if _covered(best) == SLOTS:
                break
        if not best:
            raise failed
        self._ranges = best
        self._forget(before - _nodes(best))

    def close(self) -> None:
        with self._changing:
            gone, self._clients = self._clients, {}
        for one in gone.values():
            one.close()

    def _asked(self, host: str, port: int) -> list[_Range]:
        """Where the slots are, as a node knows it."""
        with client(self._address, host, port, seconds=ASK_SECONDS) as asked:
            return _ranges(asked.execute_command("CLUSTER", "SLOTS"), host)

    def _forget(self, nodes: set[Node]) -> None:
        """End the connections to nodes that are gone, but for those from which threads are just reading."""
        with self._changing:
            gone = [self._clients.pop(node) for node in nodes if node in self._clients]
        for one in gone:
            one.connection_pool.disconnect(inuse_connections=False)


def _ranges(rows: Any, asked: str) -> list[_Range]:
    """What CLUSTER SLOTS answers, asked for at the host `asked`."""
    return [
        (int(first), int(last), [(_host(node, asked), int(node[1])) for node in nodes]) for first, last, *nodes in rows
    ]


def _host(node: Sequence[Any], asked: str) -> str:
    """A node's host. One that is not said by name has the one by which it was asked; one that should be said by name,
    and has none, is known by its address all the same."""
    host, _, _, *more = node
    if host == UNNAMED:
        named = dict(zip(more[0][::2], more[0][1::2], strict=True)) if more else {}
        host = named.get(b"ip")
    return (host or b"").decode() or asked


def _nodes(ranges: list[_Range]) -> set[Node]:
    return {node for _, _, nodes in ranges for node in nodes}


def _covered(ranges: list[_Range]) -> int:
    """How many slots have a master."""
    return sum(last - first + 1 for first, last, _ in ranges)


def slot_of(key: str) -> int:
    """The slot of a key: of what is between the first { and the } behind it, or of all of it."""
    begin = key.find("{")
    end = key.find("}", begin + 1) if begin >= 0 else -1
    hashed = key[begin + 1 : end] if end > begin + 1 else key
    return crc_hqx(hashed.encode(), 0) % SLOTS
