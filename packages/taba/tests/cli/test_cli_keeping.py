"""`taba copy`, `backup` and `restore` with real servers: the answers are the same after the move, and counted once."""

import json
import shutil
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from command_process import start
from engines import free_port
from houses import house, place
from server_process import FRAME, ServerProcess, frame_bytes, wait_until

TYPES = ("counter", "percentile", "gauge", "uniques", "top", "buffer")
KEPT = "s.*"


def frames(*numbers: int) -> list[bytes]:
    """An agent's frames: each a hundred events of a counter, and the number of it in other types."""
    found = []
    for number in numbers:
        events = {"s.counter": [1.0] * 100} | {f"s.{kind}": [float(number)] for kind in TYPES[1:]}
        kinds = {f"s.{kind}": kind for kind in TYPES}
        found.append(frame_bytes("web", number, events, kind=kinds, recorded=105 * number))
    return found


def answers(server: ServerProcess) -> dict:
    """What a server says of what was recorded, but for what changes with the time that passes."""
    asked = {"tab": KEPT, "from": int(time.time()) - 3000, "to": int(time.time()) + 3000}
    fleet = server.get("/v1/aggregates", **asked)["tabs"]
    clients = server.get("/v1/projections", **asked)["tabs"]
    ledger = server.get("/v1/ledger")["ledger"]
    for row in ledger.values():
        row.pop("processes")
    tabs = sorted((tab["tab"], tab["type"]) for tab in server.get("/v1/tabs", match=KEPT)["tabs"])
    return json.loads(json.dumps([fleet, clients, ledger, tabs], sort_keys=True))


def without_windows(found) -> str:
    """Answers as text; a window's name depends on when it was asked for."""
    fleet, clients, ledger, tabs = found
    fleet = {tab: list(windows.values()) for tab, windows in fleet.items()}
    clients = {tab: {client: list(some.values()) for client, some in of.items()} for tab, of in clients.items()}
    return json.dumps([fleet, clients, ledger, tabs], sort_keys=True)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> tuple[Path, list[bytes], str]:
    """A server's data once it has ended, the frames that it has and those that it has not, and its answers."""
    folder = tmp_path_factory.mktemp("recorded")
    server = ServerProcess(folder, shards=4)
    taken = frames(1, 2, 3, 6, 7)
    for one in taken:
        assert server.post(one, FRAME).content["accepted"] == 105
    server.record([{"tab": "s.counter", "value": 5}], taba_source="import", taba_sequence="2")
    server.settle()
    found = answers(server)
    assert [len(part) for part in found] == [len(TYPES), len(TYPES), 2, len(TYPES)]
    server.close()
    return folder, taken, without_windows(found)


@pytest.mark.parametrize("kind", ["redis", "cluster"])
def test_a_store_moves_and_counts_on(kind, recorded, taba, tmp_path):
    """From SQLite to an engine and back: the same answers; what is sent again is known, what was missing is taken."""
    folder, taken, before = recorded
    there = place(kind, tmp_path / "there")
    ended = taba("copy", folder / "data", there)
    assert ended.code == 0, ended.err
    assert "2 accounts (526 events folded)" in ended.out
    server = ServerProcess(tmp_path, store=there, shards=7)
    assert without_windows(answers(server)) == before
    for one in taken:
        assert server.post(one, FRAME).content == {"accepted": 0, "rejected": [], "duplicate": True}
    again = server.record([{"tab": "s.counter", "value": 5}], taba_source="import", taba_sequence="2")
    assert again["duplicate"] is True
    assert server.record([{"tab": "s.counter", "value": 5}], taba_source="import", taba_sequence="1")["accepted"] == 1
    for one in frames(4, 5):
        assert server.post(one, FRAME).content["accepted"] == 105
        assert server.post(one, FRAME).content["duplicate"] is True
    assert server.totals("s.counter") == {"s.counter": 710.0}
    row = server.get("/v1/ledger", client="web")["ledger"]["web"]
    assert (row["recorded"], row["folded"], row["in_flight"]) == (735, 735, 0)
    after = without_windows(answers(server))
    server.close()
    assert taba("copy", there, tmp_path / "back", "--json").code == 0
    (tmp_path / "again").mkdir()
    back = ServerProcess(tmp_path / "again", data=str(tmp_path / "back"))
    assert without_windows(answers(back)) == after
    for one in frames(1, 2, 3, 4, 5, 6, 7):
        assert back.post(one, FRAME).content["duplicate"] is True
    assert back.totals("s.counter") == {"s.counter": 710.0}
    back.close()
    assert taba("check", tmp_path / "back").code == 0


