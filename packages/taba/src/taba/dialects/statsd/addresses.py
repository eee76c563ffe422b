"""Where StatsD is listened for, as the setting `agent.statsd` says it.

auto                   udp://127.0.0.1:8125, where that port is free: else the agent does without
off                    nowhere
udp://HOST:PORT        datagrams; PORT may be left out, and [HOST] is an IPv6 address
tcp://HOST:PORT        lines on a connection
unixgram:///PATH       datagrams on a unix socket, which is made
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

AUTO, OFF = "auto", "off"
PORT = 8125
EXPECTED = "expected auto, off, udp://HOST:PORT, tcp://HOST:PORT or unixgram:///PATH"


@dataclass(frozen=True, slots=True)
class Address:
    """One address; `path` is of a unix socket. Where it is not `asked` for, one can do without it."""

    scheme: str
    host: str = ""
    port: int = 0
    path: Path | None = None
    asked: bool = True

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{self.path if self.path else f'{host}:{self.port}'}"


def parse(written: Sequence[str]) -> list[Address]:
    """The addresses that are meant, each once. Raises ValueError with what is wrong and what is expected."""
    if OFF in written:
        if len(written) > 1:
            raise ValueError(f"{OFF!r} is one of {len(written)} addresses: it stands alone")
        return []
    return [_parsed(one) for one in dict.fromkeys(written)]


def _parsed(written: str) -> Address:
    if written == AUTO:
        return Address("udp", "127.0.0.1", PORT, asked=False)
    try:
        parts = urlsplit(written)
        port = parts.port
    except ValueError:
        raise ValueError(f"{written!r} has no port from 0 to 65535: {EXPECTED}") from None
    if parts.scheme == "unixgram" and not parts.netloc and parts.path.startswith("/"):
        return Address("unixgram", path=Path(parts.path))
    if parts.scheme in ("udp", "tcp") and parts.hostname and parts.path in ("", "/") and not parts.username:
        return Address(parts.scheme, parts.hostname, PORT if port is None else port)
    raise ValueError(f"{written!r} is no address: {EXPECTED}")
