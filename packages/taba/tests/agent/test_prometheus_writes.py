"""A real Prometheus scrapes a real program and writes to an agent: the server's totals are the program's own."""

import signal
from collections import defaultdict
from pathlib import Path

import pytest
from engines import free_port
from exporting import Exporter
from prometheus_process import Prometheus
from server_process import ServerProcess, wait_until
from test_agent_process import Agent


def taken(server: ServerProcess) -> dict[str, float]:
    """What the server has of the program's tabs, by name, as the program counts itself."""
    found: dict[str, float] = defaultdict(float)
    for tab, windows in server.get("/v1/aggregates", tab="shop_*", window="1d")["tabs"].items():
        name, answer = tab.partition("{")[0], windows["1d"]
        if name == "shop_wait_seconds":
            found[name] += answer["count"]
            found[f"{name} sum"] += answer["total"]
        elif "total" in answer:
            found[name] += answer["total"]
    return dict(found)


def wait_for(server: ServerProcess, wanted: dict[str, float], seconds: float = 120) -> None:
    """Wait until the server has just that."""
    try:
        wait_until(lambda: taken(server) == pytest.approx(wanted), seconds)
    except AssertionError:
        assert taken(server) == pytest.approx(wanted)


def both(*told: dict[str, float]) -> dict[str, float]:
    return {name: sum(one[name] for one in told) for name in told[0]}


def test_totals_are_exact_over_every_kill(tmp_path: Path) -> None:
    """kill -9 of the agent, of Prometheus and of the program: nothing is lost that was scraped, or counted twice."""
    server, port = ServerProcess(tmp_path), free_port()
    flags = ("--port", str(port), "--servers", server.url)
    agent = Agent(tmp_path, *flags)
    program = Exporter()  # later than the agent: so all that it counts is new
    write_to = f"http://127.0.0.1:{port}/api/v1/write"
    prometheus = Prometheus(tmp_path / "prometheus", f"http://{program.address}", "300ms", write_to)
    try:
        wait_for(server, program.do(500))
        agent.end(signal.SIGKILL)
        program.do(300)
        agent = Agent(tmp_path, *flags)
        wait_for(server, program.do(200))
        prometheus.kill()
        program.do(100)
        agent.end(signal.SIGKILL)
        agent = Agent(tmp_path, *flags)
        prometheus.start()
        first = program.do(150)
        wait_for(server, first)
        program.kill()
        program = Exporter(program.port)
        wait_for(server, both(first, program.do(70)))
        tabs = {one["tab"]: one["type"] for one in server.get("/v1/tabs", match="*")["tabs"]}
        assert tabs["shop_depth{job=taba}"] == tabs["up{job=taba}"] == "gauge(300)"
        assert not [tab for tab in tabs if "_created" in tab or "_bucket" in tab]
        assert {one["client"] for one in server.get("/v1/clients")["clients"]} >= {program.address}
        dropped = {reason for reason, _ in server.dropped()}
        assert dropped <= {"type_unknown"}, server.dropped()
    finally:
        prometheus.close()
        program.kill()
        agent.end()
        server.close()
    assert "Traceback" not in agent.log()
    assert "non-recoverable" not in prometheus.log(), prometheus.log()
