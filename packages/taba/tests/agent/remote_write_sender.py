"""Bodies of remote writes, made by hand after Prometheus' `prompb/*.proto`, and a sender of them."""

import http.client
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import cramjam

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
TYPES = {"counter": 1, "gauge": 2, "histogram": 3, "summary": 5}
VERSION_1 = "application/x-protobuf"
VERSION_2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def zigzag(number: int) -> int:
    return (number << 1) ^ (number >> 63)


def whole(field: int, number: int) -> bytes:
    return varint(field << 3) + varint(number)


def double(field: int, number: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", number)


def block(field: int, content: bytes | str) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(raw)) + raw


Samples = Sequence[tuple[float, int]]


class Series(NamedTuple):
    """Labels, and samples as (value, milliseconds); `histograms` are encoded already."""

    labels: Mapping[str, str]
    samples: Samples = ()
    kind: str = ""
    created: int = 0
    histograms: Sequence[bytes] = ()


def write_1(series: Iterable[Series], metadata: Mapping[str, str] | None = None) -> bytes:
    """A prometheus.WriteRequest."""
    out = b""
    for one in series:
        labels = b"".join(block(1, block(1, name) + block(2, text)) for name, text in sorted(one.labels.items()))
        samples = b"".join(block(2, double(1, value) + whole(2, at)) for value, at in one.samples)
        out += block(1, labels + samples + b"".join(block(4, raw) for raw in one.histograms))
    for name, kind in (metadata or {}).items():
        out += block(3, whole(1, TYPES[kind]) + block(2, name) + block(4, "help"))
    return out


def write_2(series: Iterable[Series]) -> bytes:
    """An io.prometheus.write.v2.Request."""
    symbols = {"": 0}

    def reference(text: str) -> int:
        return symbols.setdefault(text, len(symbols))

    body = b""
    for one in series:
        references = [reference(text) for pair in sorted(one.labels.items()) for text in pair]
        raw = block(1, b"".join(map(varint, references)))
        raw += b"".join(block(2, double(1, value) + whole(2, at)) for value, at in one.samples)
        raw += b"".join(block(3, histogram) for histogram in one.histograms)
        raw += block(4, double(2, 1.0))
        raw += block(5, whole(1, TYPES.get(one.kind, 0)) + whole(3, reference("some help")))
        raw += whole(6, one.created) if one.created else b""
        body += block(5, raw)
    return b"".join(block(4, text) for text in symbols) + body


def native(
    count: int, total: float, at: int, schema: int, spans: Sequence[tuple[int, int]], deltas: Sequence[int]
) -> bytes:
    """A native histogram of whole numbers above zero."""
    raw = whole(1, count) + double(3, total) + whole(4, zigzag(schema)) + double(5, 1e-128)
    raw += b"".join(block(11, whole(1, zigzag(offset)) + whole(2, length)) for offset, length in spans)
    return raw + block(12, b"".join(varint(zigzag(delta)) for delta in deltas)) + whole(15, at)


class Reply(NamedTuple):
    """`written` is what the answer's headers say: samples, histograms, exemplars."""

    status: int
    text: str
    written: tuple[str | None, ...]


def send(port: int, body: bytes, content_type: str = VERSION_1, packed: bool = True, **headers: str) -> Reply:
    """Post a body to an agent."""
    raw = bytes(cramjam.snappy.compress_raw(body)) if packed else body
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    given = {"Content-Type": content_type, "Content-Encoding": "snappy"}
    given |= {name.replace("_", "-"): text for name, text in headers.items()}
    try:
        connection.request("POST", "/api/v1/write", raw, given)
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    names = ("Samples", "Histograms", "Exemplars")
    written = tuple(answer.getheader(f"X-Prometheus-Remote-Write-{name}-Written") for name in names)
    return Reply(answer.status, text, written)
