"""What an engine's own settings promise of what was answered, told in one line when a server starts.

How often the engine writes to its disk (`appendonly`, `appendfsync`) decides what its crash loses, and how many
replicas have a write before it is answered decides what a failover loses. `maxmemory` with eviction would throw away
States when memory is short, so it is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taba.store.engine import Engine, Safety
from taba.store.protocol import StoreError

log = logging.getLogger(__name__)

UNKNOWN = "unknown"
START_SECONDS = 5.0
"""How long masters may take to answer when a server starts, as while one follows another."""
_WEAKEST_FIRST = ("no", "everysec", UNKNOWN, "always")
_ASK_FSYNC = ("CONFIG", "GET", "appendfsync")


@dataclass(frozen=True, slots=True)
class Promises:
    """What was found out of the masters: the weakest of their settings."""

    name: str
    masters: int
    replicas: int
    """Of the master that has fewest."""
    appendonly: bool
    appendfsync: str


def promise(engine: Engine) -> str:
    """What the engine promises, as a line for people. Raises StoreError where it would throw States away."""
    infos = engine.everywhere("INFO", patience=START_SECONDS)
    where = engine.address.shown
    for info in infos:
        # The other policies throw away only what has a time to live, which nothing of ours has.
        if int(info["maxmemory"]) and str(info["maxmemory_policy"]).startswith("allkeys"):
            raise StoreError(
                f"{where} has maxmemory with the policy {info['maxmemory_policy']}, which throws States away when "
                "memory is short: set maxmemory-policy to noeviction"
            )
    found = _found(infos, _fsync(engine))
    if engine.safety.replicas > found.replicas:
        log.warning(
            "%s: every write waits for %d replicas, and there is a master with %d: it will be refused",
            where,
            engine.safety.replicas,
            found.replicas,
        )
    return f"{where}: {described(found, engine.safety)}"


def _found(infos: Sequence[Mapping[str, Any]], fsync: str) -> Promises:
    name = "Valkey" if "valkey_version" in infos[0] else "Redis"
    return Promises(
        name=f"{name} {infos[0].get('valkey_version', infos[0]['redis_version'])}",
        masters=len(infos),
        replicas=min(int(info["connected_slaves"]) for info in infos),
        appendonly=all(int(info["aof_enabled"]) for info in infos),
        appendfsync=fsync,
    )


def _fsync(engine: Engine) -> str:
    """The weakest `appendfsync` of the masters; UNKNOWN where one may not be asked."""
    try:
        found = {dict([answer])[b"appendfsync"].decode() for answer in engine.everywhere(*_ASK_FSYNC)}
    except (StoreError, KeyError):
        return UNKNOWN
    return min(found, key=_WEAKEST_FIRST.index)


def described(found: Promises, safety: Safety) -> str:
    """What is promised, in words: what is lost of that which was answered, where what happens."""
    masters = f"{found.masters} masters, " if found.masters > 1 else ""
    return f"{found.name}, {masters}{_crash(found, safety)}; {_failover(found, safety)}"


def _crash(found: Promises, safety: Safety) -> str:
    if not found.appendonly:
        return "appendonly no: a crash of the engine loses all since its last snapshot"
    if safety.disk or found.appendfsync == "always":
        how = "WAITAOF" if safety.disk else "appendfsync always"
        return f"{how}: a crash of the engine or of its machine loses nothing"
    lost = {"everysec": "up to about a second", "no": "up to about half a minute", UNKNOWN: "what that says"}
    return f"appendfsync {found.appendfsync}: a crash of the engine or of its machine loses {lost[found.appendfsync]}"


def _failover(found: Promises, safety: Safety) -> str:
    if safety.replicas:
        return f"with {safety.replicas} of the replicas written too, a failover to one of those loses nothing"
    if found.replicas:
        return "a failover may lose what the replica did not have yet (store_replicas = 1 waits for it)"
    return "no replica"
