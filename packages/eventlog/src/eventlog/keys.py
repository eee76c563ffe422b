"""Keys of rows and places within them, event ids, and ranges of keys. Nothing here does I/O.

    row    = bucket user 00 time unique         one root event
    bucket = the first byte of a hash of the user: rows of one user stay together, users spread evenly
    user   = UTF-8, in which a byte 00 is written as 00 FF
    time   = 8 bytes, big-endian, microseconds since 1970 (so its first byte is 00: never FF)
    unique = 8 bytes: a hash of the type and of the event's own id, or of its content where it has none

    place  = 00 type                            the root event itself
           | 01 time unique type                a child: an event that names this root
           | 02 subject name                    a note: a derived column; subject = 00, or the place of a child
    type   = 2 bytes: a hash of the type's name

    id     = base64url(row without bucket)                  of a root event
           | base64url(row without bucket) "." base64url(time unique type)     of a child

A row is self-delimiting: no row is the beginning of another. Rows sort by bucket, user, time; within a row the root
comes first, then the children by time, then the notes.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise, repeat
from typing import Final, NamedTuple

from eventlog.errors import EventError, EventIdError, QueryError
from eventlog.times import END, Micros

Row = bytes
Place = bytes

ROOT: Final = b"\x00"
CHILD: Final = b"\x01"
NOTE: Final = b"\x02"
USER_BYTES: Final = 1024  # at most; an HBase row takes 32 KiB
NOTE_BYTES: Final = 256
BUCKETS: Final = 256
CHILD_LENGTH: Final = 19
_EMPTY = hashlib.blake2b(digest_size=8)
_TAIL = struct.Struct(">q8s")
_ROOT_END = struct.Struct(">xq8s3s")  # what follows a user: 00, time, unique, place


class Range(NamedTuple):
    """Rows from `start` up to, and without, `stop`. An empty `stop` has no end."""

    start: Row
    stop: Row


EVERYTHING: Final = Range(b"", b"")


def user_bytes(user: str) -> bytes:
    """A user as the bytes that keys hold. Raises EventError on an empty one, a long one, and broken Unicode."""
    if not isinstance(user, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise EventError(f"user: {user!r:.60} is not a text")
    try:
        raw = user.encode()
    except UnicodeEncodeError:
        raise EventError(f"user: {user!r} holds half of a surrogate pair, which is no text") from None
    if not raw:
        raise EventError("user: is empty")
    if len(raw) > USER_BYTES:
        raise EventError(f"user: {user[:40]!r}… takes {len(raw):,} bytes; at most {USER_BYTES:,} can be stored")
    return raw


@lru_cache(maxsize=65536)
def user_prefix(user: str) -> bytes:
    """What every row of a user begins with, and no row of another: bucket, user, 00."""
    raw = user_bytes(user)
    return _digest(raw)[:1] + raw.replace(b"\0", b"\0\xff") + b"\0"


def share(user: str) -> Fraction:
    """Where a user falls in [0, 1): a sample of 1/64 holds the users below 1/64. Its top byte is the bucket."""
    return Fraction(int.from_bytes(_digest(user_bytes(user))), 2**64)


def digests(raws: Iterable[bytes]) -> list[bytes]:
    """Eight bytes of BLAKE2b of each. A copy of an empty hash costs a fifth less than a new one."""
    made: list[bytes] = []
    add, copy = made.append, _EMPTY.copy
    for raw in raws:
        one = copy()
        one.update(raw)
        add(one.digest())
    return made


def _digest(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=8).digest()


def type_code(name: str) -> bytes:
    """The two bytes that stand for an event type."""
    return hashlib.blake2b(name.encode(), digest_size=2).digest()


def unique(code: bytes, content: bytes) -> bytes:
    """The eight bytes that tell events of one user and moment apart: of the own id, or of the whole content."""
    return hashlib.blake2b(code + content, digest_size=8).digest()


def row(user: str, time: Micros, unique: bytes) -> Row:
    """The key of a root event's row."""
    return user_prefix(user) + _TAIL.pack(time, unique)


def root_keys(users: Sequence[str], times: Sequence[Micros], uniques: Sequence[bytes], code: bytes) -> list[bytes]:
    """`row` and `root_place` in one, of many root events of a type at a fraction of the cost. Raises EventError."""
    raws = _many_users(users)
    texts = [raw.replace(b"\0", b"\0\xff") for raw in raws] if b"\0" in b"".join(raws) else raws
    ends = map(_ROOT_END.pack, times, uniques, repeat(ROOT + code))
    return [digest[:1] + text + end for digest, text, end in zip(digests(raws), texts, ends, strict=True)]


def _many_users(users: Sequence[str]) -> list[bytes]:
    """`user_bytes` of each."""
    with suppress(UnicodeEncodeError):
        raws = list(map(str.encode, users))
        if all(raws) and max(map(len, raws)) <= USER_BYTES:
            return raws
    return list(map(user_bytes, users))  # which says what is wrong


def root_place(code: bytes) -> Place:
    return ROOT + code


def child_place(time: Micros, unique: bytes, code: bytes) -> Place:
    return CHILD + _TAIL.pack(time, unique) + code


