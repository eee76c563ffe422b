"""How doors open: what refuses to start, what an agent asks for, and that a whole way works with tokens."""

import http.client
import json
import subprocess
import sys
import time

import cramjam
import pytest
from keyring import bearer, issue, revoke
from remote_write_sender import VERSION_1, Series, write_1
from server_process import FRAME, ServerProcess, frame_bytes, wait_until

from taba.agent.main import AgentThread
from taba.agent.permitted import permitted
from taba.frame import decode
from taba.listening import Protection, StartError, check_exposure, is_local
from taba.locks.outgoing import Credentials
from taba.locks.patterns import patterns
from taba.locks.tokens import Token
from taba.query import Client, QueryError
from taba.settings import Agent

TABA = [sys.executable, "-c", "from taba.cli import main; main()"]


def run(folder, *words, **variables):
    """A command in a home of its own, which has to end."""
    environ = {"HOME": str(folder), "PATH": "/usr/bin:/bin", **variables}
    return subprocess.run([*TABA, *map(str, words)], env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "words",
    [
        ("up", "--host", "0.0.0.0", "--port", 0),
        ("server", "--host", "0.0.0.0", "--port", 0, "--workers", 2),
        ("agent", "--host", "0.0.0.0", "--port", 0),
    ],
)
def test_no_door_is_open_to_others_by_accident(tmp_path, words):
    """Beyond loopback nothing starts without tokens, and the one line says what to do, either way."""
    ended = run(tmp_path, *words)
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert "taba token create" in line
    assert "insecure" in line


def test_what_counts_as_this_machine(tmp_path):
    """Loopback addresses; all else has to be protected, or to be open by its owner's word."""
    closed = Protection(tmp_path / "tokens", locked=False)
    assert all(map(is_local, ("127.0.0.1", "127.9.9.9", "::1")))
    check_exposure("localhost", "127.0.0.1", closed)
    for wide in ("0.0.0.0", "10.1.2.3", "::", "fe80::1%eth0"):
        assert not is_local(wide)
        with pytest.raises(StartError):
            check_exposure(wide, wide, closed)
        check_exposure(wide, wide, Protection(tmp_path, locked=True))
        check_exposure(wide, wide, Protection(tmp_path, locked=False, insecure=True))


def test_the_commands_for_tokens(tmp_path):
    """A secret is shown once, alone on standard output; a list has none; a revoked token is gone."""
    made = run(
        tmp_path, "token", "create", "--write", "web.*", "--client", "web-*", "--read", "--note", "for <b>web</b>"
    )
    text = made.stdout.strip()
    assert made.returncode == 0, made.stderr
    assert text.split("_")[2] not in made.stderr
    assert "it is the first" in made.stderr
    listed = run(tmp_path, "token", "list", "--json")
    (one,) = json.loads(listed.stdout)
    assert (one["id"], one["write"], one["read"]) == (text.split("_")[1], ["web.*"], True)
    assert "sha256" not in listed.stdout
    assert "web-*" in run(tmp_path, "token", "list").stdout
    revoked = run(tmp_path, "token", "revoke", text)
    assert "it was the last" in revoked.stderr
    assert text.split("_")[2] not in revoked.stderr
    assert run(tmp_path, "token", "revoke", "nobody").returncode == 2
    assert run(tmp_path, "token", "create").returncode == 2
    assert run(tmp_path, "token", "create", "--write", "a{b").returncode == 2
    assert run(tmp_path, "token", "create", "--read", "--expires", "soon").returncode == 2


def ask(url, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]), timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


@pytest.fixture(scope="module")
def way(tmp_path_factory):
    """An agent and a server, each with tokens of its own; the agent's for the server is in a file."""
    folder = tmp_path_factory.mktemp("way")
    texts = {
        "server": issue(folder / "server-tokens", write=("*",), read=True, admin=True),
        "any": issue(folder / "agent-tokens", write=("*",)),
        "web": issue(folder / "agent-tokens", write=("web.*",), clients=("web-*",)),
        "admin": issue(folder / "agent-tokens", admin=True),
    }
    server = ServerProcess(folder, gather_ms=5, tokens=str(folder / "server-tokens"))
    (folder / "token").write_text("not-yet\n")
    agent = AgentThread(
        Agent(
            port=0,
            spool=folder / "spool",
            servers=(server.url,),
            tokens=folder / "agent-tokens",
            token_file=folder / "token",
        )
    )
    agent.start()
    yield server, agent, texts, folder
    agent.stop()
    server.close()


