"""Two servers on one store look at the same watches: each change is told by one of them, whichever dies."""

import time

import pytest
from hook_receiver import HookReceiver, Recording
from server_process import ServerProcess, wait_until

LONG = 100.0


@pytest.fixture
def store(either_store):
    """All tests here run on SQLite and on Redis."""
    return either_store


@pytest.fixture
def hook():
    receiver = HookReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def pair(tmp_path, store, hook):
    """Two servers that share their data and their watches."""
    watches = [
        {"name": "quick", "rule": "total(errors) over 3s > 5", "webhook": f"{hook.url}/quick"},
        {"name": "slow", "rule": "count(alive) > 0", "webhook": f"{hook.url}/slow"},
    ]
    servers = []
    try:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            data = str(tmp_path / "data")
            servers.append(ServerProcess(tmp_path / name, data=data, gather_ms=10, watches=watches, **store))
        yield servers
    finally:
        for server in servers:
            server.close()


def watch_of(server, name):
    return next(one for one in server.get("/v1/watches")["watches"] if one["watch"] == name)


def test_each_change_is_told_once(pair, hook):
    """Both see every change, and one tells it; both know that it was told. Nothing is told twice by a restart."""
    recording = Recording(pair)
    errors = {"tab": "errors", "value": 100}
    try:
        for turn in range(1, 4):
            recording.events.append(errors)
            for server in pair:
                wait_until(lambda server=server: watch_of(server, "quick")["state"] == "firing", LONG)
            recording.events.clear()
            for server in pair:
                wait_until(lambda server=server: watch_of(server, "quick")["state"] == "ok", LONG)
            wait_until(lambda turn=turn: len(hook.posted("/quick")) >= 2 * turn, LONG)
            if turn == 2:
                pair[0].kill()
                pair[0].start()
    finally:
        recording.end()
    # What was recorded last may still change it; then both know the same.
    for server in pair:
        wait_until(lambda server=server: watch_of(server, "quick")["state"] == "ok", LONG)
    wait_until(lambda: _both_know(pair, "quick"), LONG)
    told = hook.posted("/quick")
    # One that was killed while it told something may have it told again, and then says so by its id.
    ids = list(dict.fromkeys(body["id"] for body in told))
    events = [identity.rpartition("/")[2] for identity in ids]
    # On a machine that is slow enough, the errors may pause for so long that it is over meanwhile.
    assert len(events) >= 6
    assert events == ["firing", "ok"] * (len(events) // 2)
    assert len(told) <= len(ids) + 1
    assert {one["outcome"] for one in watch_of(pair[0], "quick")["last_actions"]} == {"done"}


def _both_know(pair, name):
    first, second = (watch_of(server, name) for server in pair)
    return _settled(first) and first["last_actions"] == second["last_actions"]


def _settled(watch):
    return watch["last_actions"] and watch["last_actions"][0]["outcome"] != "running"


def test_kill_9_between_the_claim_and_the_action(pair, hook):
    """The server that has taken it hangs in its webhook and is killed: the other tells it after the lease, once."""
    hook.answers = {"/slow": [30.0, 200]}
    alone, other = pair
    other.kill()
    recording = Recording([alone])
    try:
        wait_until(lambda: len(hook.posted("/slow")) == 1, LONG)
    finally:
        recording.end()
    alone.kill()
    killed = time.monotonic()
    other.start()
    wait_until(lambda: len(hook.posted("/slow")) == 2, LONG)
    # Not before the lease of the one that died has passed, a part of which had passed already.
    assert time.monotonic() - killed > 1.0
    alone.start()
    for server in pair:
        wait_until(lambda server=server: _settled(watch_of(server, "slow")), LONG)
    (done,) = watch_of(other, "slow")["last_actions"]
    assert (done["outcome"], done["tries"]) == ("done", 1)
    first, second = hook.posted("/slow")
    assert (first["id"], first["changes"]) == (second["id"], second["changes"])
