"""Targets on an event's way in: frames, JSON, compression, an agent's HTTP, and what lies on its disk."""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from array import array
from dataclasses import replace
from typing import Any

import msgspec
from fuzz_targets import golden, target

from taba import frame, names
from taba.agent import salvage
from taba.agent.connection import Connection, Listener, Request
from taba.compression import PackedTooLargeError, PackingError, pack, unpack
from taba.handlers.registry import Registry
from taba.headers import parse as parse_fast
from taba.listed import listed
from taba.sequences import Seen
from taba.server.batch import assemble
from taba.server.client_tabs import ClientTabs
from taba.server.rules import Rules
from taba.server.submissions import NDJSON, BadRequest, read
from taba.settings import Limits
from taba.states.catalogue import Catalogue
from taba.states.fold import CLIENT_KEYS, fold, merge, project
from taba.tombstone import tombstone

NOW = 1_700_000_000.0
RULES = Rules(Limits(tabs=1000), 0.0, NOW + 60)
REGISTRY = Registry()
CLIENT_TABS = ClientTabs(lambda: 0.0)
PARTS = 64
NUMBERED = {"taba-source": "s", "taba-sequence": "1"}
HEADER = (
    b'{"client":"c","epoch":"e","sequence":3,"start":1700000000.0,"stop":1700000000.25,"names":["a","b{k=v}"],'
    b'"types":["counter","percentile"],"counts":[1,2],"texts":{"names":["t"],"types":["top"],"counts":[1],'
    b'"values":["x"]},"drops":{"names":["a"],"reasons":["full"],"counts":[3]},"recorded":7,"began":1.0}'
)
WEIGHTED = (
    b'{"client":"c","epoch":"e","sequence":3,"start":1700000000.0,"stop":1700000000.25,"names":["a"],'
    b'"types":["percentile"],"counts":[1],"weights":true,"errors":[0.01],"first":2}'
)


def whole(header: bytes, values: bytes = b"") -> bytes:
    """A frame whose lengths and checksum are right, whatever is in it: no search would guess them."""
    checksum = zlib.crc32(values, zlib.crc32(header))
    return struct.pack("<4sHHIII", b"TABA", 1, 0, len(header), len(values), checksum) + header + values


