"""What a client is told: by arguments, else by the environment, else by default.

client    TABA_CLIENT    {host}-{pid}              the client's id; {host} and {pid} are filled in
agent     TABA_AGENT                               the address of an agent, which wins over a server's
server    TABA_SERVER    http://127.0.0.1:8300     the address of a server; 127.0.0.1:8300 will do
token     TABA_TOKEN                               what an agent or a server asks for; see taba.locks.outgoing, also for
                                                   ca, cert and key (TABA_CA, TABA_CERT, TABA_KEY): whom to trust
          TABA_DISABLED                            1: nothing is kept and nothing is sent
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from taba.locks.outgoing import Credentials, of_environment
from taba.names import check_client

DEFAULT_CLIENT = "{host}-{pid}"
DEFAULT_SERVER = "http://127.0.0.1:8300"

PENDING_BYTES = 16 << 20
FLUSH_LIMIT = 1_000_000


class Settings(NamedTuple):
    """The client's id with its placeholders; the address as written, and where; the bounds; what is sent with it."""

    client: str
    address: str
    origin: str
    pending_bytes: int
    flush_limit: int
    credentials: Credentials = Credentials()


def resolve(
    client: str | None,
    server: str | None,
    agent: str | None,
    *,
    pending_bytes: int = PENDING_BYTES,
    flush_limit: int = FLUSH_LIMIT,
    credentials: Mapping[str, str | None] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings that hold; `credentials` are token, ca, cert and key as far as they are given.

    Raises ValueError for a client id that breaks the rules, and for a token that cannot be one.
    """
    client = client or environ.get("TABA_CLIENT") or DEFAULT_CLIENT
    fill_in(client)
    addresses = [
        (agent, "agent"),
        (server, "server"),
        (environ.get("TABA_AGENT"), "TABA_AGENT"),
        (environ.get("TABA_SERVER"), "TABA_SERVER"),
    ]
    given = [(address, origin) for address, origin in addresses if address]
    address, origin = (given or [(DEFAULT_SERVER, "server")])[0]
    if re.fullmatch(r"[^:/]+:[0-9]+", address):
        address = f"http://{address}"
    found = of_environment(environ, **(credentials or {}))
    return Settings(client, address, origin, pending_bytes, flush_limit, found)


def fill_in(client: str) -> str:
    """The client's id in this process and on this host."""
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", os.uname().nodename) or "host"
    return check_client(client.replace("{host}", host).replace("{pid}", str(os.getpid())))


def is_disabled(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether TABA_DISABLED says so; empty and 0 do not."""
    return environ.get("TABA_DISABLED", "") not in ("", "0")
