"""Events as columns: many cells taken apart at once, and their fields decoded by one call for all of them.

Nothing here makes an object for an event. What it can't do with the very meaning of `eventlog.reading` (a value of a
type that its field does not have, say) it leaves to that: it raises Plain.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec
import polars as pl

from eventlog import keys
from eventlog.cells import EXPIRED, Head, decode_body
from eventlog.engines.blocks import Block
from eventlog.serializers import Serializer
from eventlog.wheres import DTYPES

UNSET: Final = msgspec.UNSET
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NONE: Final = type(None)


class Plain(Exception):
    """These cells are to be read one by one."""


def ends(block: Block) -> list[int]:
    """Where the row of each key ends. A user holds 00 only before FF, and a time begins with 00: 00 00 ends a user."""
    start = block.skip + 1
    return [key.find(b"\0\0", start) + 17 for key in block.keys]


def cells(block: Block, stops: list[int]) -> pl.DataFrame:
    """A block's cells: index, row and its number, kind (00 root, 01 child, 02 note), place, and the row's time."""
    key, stop = pl.col("key"), pl.col("stop")
    frame = pl.DataFrame(
        {"key": pl.Series(block.keys, dtype=pl.Binary), "stop": pl.Series(stops, dtype=pl.Int64)}
    ).with_row_index("index")
    return frame.with_columns(
        row=key.bin.slice(block.skip, stop - block.skip),
        place=key.bin.slice(stop),
        kind=key.bin.get(stop),
        row_time=_number(key.bin.slice(stop - 16, 8)),
    ).with_columns(number=pl.col("row").rle_id())


def _number(raw: pl.Expr) -> pl.Expr:
    return raw.bin.reinterpret(dtype=pl.Int64, endianness="big")


def events(found: pl.DataFrame, heads: list[bytes], past: Mapping[bytes, int]) -> pl.DataFrame:
    """The roots and children among cells, with code, own time, and `root`: the position of their root here, or null.

    Without those past their time to live: of a type in `past` at or before its time, or marked so by their head.
    """
    kind, place = pl.col("kind"), pl.col("place")
    only = found.filter(kind < 2).with_columns(
        code=place.bin.tail(2).bin.reinterpret(dtype=pl.UInt16, endianness="big"),
        time=pl.when(kind == 1).then(_number(pl.when(kind == 1).then(place).bin.slice(1, 8))).otherwise("row_time"),
    )
    lives = [heads[index][1] != EXPIRED for index in only["index"].to_list()]  # a head's second byte is its version
    if not all(lives):
        only = only.filter(pl.Series(lives, dtype=pl.Boolean))
    for code, time in past.items():
        only = only.filter((pl.col("code") != int.from_bytes(code)) | (pl.col("time") > time))
    position = pl.int_range(pl.len(), dtype=pl.UInt32)
    before = pl.when(kind == 0).then(position).forward_fill()
    return only.with_columns(before=before).with_columns(
        root=pl.when(pl.col("number").gather(pl.col("before")) == pl.col("number")).then("before")
    )


def users(found: pl.DataFrame) -> pl.Series:
    """The users of rows."""
    row = pl.col("row")
    raw = found.select(user=row.bin.slice(1, row.bin.size() - 18))["user"]
    if raw.bin.contains(b"\0").any():
        return pl.Series("user", [one.replace(b"\0\xff", b"\0").decode() for one in raw.to_list()], dtype=pl.String)
    return raw.cast(pl.String)


def ids(found: pl.DataFrame) -> pl.Series:
    """The ids of events."""
    root = _text(pl.col("row").bin.slice(1))
    child = pl.concat_str(root, pl.lit("."), _text(pl.col("place").bin.slice(1)))
    return found.select(id=pl.when(pl.col("kind") == 1).then(child).otherwise(root))["id"]


def row_ids(found: pl.DataFrame) -> pl.Series:
    """The ids of their roots."""
    return found.select(id=_text(pl.col("row").bin.slice(1)))["id"]


def _text(raw: pl.Expr) -> pl.Expr:
    told = raw.bin.encode("base64")
    return told.str.strip_chars_end("=").str.replace_all("+", "-", literal=True).str.replace_all("/", "_", literal=True)


@lru_cache(maxsize=256)
def _fields(names: tuple[str, ...]) -> type:
    """A class with these fields (f0, f1 …), each of any type, UNSET where it is not there; others are passed over."""
    return msgspec.defstruct(
        "Fields",
        [(f"f{at}", Any, msgspec.field(name=name, default=UNSET)) for at, name in enumerate(names)],
        gc=False,
    )


def _list_of(kind: type) -> Any:
    """The type of a list of them; a class that was made while running is none to a type checker."""
    return list[kind]


@lru_cache(maxsize=256)
def _heads(names: tuple[str, ...]) -> Any:
    head = msgspec.defstruct(
        "Head", [("version", int), ("serializer", int), ("batch", int), ("columns", _fields(names))],
        array_like=True, gc=False,
    )  # fmt: skip
    return msgspec.msgpack.Decoder(_list_of(head)).decode


@lru_cache(maxsize=256)
def _packed(names: tuple[str, ...]) -> Any:
    return msgspec.msgpack.Decoder(_list_of(_fields(names))).decode


@lru_cache(maxsize=256)
def _json(names: tuple[str, ...]) -> Any:
    return msgspec.json.Decoder(_list_of(_fields(names))).decode


_any_heads: Final = msgspec.msgpack.Decoder(list[Head]).decode


def _array(messages: Sequence[bytes]) -> bytes:
    """Msgpack messages as one array of them."""
    return b"\xdd" + len(messages).to_bytes(4) + b"".join(messages)


def note_values(heads: Sequence[bytes]) -> list[Any]:
    """The values of notes."""
    try:
        return [head.columns for head in _any_heads(_array(heads))]
    except (msgspec.DecodeError, ValueError):
        raise Plain from None


class Fields:
    """The fields of some events, decoded together: from their heads, and from their bodies where these are given."""

    def __init__(
        self,
        names: Iterable[str],
        heads: list[bytes],
        bodies: list[bytes] | None,
        serializers: Mapping[int, Serializer],
    ) -> None:
        self._at = {name: f"f{at}" for at, name in enumerate(dict.fromkeys(names))}
        told = tuple(self._at)
        try:
            self._heads: list[Any] = _heads(told)(_array(heads)) if told else []
            self._bodies = None if bodies is None or not told else self._decoded(told, bodies, serializers)
        except (msgspec.DecodeError, ValueError):
            raise Plain from None
        self._columns = list(map(attrgetter("columns"), self._heads))
        self._found: dict[str, list[Any]] = {}

    def _decoded(self, names: tuple[str, ...], bodies: list[bytes], serializers: Mapping[int, Serializer]) -> list[Any]:
        numbers = set(map(attrgetter("serializer"), self._heads))
        if numbers <= {0}:
            return _packed(names)(_array([body or b"\x80" for body in bodies]))
        if numbers == {1}:
            return _json(names)(b"[" + b",".join([body or b"{}" for body in bodies]) + b"]")
        made = _fields(names)
        found: list[Any] = [None] * len(bodies)
        for number in numbers:
            at = [index for index, head in enumerate(self._heads) if head.serializer == number]
            some = [bodies[index] for index in at]
            if number == 0:
                decoded = _packed(names)(_array([body or b"\x80" for body in some]))
            elif number == 1:
                decoded = _json(names)(b"[" + b",".join([body or b"{}" for body in some]) + b"]")
            else:
                maps = (decode_body(Head(0, number, 0, None), body, serializers) for body in some)
                decoded = [made(**{f"f{place}": one[name] for place, name in enumerate(names) if name in one})
                           for one in maps]  # fmt: skip
            for index, one in zip(at, decoded, strict=True):
                found[index] = one
        return found

    def values(self, name: str) -> list[Any]:
        """A field of each event; None where it is not there."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._values(self._at[name])
        return found

    def _values(self, at: str) -> list[Any]:
        found = list(map(attrgetter(at), self._columns))
        kinds = set(map(type, found))
        if msgspec.UnsetType not in kinds:
            return found
        if self._bodies is not None:
            inner = list(map(attrgetter(at), self._bodies))
            if len(kinds) > 1:
                inner = [own if value is UNSET else value for value, own in zip(found, inner, strict=True)]
            if msgspec.UnsetType not in set(map(type, inner)):
                return inner
            found = inner
        return [None if value is UNSET else value for value in found]


def kinds_of(values: Iterable[Any]) -> set[type]:
    """The types of values, without None's."""
    return set(map(type, values)) - {_NONE}


def series(values: list[Any], kind: type) -> pl.Series:
    """Values that are all of one type, or None. Raises Plain where they don't fit a column."""
    try:
        if kind is datetime:
            values = [None if value is None else (value - _EPOCH) // _MICROSECOND for value in values]
            return pl.Series(values, dtype=pl.Int64).cast(DTYPES[datetime])
        return pl.Series(values, dtype=DTYPES[kind])
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        raise Plain from None


def in_sample(found: pl.DataFrame, sample: Any) -> pl.Series:
    """Which rows' users belong to a sample. Only its last bucket may be divided: there each user is asked."""
    last = keys.sampled_buckets(sample) - 1
    bucket = found.select(pl.col("row").bin.get(0))["row"]
    inside = bucket < last
    at = (bucket == last).arg_true()
    if at.len():
        some = users(found.select("row")[at])
        told = {user: keys.share(user) < sample for user in some.unique().to_list()}
        inside = inside.scatter(at, [told[user] for user in some.to_list()])
    return inside
