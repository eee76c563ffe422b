"""The ledger at the server's door: recorded = folded + dropped + in flight, and what looks wrong is told."""

import csv
import io
import json
import random
import time
from dataclasses import replace

import msgspec
import polars as pl
import pytest
from server_process import FRAME, frame_bytes, wait_until

from taba import frame
from taba.server.completeness import completeness
from taba.server.ledger import ledger, warnings
from taba.store import Account
from taba.store.accounts import Gap

NOW = 1_700_000_000.0


@pytest.fixture
def store(either_store):
    """All tests here run on SQLite and on Redis."""
    return either_store


def client_frames(client, sizes, bad=0, **more):
    """Frames that say what was recorded; of each, `bad` values are refused by the server."""
    recorded = 0
    for sequence, size in enumerate(sizes, 1):
        recorded += size + bad
        values = [1.0] * size + [float("nan")] * bad
        yield frame_bytes(client, sequence, {"l.a": values}, recorded=recorded, **more)


def row(server, client):
    return server.get("/v1/ledger", client=client)["ledger"][client]


def check(answer):
    """The identity holds for each client and in all, and the total is the sum of the rows."""
    for told in [answer["total"], *answer["ledger"].values()]:
        assert told["recorded"] == told["folded"] + sum(told["dropped"].values()) + told["in_flight"]
        assert "unaccounted" not in told
    for name in ("recorded", "folded", "in_flight"):
        assert answer["total"][name] == sum(told[name] for told in answer["ledger"].values())


def test_frames_in_any_order(server):
    """While frames come out of order and again, the sum holds in every answer; at the end nothing is in flight."""
    rng = random.Random(5)
    sizes = {client: [rng.randint(1, 9) for _ in range(12)] for client in ("l-1", "l-2", "l-3")}
    began = time.time() - 1
    bodies = [body for client in sizes for body in client_frames(client, sizes[client], bad=1, began=began)]
    bodies += rng.sample(bodies, 10)
    rng.shuffle(bodies)
    for body in bodies:
        assert server.post(body, FRAME).status == 200
        check(server.get("/v1/ledger"))
    answer = server.get("/v1/ledger")
    for client, told in answer["ledger"].items():
        assert told["folded"] == sum(sizes[client])
        assert told["dropped"] == {"not_finite": 12}
        assert (told["in_flight"], told["in_flight_since"], told["processes"]) == (0, None, 1)
    assert list(answer["ledger"]) == sorted(sizes)
    assert answer["warnings"] == []
    assert server.totals("l.a") == {"l.a": float(answer["total"]["folded"])}


def test_what_is_missing_is_in_flight(server):
    """The frames around a gap tell how many events are missing and since when; a kill of the server forgets nothing."""
    now = time.time()
    bodies = list(client_frames("gap", [1, 10, 100, 1_000], began=now - 5, start=now - 1, stop=now))
    for index in (0, 3):
        server.post(bodies[index], FRAME)
    server.kill()
    server.start()
    told = row(server, "gap")
    assert (told["recorded"], told["folded"], told["in_flight"], told["in_flight_since"]) == (1_111, 1_001, 110, now)
    assert told["complete_to"] == now
    server.post(bodies[2], FRAME)
    assert row(server, "gap")["in_flight"] == 10
    drops = frame.Drops(["l.a"], ["pending_full"], [10])
    grave = frame.Header("gap", "e", 2, now - 1, now, drops=drops, recorded=11, first=2)
    server.post(frame.encode(grave), FRAME)
    told = row(server, "gap")
    assert (told["folded"], told["dropped"], told["in_flight"]) == (1_101, {"pending_full": 10}, 0)


def test_events_without_frames(server):
    """JSON is accounted for by client: what was taken and what was refused, each repeat once."""
    events = [{"tab": "a", "value": 1}, {"tab": "a", "value": "x"}, {"tab": "a", "value": 1, "client": "k"}, {"tab": 7}]
    body = msgspec.json.encode({"client": "j", "events": events})
    for _ in range(3):
        server.post(body, taba_source="s", taba_sequence="1")
    answer = server.get("/v1/ledger")
    check(answer)
    rows = {client: (told["folded"], told["dropped"], told["complete_to"]) for client, told in answer["ledger"].items()}
    assert rows == {
        "j": (1, {"wrong_type": 1}, None),
        "k": (1, {}, None),
        "unknown": (0, {"unreadable": 1}, None),
    }
    assert answer["ledger"]["j"]["processes"] == 0