def note_place(subject: Place, name: str) -> Place:
    """Where a note about the root (`subject` 00) or about a child (its place) is kept."""
    raw = name.encode("utf-8", "surrogatepass")
    if not name.isidentifier() or len(raw) > NOTE_BYTES:
        raise EventError(f"note: {name[:40]!r} is not a name; use letters, digits and _, at most {NOTE_BYTES} bytes")
    return NOTE + subject + raw


def read_note_place(place: Place) -> tuple[Place, str]:
    """The subject and the name of a note."""
    end = 2 if place[1:2] == ROOT else 1 + CHILD_LENGTH
    return place[1:end], place[end:].decode()


def row_end(key: bytes) -> int:
    """How many bytes of a key are its row; what follows is a place. Raises ValueError on what is no key."""
    end = key.index(b"\0", 1)
    while key[end + 1 : end + 2] == b"\xff":
        end = key.index(b"\0", end + 2)
    return end + 17


class RowKey(NamedTuple):
    """A row's key, read."""

    user: str
    time: Micros
    unique: bytes


def read_row(row: Row) -> RowKey:
    """A row's key, read. Raises ValueError on what is no key."""
    if row_end(row) != len(row) or len(row) < 19:
        raise ValueError("not a row's key")
    time, distinct = _TAIL.unpack_from(row, len(row) - 16)
    if not 0 <= time < END:
        raise ValueError("not a row's key")
    return RowKey(row_user(row).decode(), time, distinct)


def row_user(row: Row) -> bytes:
    """The user of a row's key, as UTF-8."""
    return row[1:-17].replace(b"\0\xff", b"\0")


def row_time(row: Row) -> Micros:
    """The time of a row, which lies 16 bytes before its end."""
    return int.from_bytes(row[-16:-8])


def place_time(place: Place) -> Micros:
    """The own time of a child."""
    return int.from_bytes(place[1:9])


def place_type(place: Place) -> bytes:
    """The type code of a root or a child."""
    return place[-2:]


def event_id(row: Row, place: Place = ROOT) -> str:
    """The id of an event: of the root, or of the child at `place`."""
    root = _text(row[1:])
    return root + "." + _text(place[1:]) if place[:1] == CHILD else root


def read_event_id(text: str) -> tuple[Row, Place]:
    """The row of an event id, and its place there (00 for a root). Raises EventIdError."""
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise EventIdError(f"{text!r:.60} is not an event id; ids are texts, and come from `write`")
    root, dot, child = text.partition(".")
    try:
        rest = _bytes(root)
        found = b"?" + rest
        key = read_row(found)
        found = user_prefix(key.user) + found[-16:]
        place = CHILD + _bytes(child) if dot else ROOT
        if found[1:] != rest or (dot and (len(place) != CHILD_LENGTH or not 0 <= place_time(place) < END)):
            raise ValueError
        if event_id(found, place) != text:
            raise ValueError
    except (ValueError, binascii.Error, IndexError):
        raise EventIdError(
            f"{text[:60]!r} is not an event id; ids come from `write`, and begin with their row"
        ) from None
    return found, place


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def after(prefix: bytes) -> bytes:
    """The least key above all that begin with `prefix`; empty where there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b""


def user_range(user: str, since: Micros = 0, until: Micros = END) -> Range:
    """The rows of one user from `since` up to, and without, `until`."""
    prefix = user_prefix(user)
    return Range(prefix + since.to_bytes(8), prefix + until.to_bytes(8))


def prefix_ranges(beginning: str, sample: Fraction = Fraction(1)) -> list[Range]:
    """The rows of all users whose name begins so: one range for each bucket."""
    raw = beginning.encode().replace(b"\0", b"\0\xff")
    starts = [bytes([bucket]) + raw for bucket in range(sampled_buckets(sample))]
    return [Range(start, after(start)) for start in starts]


def sample_ranges(sample: Fraction) -> list[Range]:
    """The rows that hold a sample of the users. The last bucket may hold more: ask `share` of each user there."""
    buckets = sampled_buckets(sample)
    return [EVERYTHING if buckets == BUCKETS else Range(b"", bytes([buckets]))]


def sampled_buckets(sample: Fraction) -> int:
    """How many buckets a sample touches, from the first on. Raises QueryError outside of 0 to 1."""
    if not 0 < sample <= 1:
        raise QueryError(f"sample: {float(sample):g} is not above 0 and at most 1")
    return -(-BUCKETS * sample.numerator // sample.denominator)


def split(one: Range, parts: int) -> list[Range]:
    """A range cut into at most `parts` of about as many users each, in order, none empty."""
    low = int.from_bytes(one.start[:4].ljust(4, b"\0"))
    high = int.from_bytes(one.stop[:4].ljust(4, b"\0")) if one.stop else 2**32
    cuts = sorted({low + (high - low) * part // parts for part in range(1, parts)})
    edges = [one.start, *(cut.to_bytes(4) for cut in cuts if low < cut < high), one.stop]
    return [Range(start, stop) for start, stop in pairwise(edges) if not stop or start < stop]
