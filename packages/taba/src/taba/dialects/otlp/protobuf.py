"""Export requests in protobuf, and what is answered in protobuf or JSON. Imported with the first request: 6 MB."""

from __future__ import annotations

import base64
import json
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from taba.dialects.otlp.messages import MessageError


def read(body: bytes) -> Any:
    """A request. Raises MessageError."""
    try:
        return ExportMetricsServiceRequest.FromString(body)
    except (DecodeError, RecursionError) as error:
        raise MessageError(f"the body is no ExportMetricsServiceRequest in protobuf: {error}") from None


def answer(rejected: int, why: str) -> bytes:
    """ExportMetricsServiceResponse; empty where all was taken."""
    response = ExportMetricsServiceResponse()
    if rejected or why:
        response.partial_success.rejected_data_points = rejected
        response.partial_success.error_message = why
    return response.SerializeToString()


class ProtobufReader:
    """Reads messages that came as protobuf."""

    def data(self, metric: Any) -> tuple[str, Any] | None:
        """See Reader."""
        kind = metric.WhichOneof("data")
        return None if kind is None else (kind, getattr(metric, kind))

    def told(self, point: Any, name: str) -> Any:
        """See Reader."""
        return getattr(point, name) if point.HasField(name) else None

    def text(self, value: Any) -> str:
        """See Reader."""
        kind = value.WhichOneof("value")
        if kind == "string_value":
            return value.string_value
        if kind is None:
            return ""
        found = getattr(value, kind)
        if kind == "bool_value":
            return "true" if found else "false"
        if kind == "bytes_value":
            return base64.b64encode(found).decode()
        if kind in ("array_value", "kvlist_value"):
            return json.dumps(_plain(value), separators=(",", ":"))
        return str(found)


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _plain(one.value) for one in value.kvlist_value.values}
    return None if kind is None else str(getattr(value, kind))