def test_the_forms_of_the_ledger(server):
    """CSV and Arrow have a row for each client, lines for people the total too; a glob picks clients."""
    now = time.time()
    drops = frame.Drops(["l.a", "l.a"], ["b", "a"], [2, 3])
    server.post(frame_bytes("f-1", 1, {"l.a": [1]}, stop=now, drops=drops, recorded=6), FRAME)
    server.post(frame_bytes("g-1", 1, {"l.a": [1, 1]}, stop=now, recorded=2), FRAME)
    table = list(csv.DictReader(io.StringIO(server.get("/v1/ledger", accept="text/csv").body.decode())))
    assert [(told["client"], told["recorded"], told["folded"], told["dropped"]) for told in table] == [
        ("f-1", "6", "1", "5"),
        ("g-1", "2", "2", "0"),
    ]
    assert json.loads(table[0]["dropped_by_reason"]) == {"a": 3, "b": 2}
    arrow = server.get("/v1/ledger", accept="application/vnd.apache.arrow.stream", client="f*")
    frame_table = pl.read_ipc_stream(io.BytesIO(arrow.body))
    assert frame_table.select("client", "recorded", "in_flight", "complete_to").rows() == [("f-1", 6, 0, now)]
    plain = server.get("/v1/ledger", accept="text/plain").body.decode().splitlines()
    assert plain[0].startswith("# complete_to ")
    assert plain[1:3] == ["# clients 2 of 2", "# late 0"]
    assert plain[3] == "total  recorded 8  folded 3  dropped 5  dropped_a 3  dropped_b 2  in_flight 0"
    assert plain[4].startswith("f-1  recorded 6  folded 1  dropped 5  dropped_a 3  dropped_b 2  in_flight 0  ")
    assert list(server.get("/v1/ledger", client="g-?")["ledger"]) == ["g-1"]
    assert server.get("/v1/ledger", client="none")["total"] == {
        "recorded": 0, "folded": 0, "dropped": {}, "in_flight": 0,
    }  # fmt: skip
    for query, word in (("client=[z-a]", "client"), ("client=a&client=b", "client"), ("clients=a", "client")):
        answer = server.request("GET", f"/v1/ledger?{query}")
        assert answer.status == 400
        assert word in answer.content["error"]


def test_claims_beyond_all_bounds(server):
    """A sender that claims as much as a header can hold is told apart, in every form, and breaks nothing."""
    most = (1 << 63) - 1
    drops = frame.Drops(["a"] * 3, ["x", "y", "x"], [1 << 60, 1 << 200, 1 << 62])
    for epoch in ("1", "2", "3"):
        body = frame_bytes("liar", 1, {"l.a": [1]}, epoch=epoch, drops=drops, recorded=most, stop=1e300, start=-1e300)
        assert server.post(body, FRAME).status == 200
        assert server.post(frame_bytes("liar", frame.MAX_SEQUENCE, {}, epoch=epoch, recorded=5), FRAME).status == 200
    told = row(server, "liar")
    assert told["unaccounted"] == told["recorded"] - sum(told["dropped"].values()) - told["folded"] - told["in_flight"]
    for form in ("text/csv", "text/plain", "application/vnd.apache.arrow.stream"):
        assert server.get("/v1/ledger", accept=form).status == 200
    assert server.get("/v1/aggregates", tab="l.a")["complete_to"] > 0


@pytest.mark.parametrize("either_store", ["sqlite"], indirect=True)
def test_two_processes_under_one_name(server):
    """Two epochs of a client that go on side by side are warned of, in the ledger and once in the log."""
    begun = time.time()
    numbers = {"old": 0, "new": 0}

    def warned():
        for epoch, number in numbers.items():
            numbers[epoch] += 1
            now = time.time()
            body = frame_bytes("twin", number + 1, {"l.a": [1]}, epoch=epoch, start=now, stop=now, began=begun)
            server.post(body, FRAME)
        time.sleep(0.2)
        return server.get("/v1/ledger", client="twin")["warnings"]

    server.post(frame_bytes("single", 1, {"l.a": [1]}), FRAME)
    wait_until(warned)
    (told,) = warned()
    assert told.startswith("two processes record as twin at once: ")
    assert server.get("/v1/ledger", client="single")["warnings"] == []
    assert row(server, "twin")["processes"] == 2
    wait_until(lambda: "two processes record as twin" in server.log() or not warned())
    for _ in range(30):
        warned()
    assert server.log().count("two processes record as twin") == 1


def account(client="c", epoch="e", **fields):
    plain = {"last": 1, "stop": NOW, "began": NOW - 100, "begun": NOW - 100, "heard": NOW, "folded": 1, "told": 1}
    return Account(client, epoch, **(plain | fields))


TWINS = {
    "side by side": ({}, {"began": NOW - 50, "begun": NOW - 50}, True),
    "without a time of begin": ({"began": None}, {"began": None, "begun": NOW - 50}, True),
    "one after the other": ({"stop": NOW - 49, "heard": NOW - 49}, {"began": NOW - 50, "begun": NOW - 50}, False),
    "brought late": ({"stop": NOW - 51}, {"began": NOW - 50, "begun": NOW - 50}, False),
    "the older has ended": ({"closed": True}, {"began": NOW - 50, "begun": NOW - 50}, False),
    "the newer has ended": ({}, {"began": NOW - 50, "begun": NOW - 50, "closed": True}, False),
    "long ago": ({"heard": NOW - 70, "stop": NOW - 70}, {"began": NOW - 99, "begun": NOW - 99}, False),
    "events without frames": ({}, {"epoch": "", "begun": NOW - 50}, False),
}


