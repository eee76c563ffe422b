"""TLS at a door: a certificate that is taken anew when its files change, and certificates of clients where wanted.

The context stays the same object, which has been given to the listening sockets. OpenSSL gives a new handshake what
the context has then; connections that are there keep what they began with.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from taba.listening import StartError
from taba.locks.file import Stamp, stamp

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
OLDEST = ssl.TLSVersion.TLSv1_2


class Certificate:
    """What a door shows of itself, and `context`, which its sockets use."""

    def __init__(
        self,
        certificate: Path,
        key: Path,
        client_ca: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the files. Raises StartError."""
        self._files = (certificate, key)
        self._monotonic = monotonic
        self._stamps = self._stamped()
        self._looked = monotonic()
        try:
            self.context = _context(self._files)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise StartError(f"the certificate {certificate} and its key {key} {_why(error)}") from None
        if client_ca is not None:
            try:
                self.context.load_verify_locations(client_ca)
            except (OSError, ssl.SSLError) as error:
                raise StartError(f"tls_client_ca: {client_ca} {_why(error)}") from None
            self.context.verify_mode = ssl.CERT_REQUIRED

    def look(self) -> None:
        """Take the certificate anew where its files have changed; looked for once a second at most.

        Where they cannot be used, as between the writing of one and of the other, the old one stays.
        """
        if self._monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = self._monotonic()
        found = self._stamped()
        if found == self._stamps or None in found:
            return
        self._stamps = found
        certificate, key = self._files
        try:
            # First apart: a context that took a certificate and not its key would serve nobody.
            _context(self._files)
            self.context.load_cert_chain(certificate, key, _no_password)
        except (OSError, ssl.SSLError, ValueError) as error:
            log.error("the certificate stays as it was: %s and %s %s", certificate, key, _why(error))  # noqa: TRY400
        else:
            log.info("the certificate %s was read again", certificate)

    def _stamped(self) -> tuple[Stamp | None, ...]:
        found: list[Stamp | None] = []
        for file in self._files:
            try:
                found.append(stamp(file))
            except OSError:
                found.append(None)
        return tuple(found)


def certificate(cert: Path | None, key: Path | None, client_ca: Path | None, prefix: str = "") -> Certificate | None:
    """The certificate of a door that has the settings `tls_cert`, `tls_key` and `tls_client_ca`; None without TLS.

    Raises StartError.
    """
    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        raise StartError(f"{prefix}tls_cert and {prefix}tls_key go together: name the certificate and its key")
    return Certificate(cert, key, client_ca)


def _context(files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = OLDEST
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(*files, _no_password)
    return context


def _no_password() -> str:
    """OpenSSL would ask for one on a terminal."""
    raise ValueError("the key has a password; write it without one, for its owner alone")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"cannot be used: {error.reason or 'they are no certificate and key in PEM, or do not belong together'}"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    return f"cannot be used: {error}"
