"""The real OpenTelemetry SDK through a real agent to a real server: every instrument, once, whatever is killed."""

import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from server_process import ServerProcess, wait_until
from test_agent_process import Agent

CLIENT = "shop/h1:7"


class Sender:
    """The program in `otlp_sender.py`."""

    def __init__(self, port: int, temporality: str) -> None:
        script = Path(__file__).with_name("otlp_sender.py")
        command = [sys.executable, str(script), f"http://127.0.0.1:{port}/v1/metrics", temporality]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def begin(self, *steps: list[Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(steps).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def do(self, *steps: list[Any]) -> dict[str, Any]:
        self.begin(*steps)
        return self.answer()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class Case:
    """A server, an agent that can be killed and started again on its port, and senders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.server = ServerProcess(folder)
        self.agent = self._agent("0")
        self.senders: list[Sender] = []

    def _agent(self, port: str) -> Agent:
        return Agent(self._folder, "--port", port, "--servers", self.server.url, "--retry-s", "2")

    def sender(self, temporality: str = "cumulative") -> Sender:
        self.senders.append(Sender(self.agent.port, temporality))
        return self.senders[-1]

    def kill_agent(self) -> None:
        self.agent.end(signal.SIGKILL)
        self.agent = self._agent(str(self.agent.port))

    def posts(self, body: bytes) -> bool:
        """Whether the agent answers that it has taken a request."""
        try:
            status, _ = self.agent.ask("POST", "/v1/metrics", body, Content_Type="application/json")
        except (OSError, http.client.HTTPException, ValueError):
            return False
        return status == 200

    def totals(self, of: str = "total") -> dict[str, Any]:
        found = self.server.get("/v1/aggregates", tab="*", window="1h")["tabs"]
        return {
            name: answers["1h"][of]
            for name, answers in found.items()
            if not name.startswith("taba.") and of in answers["1h"] and answers["1h"][of] is not None
        }

    def answer(self, tab: str) -> Any:
        return self.server.get("/v1/aggregates", tab=tab, window="1h")["tabs"][tab]["1h"]

    def close(self) -> None:
        for sender in self.senders:
            sender.kill()
        self.agent.end()
        assert "Traceback" not in self.agent.log(), self.agent.log()
        self.server.close()


@contextmanager
def running(folder: Path) -> Iterator[Case]:
    case = Case(folder)
    try:
        yield case
    finally:
        case.close()


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_every_instrument_arrives_with_exact_totals(tmp_path: Path, temporality: str) -> None:
    """Counters, up-down counters, gauges, both kinds of histogram and the observed ones, over three exports."""
    chance = random.Random(4)
    values = [chance.uniform(0.5, 800) for _ in range(60)]
    with running(tmp_path) as case:
        sender = case.sender(temporality)
        for cpu, some in ((1.5, values[:20]), (1.75, values[20:40]), (4.25, values[40:])):
            steps = [["add", name, value, {"route": "/a"}] for value in some for name in ("request", "fine")]
            steps += [["add", "orders", 2, {"paid": True}], ["add", "open", 3, {}], ["add", "open", -1, {}]]
            steps += [["add", "gauge", some[0], {"room": "9"}], ["level", "cpu", cpu], ["level", "fuel", some[2]]]
            said = sender.do(*steps, ["export"])
            assert said == {"results": [True], "answers": [{"status": 200, "rejected": 0, "why": ""}]}
        shop = "service.name=shop"
        wait_until(lambda: case.totals().get(f"orders{{paid=true,{shop}}}") == 6)
        for tab in (f"http.server.request.duration{{route=/a,{shop}}}", f"fine{{route=/a,{shop}}}"):
            wait_until(lambda tab=tab: case.answer(tab)["count"] == 60)
            told = case.answer(tab)
            assert told["total"] == pytest.approx(sum(values), rel=1e-9)
            assert (told["min"], told["max"]) == (min(values), max(values)) or temporality == "cumulative"
        exact = sorted(values)
        assert told["p50"] == pytest.approx(exact[30], rel=told["error"] + 0.05)
        assert told["error"] < 0.15
        levels = case.totals("sum")
        assert levels == {
            f"carts.open{{{shop}}}": 6,
            f"temperature{{room=9,{shop}}}": values[40],
            f"fuel{{{shop},tank=left}}": values[42],
            f"queue.size{{{shop}}}": 4,
        }
        assert case.totals()[f"cpu.time{{{shop}}}"] == 4.25
        assert [one["client"] for one in case.server.get("/v1/clients", match="shop*")["clients"]] == [CLIENT]


def test_an_agent_killed_between_exports_and_a_program_begun_anew_lose_and_double_nothing(tmp_path: Path) -> None:
    """The exporter tries again by itself; what the second program adds up begins at zero."""
    with running(tmp_path) as case:
        for _ in range(2):
            sender = case.sender()
            for killed in (False, True):
                sender.begin(["add", "orders", 5, {}], ["add", "request", 12.5, {}], ["export"])
                if killed:
                    case.kill_agent()
                said = sender.answer()
                assert said["results"] == [True], said
            sender.kill()
        tab, requests = "orders{service.name=shop}", "http.server.request.duration{service.name=shop}"
        wait_until(lambda: case.totals().get(tab) == 20)
        wait_until(lambda: case.answer(requests)["count"] == 4)
        assert case.answer(requests)["total"] == 50
        case.kill_agent()
        wait_until(lambda: case.agent.status()["spool"]["waiting_bytes"] == 0)
        assert (case.totals()[tab], case.answer(requests)["count"]) == (20, 4)


@pytest.mark.parametrize("temporality", [1, 2], ids=["delta", "cumulative"])
def test_no_kill_of_the_agent_at_any_moment_loses_or_doubles_what_was_answered(
    tmp_path: Path, temporality: int
) -> None:
    """Senders repeat each request until it is answered, and some once more; the agent is killed under them."""
    chance = random.Random(temporality)
    with running(tmp_path) as case:
        ended = [threading.Event() for _ in range(3)]
        told = [0] * 3

        def send(number: int) -> None:
            last = began = time.time_ns()
            while not ended[number].is_set() or told[number] < 5:
                told[number] += 1
                now = time.time_ns()
                value = 2 if temporality == 1 else 2 * told[number]
                body = exported(f"p{number}", value, temporality, last if temporality == 1 else began, now)
                last = now
                for _ in range(1 + (told[number] % 3 == 0)):
                    while not case.posts(body):
                        time.sleep(0.02)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            time.sleep(chance.uniform(0.05, 0.5))
            case.kill_agent()
        for end, thread in zip(ended, threads, strict=True):
            end.set()
            thread.join()
        tab = "orders{service.name=shop}"
        wait_until(lambda: case.totals().get(tab) == 2 * sum(told))
        wait_until(lambda: case.agent.status()["spool"]["waiting_bytes"] == 0)
        assert case.totals()[tab] == 2 * sum(told)
        assert case.server.dropped() == {}


def exported(instance: str, value: int, temporality: int, start: int, now: int) -> bytes:
    """An export of one sum, as OTLP's JSON."""
    point = {"startTimeUnixNano": str(start), "timeUnixNano": str(now), "asInt": str(value)}
    total = {"aggregationTemporality": temporality, "isMonotonic": True, "dataPoints": [point]}
    named = {"service.name": "shop", "service.instance.id": instance}
    resource = {"attributes": [{"key": key, "value": {"stringValue": text}} for key, text in named.items()]}
    metrics = [{"scope": {}, "metrics": [{"name": "orders", "sum": total}]}]
    return json.dumps({"resourceMetrics": [{"resource": resource, "scopeMetrics": metrics}]}).encode()


def test_an_exporter_is_told_what_was_refused_of_its_points(tmp_path: Path) -> None:
    """The rest counts, the answer says how many and why, and the ledger too; nothing is sent again."""
    with running(tmp_path) as case:
        sender = case.sender()
        many = {f"k{number:02}": "v" for number in range(20)}
        twice = [["add", "gauge", 7, {}], ["add", "elsewhere", 8, {}]]
        said = sender.do(*twice, ["add", "gauge", 3, many], ["add", "orders", 1, many], ["export"])
        assert said["results"] == [True]
        [answer] = said["answers"]
        assert (answer["status"], answer["rejected"]) == (200, 2)
        assert "another gauge has the tab temperature{service.name=shop}" in answer["why"]
        assert "more than 16 tags" in answer["why"]
        assert "10 attributes left out" in answer["why"]
        wait_until(lambda: case.server.dropped() != {})
        assert case.server.dropped() == {("same_tab", "temperature"): 1, ("too_many_tags", "temperature"): 1}
        assert case.totals("sum")["temperature{service.name=shop}"] in (7, 8)
        [orders] = [total for name, total in case.totals().items() if name.startswith("orders{k00=v")]
        assert orders == 1
