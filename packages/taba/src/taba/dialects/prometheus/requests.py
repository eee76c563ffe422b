"""The body of a remote write, as series with their samples; for both versions of the protocol.

A series' `key` is its labels as they came: of a series that was seen before nobody has to look into them. `labels`
tells what a key says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from taba.dialects.prometheus import messages

VERSION_1 = "prometheus.WriteRequest"
VERSION_2 = "io.prometheus.write.v2.Request"
MAX_SERIES = 100_000
"""Series in one request; senders put 500 to 2,000 samples into one."""
MAX_SYMBOLS = 1_000_000
MAX_SERIES_BYTES = 1 << 20
"""Of one series with its samples: a message takes up to 30 times its bytes while it is read."""

Key = tuple[bytes, ...] | tuple[str, ...]


class RequestError(ValueError):
    """A request that is not as the protocol says; the text says why."""


@dataclass(slots=True)
class Sample:
    """One value, with its time and when its series began to count (milliseconds since 1970; 0 where that is not said).

    `value` is a number, or the message of a native histogram.
    """

    value: Any
    time: int
    start: int = 0


@dataclass(slots=True)
class Series:
    """The samples of one series, and those that are native histograms; `kind` is the metadata's type, "" for none.

    `error` says why nothing of it can be taken.
    """

    key: Key
    samples: list[Sample] = field(default_factory=list)
    histograms: list[Sample] = field(default_factory=list)
    kind: str = ""
    error: str = ""


@dataclass(slots=True)
class Request:
    """What a body holds: `series` may be gone through once. `kinds` are the types of metric families, by name."""

    series: Iterator[Series]
    kinds: dict[str, str]


def version_of(content_type: str) -> str:
    """Which message a Content-Type names. Raises RequestError for one that is not taken."""
    media, *parameters = (part.strip() for part in content_type.lower().split(";"))
    if media != "application/x-protobuf":
        raise RequestError(f"Content-Type {content_type!r} is not taken: remote write is application/x-protobuf")
    named = [part.partition("=")[2].strip('" ') for part in parameters if part.partition("=")[0].strip() == "proto"]
    for version in (VERSION_1, VERSION_2):
        if named in ([], [version.lower()]):
            return version
    raise RequestError(f"the message {named[0]!r} is not taken: send {VERSION_1} or {VERSION_2}")


def read(body: bytes, version: str) -> Request:
    """A body that is unpacked. Raises RequestError; what is wrong with one series alone is in its `error`."""
    try:
        return _read_1(body) if version == VERSION_1 else _read_2(body)
    except DecodeError as error:
        raise RequestError(f"the body is no {version}: {error}") from None


def labels(key: Key) -> list[tuple[str, str]]:
    """The labels of a series, as pairs. Raises RequestError."""
    if not key or isinstance(key[0], str):
        return list(zip(key[::2], key[1::2], strict=True))  # type: ignore[arg-type]
    try:
        read = [messages.LABEL.FromString(one) for one in key]
    except DecodeError as error:
        raise RequestError(f"a label cannot be read: {error}") from None
    return [(one.name, one.value) for one in read]


def compact(key: Key) -> bytes | str:
    """A key in little memory; those of two series that are as the protocol says differ."""
    if not key or isinstance(key[0], bytes):
        return b"".join(key)  # type: ignore[arg-type]
    return "\0".join(key)  # type: ignore[arg-type]


def is_plain(key: Key) -> bool:
    """Whether the key's labels are as the protocol says, so that no other such labels are the same compactly."""
    if not key or isinstance(key[0], str):
        return not any("\0" in text for text in key)  # type: ignore[operator]
    try:
        read = [messages.LABEL.FromString(raw) for raw in key]
    except DecodeError:
        return False
    return all(one.name and one.value and one.ByteSize() == len(raw) for one, raw in zip(read, key, strict=True))


def _read_1(body: bytes) -> Request:
    whole = messages.WRITE_1.FromString(body)
    _check(len(whole.timeseries) + len(whole.metadata), MAX_SERIES, "series and metadata")
    kinds = {}
    for one in whole.metadata:
        told = messages.METADATA_1.FromString(one)
        kinds[told.metric_family_name] = _kind(told.type) or "unknown"
    return Request(map(_series_1, whole.timeseries), kinds)


def _series_1(raw: bytes) -> Series:
    try:
        read = _message(messages.SERIES_1, raw)
        return _filled(Series(tuple(read.labels)), read, 0)
    except (DecodeError, RequestError) as error:
        return Series((), error=f"a series cannot be read: {error}")


def _read_2(body: bytes) -> Request:
    whole = messages.WRITE_2.FromString(body)
    _check(len(whole.timeseries), MAX_SERIES, "series")
    _check(len(whole.symbols), MAX_SYMBOLS, "symbols")
    symbols = list(whole.symbols)
    if symbols[:1] != [""]:
        raise RequestError("the first of the symbols is not empty, as the protocol asks for")
    return Request((_series_2(raw, symbols) for raw in whole.timeseries), {})


def _series_2(raw: bytes, symbols: list[str]) -> Series:
    try:
        read = _message(messages.SERIES_2, raw)
        key = tuple([symbols[index] for index in read.labels_refs])
        series = _filled(Series(key, kind=_kind(read.metadata.type)), read, read.created_timestamp)
    except (DecodeError, RequestError) as error:
        return Series((), error=f"a series cannot be read: {error}")
    except IndexError:
        return Series((), error="a series refers to a symbol that is not there")
    if len(key) % 2:
        series.error = "a series has a label without a value"
    elif series.samples and series.histograms:
        series.error = "a series has samples and histograms both"
    return series


def _message(kind: Any, raw: bytes) -> Any:
    if len(raw) > MAX_SERIES_BYTES:
        raise RequestError(f"it has {len(raw)} bytes, of {MAX_SERIES_BYTES} at most")
    return kind.FromString(raw)


def _filled(series: Series, read: Any, created: int) -> Series:
    for raw in read.samples:
        one = messages.SAMPLE.FromString(raw)
        series.samples.append(Sample(one.value, one.timestamp, one.start_timestamp or created))
    for raw in read.histograms:
        one = messages.HISTOGRAM.FromString(raw)
        series.histograms.append(Sample(one, one.timestamp, created))
    return series


def _check(count: int, most: int, what: str) -> None:
    if count > most:
        raise RequestError(f"the request has {count} {what}, of {most} at most: send it in parts")


def _kind(number: int) -> str:
    return messages.KINDS[number] if number < len(messages.KINDS) else ""
