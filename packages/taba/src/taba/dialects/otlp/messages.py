"""The messages of an export request as far as they are read, from JSON (proto3's mapping; other fields are left out).

Names are protobuf's, so that both forms are read alike; what differs is asked of a `Reader`: which fields were told.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

import msgspec
from msgspec import Struct, field

DELTA, CUMULATIVE = 1, 2
"""AggregationTemporality."""
NO_RECORDED_VALUE = 1
"""DataPointFlags: the point says that there is no value."""


class MessageError(ValueError):
    """A body that is no export request; the text says where and why."""


class Reader(Protocol):
    """What is read differently from JSON's messages and from protobuf's."""

    def data(self, metric: Any) -> tuple[str, Any] | None:
        """The one kind of data that a metric has, by its field's name."""
        ...

    def told(self, point: Any, name: str) -> Any:
        """An optional field; None where it is not told."""
        ...

    def text(self, value: Any) -> str:
        """An attribute's value as text."""
        ...


class Value(Struct, rename="camel"):
    """AnyValue: one field is told."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | None = None
    double_value: float | None = None
    array_value: dict[str, Any] | None = None
    kvlist_value: dict[str, Any] | None = None
    bytes_value: str | None = None


class Attribute(Struct):
    """KeyValue."""

    key: str = ""
    value: Value = field(default_factory=Value)


class Point(Struct, rename="camel"):
    """What all points have."""

    attributes: list[Attribute] = []
    start_time_unix_nano: int = 0
    time_unix_nano: int = 0
    flags: int = 0


class NumberPoint(Point, rename="camel"):
    """NumberDataPoint."""

    as_int: int | None = None
    as_double: float | None = None


class HistogramPoint(Point, rename="camel"):
    """HistogramDataPoint."""

    count: int = 0
    sum: float | None = None
    min: float | None = None
    max: float | None = None
    bucket_counts: list[int] = []
    explicit_bounds: list[float] = []


class ExponentialBuckets(Struct, rename="camel"):
    """ExponentialHistogramDataPoint.Buckets."""

    offset: int = 0
    bucket_counts: list[int] = []


class ExponentialPoint(Point, rename="camel"):
    """ExponentialHistogramDataPoint."""

    count: int = 0
    sum: float | None = None
    min: float | None = None
    max: float | None = None
    scale: int = 0
    zero_count: int = 0
    zero_threshold: float = 0.0
    positive: ExponentialBuckets = field(default_factory=ExponentialBuckets)
    negative: ExponentialBuckets = field(default_factory=ExponentialBuckets)


class Quantile(Struct):
    """SummaryDataPoint.ValueAtQuantile."""

    quantile: float = 0.0
    value: float = 0.0


class SummaryPoint(Point, rename="camel"):
    """SummaryDataPoint."""

    count: int = 0
    sum: float = 0.0
    quantile_values: list[Quantile] = []


class Gauge(Struct, rename="camel"):
    """Gauge."""

    data_points: list[NumberPoint] = []


class Sum(Struct, rename="camel"):
    """Sum."""

    data_points: list[NumberPoint] = []
    aggregation_temporality: int = 0
    is_monotonic: bool = False


class Histogram(Struct, rename="camel"):
    """Histogram."""

    data_points: list[HistogramPoint] = []
    aggregation_temporality: int = 0


class ExponentialHistogram(Struct, rename="camel"):
    """ExponentialHistogram."""

    data_points: list[ExponentialPoint] = []
    aggregation_temporality: int = 0


class Summary(Struct, rename="camel"):
    """Summary."""

    data_points: list[SummaryPoint] = []


class Metric(Struct, rename="camel"):
    """Metric."""

    name: str = ""
    gauge: Gauge | None = None
    sum: Sum | None = None
    histogram: Histogram | None = None
    exponential_histogram: ExponentialHistogram | None = None
    summary: Summary | None = None


class Scope(Struct):
    """InstrumentationScope."""

    name: str = ""
    version: str = ""


class ScopeMetrics(Struct):
    """ScopeMetrics."""

    scope: Scope = field(default_factory=Scope)
    metrics: list[Metric] = []


class Resource(Struct):
    """Resource."""

    attributes: list[Attribute] = []


class ResourceMetrics(Struct, rename="camel"):
    """ResourceMetrics."""

    resource: Resource = field(default_factory=Resource)
    scope_metrics: list[ScopeMetrics] = []


class Request(Struct, rename="camel"):
    """ExportMetricsServiceRequest."""

    resource_metrics: list[ResourceMetrics] = []


KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
_TEXTS = ("string_value", "int_value", "double_value", "bytes_value")
_decode = msgspec.json.Decoder(Request, strict=False).decode  # 64-bit numbers are texts, and so are NaN and infinities


def read(body: bytes) -> Request:
    """A request. Raises MessageError."""
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise MessageError(f"the body is no ExportMetricsServiceRequest in JSON: {error}") from None


class JsonReader:
    """Reads messages that came as JSON."""

    def data(self, metric: Metric) -> tuple[str, Any] | None:
        """See Reader."""
        for kind in KINDS:
            found = getattr(metric, kind)
            if found is not None:
                return kind, found
        return None

    def told(self, point: Any, name: str) -> Any:
        """See Reader."""
        return getattr(point, name)

    def text(self, value: Value) -> str:
        """See Reader."""
        if value.string_value is not None:
            return value.string_value
        if value.bool_value is not None:
            return "true" if value.bool_value else "false"
        for name in _TEXTS:
            found = getattr(value, name)
            if found is not None:
                return str(found)
        if value.array_value is None and value.kvlist_value is None:
            return ""
        told = {"arrayValue": value.array_value} if value.kvlist_value is None else {"kvlistValue": value.kvlist_value}
        return json.dumps(_plain(told, DEEPEST), separators=(",", ":"))


DEEPEST = 10
"""Lists in an attribute's lists; what is deeper is left out."""


def _plain(value: Any, deepest: int) -> Any:
    """An AnyValue as the JSON that it stands for, numbers as texts; None for what is none."""
    if not isinstance(value, dict) or not value or not deepest:
        return None
    [(kind, told), *_] = value.items()
    if kind not in ("arrayValue", "kvlistValue"):
        return str(told)
    listed = told.get("values") if isinstance(told, dict) else None
    listed = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if kind == "arrayValue":
        return [_plain(one, deepest - 1) for one in listed]
    return {str(one.get("key", "")): _plain(one.get("value"), deepest - 1) for one in listed}
