"""Who an agent is: an id for its spool, and how often it was started. The lock keeps others off the spool.

    SPOOL/agent.json    {"id": 12 hex digits, "starts": how often an agent was started on this spool,
                         "relays": whether other agents have sent frames here,
                         "began": when the first of these starts was, in seconds since 1970}
    SPOOL/agent.lock    held, with its process id in it, by the agent that runs

The id and the number of the start are in what the agent tells of itself. So servers notice when a spool was copied
and two agents call themselves by one id, or when it was put back to an older state.

A full disk keeps no agent from starting, because it is to send what fills the disk.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from taba.agent.segment import FULL_DISK, sync_folder


class SpoolError(Exception):
    """The spool cannot be used; the text says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """`start` counts from 1; `nonce` differs in every start; `relays` tells that frames come from other agents too."""

    id: str
    start: int
    nonce: str
    relays: bool = False
    began: float = 0.0

    @property
    def client(self) -> str:
        """The client id under which the agent reports of itself."""
        host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname()) or "host"
        return f"taba-agent-{host[:100]}-{self.id[:6]}"

    @property
    def epoch(self) -> str:
        """The epoch of those reports."""
        return f"{self.start}-{self.nonce}"


def lock(folder: Path) -> int:
    """Make the folder, and keep it for this process while the descriptor that is returned is open."""
    path = folder / "agent.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SpoolError(f"the spool {folder} cannot be used ({error.strerror}): name another with --spool") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise SpoolError(
            f"the spool {folder} is in use by the process {holder or '(unknown)'}: stop that agent, or name another "
            "spool with --spool"
        ) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        if error.errno not in FULL_DISK:
            os.close(descriptor)
            raise SpoolError(f"the spool {folder} cannot be written ({error.strerror}): mount it so") from error
    return descriptor


def begin(folder: Path) -> Identity:
    """The identity of the agent that starts now on a locked spool."""
    path = folder / "agent.json"
    known: object = None
    try:
        known = json.loads(path.read_text())
    except FileNotFoundError:
        pass
    except (OSError, ValueError):
        known = None  # a new id then: nothing is counted by it
    kept = known if isinstance(known, dict) else {}
    name, starts = kept.get("id"), kept.get("starts")
    if not (isinstance(name, str) and re.fullmatch("[0-9a-f]{12}", name) and isinstance(starts, int)):
        name, starts = os.urandom(6).hex(), 0
    began = kept.get("began") if starts else None
    began = began if isinstance(began, float) else time.time()
    identity = Identity(name, starts + 1, os.urandom(4).hex(), kept.get("relays") is True, began)
    try:
        write(folder, identity)
    except OSError as error:
        # Nothing is counted by the number.
        if error.errno not in FULL_DISK:
            raise SpoolError(f"{path} cannot be written ({error.strerror}): make room on its disk") from error
    return identity


def write(folder: Path, identity: Identity) -> None:
    """Have the identity on the disk, for the next start. Raises OSError."""
    path = folder / "agent.json"
    beside = path.with_suffix(".new")
    with beside.open("w") as file:
        told = {"id": identity.id, "starts": identity.start, "relays": identity.relays}
        file.write(json.dumps(told | {"began": identity.began}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(folder)
