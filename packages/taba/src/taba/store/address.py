"""Where a store is, as one text.

    sqlite                                  in the data folder
    valkey                                  a Valkey server of our own, in the data folder
    redis://HOST[:PORT][/DB]                one server; rediss:// with TLS
    redis+unix:///PATH                      one server, by its unix socket
    redis+cluster://HOST[:PORT],HOST…       a Cluster, by any of its nodes
    redis+sentinel://HOST[:PORT],HOST…/NAME[/DB]
                                            the master that Sentinels call NAME

    before the hosts    USER:PASSWORD@      percent-encoded; the user may be left out
    at the end          ?prefix=WORD        begins every key; "taba" unless told otherwise
                        &ca=FILE            with TLS: who signed the server's certificate
                        &names=any          with `ca`: its certificate may have any name
                        &cert=FILE&key=FILE with TLS: what is shown to an engine that wants a certificate
                        &sentinel_user=USER&sentinel_password=PASSWORD
                                            what the Sentinels themselves ask for, percent-encoded

`valkey://` and `valkeys://`, alone and with `+unix`, `+cluster` and `+sentinel`, mean the same as `redis://` and
`rediss://`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

SQLITE, VALKEY = "sqlite", "valkey"
EXAMPLE = "sqlite, valkey, redis://HOST:PORT, redis+cluster://HOST:PORT,… or redis+sentinel://HOST:PORT,…/NAME"
ENCODED = "the characters / ? # @ [ ] are percent-encoded: %2F %3F %23 %40 %5B %5D"

Kind = Literal["single", "unix", "cluster", "sentinel"]

_SCHEME = re.compile(r"(redis|valkey)(s?)(?:\+(unix|cluster|sentinel))?")
_PORTS = {"single": 6379, "cluster": 6379, "sentinel": 26379}
_CREDENTIALS = re.compile(r"[^/?#@\[\]]*")
_PARTS = re.compile(r"(?P<hosts>[^/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?")
_OF_TLS = ("ca", "names", "cert", "key")
_OF_SENTINELS = ("sentinel_user", "sentinel_password")
_SECRET = f"{_OF_SENTINELS[1]}="
_PREFIX = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")


class AddressError(ValueError):
    """No address of a store; the text says what is wrong with it, and how one looks."""


@dataclass(frozen=True, slots=True)
class Address:
    """An engine's address. `name` is that of a Sentinel's master, or the path of a unix socket; `shown` is the address
    without the password."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    shown: str
    tls: bool = False
    user: str | None = None
    password: str | None = None
    database: int = 0
    name: str = ""
    prefix: str = "taba"
    ca: str | None = None
    any_name: bool = False
    """Whether a certificate that `ca` signed may have any name."""
    cert: str | None = None
    key: str | None = None
    sentinel_user: str | None = None
    sentinel_password: str | None = None


def parse(text: str) -> Address:
    """An engine's address from its text. Raises AddressError."""
    scheme, _, rest = text.partition("://")
    credentials, at, rest = rest.rpartition("@")
    found = _SCHEME.fullmatch(scheme)
    parts = _PARTS.fullmatch(rest)
    if found is None or parts is None or not (parts["hosts"] or found[3] == "unix"):
        raise AddressError(f"{_shown(text)!r} is no address of a store: expected {EXAMPLE}")
    if at and not _CREDENTIALS.fullmatch(credentials):
        raise AddressError(f"{_shown(text)!r}: in user and password, and wherever else there is an @, {ENCODED}")
    user, _, password = credentials.partition(":")
    kind: Kind = found[3] or "single"  # type: ignore[assignment] (the expression has no other)
    options = _options(text, parts["query"] or "", kind, tls=bool(found[2]))
    path = [unquote(part) for part in (parts["path"] or "").split("/") if part]
    return Address(
        kind,
        _hosts(text, parts["hosts"], kind),
        _shown(text),
        tls=bool(found[2]),
        user=unquote(user) or None,
        password=unquote(password) or None,
        name=_name(text, path, kind),
        database=_database(text, path, kind),
        prefix=options.get("prefix", "taba"),
        ca=options.get("ca"),
        any_name="names" in options,
        cert=options.get("cert"),
        key=options.get("key"),
        sentinel_user=options.get("sentinel_user") or None,
        sentinel_password=options.get("sentinel_password") or None,
    )


