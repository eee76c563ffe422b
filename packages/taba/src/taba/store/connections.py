"""Connections to engines and to Sentinels, as an address describes them: who we are, TLS, and how long one may take.

With TLS the server's certificate must be signed by `ca`, or else by one of the system's authorities, and must have the
name or the number by which the server is reached, unless the address says `names=any`. The files are read for each
connection, so that those which are renewed count.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

import valkey
from valkey import exceptions
from valkey.backoff import NoBackoff
from valkey.connection import Connection, ConnectionPool
from valkey.exceptions import ValkeyError
from valkey.retry import Retry
from valkey.sentinel import Sentinel, SentinelManagedConnection

from taba.store.address import Address
from taba.store.trouble import (
    CertificateError,
    HandshakeError,
    SentinelError,
    SilentHandshakeError,
    UncertifiedError,
    UntrustedError,
)

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 2.0
"""How long an engine may be silent. Writes are tried for longer, and reach the master that follows one that hangs."""


class _Encrypted:
    """A connection with TLS, as `address` says; to go before a class of plain ones."""

    host: str

    def __init__(self, *, address: Address, **options: Any) -> None:
        self._address = address
        super().__init__(**options)

    def _connect(self) -> ssl.SSLSocket:
        context = _context(self._address)
        plain: socket.socket = super()._connect()  # type: ignore[misc] (the class behind has it)
        try:
            return context.wrap_socket(plain, server_hostname=self.host)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            raise UntrustedError(f"{self.host}: {error.verify_message}") from error
        except OSError as error:
            plain.close()
            if isinstance(error, TimeoutError):
                raise SilentHandshakeError(str(error)) from error
            if "WRONG_VERSION_NUMBER" in str(error):
                raise HandshakeError(str(error)) from error
            raise

    def on_connect(self) -> None:
        """Make ourselves known. With TLS 1.3 it is only here that a server refuses who shows no certificate, and where
        it ends the connection at once its reason may be lost."""
        try:
            super().on_connect()  # type: ignore[misc] (the class behind has it)
        except exceptions.ConnectionError as error:
            if self._address.cert or type(error) is not exceptions.ConnectionError:
                raise
            raise UncertifiedError(str(error)) from error


class _EncryptedConnection(_Encrypted, Connection):
    """To an engine."""


class _EncryptedManagedConnection(_Encrypted, SentinelManagedConnection):
    """To a master that Sentinels know."""


class _Sentinels(Sentinel):
    """Sentinels that say why they name no master."""

    def __init__(self, address: Address) -> None:
        super().__init__([])
        own = {"username": address.sentinel_user, "password": address.sentinel_password}
        self.sentinels = [_client(address, host, port, CONNECT_SECONDS, own) for host, port in address.hosts]

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """The master's host and port. Raises SentinelError where it takes a person to mend what is wrong, and
        ConnectionError elsewhere."""
        failures: list[Exception] = []
        for one in self.sentinels:
            try:
                state = self._state(one, service_name)
            except ValkeyError as error:
                failures.append(error)
            else:
                # Whoever has answered is asked first the next time. In a list of its own: others may be here.
                self.sentinels = [one, *(other for other in self.sentinels if other is not one)]
                return state["ip"], state["port"]
        raise next((error for error in failures if isinstance(error, SentinelError)), failures[-1])

    def _state(self, one: valkey.Valkey, name: str) -> dict[str, Any]:
        """What a Sentinel tells of the master, which is up."""
        where = "the Sentinel {host}:{port}".format_map(one.get_connection_kwargs())
        try:
            masters: dict[str, Any] = one.sentinel_masters()  # type: ignore[assignment] (the library does not tell)
        except (exceptions.AuthenticationError, exceptions.ResponseError) as error:
            if "unknown command" in str(error):
                raise SentinelError(f"{where} is none: write redis://HOST:PORT for one server") from error
            told = f"{where} says {str(error)!r}: its own password and user are sentinel_password and sentinel_user"
            raise SentinelError(told) from error
        if name not in masters:
            raise SentinelError(f"{where} knows no master {name!r}; it knows {', '.join(sorted(masters)) or 'none'}")
        state: dict[str, Any] = masters[name]
        if not self.check_master_state(state, name):
            raise exceptions.ConnectionError(f"{where} says that the master {name} is down")
        return state


def client(address: Address, host: str, port: int, seconds: float | None = None) -> valkey.Valkey:
    """A client of the engine there, which connects when it is needed; `seconds` is how long it may be silent."""
    return _client(address, host, port, seconds, _ourselves(address))


def socket_client(address: Address) -> valkey.Valkey:
    """The same, at the address's unix socket."""
    return valkey.Valkey(unix_socket_path=address.name, **_times(None), **_ourselves(address))


def sentinels_client(address: Address) -> valkey.Valkey:
    """The same, of the master that Sentinels know; each new connection is to whoever is that then."""
    options: dict[str, Any] = _times(None) | _ourselves(address) | {"socket_keepalive": True}
    if address.tls:
        options |= {"connection_class": _EncryptedManagedConnection, "address": address}
    return _Sentinels(address).master_for(address.name, **options)


def _client(address: Address, host: str, port: int, seconds: float | None, who: dict[str, Any]) -> valkey.Valkey:
    options = _times(seconds) | who | {"host": host, "port": port, "socket_keepalive": True}
    if not address.tls:
        return valkey.Valkey(**options)
    return valkey.Valkey(
        connection_pool=ConnectionPool(connection_class=_EncryptedConnection, address=address, **options)
    )


def _times(seconds: float | None) -> dict[str, Any]:
    return {
        "socket_connect_timeout": seconds or CONNECT_SECONDS,
        "socket_timeout": seconds or ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }


def _ourselves(address: Address) -> dict[str, Any]:
    return {
        "db": address.database,
        "username": address.user,
        "password": address.password,
        "client_name": "taba",
    }


def _context(address: Address) -> ssl.SSLContext:
    """Whom a TLS connection trusts, and what it shows. Raises CertificateError."""
    try:
        context = ssl.create_default_context(cafile=address.ca)
    except OSError as error:
        raise CertificateError(f"ca: {address.ca}: {_why(error)}") from error
    context.check_hostname = not address.any_name
    if address.cert:
        try:
            context.load_cert_chain(address.cert, address.key)
        except OSError as error:
            raise CertificateError(f"cert and key: {address.cert}, {address.key}: {_why(error)}") from error
    return context


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "this is not in PEM format, or one does not belong to the other"
    return error.strerror or str(error)
