"""What a token looks like, and what is kept of it. Pure but for `made`, which needs randomness.

    token     = "taba_" id "_" secret check
    id        = 6 of  a-z 0-9                  says which one it is; not secret
    secret    = 43 of  A-Z a-z 0-9             256 random bits in base 62
    check     = 6 of  A-Z a-z 0-9              CRC-32 of all before it in base 62: a typing mistake is told as one, and
                                               scanners for secrets know a token from what only looks like one

What is kept is the SHA-256 of the whole text. That is enough because a secret is random: nobody tries 2^256 of them,
however fast each try is. A slow hash is for what people choose, and would cost each request what it costs a thief.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from typing import Annotated

import msgspec
from msgspec import Meta

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_LETTERS = string.ascii_lowercase + string.digits
ID_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 6, 43, 6
PATTERN = re.compile(r"taba_([a-z0-9]{6})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})", re.ASCII)
"""Any token, also within a text."""
_NOBODY = hashlib.sha256(b"").digest()

Rate = Annotated[float, Meta(gt=0, le=1e12)]


class TokenError(ValueError):
    """What cannot be a token; the text does not hold it."""


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A token as the file keeps it. Times are in seconds since 1970; globs as `taba.matching` reads them.

    `write` are the tabs that it may write, in the name of clients that `clients` match. A rate is per second, of each
    process that is asked; None is without a limit.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z0-9]{1,16}$")]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    created: float
    write: tuple[str, ...] = ()
    clients: tuple[str, ...] = ("*",)
    read: bool = False
    admin: bool = False
    expires: float | None = None
    note: str = ""
    requests_per_s: Rate | None = None
    bytes_per_s: Rate | None = None
    events_per_s: Rate | None = None

    def __repr__(self) -> str:
        return f"Token({self.id!r})"

    @property
    def scopes(self) -> str:
        """What it may, for people: `write, read`."""
        held = {"write": bool(self.write), "read": self.read, "admin": self.admin}
        return ", ".join(name for name, has in held.items() if has)

    def has_expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and now >= self.expires

    def is_of(self, text: str) -> bool:
        """Whether `text` is this token; takes as long whether it is or not."""
        return hmac.compare_digest(digest(text), bytes.fromhex(self.sha256))


def made() -> tuple[str, str]:
    """A new token: its id, and its text, which nobody can tell from the id."""
    own = "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))
    secret = _in_base_62(int.from_bytes(secrets.token_bytes(32)), SECRET_LENGTH)
    body = f"taba_{own}_{secret}"
    return own, body + _check(body)


def id_of(text: str) -> str:
    """The id of a token. Raises TokenError for what is none, or was mistyped."""
    match = PATTERN.fullmatch(text)
    if match is None:
        raise TokenError("this is no token: one is taba_, six letters or digits, _ and 49 more, as it was first shown")
    if not hmac.compare_digest(_check(text[:-CHECK_LENGTH]), match[3]):
        raise TokenError("this is no token: its last six letters do not fit the rest, so it was mistyped or cut")
    return match[1]


def digest(text: str) -> bytes:
    """What is kept in the place of a token."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def is_nobody(text: str) -> bool:
    """False; takes the time that `Token.is_of` takes, for an id that nobody has."""
    return hmac.compare_digest(digest(text), _NOBODY) and bool(not text)


def masked(text: str) -> str:
    """A text for a log or an error, without the secrets of the tokens in it."""
    return PATTERN.sub(r"taba_\1_…", text)


def _check(body: str) -> str:
    return _in_base_62(zlib.crc32(body.encode()), CHECK_LENGTH)


def _in_base_62(number: int, length: int) -> str:
    found = []
    for _ in range(length):
        number, digit = divmod(number, len(DIGITS))
        found.append(DIGITS[digit])
    return "".join(reversed(found))