def _name(text: str, path: list[str], kind: Kind) -> str:
    """The name of a Sentinel's master or the path of a socket, taken from the path."""
    if kind == "unix":
        name = "/" + "/".join(path)
        if not path:
            raise AddressError(f"{_shown(text)!r} names no unix socket: expected redis+unix:///PATH")
        path.clear()
        return name
    if kind != "sentinel":
        return ""
    if not path:
        raise AddressError(f"{_shown(text)!r} does not say which master: add its name, as in /NAME")
    return path.pop(0)


def _options(text: str, query: str, kind: Kind, *, tls: bool) -> dict[str, str]:
    # A + is one: nothing here has spaces.
    pairs = (part.partition("=") for part in query.split("&") if part)
    options = {name: unquote(value) for name, _, value in pairs}
    there = ["prefix", *(_OF_TLS if tls else ()), *(_OF_SENTINELS if kind == "sentinel" else ())]
    strange = options.keys() - set(there)
    if strange:
        # Behind a password that is not percent-encoded it may be the rest of that.
        which = "one" if _SECRET in query else min(strange)
        raise AddressError(f"{_shown(text)!r}: {which} is no option here: expected {', '.join(there)}")
    if not _PREFIX.fullmatch(options.get("prefix", "taba")):
        raise AddressError(f"{_shown(text)!r}: the prefix has letters, digits and any of _ . : / - in it")
    if options.get("names", "any") != "any" or ("names" in options and not options.get("ca")):
        raise AddressError(f"{_shown(text)!r}: names is any, or left out; and any is safe only with ca=FILE")
    if ("cert" in options) != ("key" in options):
        raise AddressError(f"{_shown(text)!r}: cert and key go together")
    return options


def _hosts(text: str, written: str, kind: Kind) -> tuple[tuple[str, int], ...]:
    if kind == "unix":
        if written:
            raise AddressError(f"{_shown(text)!r} has a host: expected redis+unix:///PATH")
        return ()
    hosts = tuple(_host(text, host, _PORTS[kind]) for host in written.split(","))
    if kind == "single" and len(hosts) > 1:
        raise AddressError(f"{_shown(text)!r} names several hosts: say +cluster or +sentinel")
    return hosts


def _host(text: str, written: str, port: int) -> tuple[str, int]:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\],]+)(?::([0-9]{1,5}))?", written)
    if found is None or not 0 < int(found[2] or port) < 65536:
        raise AddressError(f"{_shown(text)!r}: {written!r} is no HOST or HOST:PORT")
    return found[1].strip("[]"), int(found[2] or port)


def _database(text: str, path: list[str], kind: str) -> int:
    if not path:
        return 0
    if len(path) > 1 or not re.fullmatch(r"[0-9]{1,5}", path[0]):
        raise AddressError(f"{_shown(text)!r}: {'/'.join(path)!r} is no number of a database")
    if kind == "cluster" and int(path[0]):
        raise AddressError(f"{_shown(text)!r}: a Cluster has the database 0 alone")
    return int(path[0])


def _shown(text: str) -> str:
    """The address without its passwords, also where it is none."""
    text, secret, _ = text.partition(_SECRET)
    if secret:
        return f"{_shown(text)}{secret}…"
    before, at, after = text.rpartition("@")
    if not at:
        return text
    scheme, found, credentials = before.partition("://")
    user, colon, _ = credentials.partition(":")
    if not (found and _SCHEME.fullmatch(scheme) and _CREDENTIALS.fullmatch(credentials)):
        return f"…@{after}"
    return f"{scheme}://{user}{':…' if colon else ''}@{after}"
