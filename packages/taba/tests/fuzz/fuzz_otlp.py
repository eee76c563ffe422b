"""Targets of OpenTelemetry's protocol: export requests in JSON and in protobuf."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from fuzz_events import NOW
from fuzz_heard import check_heard
from fuzz_targets import target
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from taba.agent.book import Book
from taba.dialects.otlp import messages, protobuf
from taba.dialects.otlp.translation import Translation

NANOS = int(NOW) * 1_000_000_000

OTLP = b"""{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
"scopeMetrics":[{"scope":{"name":"s"},"metrics":[
{"name":"a","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asInt":"5","timeUnixNano":"TIME"}]}},
{"name":"b","gauge":{"dataPoints":[{"asDouble":1.5,"timeUnixNano":"TIME","attributes":[{"key":"k","value":{"intValue":"3"}}]}]}},
{"name":"c","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"3","sum":9,"bucketCounts":["1","2"],
"explicitBounds":[2],"timeUnixNano":"TIME","min":1,"max":5}]}},
{"name":"d","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"count":"3","sum":9,"scale":2,"zeroCount":"1",
"positive":{"offset":1,"bucketCounts":["1","1"]},"timeUnixNano":"TIME"}]}},
{"name":"e","summary":{"dataPoints":[{"count":"3","sum":9,"quantileValues":[{"quantile":0.5,"value":2}],"timeUnixNano":"TIME"}]}}
]}]}]}""".replace(b"TIME", str(NANOS).encode())


def translated(reader: messages.Reader, request: Any) -> None:
    """What a request's points mean."""
    with contextlib.closing(Book(Path(":memory:"), sync=False, most=100, began=0, clock=lambda: NANOS)) as book:
        taken = Translation(reader, book, ("service.version",), NANOS)
        with contextlib.suppress(messages.MessageError):
            taken.take(request)
        check_heard(taken.gathering.heard())
        assert protobuf.answer(taken.rejected, taken.why()) or not taken.rejected


@target(OTLP, b"{}", seconds=10)
def otlp_json(data: bytes) -> None:
    """Any bytes as OTLP's JSON: MessageError, or points that are recorded or refused with a reason."""
    try:
        request = messages.read(data)
    except messages.MessageError as error:
        assert str(error)
        return
    translated(messages.JsonReader(), request)


def otlp_seed() -> bytes:
    """The same request in protobuf."""
    return Parse(OTLP.decode(), ExportMetricsServiceRequest()).SerializeToString()


@target(otlp_seed(), seconds=10)
def otlp_protobuf(data: bytes) -> None:
    """The same in protobuf."""
    try:
        request = protobuf.read(data)
    except messages.MessageError as error:
        assert str(error)
        return
    translated(protobuf.ProtobufReader(), request)
