"""Who was erased, and when: so that old files bring nobody back. The first part does no I/O.

    meta "erasure/salt"    16 random bytes, the key of all digests
    meta "erasure/last"    the id of the last forgetting, so that other processes see that there was one
    meta "erased/ID"       msgpack [moment, [digest …]]: the users of one forgetting, never by their names
    digest                 16 bytes: blake2b of the user, keyed with the salt

An event of an erased user is refused where its row's time is not after the moment of the erasure. Later ones are new.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from eventlog import keys
from eventlog.engines import Engine
from eventlog.keys import Row
from eventlog.times import Micros

SALT: Final = "erasure/salt"
LAST: Final = "erasure/last"
ERASED: Final = "erased/"


class Erased(msgspec.Struct, frozen=True):
    """Users who were erased. Plain values, so that it can travel to other processes.

    `moments` are by digest; `last` is the id of the last forgetting that it knows of.
    """

    salt: bytes = b""
    moments: Mapping[bytes, Micros] = {}
    last: bytes = b""

    def __bool__(self) -> bool:
        return bool(self.moments)

    def digest(self, user: str | bytes) -> bytes:
        """What stands for a user (a text, or its UTF-8)."""
        raw = user.encode() if isinstance(user, str) else user
        return hashlib.blake2b(raw, key=self.salt, digest_size=16).digest()

    def covers(self, user: str | bytes, time: Micros) -> bool:
        """Whether an event of this user, in a row of this time, must not come (back)."""
        return bool(self.moments) and time <= self.moments.get(self.digest(user), -1)

    def covers_row(self, row: Row) -> bool:
        """The same of a row's key."""
        return bool(self.moments) and self.covers(keys.row_user(row), keys.row_time(row))

    def refused(self, rows: Iterable[Row]) -> list[int]:
        """Which of some rows, by their numbers."""
        return [index for index, row in enumerate(rows) if self.covers_row(row)] if self.moments else []

    def and_also(self, digests: Iterable[bytes], moment: Micros, last: bytes) -> "Erased":
        """The same with more users."""
        more = {digest: max(moment, self.moments.get(digest, -1)) for digest in digests}
        return Erased(self.salt, {**self.moments, **more}, last)


def load(engine: Engine, known: Erased | None = None) -> Erased:
    """The users whom a log has erased; `known` itself where nobody was since."""
    last = engine.get_meta(LAST) or b""
    if known is not None and last == known.last:
        return known
    found = Erased(engine.get_meta(SALT) or b"", {}, last)
    for value in engine.list_meta(ERASED).values():
        moment, digests = msgspec.msgpack.decode(value, type=tuple[Micros, list[bytes]])
        found = found.and_also(digests, moment, last)
    return found


def salted(engine: Engine, known: Erased) -> Erased:
    """The same with a salt, which is made with the first forgetting of a log."""
    if known.salt:
        return known
    engine.put_meta(SALT, secrets.token_bytes(16))
    return Erased(engine.get_meta(SALT) or b"", known.moments, known.last)


def save(engine: Engine, erased: Erased, digests: Iterable[bytes], moment: Micros, name: str) -> Erased:
    """Keeps who was erased. Safe to repeat."""
    told = list(digests)
    engine.put_meta(ERASED + name, msgspec.msgpack.encode((moment, told)))
    engine.put_meta(LAST, name.encode())
    return erased.and_also(told, moment, name.encode())
