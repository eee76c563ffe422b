"""Listening, for requests and for the signal to read the settings again, as the agent and the server both do it."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

BACKLOG = 2048
"""Connections that may wait to be accepted."""


class StartError(Exception):
    """It cannot start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Protection:
    """What keeps others from a door: whether it asks for tokens, speaks TLS, or is to be open (`insecure`).

    `group` is what the settings' names begin with, as `agent.`, and `tokens` the file that is looked for.
    """

    tokens: Path
    locked: bool
    encrypted: bool = False
    insecure: bool = False
    group: str = ""


def listen(host: str, port: int, protection: Protection) -> socket.socket:
    """A listening TCP socket. Raises StartError, also where anyone could come and nothing would keep them out."""
    return _listening(host, port, socket.SO_REUSEADDR, check=lambda address: check_exposure(host, address, protection))


def check_exposure(host: str, address: str, protection: Protection) -> None:
    """Raise StartError where other machines reach an address, and it neither asks for tokens nor is to be open."""
    if is_local(address):
        return
    if not protection.locked and not protection.insecure:
        raise StartError(
            f"{host} can be reached from other machines, and without tokens anyone who reaches it could read and "
            f"write: make one with `taba token create --write '*' --read --file {protection.tokens}`, or set "
            f"{protection.group}insecure (--insecure) to let everybody in"
        )
    if not protection.locked:
        log.warning("%s can be reached from other machines, and anyone who reaches it may read and write", host)
    elif not protection.encrypted:
        log.warning("%s can be reached from other machines without TLS, so that tokens can be read on the way", host)


def is_local(address: str) -> bool:
    """Whether only this machine reaches an IP address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def listen_shared(host: str, port: int) -> socket.socket:
    """One of several sockets of this user that listen on one port; the system spreads connections over them.

    What must not happen is that another program has the port unseen: `listen` first. Raises StartError.
    """
    return _listening(host, port, socket.SO_REUSEADDR, socket.SO_REUSEPORT)


def _listening(
    host: str, port: int, *options: int, check: Callable[[str], None] = lambda address: None
) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        check(str(address[0]))
        listening = socket.socket(family)
        for option in options:
            listening.setsockopt(socket.SOL_SOCKET, option, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}; name another with --port") from error
    return listening


def listen_unix(path: Path) -> socket.socket:
    """A listening unix socket, for user and group; one that nobody listens on is replaced. Raises StartError."""
    listening = socket.socket(socket.AF_UNIX)
    try:
        if path.exists() and not path.is_socket():
            raise StartError(f"cannot listen on {path}: what is there is no socket; name another with --socket")
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as asking:
            if path.exists() and asking.connect_ex(str(path)) == 0:
                raise StartError(f"cannot listen on {path}: another process does; name another with --socket")
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listening.bind(str(path))
        path.chmod(0o660)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        why = error.strerror or error
        raise StartError(f"cannot listen on {path}: {why}; name another with --socket") from error
    return listening


def url(listening: socket.socket, scheme: str = "http") -> str:
    """The address of a TCP socket, as `http://127.0.0.1:8300`."""
    host, port = listening.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def at_hangup(act: Callable[[], None]) -> None:
    """Act at each SIGHUP: in a thread, because this one has to serve, and one after another, so that the last holds."""
    turn = threading.Lock()

    def in_turn() -> None:
        with turn:
            act()

    signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=in_turn, daemon=True).start())
