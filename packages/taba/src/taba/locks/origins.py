"""Which names a request may ask for, and which pages it may come from. Pure.

A page in a browser on this machine may ask its own site's server alone. But whoever owns the site's name may have it
mean 127.0.0.1 while the page is open (DNS rebinding), and then the page reads, and writes, what it finds there. What it
cannot change is the name that it asks for, which is in the field Host:

    answered    no Host; an IP address; a name of one word, as localhost; one that ends with .localhost; and those of
                the setting `hosts`, where * is any name
    403         any other name, at a door on loopback

And a page from elsewhere may send what needs no answer. Browsers say of each such request where it is from, in the
field Origin, which must be the door itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_PORT = re.compile(r":[0-9]*$")
ANY = "*"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


def is_loopback(host: str) -> bool:
    """Whether the setting `host` means this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_own(host: str, further: Iterable[str]) -> bool:
    """Whether the field Host names a door on loopback; `further` are names that do so too."""
    name = _PORT.sub("", host.strip()).rstrip(".").lower()
    if "." not in name or name.endswith(".localhost"):
        # Nobody on the internet owns such a name. An IPv6 address in brackets has no point, or is none of a name's.
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return any(one == ANY or one.lower() == name for one in further)
    return True


def is_foreign(origin: str | None, host: str, site: str | None) -> bool:
    """Whether a request comes from a page that is not the door's own.

    `origin` is the field Origin, `host` the field Host, `site` the field Sec-Fetch-Site. Programs send neither Origin
    nor Sec-Fetch-Site, and are no page.
    """
    if origin is None:
        return site is not None and site not in ("same-origin", "none")
    return not _same(origin, host)


def is_told_own(origin: str | None, host: str, site: str | None) -> bool:
    """Whether a browser says that a request comes from the door's own page, or from its address line."""
    if site is not None:
        return site in ("same-origin", "none")
    return origin is not None and _same(origin, host)


def unknown_name(host: str, whose: str, setting: str) -> str:
    """What somebody is told who asks for a door on loopback by a name that is not its own."""
    return (
        f"this {whose} listens on loopback and is not known as {host[:200]!r}: ask for it as localhost, "
        f"or list the name in the setting {setting}"
    )


def _same(origin: str, host: str) -> bool:
    """Whether an origin is the door that was asked; not by the scheme, because a proxy before it may have the TLS."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    usual = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return bool(usual) and parts.netloc.lower().removesuffix(usual) == host.strip().lower().removesuffix(usual)
