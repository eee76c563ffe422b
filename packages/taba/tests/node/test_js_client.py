"""The JavaScript client in Node: what it records is counted exactly once, by a real server, whatever is between."""

import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from engines import free_port
from node_program import MODULES, NODE, NodeProgram, run
from server_process import ServerProcess, wait_until

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("client", "faults")]

from event_sink import EventSink
from fault_proxy import Wire

HERE = Path(__file__).parent


@pytest.fixture
def server(tmp_path):
    server = ServerProcess(tmp_path, gather_ms=10, port=free_port())
    yield server
    server.close()


@pytest.fixture
def sink():
    sink = EventSink()
    yield sink
    sink.close()


@pytest.fixture
def wire():
    wire = Wire()
    yield wire
    wire.close()


def test_its_parts():
    """The golden files byte for byte, bad values, names, bounds: Node's own runner, apart from any connection."""
    assert NODE is not None
    ended = subprocess.run([NODE, "--test", "."], capture_output=True, text=True, timeout=100, cwd=HERE)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_its_types():
    """The modules keep the types that they state, and what taba-client.d.ts promises is what they are."""
    assert NODE is not None
    checker = MODULES / "typescript/bin/tsc"
    ended = subprocess.run([NODE, checker, "-p", HERE], capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stdout


EVERYTHING = """
const taba = new Client({ client: "node-1", tags: { service: "web" } });
for (let place = 1; place <= 1000; place++) {
  taba.counter("orders", { shop: place % 2 ? "berlin" : "paris" }).add(place);
  taba.percentile("checkout.ms").record(place / 10);
  taba.uniques("visitors").record(`user ${place % 250}`);
  taba.top("pages").record(place % 4 ? "/home" : "/söme 🎈");
}
taba.gauge("load").set(1);
taba.gauge("load").set(7.5);
taba.gauge("release", {}, { expiry: 600 }).set("v1.4.2");
for (const last of ["one", "two", "three"]) taba.buffer("errors").record(last);
taba.timer("wait.ms").time(() => {});
await taba.timer("wait.ms").time(async () => {});
taba.counter("bad").record("text");
"""


def test_all_types_are_exact_and_the_end_of_a_process_loses_nothing(server, tmp_path):
    """Nothing flushes or closes: the process ends because nothing is left to do, and all it recorded is there."""
    run(tmp_path, EVERYTHING, TABA_SERVER=server.url)
    tabs = server.get("/v1/projections", tab="*", client="node-1", window="1d")["tabs"]
    found = {name: answer["node-1"]["1d"] for name, answer in tabs.items()}
    assert found["orders{service=web,shop=berlin}"]["total"] == 250_000
    assert found["orders{service=web,shop=paris}"]["total"] == 250_500
    assert found["checkout.ms{service=web}"]["count"] == 1000
    assert found["checkout.ms{service=web}"]["p50"] == pytest.approx(50, rel=0.011)
    assert found["visitors{service=web}"]["uniques"] == pytest.approx(250, rel=0.05)
    assert {one["value"]: one["count"] for one in found["pages{service=web}"]["values"]} == {
        "/home": 750,
        "/söme 🎈": 250,
    }
    assert found["load{service=web}"]["value"] == 7.5
    assert found["release{service=web}"]["value"] == "v1.4.2"
    assert [one["value"] for one in found["errors{service=web}"]["values"]][::-1] == ["one", "two", "three"]
    assert found["wait.ms{service=web}"]["count"] == 2
    # 4,000 in the loop, 2 values of a gauge and 1 of another, 3 errors, 2 times, and one that is no number.
    check_ledger(server, "node-1", recorded=4009, dropped={"wrong_type": 1})


def check_ledger(server, client, recorded, dropped=None):
    """The server's books of a client balance, with nothing in flight."""
    account = server.get("/v1/ledger", client=client)["ledger"][client]
    lost = dropped or {}
    assert (account["recorded"], account["folded"]) == (recorded, recorded - sum(lost.values())), account
    assert (account["dropped"], account["in_flight"]) == (lost, 0), account


STEADY = """
const taba = new Client({ client: "node-2" });
const beats = taba.counter("beats");
let count = 0;
const timer = setInterval(() => { beats.add(); count++; }, 1);
process.stdin.on("end", async () => {
  clearInterval(timer);
  console.log(JSON.stringify({ count, all: await taba.close(30) }));
});
process.stdin.resume();
"""


def test_a_killed_server_and_lost_answers_count_nothing_twice(server, tmp_path, wire):
    """The server dies with -9 while frames come, and answers are lost: each event is counted once, none is missing."""
    link = wire.link(int(server.url.rpartition(":")[2]))
    program = NodeProgram(tmp_path, STEADY, TABA_SERVER=link.url)
    try:
        wait_until(lambda: server.totals().get("beats", 0) > 0)
        before = link.back
        link.lose()
        wait_until(lambda: link.back > before)
        server.kill()
        server.start()
        wait_until(lambda: server.totals().get("beats", 0) > 0)
        link.forward()
        told = json.loads(program.end())
    finally:
        program.kill()
    assert told["all"]
    assert server.totals()["beats"] == told["count"]
    check_ledger(server, "node-2", recorded=told["count"])


def test_the_same_bytes_go_until_they_are_answered(sink, tmp_path):
    """Cut connections, errors and lost answers are repeated; what a server asks to wait is waited."""
    sink.script = ["lose", "drop", 500, (503, "0.7")]
    run(
        tmp_path,
        'new Client({ client: "c" }).counter("n").add(3); setTimeout(() => {}, 3000);',
        TABA_SERVER=sink.address,
    )
    first = [one for one in sink.requests if one.body == sink.requests[0].body]
    assert len(first) >= 5
    gaps = [later.time - earlier.time for earlier, later in pairwise(first)]
    assert gaps[3] >= 0.65, gaps
    (account,) = sink.accounts().values()
    assert (account.events, account.recorded) == (1, 1)
    assert account.sequences == list(range(1, len(account.sequences) + 1))
    closing = [frame.header for frame in sink.frames if frame.header.closing]
    assert [header.sequence for header in closing] == [len(account.sequences)]
    for frame in sink.frames:
        assert int(frame.header.start * 4) / 4 + 0.25 >= frame.header.stop or frame.header.closing


def test_what_is_refused_is_told_as_dropped(sink, tmp_path):
    """A frame that no receiver takes becomes a tombstone; those beside it are counted."""
    sink.script = [503, (400, "no"), 200, (400, "no")]
    text = """
    const taba = new Client({ client: "c" });
    for (const step of [1, 2, 3]) {
      taba.counter("n").add(step);
      taba.flusher.flush();
    }
    await taba.close();
    """
    run(tmp_path, text, TABA_SERVER=sink.address)
    (account,) = sink.accounts().values()
    headers = sorted((frame.header for frame in sink.frames), key=lambda header: header.sequence)
    lost = [header for header in headers if header.first is not None]
    assert len(lost) == 1
    assert (lost[0].drops.names, lost[0].drops.reasons, lost[0].drops.counts) == (["n"], ["refused"], [1])
    assert (account.events, account.recorded) == (3, 3)


def test_a_server_that_is_away_costs_bounded_memory_and_no_time_at_the_end(tmp_path, sink):
    """Memory keeps to its bound, the program ends at once, and the losses are told when the server is there."""
    text = """
    const taba = new Client({ client: "c", pendingBytes: 100_000 });
    const n = taba.percentile("n");
    for (let round = 0; round < 200; round++) {
      for (let place = 0; place < 100; place++) n.record(place);
      taba.flusher.flush();
    }
    taba.sender.go();
    const size = taba.sender.pending.frames.reduce((sum, one) => sum + one.body.length, 0);
    console.log(size <= 100_000);
    console.log(await told());
    """
    program = NodeProgram(tmp_path, text + "// lines", TABA_SERVER=sink.address)
    sink.script = [503] * 3
    assert program.hear() == "true"
    program.tell("end")
    program.end()
    (account,) = sink.accounts().values()
    assert (account.events, account.recorded) == (20_000, 20_000)
    began = time.monotonic()
    away = NodeProgram(tmp_path, 'new Client().counter("n").add();', TABA_SERVER="127.0.0.1:9")
    away.end()
    assert time.monotonic() - began < 20
    assert "takes no frames" in "".join(away.errors)


def test_an_agents_socket(tmp_path):
    """Frames go over a unix socket, with the id filled in; a client that is disabled keeps and sends nothing."""
    sink = EventSink(unix=tmp_path / "agent.sock")
    try:
        text = 'const taba = new Client(); taba.counter("n").add(); console.log(taba.id); await taba.close();'
        told = run(tmp_path, text, TABA_AGENT=sink.address, TABA_CLIENT="web@{host}-{pid}").strip()
        assert [client for client, _ in sink.accounts()] == [told]
        assert told.startswith("web@")
        assert told.rpartition("-")[2].isdigit()
        run(tmp_path, text, TABA_AGENT=sink.address, TABA_DISABLED="1")
        assert len(sink.accounts()) == 1
    finally:
        sink.close()