def count(server, texts, tab):
    answer = server.request("GET", f"/v1/aggregates?tab={tab}&window=1h&by=none", headers=bearer(texts["server"]))
    return {tab: one["1h"]["count"] for tab, one in answer.content["tabs"].items()}.get(tab, 0)


def stage(way, client):
    """How far the way has come with a client's events, for whoever waits for them in vain."""
    server, agent, texts, _ = way
    ledger = server.request("GET", f"/v1/ledger?client={client}", headers=bearer(texts["server"]))
    return ledger.body, ask(agent.url, "GET", "/v1/status", headers=bearer(texts["admin"])), server.log()


def test_an_agent_asks_who_comes(way):
    """Frames need write, its state admin, and everybody may ask whether it is well."""
    _, agent, texts, _ = way
    body = frame_bytes("c", 1, {"x": [1]})
    assert ask(agent.url, "GET", "/ping")[0] == 200
    for path in ("/v1/status", "/nothing"):
        assert ask(agent.url, "GET", path)[0] == 401
    status, told, headers = ask(agent.url, "POST", "/v1/events", body, {"Content-Type": FRAME})
    assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="taba"')
    assert b"taba token create" in told
    assert ask(agent.url, "POST", "/v1/events", body, {"Content-Type": FRAME, **bearer(texts["admin"])})[0] == 403
    assert ask(agent.url, "GET", "/v1/status", headers=bearer(texts["any"]))[0] == 403
    status, told, _ = ask(agent.url, "GET", "/v1/status", headers=bearer(texts["admin"]))
    assert status == 200
    assert not any(text.split("_")[2].encode() in told for text in texts.values())


@pytest.mark.parametrize("which", [0, 1], ids=["server", "agent"])
def test_of_two_tokens_the_first_counts(way, which):
    """At a server as at an agent, so that none of them takes another for good than what stands before it looked at."""
    server, agent, texts, _ = way
    url, good = [(server.url, texts["server"]), (agent.url, texts["admin"])][which]
    for words, status in (((good, "taba_x_y"), 200), (("taba_x_y", good), 401)):
        connection = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]), timeout=60)
        connection.putrequest("GET", "/v1/status" if which else "/v1/tabs")
        for word in words:
            connection.putheader("Authorization", f"Bearer {word}")
        connection.endheaders()
        assert connection.getresponse().status == status
        connection.close()


def test_the_doors_of_other_protocols_ask_who_comes(way):
    """Each of them, also one that is to come: they need write, and one that is not limited, for they name tabs and
    clients of their own."""
    _, agent, texts, _ = way
    routes = [route for door in agent._process._doors for route in door.routes]
    assert ("POST", "/v1/metrics") in routes
    for method, path in routes:
        assert ask(agent.url, method, path, b"{}")[0] == 401, path
        assert ask(agent.url, method, path, b"{}", bearer(texts["admin"]))[0] == 403, path
        status, told, _ = ask(agent.url, method, path, b"{}", bearer(texts["web"]))
        assert (status, b"is limited to" in told) == (403, True), path
        assert ask(agent.url, method, path, b"{}", bearer(texts["any"]))[0] not in (401, 403), path


