"""Who sends: the client of a packet or a connection, by where it comes from."""

from __future__ import annotations

import ipaddress
import re
import socket

LOCAL = "statsd@" + (re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:100] or "host")
"""The client of whoever sends from this machine."""


def client_of(packed: bytes) -> str:
    """The client that sends from an address, which is given as 4 or 16 octets."""
    address = ipaddress.ip_address(packed)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return LOCAL if address.is_loopback else f"statsd@{address}"


def client_at(peer: tuple[str, int] | None) -> str:
    """The client at the other end of a connection, by what `getpeername` says."""
    return client_of(ipaddress.ip_address(peer[0].partition("%")[0]).packed) if peer else LOCAL