def test_an_agents_frames_are_known_after_the_move(taba, tmp_path):
    """An agent whose spool is as it was before the move sends all of it again: nothing is counted twice, and what came
    to the spool while the store moved is counted."""
    port = free_port()
    words = ("--servers", f"http://127.0.0.1:{port}", "--spool")
    agent = start(tmp_path, "agent", *words, tmp_path / "spool", "--drain-s", 0)
    sent = frames(1, 2, 3)
    post(agent.url, sent)
    agent.stop()
    shutil.copytree(tmp_path / "spool", tmp_path / "older")
    assert all(any(one in path.read_bytes() for path in (tmp_path / "older").glob("*")) for one in sent)

    server = ServerProcess(tmp_path, shards=4, port=port)
    agent = start(tmp_path, "agent", *words, tmp_path / "spool")
    wait_until(lambda: server.totals("s.counter") == {"s.counter": 300.0})
    server.close()
    post(agent.url, frames(4))
    assert taba("copy", tmp_path / "data", place("redis", tmp_path / "there")).code == 0

    server = ServerProcess(tmp_path, store=place("redis", tmp_path / "there"), port=port)
    wait_until(lambda: server.totals("s.counter") == {"s.counter": 400.0})
    agent.stop()
    agent = start(tmp_path, "agent", *words, tmp_path / "older")
    post(agent.url, frames(5))
    wait_until(lambda: server.totals("s.counter") == {"s.counter": 500.0})
    wait_until(lambda: json.load(urlopen(f"{agent.url}/v1/status", timeout=60))["spool"]["waiting_bytes"] == 0)
    assert server.totals("s.counter") == {"s.counter": 500.0}
    row = server.get("/v1/ledger", client="web")["ledger"]["web"]
    assert (row["recorded"], row["folded"], row["in_flight"]) == (525, 525, 0)
    agent.stop()
    server.close()


def post(url: str, some: list[bytes]) -> None:
    """Hand frames to an agent."""
    for one in some:
        asked = Request(f"{url}/v1/events", one, {"Content-Type": FRAME})
        with urlopen(asked, timeout=60) as answer:
            assert answer.status == 200


def test_a_backup_of_a_running_server(taba, tmp_path):
    """It is one moment of the store; restored, the check finds nothing wrong, and the rest is taken once."""
    server = ServerProcess(tmp_path, shards=4)
    for one in frames(1, 2):
        server.post(one, FRAME)
    ended = taba("backup", tmp_path / "data", tmp_path / "x.taba", "--json")
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    assert (told["folded"], told["shards"], told["bytes"]) == (210, 4, (tmp_path / "x.taba").stat().st_size)
    for one in frames(3):
        server.post(one, FRAME)
    refused = taba("copy", tmp_path / "data", tmp_path / "no")
    assert refused.code == 1
    assert f"a server has {tmp_path}/data/taba.db open: stop it first" in refused.err
    assert taba("check", tmp_path / "data").code == 0
    server.close()
    assert taba("restore", tmp_path / "x.taba", tmp_path / "new").code == 0
    assert taba("check", tmp_path / "new").code == 0
    (tmp_path / "second").mkdir()
    second = ServerProcess(tmp_path / "second", data=str(tmp_path / "new"))
    assert [second.post(one, FRAME).content["accepted"] for one in frames(1, 2, 3)] == [0, 0, 105]
    assert second.totals("s.counter") == {"s.counter": 300.0}
    second.close()


def test_the_store_of_the_settings(taba, tmp_path, monkeypatch):
    """Where no store is named it is the one that `taba up` would open: by the file, and by the environment."""
    house("sqlite", tmp_path / "a").close()
    house("redis", tmp_path / "b", 3).close()
    (tmp_path / "taba.toml").write_text(f'data = "{tmp_path / "a"}"\n')
    ended = taba("backup", tmp_path / "a.taba", "--config", tmp_path / "taba.toml", "--json")
    assert json.loads(ended.out)["from"] == str(tmp_path / "a")
    assert taba("check", "--config", tmp_path / "taba.toml").out.startswith(f"{tmp_path / 'a'}: 0 chunks")
    monkeypatch.setenv("TABA_STORE", place("redis", tmp_path / "b"))
    assert json.loads(taba("backup", tmp_path / "b.taba", "--json").out)["shards"] == 3
    monkeypatch.setenv("TABA_STORE", place("redis", tmp_path / "c"))
    assert taba("restore", tmp_path / "b.taba").code == 0
    assert json.loads(taba("check", "--json").out)["store"] == place("redis", tmp_path / "c")


def test_a_valkey_of_our_own(taba, tmp_path):
    """A data folder may hold a Valkey's data; it runs while it is read or written."""
    house("sqlite", tmp_path / "a", 3).close()
    assert taba("copy", tmp_path / "a", f"valkey:{tmp_path / 'b'}").code == 0
    assert json.loads(taba("copy", tmp_path / "b", tmp_path / "c", "--json").out)["shards"] == 3
    assert "is missing" in taba("check", f"valkey:{tmp_path / 'c'}").err


def test_what_is_used_wrongly_is_told(taba, tmp_path):
    """In one line, with what to do; and nothing is made of it."""
    house("sqlite", tmp_path / "a").close()
    assert (taba("copy", tmp_path / "a", tmp_path / "a").code, taba("backup", "a", "b", "c").code) == (2, 2)
    assert "there is no Taba store in" in taba("copy", tmp_path / "none", tmp_path / "b").err
    assert "is no address of a store" in taba("copy", tmp_path / "a", "http://127.0.0.1").err
    assert "is no address of a store" in taba("backup", "http://127.0.0.1", tmp_path / "x").err
    assert "cannot be read: No such file" in taba("restore", tmp_path / "x.taba", tmp_path / "b").err
    (tmp_path / "x.taba").write_text("something else")
    assert "is no backup of Taba's" in taba("restore", tmp_path / "x.taba", tmp_path / "b").err
    assert "cannot be reached" in taba("copy", tmp_path / "a", "redis://127.0.0.1:1").err
    assert "write valkey:FOLDER with its data folder" in taba("copy", tmp_path / "a", "valkey").err
    assert "write its data folder" in taba("copy", "sqlite", tmp_path / "b").err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "x.taba"]
