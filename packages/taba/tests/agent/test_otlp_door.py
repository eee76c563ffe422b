"""The agent's door for OTLP as any sender sees it: statuses, forms, repetitions, and what a server says instead."""

import contextlib
import gzip
import http.client
import json
import signal
import sqlite3
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_sink import Sink, sinks
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from server_process import ServerProcess, wait_until
from test_agent_process import Agent

from taba.compression import pack

PROTOBUF, JSON = "application/x-protobuf", "application/json"


def exported(value: Any = 3, name: str = "orders", **more: Any) -> dict[str, Any]:
    now = time.time_ns()
    point = {"startTimeUnixNano": str(now - 10**9), "timeUnixNano": str(now), "asDouble": value}
    total = {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]} | more
    attribute = {"key": "service.name", "value": {"stringValue": "shop"}}
    metrics = [{"metrics": [{"name": name, "sum": total}]}]
    return {"resourceMetrics": [{"resource": {"attributes": [attribute]}, "scopeMetrics": metrics}]}


def packed(asked: dict[str, Any]) -> bytes:
    return json_format.ParseDict(asked, ExportMetricsServiceRequest()).SerializeToString()


class Case:
    def __init__(self, folder: Path, sink: Sink, *flags: str) -> None:
        self.sink = sink
        self.folder = folder
        self.flags = flags
        self.agent = Agent(folder, "--port", "0", "--servers", sink.url, *flags)

    def again(self) -> None:
        self.agent.end(signal.SIGKILL)
        self.agent = Agent(self.folder, "--port", "0", "--servers", self.sink.url, *self.flags)

    def post(self, body: bytes, kind: str = PROTOBUF, **headers: str) -> tuple[int, str, bytes, str | None]:
        """Status, content type, body, Retry-After."""
        connection = http.client.HTTPConnection("127.0.0.1", self.agent.port, timeout=60)
        with contextlib.closing(connection):
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            connection.request("POST", "/v1/metrics", body, {"Content-Type": kind} | named)
            response = connection.getresponse()
            content = response.read()
            return response.status, response.headers["content-type"], content, response.headers["retry-after"]

    def events(self) -> int:
        """How many events the sink has of clients that are not Taba's own."""
        return sum(one.events() for one in list(self.sink.frames.values()) if one.client.startswith("shop"))


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with sinks(1) as [sink]:
        made = Case(tmp_path, sink)
        yield made
        made.agent.end()
        assert "Traceback" not in made.agent.log(), made.agent.log()


def test_what_is_taken_is_answered_in_the_form_that_was_sent_however_it_was_packed(case: Case) -> None:
    """Protobuf and JSON, plain, gzip, deflate and zstd; repeated byte for byte they count once, also over a kill."""
    bodies = [packed(exported(number)) for number in range(4)]
    packings = [
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", lambda b: pack(b, 3)),
    ]
    for body, (encoding, packing) in zip(bodies, packings, strict=True):
        assert case.post(packing(body), Content_Encoding=encoding)[:3] == (200, PROTOBUF, b"")
    assert case.post(json.dumps(exported()).encode(), f"{JSON}; charset=utf-8")[:3] == (200, JSON, b"{}")
    wait_until(lambda: case.events() == 5)
    case.again()
    for body in bodies:
        assert case.post(gzip.compress(body), Content_Encoding="gzip")[0] == 200
    assert case.post(packed({}))[0] == 200
    assert case.post(packed(exported(9)))[0] == 200
    wait_until(lambda: case.events() == 6)
    [sequences] = {tuple(case.sink.sequences("shop"))}
    assert sequences == (1, 2, 3, 4, 5, 6), "one epoch goes on over the kill"
    wait_until(lambda: case.agent.status()["spool"]["waiting_bytes"] == 0)
    journal = case.folder / "spool" / "otlp.journal"
    with contextlib.closing(sqlite3.connect(journal)) as book:
        wait_until(lambda: book.execute("SELECT count(*) FROM outbox").fetchone() == (0,))