def test_events_of_other_protocols_are_paid_for(way):
    """A token's events per second hold at each door: whoever told many is asked to come back."""
    _, agent, _, folder = way
    now = int(time.time())
    point = {"timeUnixNano": str(now * 10**9), "asInt": "1"}
    metrics = [{"name": f"paid{number}", "gauge": {"dataPoints": [point]}} for number in range(500)]
    otlp = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    lines = "".join(f'["TotalsCounter", {now}, "1"]\n' for _ in range(500))
    told = (
        ("/v1/metrics", json.dumps(otlp).encode(), {"Content-Type": "application/json"}, 200),
        ("/post", f"1\n\nc\n\npaid\n{lines}\n\n".encode(), {}, 200),
        (
            "/api/v1/write",
            cramjam.snappy.compress_raw(
                bytes(write_1(Series({"__name__": f"paid{number}"}, [(1.0, now * 1000)]) for number in range(500)))
            ),
            {"Content-Type": VERSION_1, "Content-Encoding": "snappy"},
            204,
        ),
    )
    for path, body, headers, well in told:
        slow = bearer(issue(folder / "agent-tokens", write=("*",), events_per_s=10))
        wait_until(lambda slow=slow: ask(agent.url, "POST", "/v1/metrics", b"{}", slow)[0] not in (401, 403))
        assert ask(agent.url, "POST", path, body, headers | slow)[0] == well, path
        status, why, _ = ask(agent.url, "POST", path, body, headers | slow)
        assert (status, b"(events_per_s)" in why) == (429, True), path


def test_pages_from_elsewhere_get_nothing_of_an_agent(way):
    """Neither by a name that means this machine (DNS rebinding), nor by sending what needs no answer (CSRF)."""
    _, agent, texts, _ = way
    own = bearer(texts["any"])
    body = frame_bytes("c", 1, {"x": [1]})
    assert ask(agent.url, "GET", "/ping", headers={"Host": "evil.example"})[0] == 403
    status, told, _ = ask(agent.url, "POST", "/v1/events", body, {"Host": "evil.example:8279", **own})
    assert status == 403
    assert b"agent.hosts" in told
    for origin in ("http://evil.example", "null"):
        assert ask(agent.url, "POST", "/v1/events", body, {"Origin": origin, "Content-Type": FRAME, **own})[0] == 403
    assert ask(agent.url, "POST", "/v1/events", body, {"Sec-Fetch-Site": "cross-site", **own})[0] == 403


def test_the_whole_way_with_tokens(way):
    """Frames wait in the spool while the agent's token is not good, and go on as soon as its file has a good one; what
    a client's token may not write is left out, and its account is even."""
    server, agent, texts, folder = way
    frames = frame_bytes("web-1", 1, {"web.a": [1, 2], "db.a": [1, 2, 3]}, recorded=5, began=1.0)
    frames += frame_bytes("db-1", 1, {"web.a": [1] * 4})
    headers = {"Content-Type": FRAME, **bearer(texts["web"])}
    status, told, _ = ask(agent.url, "POST", "/v1/events", frames, headers)
    answer = json.loads(told)
    assert (status, answer["accepted"], len(answer["rejected"])) == (200, 2, 2)
    assert answer["rejected_total"] == 7

    def waits():
        found = json.loads(ask(agent.url, "GET", "/v1/status", headers=bearer(texts["admin"]))[1])
        return "revoked" in found["servers"][0]["error"] or "no token" in found["servers"][0]["error"]

    wait_until(waits)
    assert count(server, texts, "web.a") == 0
    (folder / "token").write_text(texts["server"])
    wait_until(lambda: count(server, texts, "web.a") == 2, otherwise=lambda: stage(way, "web-1"))
    assert count(server, texts, "db.a") == 0
    own = server.request("GET", "/v1/ledger?client=web-1", headers=bearer(texts["server"])).content["ledger"]["web-1"]
    assert (own["recorded"], own["folded"], own["dropped"]) == (5, 2, {"not_allowed": 3})
    tab = f"taba.agent.drops{{cause=not_allowed,token={texts['web'].split('_')[1]}}}"
    wait_until(
        lambda: server.request(
            "GET", f"/v1/aggregates?tab=%3D{tab}&window=1h", headers=bearer(texts["server"])
        ).content["tabs"]
    )