def parted(data: bytes) -> tuple[bytes, bytes]:
    """A header, and as many numbers as the bytes behind it fill: what comes after the first zero byte."""
    header, _, rest = data.partition(b"\0")
    return header, rest[: len(rest) // 8 * 8]


@target(*golden(), longest=1 << 14)
def frames(data: bytes) -> None:
    """Any bytes as a body: FrameError or frames, however headers are read; encoding what is read says it again."""
    plain, whole_read, fast = decoded(data, frame.parse_header), decoded(data, read_whole), decoded(data, parse_fast)
    if whole_read is None and fast is not None:
        assert max(data.count(b'"names"'), data.count(b'"types"')) > 1  # of a field that comes twice, the last counts
        whole_read = fast = None
    assert (whole_read is None) == (fast is None)
    for one, other in zip(whole_read or (), fast or (), strict=True):
        assert [list(other.header.names), list(other.header.types)] == [one.header.names, one.header.types]
        assert replace(other.header, names=[], types=[]) == replace(one.header, names=[], types=[])
    for one, other in zip(plain or whole_read or (), whole_read or plain or (), strict=True):
        assert rounded(one.header) == rounded(other.header)
        assert len(one.numbers()) == len(one.weights()) == one.count
        (again,) = frame.decode(frame.encode(one.header, bytes(one.values)))
        assert again.header == one.header


def rounded(header: frame.Header) -> frame.Header:
    """With times of as many digits as readers agree upon: of more than a float has, one rounds the last otherwise."""
    told = {name: getattr(header, name) for name in ("start", "stop", "began")}
    return replace(header, **{name: time and float(f"{float(time):.12g}") for name, time in told.items()})


read_whole = msgspec.json.Decoder(frame.Header).decode
"""Reads headers as servers do, without their shortcuts; what it takes beyond the standard library's is in fields that
nobody knows."""


def decoded(data: bytes, parse: Any) -> list[frame.Frame] | None:
    """The frames; None where they are refused."""
    try:
        return list(frame.decode(data, parse))
    except frame.FrameError:
        return None


@target(HEADER + b"\0" + bytes(24), WEIGHTED + b"\0" + bytes(16), longest=1 << 14)
def headers(data: bytes) -> None:
    """Any bytes as a frame's header, with its checksum right: the same, and the tombstone of what is taken is taken."""
    header, values = parted(data)
    body = whole(header, values)
    frames(body)
    try:
        (one,) = frame.decode(body)
    except frame.FrameError:
        return
    if one.header.first is None:
        grave = tombstone([one.header], "refused")
        (read_again,) = frame.decode(frame.encode(grave))
        assert read_again.header.events() == one.header.events()


@target(HEADER + b"\0" + struct.pack("<3d", 1, 2.5, -1e300), WEIGHTED + b"\0" + struct.pack("<2d", 4, 10), seconds=20)
def folded_frames(data: bytes) -> None:
    """What a server takes as frames is checked, folded, merged and projected, and no event is lost on the way."""
    try:
        submissions = read(frame.CONTENT_TYPE, whole(*parted(data)), {}, None, NOW)
    except BadRequest:
        return
    check_folds(submissions)


@target(
    b'{"client":"c","events":[{"tab":"a{k=v}","value":1,"tags":{"x":true}},{"tab":"b","type":"gauge(3)","value":"t"}]}',
    b'{"events":[{"tab":"p","type":"percentile","value":-1e300,"time":1700000000,"client":"d"},{"tab":5}]}',
    b'{"events":[{"tab":"u","type":"uniques","value":"x"},{"tab":"u","type":"top","value":3}]}',
    seconds=20,
)
def json_events(data: bytes) -> None:
    """Any bytes as JSON: BadRequest, or each event is folded or told as rejected."""
    try:
        submissions = read("application/json", data, NUMBERED, "c", NOW)
    except BadRequest:
        return
    check_folds(submissions)


@target(b'{"tab":"a","value":1}\n{"tab":"b","value":"x","type":"buffer"}\n\n{"tab":1}\n', seconds=20)
def lines(data: bytes) -> None:
    """The same of NDJSON."""
    try:
        submissions = read(NDJSON, data, NUMBERED, "c", NOW)
    except BadRequest:
        return
    check_folds(submissions)


def check_folds(submissions: list[Any]) -> None:
    """Every event that came is folded or rejected, and what is folded has answers that can be written."""
    catalogue = Catalogue(REGISTRY, 3, [])
    batch = assemble(submissions, catalogue, REGISTRY, RULES, CLIENT_TABS, NOW)
    came = sum(
        sum(one.header.counts) + (sum(one.header.texts.counts) if one.header.texts else 0)
        for submission in submissions
        for one in submission.frames
    )
    came += sum(0 if submission.events is None else submission.events.height for submission in submissions)
    refused = batch.rejected.height
    assert sum(batch.accepted.values()) + refused == came, (batch.accepted, refused, came)
    for (kind,), events in batch.events.partition_by("type", as_dict=True).items():
        handler = REGISTRY.get(str(kind).partition("(")[0])
        assert handler is not None
        states = fold(handler, events)
        again = merge(handler, states, list(CLIENT_KEYS))
        answers = project(handler, again, ["tab"], seconds=60.0, until=NOW + 60, fleet=True)
        assert answers["tab"].n_unique() == events["tab"].n_unique()
        msgspec.json.encode(answers.to_dicts())


@target(b'["a","b"]', b'["a\\n","\xc3\xa9"]', b"[]", b'["a" ,"b"]', b'["a","]')
def arrays(data: bytes) -> None:
    """An array of texts that is kept as it came means what its JSON means."""
    try:
        raw = msgspec.json.decode(data, type=msgspec.Raw)
        texts = msgspec.json.decode(data, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    found = listed(raw)
    if found is not None:
        assert list(found) == texts
        assert len(found) == len(texts)


LIMIT = 1 << 16
GZIP, ZSTD = b"\0", b"\1"


@target(
    GZIP + zlib.compress(b"x", wbits=31),
    ZSTD + pack(b"some text" * 9, 3),
    GZIP + zlib.compress(bytes(99_999), wbits=31),
)
def packed(data: bytes) -> None:
    """Any bytes as gzip or zstd: PackingError, or no more than the limit."""
    encoding = "zstd" if data[:1] == ZSTD else "gzip"
    try:
        plain = unpack(data[1:], encoding, LIMIT)
    except PackedTooLargeError:
        return
    except PackingError:
        return
    assert len(plain) <= LIMIT


@target(whole(HEADER, bytes(24)) + b"torn" + whole(WEIGHTED, bytes(16))[:-3], *golden(), longest=1 << 14)
def damaged(data: bytes) -> None:
    """Any bytes as what lies on an agent's disk: pieces that follow one another, the sound ones frames."""
    at = 0
    for piece in salvage.pieces(data):
        assert piece.start == at < piece.stop
        at = piece.stop
        salvage.readable(piece)
    assert at == len(data)
    stop, count = salvage.sound_prefix(data)
    assert salvage.count_frames(data[:stop]) == count


@target(b"1-3,7-9\n5\n2\n8", b"\n1\n3\n2")
def gaps(data: bytes) -> None:
    """Sequences added in any order are seen, all others are not, and what is written is read again."""
    numbers = [number + 1 for number in data[:PARTS]]
    seen = Seen().add(numbers[: len(numbers) // 2]).add(numbers[len(numbers) // 2 :])
    assert {one for one in range(1, 300) if one in seen} == set(numbers)
    assert Seen.read(seen.last, seen.written()) == seen


class _Wire(asyncio.Transport):
    """The other side of a connection: keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing comes but what the target gives."""

    def resume_reading(self) -> None:
        """Likewise."""


def answer(request: Request, respond: Any) -> None:
    """As a door does, at once."""
    respond(413 if request.too_large else 200, b"{}")


@target(
    b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /ping?x=1 HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
)
def http(data: bytes) -> None:
    """Any bytes, in pieces of any size, on an agent's connection: answers, and no exception."""

    async def fed() -> bytes:
        listener = Listener(answer, lambda: 1024, lambda: 0.0, 10)
        connection, wire = Connection(listener), _Wire()
        connection.connection_made(wire)
        size = 1 + (data[0] if data else 0)
        for at in range(0, len(data), size):
            if not wire.closed:
                connection.data_received(data[at : at + size])
        connection.connection_lost(None)
        assert listener.waiting == 0
        return wire.written

    written = asyncio.run(fed())
    assert not written or written.startswith(b"HTTP/1.1 ")


@target(b"name{a=b,c=d}", b"gauge(30)", "ä{b=ü}".encode(), b'{"k":"v{}","\\u0000":"=\\\\"}')
def rules_of_names(data: bytes) -> None:
    """A tab that is taken is written in one form only, and what is cleaned is fit for a tag."""
    text = data.decode("utf-8", "replace")
    for check in (names.parse, names.parse_type, names.check_client, names.check_name):
        try:
            found = check(text)
        except names.NameRuleError as error:
            assert str(error)
            continue
        if check is names.parse:
            written = names.join(*found)
            assert names.parse(written) == found
            assert names.join(*names.split(written)) == written
    names.check_tags({"key": names.clean_value(text)})


@target(json.dumps([1.5, 1e300, -0.0]).encode())
def numbers(data: bytes) -> None:
    """Numbers go into a frame and come out of it as they were."""
    floats = array("d", data[: len(data) // 8 * 8])
    header = frame.Header(
        "c", "e", 1, 1.0, 1.0, ["a"] if floats else [], ["buffer"][: bool(floats)], [len(floats)] * bool(floats)
    )
    (one,) = frame.decode(frame.encode(header, frame.pack_values(floats)))
    assert array("d", one.numbers()).tobytes() == floats.tobytes()
