"""Pages that an agent fetches, and `taba scrape`: of real programs, as node_exporter has them, and bad ones."""

import gzip
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from engines import free_port
from exporting import Exporter
from server_process import ServerProcess, wait_until
from test_agent_process import TABA, Agent
from test_prometheus_writes import both, taken, wait_for

from taba.agent.doors.prometheus.fetching import FetchError, fetch
from taba.dialects.prometheus.targets import target
from taba.dialects.prometheus.text import PageError, is_open_metrics, read

NODE = b"""\
# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 1000.5
node_cpu_seconds_total{cpu="0",mode="user"} %d
# HELP node_filesystem_avail_bytes Filesystem space available to non-root users in bytes.
# TYPE node_filesystem_avail_bytes gauge
node_filesystem_avail_bytes{device="/dev/vda1",fstype="ext4",mountpoint="/"} 1.0737418e+10
# TYPE node_uname_info gauge
node_uname_info{machine="x86_64",nodename="a,b",version="#1 SMP {x=\\"y\\"}"} 1
# TYPE node_textfile_mtime untyped
node_textfile_mtime NaN
no sample
node_load1 0.5 %d
"""


class Page:
    """A page that answers as a test says; `asked` counts."""

    def __init__(self) -> None:
        self.body, self.status, self.headers, self.seconds = NODE % (5, 1000 * int(time.time())), 200, {}, 0.0
        self.asked: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def _handler(page: Page) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.asked.append(self.headers["Accept"])
            self.send_response(page.status)
            for name, value in {"Content-Type": "text/plain; version=0.0.4", **page.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for place in range(0, len(page.body), 1000):
                self.wfile.write(page.body[place : place + 1000])
                time.sleep(page.seconds)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def page() -> Iterator[Page]:
    made = Page()
    yield made
    made.server.shutdown()
    made.server.server_close()


@contextmanager
def _scraping(
    folder: Path, *targets: str, every: str = "0.3", **settings: object
) -> Iterator[tuple[ServerProcess, Agent]]:
    """A server, and an agent that fetches the targets; the agent may be ended and another put in its place."""
    server = ServerProcess(folder)
    config = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    flags = [flag for one in targets for flag in ("--scrape", one)]
    agent = Agent(
        folder, "--port", "0", "--servers", server.url, "--scrape-s", every, *flags, config=f"[agent]\n{config}"
    )
    try:
        yield server, agent
    finally:
        if agent.process.poll() is None:
            agent.end()
        assert "Traceback" not in agent.log(), agent.log()
        server.close()


def gauges(server: ServerProcess, match: str) -> dict[str, float]:
    """The sums of gauges, by tab."""
    tabs = server.get("/v1/aggregates", tab=match, window="5m")["tabs"]
    return {name: found["5m"]["sum"] for name, found in tabs.items() if "sum" in found["5m"]}


def test_totals_of_a_program_that_is_scraped_are_exact_over_kills(tmp_path: Path) -> None:
    """kill -9 of the agent while pages come, and a restart of the program: what the last page told is counted once."""
    server, port = ServerProcess(tmp_path), free_port()
    flags = ("--port", "0", "--servers", server.url, "--scrape-s", "0.3", "--scrape", f"shop=http://127.0.0.1:{port}")
    agent = Agent(tmp_path, *flags)
    program = Exporter(port)
    try:
        wait_for(server, program.do(400))
        for rounds in (50, 60):
            program.do(rounds)
            agent.end(signal.SIGKILL)
            told = program.do(rounds)
            agent = Agent(tmp_path, *flags)
        wait_for(server, told)
        program.kill()
        wait_until(lambda: gauges(server, "up*") == {"up{job=shop}": 0})
        program = Exporter(port)
        wait_for(server, both(told, program.do(30)))
        wait_until(lambda: gauges(server, "up*") == {"up{job=shop}": 1})
        assert gauges(server, "shop_depth*") == {"shop_depth{job=shop}": 29}
        assert "Connection refused" in agent.log()
    finally:
        program.kill()
        agent.end()
        server.close()


def test_a_page_as_node_exporter_has_it(tmp_path: Path, page: Page) -> None:
    """Counters are differences, labels tags; its own times are kept; what is no sample harms nothing beside it."""
    with _scraping(tmp_path, f"node=http://{page.address}/metrics", every="0.2") as (server, agent):
        wait_until(lambda: len(page.asked) > 1)
        at = int(time.time()) - 30
        page.body = NODE % (12, 1000 * at)
        page.headers = {"Content-Encoding": "gzip"}
        page.body = gzip.compress(page.body)
        wait_until(lambda: server.totals("node_cpu*"))
        assert server.totals("node_cpu*") == {"node_cpu_seconds_total{cpu=0,job=node,mode=user}": 7}
        assert "openmetrics" in page.asked[0]
        found = gauges(server, "node_*")
        assert found["node_filesystem_avail_bytes{device=/dev/vda1,fstype=ext4,job=node,mountpoint=/}"] == 1.0737418e10
        (info,) = [tab for tab in found if tab.startswith("node_uname_info")]
        assert "nodename=a_b_" in info
        load = server.get("/v1/projections", tab="node_load1*", client="*", window="5m")["tabs"]
        assert load["node_load1{job=node}"][page.address]["5m"]["time"] >= at
        wait_until(lambda: ("invalid", "prometheus") in server.dropped())
        assert any(reason == "not_finite" for reason, _ in server.dropped())
        assert gauges(server, "scrape_samples_scraped*") == {"scrape_samples_scraped{job=node}": 6}
        assert "1 samples of" in agent.log()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"status": 500}, "it answered 500"),
        ({"status": 302}, "it answered 302"),
        ({"body": b"a 1\nb 2"}, "cut off"),
        ({"body": b"a 1\n", "headers": {"Content-Type": "application/openmetrics-text"}}, "its last line is not # EOF"),
        ({"body": b"a 1\n", "headers": {"Content-Length": "100"}}, "cut off"),
        ({"body": b"# x\n" * (1 << 19)}, "has more than 1 MB"),
        ({"body": gzip.compress(bytes(2 << 20)), "headers": {"Content-Encoding": "gzip"}}, "unpacks to more than 1 MB"),
        ({"body": b"x", "headers": {"Content-Encoding": "gzip"}}, "gzip"),
        ({"body": b"# x\n" * 2500, "seconds": 0.5}, "did not answer within"),
        ({"body": b"\xff\n"}, "not UTF-8"),
    ],
)
def test_a_page_that_cannot_be_read_says_why(page: Page, change: dict[str, object], says: str) -> None:
    """Within bounds of time and size, unpacked too."""
    for name, value in change.items():
        setattr(page, name, value)
    with pytest.raises((FetchError, PageError), match=says):
        found = fetch(target(page.address), 2.0 if page.seconds else 60.0, 1 << 20)
        read(found.body, open_metrics=is_open_metrics(found.content_type))