@pytest.mark.parametrize(("older", "newer", "warns"), TWINS.values(), ids=TWINS)
def test_what_counts_as_two_processes(older, newer, warns):
    """Only processes that record at the same time: not one after the other, nor what an agent brings late."""
    both = [account(**({"epoch": "new"} | newer)), account(**older)]
    assert bool(warnings(both, NOW)) == warns
    assert not warnings([both[0], msgspec.structs.replace(both[1], client="other")], NOW)


AGENTS = {
    "in order": (["1-aa", "2-bb", "10-cc"], False),
    "the same number again": (["1-aa", "2-bb", "2-cc"], True),
    "a lower number": (["7-aa", "3-bb"], True),
    "no numbers": (["aa", "bb", "-", "x-1"], False),
}


@pytest.mark.parametrize(("epochs", "warns"), AGENTS.values(), ids=AGENTS)
def test_a_spool_that_was_put_back(epochs, warns):
    """An agent's starts are numbered: one that is not above all before it was made from a copy of the spool."""
    accounts = [
        account("taba-agent-h-1", epoch, began=NOW - 50 + place, heard=NOW - 50 + place, closed=True)
        for place, epoch in enumerate(epochs)
    ]
    assert bool(warnings(accounts, NOW)) == warns
    if warns:
        (told,) = warnings(accounts, NOW).values()
        assert told.startswith("the spool of taba-agent-h-1 was restored from an older copy")
    assert not warnings([msgspec.structs.replace(one, client="web-1") for one in accounts], NOW)


def test_what_is_current():
    """A client is current while it is heard and nothing is missing that is older than ten seconds."""
    old_gap = (Gap(2, 2, NOW - 60, 1, 3),)
    found = completeness(
        [
            account("well"),
            account("silent", heard=NOW - 11),
            account("behind", stop=NOW - 30),
            account("again", "first", heard=NOW - 600, stop=NOW - 600),
            account("again", "second"),
            account("missing", "first", heard=NOW - 600, gaps=old_gap),
            account("missing", "second"),
            account("over", closed=True),
            account("over-but-missing", closed=True, gaps=old_gap),
            account("json", "", stop=0.0, told=None),
            account("no-clock", stop=5.0),
        ],
        NOW,
        NOW - 86_400,
        NOW,
    )
    # Current are well, again and json; over is not known any more.
    assert (found.complete_to, found.current, found.known) == (NOW - 60, 3, 8)


def test_what_is_complete_while_nobody_can_be_heard():
    """While the store fails, clients are silent through no fault of theirs, and are waited for nevertheless."""
    accounts = [account("well", heard=NOW - 61, stop=NOW - 61), account("silent", heard=NOW - 75, stop=NOW - 75)]
    assert completeness(accounts, NOW, 0.0, NOW).complete_to == NOW
    found = completeness(accounts, NOW, 0.0, NOW - 60)
    assert (found.complete_to, found.current, found.known) == (NOW - 61, 0, 2)


def test_rows_put_epochs_together():
    """A client's epochs are one row, with the first event that is missing of any, and the live ones' completeness."""
    accounts = [
        account(epoch="1", folded=5, told=9, dropped={"a": 1}, gaps=(Gap(1, 1, NOW - 700, 0, 3),), heard=NOW - 600),
        account(epoch="2", folded=2, told=2, stop=NOW - 1),
        account(epoch="3", folded=3, told=4, stop=NOW - 2),
    ]
    (told,) = ledger(accounts, NOW).clients.values()
    assert told == {
        "recorded": 15, "folded": 10, "dropped": {"a": 1}, "in_flight": 3, "in_flight_since": NOW - 700,
        "complete_to": NOW - 2, "heard": NOW, "processes": 2, "unaccounted": 1,
    }  # fmt: skip


@pytest.mark.parametrize("order", [(2, 3, 24, 4, 5), (24, 2, 3, 4, 5), (4, 24, 3, 2, 5), (5, 4, 3, 24, 2)])
def test_a_tombstone_beside_the_frame_that_it_ends_with(server, order):
    """An agent that lost a piece of its spool writes a tombstone for frames 2 to 4, which came another way after all:
    in one body with them it hides none of them, and no frame is answered that is not in the account."""
    bodies = dict(enumerate(client_frames("row", [10] * 5), 1))
    drops = frame.Drops(["unknown"], ["spool_corrupt"], [30])
    bodies[24] = frame.encode(frame.Header("row", "e", 4, NOW, NOW, drops=drops, recorded=40, first=2))
    server.post(bodies[1], FRAME)
    answer = server.post(b"".join(bodies[one] for one in order), FRAME)
    assert answer.status == 200
    told = row(server, "row")
    assert told["recorded"] == 50
    assert told["in_flight"] == 0, told
    assert told["folded"] + sum(told["dropped"].values()) == 50


def test_one_number_for_very_many_frames(server):
    """Of those that claim it one counts, whatever the number of the others."""
    drops = frame.Drops(["unknown"], ["spool_corrupt"], [1])
    header = frame.Header("many", "e", 500, NOW, NOW, drops=drops, recorded=500)
    graves = [frame.encode(replace(header, first=first)) for first in range(1, 400)]
    assert server.post(b"".join(graves), FRAME).status == 200
    assert row(server, "many")["dropped"] == {"spool_corrupt": 1}
