"""What is sent and trusted on the way to an agent or a server: the token, and certificates. Standard library only.

token     TABA_TOKEN    the token itself
ca        TABA_CA       a file of certificates (PEM) that are trusted, in the place of the system's
cert      TABA_CERT     a certificate of one's own, for a server that asks for one, with the key in the same file or in
key       TABA_KEY      this one

Files are read again when they have changed, so that none of this needs a restart.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl  # imported where it is needed: a client that has not started does without

TOKEN = re.compile(r"[\x21-\x7e]{1,500}")


class Credentials:
    """What a way to a server has; not for several threads at once, which do no harm but work twice."""

    def __init__(
        self,
        token: str | None = None,
        ca: str | os.PathLike[str] | None = None,
        cert: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        token_file: str | os.PathLike[str] | None = None,
    ) -> None:
        """Raises ValueError for a token that no header can hold, and for a key without a certificate."""
        if token is not None and not TOKEN.fullmatch(token):
            raise ValueError("the token has characters that no token has: copy it again, without spaces")
        if key is not None and cert is None:
            raise ValueError("a key goes with a certificate: name both (cert and key)")
        self._token = token
        self._token_file = token_file
        self._read = ((0, 0, 0), token or "")
        self._files = tuple(None if one is None else os.fspath(one) for one in (ca, cert, key))
        self._context: ssl.SSLContext | None = None
        self._stamps: tuple[object, ...] = ()

    def __repr__(self) -> str:
        return "Credentials()"  # a token is nobody's to read

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    @property
    def _parts(self) -> tuple[object, ...]:
        return self._token, self._token_file, self._files

    def with_file(self, file: str) -> Credentials:
        """The same with the token that a file holds."""
        return Credentials(None, *self._files, token_file=file)

    @property
    def token(self) -> str | None:
        """The token as it is now."""
        return self._of_file() if self._token_file is not None else self._token

    def headers(self) -> dict[str, str]:
        """For each request."""
        token = self.token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def context(self) -> ssl.SSLContext:
        """For a new connection over TLS. Raises OSError where a file cannot be read or used."""
        stamps = tuple(None if file is None else _stamp(file) for file in self._files)
        if self._context is None or stamps != self._stamps:
            self._context, self._stamps = self._made(), stamps
        return self._context

    def _made(self) -> ssl.SSLContext:
        import ssl

        ca, cert, key = self._files
        try:
            context = ssl.create_default_context(cafile=ca)
        except (OSError, ssl.SSLError) as error:
            raise OSError(f"the certificates in {ca} cannot be used: {error}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if cert is not None:
            try:
                # Without a password OpenSSL would ask for a key's on the terminal.
                context.load_cert_chain(cert, key, password=lambda: "")
            except (OSError, ssl.SSLError) as error:
                raise OSError(f"the certificate {cert} and its key {key or cert} cannot be used: {error}") from None
        return context

    def _of_file(self) -> str:
        """The token in the file as it is now; the last one where it cannot be read."""
        assert self._token_file is not None
        found = _stamp(self._token_file)
        before, token = self._read
        if found not in (before, (0, 0, 0)):
            with suppress(OSError, UnicodeDecodeError), open(self._token_file, encoding="utf-8") as file:  # noqa: PTH123
                text = file.read(1000).strip()
                token = text if TOKEN.fullmatch(text) else ""
                self._read = (found, token)
        return token


def of_environment(environ: Mapping[str, str] = os.environ, **given: str | None) -> Credentials:
    """What is `given` (token, ca, cert, key), else what the variables say. Raises ValueError."""
    names = ("token", "ca", "cert", "key")
    found = {name: given.get(name) or environ.get(f"TABA_{name.upper()}") or None for name in names}
    return Credentials(**found)


def of_person(environ: Mapping[str, str] = os.environ, **given: str | None) -> Credentials:
    """The same for the command line and for questions, which also take the token in ~/.config/taba/token."""
    found = of_environment(environ, **given)
    file = _own_file(environ)
    return found if found.headers() or not os.path.isfile(file) else found.with_file(file)  # noqa: PTH113


def not_trusted(url: str, error: Exception) -> str:
    """What to do where nobody knows who signed a server's certificate, or it is for another name; else nothing."""
    if "CERTIFICATE_VERIFY_FAILED" not in str(error):
        return ""
    return f"{url} has a certificate that is not trusted here ({error}): TABA_CA names the file of who signed it"


def _own_file(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 (the client does without pathlib)
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    return f"{config}/taba/token"


def _stamp(file: str | os.PathLike[str]) -> tuple[int, int, int]:
    """Tells one state of a file from another; zeros where there is none."""
    try:
        found = os.stat(file)  # noqa: PTH116
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size
