"""Sockets for StatsD: bound when the agent starts, with room for what comes while nobody reads."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import struct
import sys
from dataclasses import dataclass

from taba.dialects.statsd.addresses import Address
from taba.listening import BACKLOG, StartError, is_local

log = logging.getLogger(__name__)

BUFFER_BYTES = 32 << 20
"""Room asked for in the kernel, which counts a small datagram as about a kilobyte."""
_RCVBUFFORCE, _MEMINFO = 33, 55
_MEMINFO_WORDS, _HELD, _DROPS = 9, 0, 8
LINUX = sys.platform == "linux"


@dataclass(slots=True)
class Bound:
    """A socket and where it is bound. `local` tells that only this machine reaches it."""

    address: Address
    socket: socket.socket
    local: bool

    @property
    def room(self) -> int:
        """Bytes that the kernel keeps for it, by its own count."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def lost(self) -> int:
        """Datagrams that the kernel threw away so far, because there was no more room; 0 where it does not tell.

        This is what SO_RXQ_OVFL counts too; but that is told with the next datagram only, and this at any time.
        """
        told = self._memory()
        return told[_DROPS] if told else 0

    def held(self) -> int:
        """Bytes of its room that are taken by what was not received yet; all of it where the kernel does not tell."""
        told = self._memory()
        return told[_HELD] if told else self.room

    def _memory(self) -> tuple[int, ...] | None:
        """What the kernel says of a UDP socket's memory, if it says anything."""
        if not LINUX or self.address.scheme != "udp":
            return None
        with contextlib.suppress(OSError, struct.error):
            told = self.socket.getsockopt(socket.SOL_SOCKET, _MEMINFO, 4 * _MEMINFO_WORDS)
            return struct.unpack_from(f"{_MEMINFO_WORDS}I", told)
        return None

    def close(self) -> None:
        """Close it, and take away what it left on the disk."""
        self.socket.close()
        if self.address.path is not None:
            with contextlib.suppress(OSError):
                self.address.path.unlink()


def bind_all(addresses: list[Address], *, insecure: bool = False) -> list[Bound]:
    """Bind each. One that was not asked for and cannot be had is told of; for others, raises StartError.

    StatsD has no place for a token, so other machines may reach it only where everybody may come (`insecure`).
    """
    bound: list[Bound] = []
    for address in addresses:
        try:
            bound.append(_bind(address, insecure))
        except StartError:
            for one in bound:
                one.close()
            raise
        except OSError as error:
            why = "another program has it" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
            if not address.asked:
                log.warning("no StatsD: %s cannot be listened on: %s; agent.statsd names another", address, why)
                continue
            for one in bound:
                one.close()
            raise StartError(f"cannot listen on {address}: {why}; name another in agent.statsd") from error
    return bound


def _bind(address: Address, insecure: bool) -> Bound:
    if address.path is not None:
        return _bind_unix(address)
    kind = socket.SOCK_STREAM if address.scheme == "tcp" else socket.SOCK_DGRAM
    family, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=kind)[0]
    if not (is_local(str(where[0])) or insecure):
        raise StartError(
            f"{address} can be reached from other machines, and StatsD has no tokens, so anyone who reaches it could "
            "write: name an address of this machine in agent.statsd, or set agent.insecure (--insecure)"
        )
    made = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            _make_room(made)
        made.bind(where)
        if kind == socket.SOCK_STREAM:
            made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    host, port = made.getsockname()[:2]
    local = is_local(host)
    actual = Address(address.scheme, host, port)
    if not local:
        log.warning("%s can be reached from other machines, and anyone who reaches it may write", actual)
    return Bound(actual, made, local)


def _bind_unix(address: Address) -> Bound:
    path = address.path
    assert path is not None
    if path.exists() and not path.is_socket():
        raise OSError(errno.EEXIST, "what is there is no socket")
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as asking:
        if path.exists() and asking.connect_ex(str(path)) == 0:
            raise OSError(errno.EADDRINUSE, "another process listens there")
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        _make_room(made)
        made.bind(str(path))
        path.chmod(0o660)
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return Bound(address, made, True)


def _make_room(made: socket.socket) -> None:
    """As much as may be had: all of it with the right to, else what the machine grants (net.core.rmem_max)."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    if LINUX:
        with contextlib.suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, BUFFER_BYTES)
