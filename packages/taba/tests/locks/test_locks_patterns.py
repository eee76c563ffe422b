"""A token that is limited to tabs and clients: what else comes with it is refused one by one, and harms nobody."""

from pathlib import Path

import msgspec
import pytest
from keyring import bearer, issue
from server_process import FRAME, JSON, ServerProcess, frame_bytes, wait_until


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server, and tokens: `web` may write web.* as web-*, `all` everything, both read."""
    folder = tmp_path_factory.mktemp("patterns")
    file = folder / "tokens"
    texts = {
        "web": issue(file, write=("web.*", "bids{exchange=fb*}"), clients=("web-*",), read=True),
        "all": issue(file, write=("*",), read=True),
    }
    server = ServerProcess(folder, gather_ms=5, tokens=str(file))
    yield server, texts
    server.close()


def ledger(world, client):
    server, texts = world
    answer = server.request("GET", f"/v1/ledger?client={client}", headers=bearer(texts["all"])).content
    return answer["ledger"].get(client)


def total(world, tab):
    server, texts = world
    answer = server.request("GET", f"/v1/aggregates?tab={tab}&window=1h&by=none", headers=bearer(texts["all"]))
    return {tab: found["1h"]["count"] for tab, found in answer.content["tabs"].items()}.get(tab, 0)


def test_events_outside_are_refused_one_by_one(world):
    """In JSON: tabs and clients that are not the token's, each with its place and why; the others are counted."""
    server, texts = world
    events = [
        {"tab": "web.hits", "value": 1},
        {"tab": "db.hits", "value": 1},
        {"tab": "web.hits", "value": 1, "client": "db-1"},
        {"tab": "bids{exchange=fbx}", "value": 1},
        {"tab": "bids", "tags": {"z": "1", "exchange": "rub"}, "value": 1},
        {"tab": "bids", "tags": {"z": "1", "exchange": "fb"}, "value": 1},
        {"tab": "taba.client.events", "value": 1},
    ]
    answer = server.post(msgspec.json.encode({"client": "web-1", "events": events}), JSON, **bearer(texts["web"]))
    assert answer.status == 200
    assert answer.content["accepted"] == 3
    told = {one["index"]: one["error"] for one in answer.content["rejected"]}
    assert sorted(told) == [1, 2, 4, 6]
    assert all("not_allowed" in error for error in told.values())
    assert total(world, "web.hits") == 1
    assert total(world, "db.hits") == 0
    own = ledger(world, "web-1")
    assert (own["folded"], own["dropped"]) == (3, {"not_allowed": 3})
    assert ledger(world, "db-1") is None
    token = ledger(world, f"token:{texts['web'].split('_')[1]}")
    assert token["dropped"] == {"not_allowed": 1}


def test_frames_outside_are_refused_one_by_one(world):
    """Beside frames that are taken in the same request; a client's account comes out even."""
    server, texts = world
    body = frame_bytes("web-2", 1, {"web.a": [1, 2], "db.a": [1, 2, 3]}, recorded=5, began=1.0)
    body += frame_bytes("db-2", 1, {"web.a": [9] * 7}, recorded=7, began=1.0)
    body += frame_bytes("web-3", 1, {"web.a": [1]})
    for _ in range(2):  # the second time all of it is known already
        answer = server.post(body, FRAME, **bearer(texts["web"]))
        assert answer.status == 200
    assert total(world, "web.a") == 3
    own = ledger(world, "web-2")
    assert (own["recorded"], own["folded"], own["dropped"]) == (5, 2, {"not_allowed": 3})
    assert ledger(world, "db-2") is None


def test_another_client_is_not_harmed(world):
    """Not its receipts, by a frame or by a source that is named as its frames are; not its account."""
    server, texts = world
    evil = bearer(texts["web"])
    forged = frame_bytes("db-9", 7, {"web.x": [1]}, epoch="mine", first=1, recorded=1_000_000)
    assert server.post(forged, FRAME, **evil).content["accepted"] == 0
    event = msgspec.json.encode({"client": "web-1", "events": [{"tab": "web.y", "value": 1}]})
    named = {"Taba-Source": "db-9 mine", "Taba-Sequence": "3"}
    assert server.request("POST", "/v1/events", event, {"Content-Type": JSON, **named, **evil}).status == 200
    for sequence in range(1, 8):
        answer = server.post(frame_bytes("db-9", sequence, {"db.x": [1]}, epoch="mine"), FRAME, **bearer(texts["all"]))
        assert answer.content == {"accepted": 1, "rejected": []}
    assert total(world, "db.x") == 7
    assert ledger(world, "db-9")["folded"] == 7


def test_a_source_is_counted_once_with_a_new_token_of_the_same_rights(world):
    """So a token can be rotated while requests are repeated."""
    server, texts = world
    fresh = issue(Path(server._settings["tokens"]), write=("bids{exchange=fb*}", "web.*"), clients=("web-*",))
    event = msgspec.json.encode({"client": "web-5", "events": [{"tab": "web.once", "value": 1}]})
    for text in (texts["web"], fresh):
        headers = {"Content-Type": JSON, "Taba-Source": "till", "Taba-Sequence": "1", **bearer(text)}
        wait_until(lambda headers=headers: server.request("POST", "/v1/events", event, headers).status == 200)
    assert total(world, "web.once") == 1


def test_nothing_is_learnt_of_other_tabs(world):
    """Not even whether there is one, or its type."""
    server, texts = world
    secret = msgspec.json.encode({"client": "a", "events": [{"tab": "db.secret", "type": "gauge", "value": 1}]})
    assert server.post(secret, JSON, **bearer(texts["all"])).content["accepted"] == 1
    told = []
    for tab in ("db.secret", "db.other_"):
        event = msgspec.json.encode({"client": "web-1", "events": [{"tab": tab, "type": "counter", "value": 1}]})
        answer = server.post(event, JSON, **bearer(texts["web"])).content
        told.append(answer["rejected"][0]["error"].replace(tab, "TAB"))
    assert told[0] == told[1]
    tabs = server.request("GET", "/v1/tabs?match=db.*", headers=bearer(texts["all"])).content["tabs"]
    assert "db.other_" not in {one["tab"] for one in tabs}