def test_the_client_and_the_questions_have_tokens(way, tmp_path):
    """A program records with TABA_TOKEN, and `taba.query` and the command line ask with it, or with a file's."""
    server, agent, texts, _ = way
    program = "import taba; taba.counter('web.p').record(1); assert taba.flush(60)"
    environ = {"HOME": str(tmp_path), "TABA_AGENT": agent.url, "TABA_TOKEN": texts["web"], "TABA_CLIENT": "web-p"}
    ended = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")
    wait_until(lambda: count(server, texts, "web.p") == 1, otherwise=lambda: stage(way, "web-p"))
    with Client(server.url, token=texts["server"]) as client:
        assert client.tabs("web.p").matched == 1
    with Client(server.url) as client, pytest.raises(QueryError, match="needs a token") as refused:
        client.tabs()
    assert refused.value.status == 401
    variables = {"TABA_SERVER": server.url}
    assert "needs a token" in run(tmp_path, "tabs", **variables).stderr
    assert "web.p" in run(tmp_path, "tabs", **variables, TABA_TOKEN=texts["server"]).stdout
    file = tmp_path / ".config/taba/token"
    file.parent.mkdir(parents=True)
    file.write_text(texts["server"] + "\n")
    assert "web.p" in run(tmp_path, "tabs", **variables).stdout
    assert run(tmp_path, "record", "from.file", 1, **variables).returncode == 0


def test_up_with_tokens_sends_to_itself(tmp_path):
    """Its own agent and this machine's metrics need none of the tokens in the file."""
    read = issue(tmp_path / "tokens", read=True, write=("*",))
    command = [*TABA, "up", "--port", "0", "--data", tmp_path / "data", "--tokens", tmp_path / "tokens"]
    command += ["--agent-tokens", tmp_path / "tokens", "--json"]
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen([*map(str, command)], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as up:
        try:
            told = json.loads(up.stdout.readline())
            with Client(told["url"], token=read) as client:
                end = time.monotonic() + 100
                while client.tabs(["host.*", "taba.agent.*"]).matched < 2:
                    assert time.monotonic() < end
                    time.sleep(0.1)
                body = frame_bytes("c", 1, {"through.agent": [1]})
                assert ask(told["agent"], "POST", "/v1/events", body, {"Content-Type": FRAME})[0] == 401
                headers = {"Content-Type": FRAME, **bearer(read)}
                assert ask(told["agent"], "POST", "/v1/events", body, headers)[0] == 200
                while not client.tabs("through.agent").matched:
                    assert time.monotonic() < end
                    time.sleep(0.1)
            revoke(tmp_path / "tokens", read)
        finally:
            up.terminate()
            _, errors = up.communicate(timeout=60)
    assert b"Traceback" not in errors


def test_a_frame_is_written_anew_without_what_is_not_allowed():
    """Numbers, errors and texts of the tabs that stay are as they were; what is left out is among its drops."""
    token = Token("abc123", "0" * 64, 0.0, write=("a.*",))
    body = frame_bytes("c", 3, {"a.x": [1, 2], "b.x": [3], "a.y": [4]}, recorded=4, began=0.5, errors=[0.1, 0.2, 0.3])
    found = permitted(list(decode(body)), body, patterns(token), token.id)
    (one,) = decode(found.body)
    assert one.header.names == ["a.x", "a.y"]
    assert one.numbers() == [1, 2, 4]
    assert one.header.errors == [0.1, 0.3]
    assert (one.header.drops.names, one.header.drops.counts) == (["b.x"], [1])
    assert (one.header.events(), one.header.recorded, one.header.sequence) == (4, 4, 3)
    whole = frame_bytes("c", 4, {"a.x": [1]})
    assert permitted(list(decode(whole)), whole, patterns(token), token.id).body is whole


def test_a_way_shows_no_secret():
    assert "secret" not in repr(Credentials("secret"))


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_statsd_is_for_this_machine(tmp_path, scheme):
    """It has no tokens: beyond loopback it is only where everybody may come, whatever tokens there are."""
    issue(tmp_path / "tokens", write=("*",))
    common = {"port": 0, "tokens": tmp_path / "tokens", "statsd": (f"{scheme}://0.0.0.0:0",)}
    with pytest.raises(StartError, match="StatsD has no tokens"):
        AgentThread(Agent(spool=tmp_path / "spool", **common)).start()
    agent = AgentThread(Agent(spool=tmp_path / "other", insecure=True, **common))
    agent.start()
    agent.stop()
