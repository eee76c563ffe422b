"""Targets of Prometheus: remote writes of both versions, snappy, and exporters' pages."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable
from pathlib import Path

import cramjam
from fuzz_events import NOW
from fuzz_heard import check_heard
from fuzz_targets import target, text_of

from taba.agent.book import Book
from taba.agent.doors.prometheus.taking import Taking, Told
from taba.compression import PackingError
from taba.dialects.buckets import BucketsError
from taba.dialects.prometheus import native, requests, snappy, text
from taba.dialects.prometheus.kinds import Kinds, meaning
from taba.dialects.prometheus.naming import LabelError, checked

NANOS = int(NOW) * 1_000_000_000
MILLIS = int(NOW) * 1000


def field(number: int, content: bytes) -> bytes:
    """A field of protobuf that has a length."""
    return bytes([number << 3 | 2, len(content)]) + content


def label(name: bytes, value: bytes) -> bytes:
    """A label of remote write's first version."""
    return field(1, field(1, name) + field(2, value))


SAMPLE = field(2, b"\x09" + struct.pack("<d", 4.5) + b"\x10\x80\xd0\x95\xff\xbc\x31")
WRITE = field(1, label(b"__name__", b"a_total") + label(b"job", b"j") + SAMPLE) + field(3, b"\x08\x01\x12\x01a")
HISTOGRAM = field(1, label(b"__name__", b"h") + field(4, b"\x08\x03\x19" + struct.pack("<d", 2.0) + b"\x20\x02"))


@target(b"\1" + WRITE, b"\1" + HISTOGRAM, b"\2" + field(4, b"") + field(4, b"__name__") + field(5, b"\x0a\x02\x01\x01"))
def remote_write(data: bytes) -> None:
    """Any bytes as either version of remote write: RequestError, or series that are recorded or refused."""
    version = requests.VERSION_2 if data[:1] == b"\2" else requests.VERSION_1
    try:
        request = requests.read(data[1:], version)
    except requests.RequestError as error:
        assert str(error)
        return
    kinds = Kinds()
    told = []
    for series in request.series:
        requests.compact(series.key)
        if series.error:
            continue
        try:
            meant = meaning(checked(requests.labels(series.key)), kinds, series.kind)
        except (LabelError, requests.RequestError):
            continue
        told += [Told(meant, one.value, one.time, one.start) for one in series.samples]
        for one in series.histograms:
            with contextlib.suppress(BucketsError):
                told.append(Told(meant, native.buckets_of(one.value), one.time, one.start))
    check_taken(told)


def check_taken(told: Iterable[Told]) -> None:
    """Samples are recorded or refused."""
    with contextlib.closing(Book(Path(":memory:"), sync=False, most=100, began=0, clock=lambda: NANOS)) as book:
        check_heard(Taking(book, apart=True, now=MILLIS).take(told))


@target(bytes(cramjam.snappy.compress_raw(WRITE * 3)), b"\xff\xff\xff\xff\x0f", b"\x05\x00a")
def packed_snappy(data: bytes) -> None:
    """Any bytes as snappy: PackingError, or no more than the limit."""
    try:
        plain = snappy.unpack(data, 1 << 16)
    except PackingError:
        return
    assert len(plain) <= 1 << 16


@target(
    b'0# TYPE a counter\na_total{x="y",z="\\"\\n"} 5 1700000000000\n',
    b'0# TYPE h histogram\nh_bucket{le="+Inf"} 3\nh_bucket{le="1"} 2\nh_sum 2\nh_count 3\n',
    b'1{"a.b",x="y"} 3 # {t="1"} 2 3\nup 1\n# EOF\n',
    longest=1 << 15,
)
def exposition(data: bytes) -> None:
    """Any bytes as an exporter's page: PageError, or samples that are recorded or refused."""
    try:
        page = text.read(data[1:], open_metrics=data[:1] == b"1")
    except text.PageError as error:
        assert str(error)
        return
    kinds = Kinds()
    told = []
    for head, value, at in zip(page.heads, page.values, page.times, strict=True):
        with contextlib.suppress(text.PageError, LabelError):
            told.append(Told(meaning(checked(text.labels(head)), kinds), value, MILLIS if at is None else at))
    check_taken(told)


@target(b"text/plain; version=0.0.4", b"application/x-protobuf;proto=io.prometheus.write.v2.Request", b'a;="b"')
def content_types(data: bytes) -> None:
    """Any Content-Type names a message, or is refused with the dialect's own error."""
    written = text_of(data)
    text.is_open_metrics(written)
    with contextlib.suppress(requests.RequestError):
        requests.version_of(written)
