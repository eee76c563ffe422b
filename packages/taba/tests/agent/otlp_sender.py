"""A program that records with the real OpenTelemetry SDK and exports to an agent, told by lines what to do.

python otlp_sender.py URL TEMPORALITY

Each line is a JSON list of steps, each a list: ["add", instrument, amount, attributes] or ["export"]; it answers each
line with one, what came of the exports. So it can be killed, or its agent, between any two.
"""

import json
import sys
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

DELTA = dict.fromkeys(
    (sdk.Counter, sdk.UpDownCounter, sdk.Histogram, sdk.ObservableCounter), AggregationTemporality.DELTA
)
RESOURCE = {"service.name": "shop", "service.version": "1.2", "host.name": "h1", "process.pid": 7}


class Program:
    """The program's instruments, and its exporter."""

    def __init__(self, url: str, temporality: str) -> None:
        self.results: list[bool] = []
        self.answers: list[dict[str, Any]] = []
        self.levels: dict[str, float] = {"fuel": 0.5, "cpu": 0.0}
        session = requests.Session()
        session.hooks["response"].append(self._note)
        exporter = OTLPMetricExporter(
            url,
            session=session,
            timeout=60,
            compression=Compression.Gzip,
            preferred_temporality=DELTA if temporality == "delta" else {},
        )
        export = exporter.export
        exporter.export = lambda *given, **named: self._result(export(*given, **named))  # type: ignore[method-assign]
        self.reader = PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))
        fine = View(instrument_name="fine", aggregation=ExponentialBucketHistogramAggregation(max_size=160))
        provider = sdk.MeterProvider([self.reader], Resource(RESOURCE), views=[fine], shutdown_on_exit=False)
        meter = provider.get_meter("shop.checkout", "3")
        self.adds = {
            "orders": meter.create_counter("orders", "1").add,
            "open": meter.create_up_down_counter("carts.open").add,
            "request": meter.create_histogram("http.server.request.duration", "ms").record,
            "fine": meter.create_histogram("fine", "ms").record,
            "gauge": meter.create_gauge("temperature").set,
            "elsewhere": provider.get_meter("shop.other").create_gauge("temperature").set,
        }
        meter.create_observable_counter("cpu.time", [lambda _: [Observation(self.levels["cpu"])]])
        meter.create_observable_gauge("fuel", [lambda _: [Observation(self.levels["fuel"], {"tank": "left"})]])
        meter.create_observable_up_down_counter("queue.size", [lambda _: [Observation(4)]])

    def _result(self, result: MetricExportResult) -> MetricExportResult:
        self.results.append(result is MetricExportResult.SUCCESS)
        return result

    def _note(self, response: requests.Response, **_: Any) -> None:
        said: dict[str, Any] = {"status": response.status_code}
        if response.status_code == 200:
            partial = ExportMetricsServiceResponse.FromString(response.content).partial_success
            said |= {"rejected": partial.rejected_data_points, "why": partial.error_message}
        self.answers.append(said)

    def do(self, steps: list[list[Any]]) -> dict[str, Any]:
        """Take some steps."""
        for kind, *given in steps:
            if kind == "export":
                self.reader.collect()
            elif kind == "level":
                self.levels[given[0]] = float(given[1])
            else:
                name, amount, attributes = given
                self.adds[name](amount, attributes)
        said = {"results": self.results, "answers": self.answers}
        self.results, self.answers = [], []
        return said


if __name__ == "__main__":
    program = Program(*sys.argv[1:])
    for line in sys.stdin:
        sys.stdout.write(json.dumps(program.do(json.loads(line))) + "\n")
        sys.stdout.flush()