def _command(server: ServerProcess, *given: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TABA_SERVER": server.url}
    return subprocess.run([TABA, "scrape", *given], capture_output=True, text=True, timeout=60, env=environment)


def test_the_command_counts_from_where_it_ended(tmp_path: Path) -> None:
    """`taba scrape --once`, as cron calls it: between two calls nothing is lost, and nothing counted twice."""
    server, program = ServerProcess(tmp_path), Exporter()
    try:
        flags = (f"shop=http://{program.address}", "--once", "--spool", str(tmp_path / "kept"), "--json")
        before = program.do(40)
        first = _command(server, *flags)
        assert json.loads(first.stdout)["up"] is True, first
        after = [program.do(30), program.do(20)][-1]
        for _ in range(2):
            assert _command(server, *flags).returncode == 0
        wait_until(lambda: "shop_orders_total" in taken(server))
        # What the labels' children counted before the first call began before it; so it may not be new.
        assert taken(server) == pytest.approx({name: after[name] - before[name] for name in after})
        assert _command(server, "ftp://x").returncode == 2
        program.kill()
        website = _command(server, f"{server.url}/", *flags[1:-1])
        assert (website.returncode, "no page of an exporter" in website.stderr) == (1, True), website
        ended = _command(server, *flags[:-1])
        assert (ended.returncode, "Connection refused" in ended.stderr) == (1, True), ended
        wait_until(lambda: gauges(server, "up*") == {"up{job=shop}": 0, "up": 0})
    finally:
        program.kill()
        server.close()


def test_targets_are_taken_anew_while_the_agent_runs(tmp_path: Path, page: Page) -> None:
    with _scraping(tmp_path) as (server, agent):
        agent.configure(f'[agent]\nservers = ["{server.url}"]\nscrape = ["{page.address}"]\nscrape_s = 0.2\n')
        wait_until(lambda: len(page.asked) > 2)
        agent.configure(f'[agent]\nservers = ["{server.url}"]\nscrape = ["a b"]\n')
        wait_until(lambda: "is no page to scrape" in agent.log())
        agent.configure(f'[agent]\nservers = ["{server.url}"]\n')
        wait_until(lambda: agent.log().count("settings are read again") > 1)
        asked = len(page.asked)
        time.sleep(0.6)
        assert len(page.asked) <= asked + 1


def test_a_server_s_own_metrics_round_trip_into_another(tmp_path: Path) -> None:
    """What one Taba tells another of its counters and histograms: the same names, labels and totals."""
    first = ServerProcess(tmp_path)
    (tmp_path / "second").mkdir()
    with _scraping(tmp_path / "second", f"eu={first.url}/metrics") as (second, _):
        wait_until(lambda: gauges(second, "up*") == {"up{job=eu}": 1})
        first.record(
            [{"tab": "bids.won{exchange=fbx}", "value": place} for place in range(1, 11)]
            + [{"tab": "wait.ms", "type": "percentile", "value": place} for place in range(1, 101)]
            + [{"tab": "depth", "type": "gauge", "value": 17}]
        )
        wait_until(lambda: second.totals("wait_seconds*") and second.totals("bids*") and gauges(second, "depth*"))
        time.sleep(1)  # in which nothing is counted again
        assert second.totals("bids_won_total*") == {"bids_won_total{exchange=fbx,job=eu}": 55}
        assert second.totals("bids_won_events_total*") == {"bids_won_events_total{exchange=fbx,job=eu}": 10}
        assert second.totals("wait_seconds*", of="count") == {"wait_seconds{job=eu}": 100}
        assert second.totals("wait_seconds*") == {"wait_seconds{job=eu}": pytest.approx(5.05)}
        assert gauges(second, "depth*")["depth{job=eu}"] == 17
        text = second.request("GET", "/metrics?tab=bids_won_total").body.decode()
        assert 'bids_won_total{exchange="fbx",job="eu"} 55' in text
    first.close()