def test_what_was_refused_of_the_points_is_told_in_both_forms(case: Case) -> None:
    """And told again, the same, when the request comes again."""
    asked = exported("NaN")
    for _ in range(2):
        status, _, content, _ = case.post(packed(asked))
        told = ExportMetricsServiceResponse.FromString(content).partial_success
        assert (status, told.rejected_data_points) == (200, 1)
        assert told.error_message == "1 x orders: its value is nan"
    status, _, content, _ = case.post(json.dumps(asked).encode(), JSON)
    assert json.loads(content) == {
        "partialSuccess": {"rejectedDataPoints": "1", "errorMessage": "1 x orders: its value is nan"}
    }
    wait_until(lambda: case.events() == 2)
    drops = [one.drops for one in case.sink.frames.values() if one.drops]
    assert [(one.names, one.reasons, one.counts) for one in drops] == [(["orders"], ["not_finite"], [1])] * 2
    assert case.agent.status()["counts"]["otlp.rejected{reason=not_finite}"] == 2


NEVER = [
    (b"\x0a\xff", PROTOBUF, "", 400, "no ExportMetricsServiceRequest in protobuf"),
    (b'{"resourceMetrics":3}', JSON, "", 400, "Expected `array`, got `int` - at `$.resourceMetrics`"),
    (b"{", JSON, "", 400, "truncated"),
    (b"xx", PROTOBUF, "gzip", 400, "not gzip"),
    (b"x", PROTOBUF, "br", 400, "'br' is not taken"),
    (b"x", "text/plain", "", 415, "'text/plain' is not taken"),
    (gzip.compress(bytes(9 << 20)), PROTOBUF, "gzip", 413, "more than 4 MB"),
    (bytes(9 << 20), JSON, "", 413, "more than 4 MB"),
    (bytes(17 << 20), PROTOBUF, "", 413, "more than"),
]


def test_what_is_never_taken_is_answered_with_why_and_not_to_be_sent_again(case: Case) -> None:
    """A google.rpc.Status in the form that was sent; what comes then is taken."""
    for body, kind, encoding, status, why in NEVER:
        found, form, content, again = case.post(body, kind, Content_Encoding=encoding)
        assert (found, again) == (status, None), content
        if form == PROTOBUF:
            assert content[:3] == b"\x08\x03\x12"
            assert why.encode() in content
        else:
            assert (form, json.loads(content)["code"]) == (JSON, 3)
            assert why in json.loads(content)["message"]
        assert case.post(packed(exported()))[0] == 200
    wait_until(lambda: case.events() == len(NEVER))


def test_a_journal_that_cannot_be_written_has_senders_come_back(case: Case, tmp_path: Path) -> None:
    """And goes on once it can; one that is damaged is put aside."""
    assert case.post(packed(exported(1)))[0] == 200
    journal = tmp_path / "spool" / "otlp.journal"
    with contextlib.closing(sqlite3.connect(journal, isolation_level=None)) as book:
        book.execute("BEGIN IMMEDIATE")
        status, form, content, again = case.post(packed(exported(2)))
        assert (status, form, again) == (503, PROTOBUF, "1")
        assert b"send this again" in content
        book.execute("ROLLBACK")
    assert case.post(packed(exported(2)))[0] == 200
    wait_until(lambda: case.events() == 2)
    case.agent.end(signal.SIGKILL)
    for name in ("otlp.journal-wal", "otlp.journal-shm"):
        with contextlib.suppress(FileNotFoundError):
            (tmp_path / "spool" / name).unlink()
    journal.write_bytes(b"x" * 8192)
    case.agent = Agent(tmp_path, "--port", "0", "--servers", case.sink.url)
    assert case.post(packed(exported(3)))[0] == 200
    wait_until(lambda: case.events() == 3)
    assert (tmp_path / "spool" / "otlp.journal.damaged").exists()


def test_settings_are_taken_while_it_runs(case: Case) -> None:
    """Which attributes are tags, and how many series are remembered."""
    case.agent.configure(f'[agent]\nservers = ["{case.sink.url}"]\nseries = 1\notlp_tags = []\n')
    wait_until(lambda: "read again" in case.agent.log())
    for number in range(2):
        status, _, content, _ = case.post(packed(exported(1, f"m{number}", aggregationTemporality=2)))
        assert (status, b"agent.series" in content) == (200, bool(number))
    wait_until(lambda: any(one.names == ["m0"] for one in case.sink.frames.values()))


def test_a_server_points_to_the_agent(tmp_path: Path) -> None:
    """An exporter that was pointed at a server is told what to do."""
    server = ServerProcess(tmp_path, agent={"port": 8999})
    answer = server.post(packed(exported()), PROTOBUF, "/v1/metrics")
    assert answer.status == 404
    assert "http://127.0.0.1:8999/v1/metrics" in answer.content["error"]
    server.close()
