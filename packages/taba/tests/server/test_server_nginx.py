"""nginx before several servers, as deploy/nginx.conf sets it up: who records through it loses and doubles nothing."""

import http.client
import http.server
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlsplit

import pytest
from engines import EngineServer, shared
from live_reader import LiveReader
from nginx_process import Nginx
from server_process import FRAME, JSON, NDJSON, ServerProcess, frame_bytes, wait_until

EVENTS = "/v1/events"


def ask(url, method="GET", path="/ping", body=None, **headers):
    """One request over a connection of its own: status, body, headers."""
    address = urlsplit(url)
    with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=60)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers


class Upstream(http.server.ThreadingHTTPServer):
    """A plain HTTP server that does with each request what the test wants."""

    daemon_threads = True

    def __init__(self, act):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                length = int(self.headers.get("Content-Length", 0))
                upstream.bodies.append(self.rfile.read(length))
                upstream.connections.add(self.client_address)
                act(self)

            def do_POST(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        upstream = self
        self.bodies, self.connections = [], set()
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


def answered(status=200, body=b'{"accepted":1,"rejected":[]}', **headers):
    def act(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            handler.send_header(name.replace("_", "-"), text)
        handler.end_headers()
        handler.wfile.write(body)

    return act


def dies(handler):
    """It had the request, and is killed before it answers."""
    handler.close_connection = True
    handler.connection.shutdown(2)


@contextmanager
def before(folder, *acts):
    """nginx before upstreams that act so: (its URL, they)."""
    with ExitStack() as stack:
        upstreams = [stack.enter_context(closing(Upstream(act))) for act in acts]
        nginx = stack.enter_context(closing(Nginx(folder / "nginx", [one.url for one in upstreams])))
        yield nginx.url, upstreams


def hangs(handler):
    """It takes the request, and says nothing for longer than a client waits."""
    time.sleep(12)
    handler.close_connection = True


NUMBERED = {"Taba_Source": "s", "Taba_Sequence": "1"}


@pytest.mark.parametrize(
    "headers",
    [{"Content_Type": FRAME}, {"Content_Type": f"{FRAME}; v=1"}, {"Content_Type": JSON, **NUMBERED}],
    ids=["frame", "frame with a parameter", "numbered JSON"],
)
def test_what_is_counted_once_is_repeated_at_another_server(tmp_path, headers):
    """Though the first has had all of it, and nobody knows what became of it; the bytes are the same."""
    body = bytes(range(256)) * 8192
    with before(tmp_path, dies, dies, answered()) as (url, upstreams):
        for _ in range(3):
            status, _, _ = ask(url, "POST", EVENTS, body, **headers)
            assert status == 200
        had = [upstream.bodies for upstream in upstreams]
        assert len(had[2]) == 3
        assert had[0]
        assert had[1]
        assert all(one == body for bodies in had for one in bodies)


@pytest.mark.slow
def test_what_a_silent_server_has_is_repeated_before_the_client_gives_up(tmp_path):
    """A client waits for ten seconds."""
    with before(tmp_path, hangs, answered()) as (url, (silent, _)):
        begun = time.monotonic()
        for _ in range(2):
            assert ask(url, "POST", EVENTS, b"x", Content_Type=FRAME)[0] == 200
        assert time.monotonic() - begun < 10
        assert len(silent.bodies) == 1


@pytest.mark.parametrize(
    "headers",
    [{"Content_Type": JSON}, {"Content_Type": NDJSON}, {"Content_Type": JSON, "Taba_Source": "s"}],
    ids=["JSON", "NDJSON", "JSON without a number"],
)
def test_what_has_no_numbers_is_never_sent_twice(tmp_path, headers):
    """It would be counted twice. Who sent it is told what is known."""
    with before(tmp_path, dies, dies, dies) as (url, upstreams):
        status, told, _ = ask(url, "POST", EVENTS, b'{"events":[]}', **headers)
        assert status == 502
        assert "nobody knows whether this was counted" in json.loads(told)["error"]
        assert sum(len(upstream.bodies) for upstream in upstreams) == 1


def test_what_has_no_numbers_goes_on_where_no_connection_came_about(tmp_path):
    """Then no server can have had it."""
    with before(tmp_path, answered(), answered(), answered()) as (url, upstreams):
        upstreams[0].close()
        upstreams[1].close()
        for _ in range(6):
            assert ask(url, "POST", EVENTS, b"{}", Content_Type=JSON)[0] == 200
        assert len(upstreams[2].bodies) == 6


def test_an_overload_is_passed_on_with_its_pause(tmp_path):
    """A server that is full has said when to come back; no other is filled instead."""
    with before(tmp_path, *[answered(503, b'{"error":"full"}', Retry_After="7")] * 3) as (url, upstreams):
        status, told, headers = ask(url, "POST", EVENTS, b"x", Content_Type=FRAME)
        assert (status, told, headers["Retry-After"]) == (503, b'{"error":"full"}', "7")
        assert sum(len(upstream.bodies) for upstream in upstreams) == 1
        assert ask(url)[0] == 503
        assert sum(len(upstream.bodies) for upstream in upstreams) == 4, "a ping asks them all"


def test_where_no_server_is_left_senders_are_told_to_come_back(tmp_path):
    """In the form of the servers' own errors."""
    with before(tmp_path, answered()) as (url, (upstream,)):
        upstream.close()
        status, told, headers = ask(url, "POST", EVENTS, b"x", Content_Type=FRAME)
        assert (status, headers["Retry-After"], headers["Content-Type"]) == (503, "1", JSON)
        assert "no server answers" in json.loads(told)["error"]
        assert ask(url)[0] == 503


def test_a_body_as_large_as_a_server_takes_passes_and_a_larger_one_is_told(tmp_path):
    """64 MiB, and one byte more."""
    with before(tmp_path, answered()) as (url, (upstream,)):
        assert ask(url, "POST", EVENTS, bytes(64 << 20), Content_Type=FRAME)[0] == 200
        assert [len(body) for body in upstream.bodies] == [64 << 20]
        status, told, _ = ask(url, "POST", EVENTS, bytes((64 << 20) + 1), Content_Type=FRAME)
        assert status == 413
        assert "send it in parts" in json.loads(told)["error"]


def test_connections_to_the_servers_are_kept(tmp_path):
    """A connection for each request would cost as much as the request."""
    with before(tmp_path, answered()) as (url, (upstream,)):
        for _ in range(20):
            assert ask(url, "POST", EVENTS, b"x", Content_Type=FRAME)[0] == 200
        assert len(upstream.connections) <= 2


def test_a_stream_comes_through_as_it_is_sent(tmp_path):
    """Each event of a live answer arrives when it was sent, and not when a buffer is full."""
    go_on = threading.Event()

    def stream(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(b"data: first\n\n")
        handler.wfile.flush()
        assert go_on.wait(60)
        handler.wfile.write(b"data: second\n\n")
        handler.close_connection = True

    with before(tmp_path, stream) as (url, _):
        address = urlsplit(url)
        with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=60)) as connection:
            connection.request("GET", "/v1/live?tab=*")
            answer = connection.getresponse()
            assert answer.readline() + answer.readline() == b"data: first\n\n"
            go_on.set()
            assert answer.read() == b"data: second\n\n"


def test_live_answers_go_on_at_another_server_when_theirs_is_gone(tmp_path):
    """Each change passes at once, whichever server took it; after a kill the reader comes back to the other one."""
    with ExitStack() as stack:
        for name in "ab":
            (tmp_path / name).mkdir()
        store = f"{shared('redis').url}?prefix={tmp_path.name}"
        servers = [stack.enter_context(closing(ServerProcess(tmp_path / n, store=store, gather_ms=10))) for n in "ab"]
        nginx = stack.enter_context(closing(Nginx(tmp_path / "nginx", [server.url for server in servers])))
        servers[0].record([{"tab": "a", "value": 1}])
        reader = stack.enter_context(closing(LiveReader(nginx.url, tab="a", window="1h")))
        reader.shows_total("a", 1.0, "1h")
        assert reader.headers["Cache-Control"] == "no-store"
        servers[0].record([{"tab": "a", "value": 1}])
        reader.shows_total("a", 2.0, "1h")
        servers[1].record([{"tab": "a", "value": 1}])
        reader.shows_total("a", 3.0, "1h")
        # Whichever server it was on.
        servers[0].stop()
        again = stack.enter_context(closing(LiveReader(nginx.url, reader.last_id, reader.state, tab="a", window="1h")))
        servers[1].record([{"tab": "a", "value": 1}])
        again.shows_total("a", 4.0, "1h")
        servers[1].kill()
        wait_until(lambda: again.ended)
        status, told, _ = ask(nginx.url, path="/v1/live?tab=a&window=1h")
        assert (status, "no server answers" in json.loads(told)["error"]) == (503, True)


CLIENT = """
import sys, time, logging, taba
logging.basicConfig(level="WARNING")
taba.start(client=sys.argv[1])
record = taba.counter("through.nginx").record
for _ in range(60):
    for _ in range(50):
        record(1)
    time.sleep(0.1)
assert taba.flush(60)
"""


def clients(count, **variables):
    """Programs that record for six seconds, 3,000 events each."""
    name = "agent" if "TABA_AGENT" in variables else "straight"
    return [
        subprocess.Popen([sys.executable, "-c", CLIENT, f"{name}-{number}"], env=variables, stderr=subprocess.PIPE)
        for number in range(count)
    ]


def test_servers_are_killed_and_stopped_and_every_event_is_counted_once(tmp_path):
    """Three servers on one Redis; programs record through an agent and straight, and others post JSON with numbers."""
    from taba.agent.main import AgentThread
    from taba.settings import Agent

    with ExitStack() as stack:
        engine = stack.enter_context(closing(EngineServer(tmp_path / "engine")))
        for name in "abc":
            (tmp_path / name).mkdir()
        servers = [
            stack.enter_context(closing(ServerProcess(tmp_path / name, store=engine.url, gather_ms=20)))
            for name in "abc"
        ]
        nginx = stack.enter_context(closing(Nginx(tmp_path / "nginx", [server.url for server in servers])))
        agent = AgentThread(Agent(port=0, spool=tmp_path / "spool", servers=(nginx.url,)))
        agent.start()
        stack.callback(agent.stop)
        begun = time.monotonic()
        programs = clients(2, TABA_AGENT=agent.url) + clients(2, TABA_SERVER=nginx.url)

        def post(number):
            """Numbered JSON: a status that is not 200 is repeated, as the page says."""
            statuses = Counter()
            for sequence in range(1, 61):
                body = json.dumps({"client": f"json-{number}", "events": [{"tab": "posted", "value": 1}] * 10})
                numbers = {"Taba_Source": f"json-{number}", "Taba_Sequence": str(sequence)}
                while (status := ask(nginx.url, "POST", EVENTS, body, Content_Type=JSON, **numbers)[0]) != 200:
                    statuses[status] += 1
                    time.sleep(0.2)
                time.sleep(0.08)
            return statuses

        with ThreadPoolExecutor(2) as pool:
            posted = pool.map(post, range(2))
            time.sleep(max(2 - (time.monotonic() - begun), 0))
            servers[0].kill()
            time.sleep(1.5)
            servers[1].stop()
            assert ask(nginx.url)[0] == 200
            failed = sum(posted, Counter())
        for program in programs:
            _, told = program.communicate(timeout=100)
            assert program.returncode == 0, told
        assert not {status for status in failed if status != 503}, failed
        last = servers[2]
        wait_until(lambda: last.totals("through.nginx") == {"through.nginx": 12_000.0})
        assert last.totals("posted") == {"posted": 1_200.0}
        ledger = last.get("/v1/ledger", client="*-?")["total"]
        assert (ledger["recorded"], ledger["folded"], ledger["dropped"]) == (13_200, 13_200, {})


def test_a_repeated_frame_is_known_through_nginx(tmp_path):
    """The header that says so is the server's own; frames pass unchanged."""
    with (
        closing(ServerProcess(tmp_path, gather_ms=10)) as server,
        closing(Nginx(tmp_path / "n", [server.url])) as nginx,
    ):
        body = frame_bytes("c", 1, {"x": [1, 2]})
        answers = [json.loads(ask(nginx.url, "POST", EVENTS, body, Content_Type=FRAME)[1]) for _ in range(2)]
        assert (answers[0]["accepted"], answers[1].get("duplicate")) == (2, True)
        assert server.totals("x") == {"x": 3.0}
