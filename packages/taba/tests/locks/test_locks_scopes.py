"""Every call of a server, asked with every kind of token: who gets in, and who is told what."""

import re
from pathlib import Path

import pytest
from keyring import bearer, issue, revoke
from server_process import FRAME, ServerProcess, frame_bytes, wait_until
from starlette.routing import Route

from taba.config import Settings
from taba.locks.gate import Scope
from taba.server.app import make_app
from taba.server.scopes import SCOPES, scope_of
from taba.server.service import Service

HELD = {
    "none": {},
    "write": {"write": ("*",)},
    "read": {"read": True},
    "admin": {"admin": True},
    "all": {"write": ("*",), "read": True, "admin": True},
}
MAY = {
    Scope.OPEN: set(HELD),
    Scope.READ: {"read", "admin", "all"},
    Scope.WRITE: {"write", "all"},
    Scope.ADMIN: {"admin", "all"},
}
EVENT = b'{"client": "c", "events": [{"tab": "a", "value": 1}]}'


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """(method, path) of every route that the application has."""
    folder = tmp_path_factory.mktemp("app")
    service = Service(Settings(data=folder / "data", tokens=folder / "tokens"))
    app = make_app(service)
    found = [(method, one.path) for one in app.routes if isinstance(one, Route) for method in one.methods - {"HEAD"}]
    service.close()
    return sorted(found)


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A server that asks for tokens, and the tokens."""
    folder = tmp_path_factory.mktemp("locked")
    file = folder / "tokens"
    texts = {name: issue(file, **fields) for name, fields in HELD.items() if fields}
    server = ServerProcess(folder, gather_ms=5, tokens=str(file))
    yield server, texts, file
    server.close()


def test_every_call_has_its_scope(calls):
    """A route that nobody has thought of fails here; and until then it is for admins alone."""
    assert [call for call in calls if call not in SCOPES] == []
    assert [call for call in SCOPES if call not in calls] == []
    assert scope_of("GET", "/v1/what-comes-next") is Scope.ADMIN
    assert scope_of("PATCH", "/v1/tabs") is Scope.ADMIN
    assert scope_of("HEAD", "/v1/tabs") is Scope.READ


@pytest.mark.parametrize("who", HELD)
def test_who_may_do_what(calls, locked, who):
    """Each call lets in those whose token has its scope, and no others: 401 without a good token, 403 with another."""
    server, texts, _ = locked
    headers = bearer(texts[who]) if who in texts else {}
    wrong = []
    for method, path in calls:
        if path == "/v1/live":
            continue  # it goes on for ever; asked below
        asked = re.sub(r"\{[^}]+\}", "x", path)
        status = server.request(method, asked, EVENT if method == "POST" else None, headers).status
        if path == "/v1/session":
            continue  # it is about tokens itself
        wanted = who in MAY[SCOPES[method, path]]
        refused = 401 if who == "none" else 403
        if (status == refused) == wanted:
            wrong.append((method, asked, status))
    assert wrong == []


def test_a_stream_and_a_head_need_a_token_too(locked):
    """As every other way to ask; and a path that is none tells nobody that it is none."""
    server, texts, _ = locked
    assert server.request("GET", "/v1/live").status == 401
    assert server.request("HEAD", "/v1/tabs").status == 401
    assert server.request("GET", "/v1/nothing").status == 401
    assert server.request("GET", "/v1/nothing", headers=bearer(texts["admin"])).status == 404
    assert server.request("GET", "//v1/tabs").status == 401
    assert server.request("GET", "/ui/../v1/tabs").status in (401, 404)


def test_who_is_refused_is_told_why_and_how(locked):
    """The answer names the scheme and what to do; and never a secret."""
    server, texts, file = locked
    none = server.request("GET", "/v1/tabs")
    assert none.headers["www-authenticate"].startswith("Bearer")
    assert "taba token create" in none.content["error"]
    wrong = server.request("GET", "/v1/tabs", headers=bearer(texts["write"]))
    assert "may not read: it has write" in wrong.content["error"]
    gone = issue(file, read=True)
    revoke(file, gone)
    told = server.request("GET", "/v1/tabs", headers=bearer(gone))
    assert told.status == 401
    assert "revoked" in told.content["error"]
    cut = server.request("GET", "/v1/tabs", headers=bearer(texts["read"][:-1] + "!"))
    assert "mistyped" in cut.content["error"] or "no token" in cut.content["error"]
    for answer in (none, wrong, told, cut):
        assert not any(text.split("_")[2] in str(answer) for text in (*texts.values(), gone))


def test_a_token_in_the_address_is_not_taken(locked):
    """Addresses are written into logs."""
    server, texts, _ = locked
    for name in ("token", "access_token", "authorization"):
        assert server.request("GET", f"/v1/tabs?{name}={texts['read']}").status == 401


def test_a_token_is_good_as_soon_as_it_is_made_and_until_it_is_revoked(locked):
    """Without a restart, and an old one beside a new one."""
    server, texts, file = locked
    fresh = issue(file, read=True)
    wait_until(lambda: server.request("GET", "/v1/tabs", headers=bearer(fresh)).status == 200)
    assert server.request("GET", "/v1/tabs", headers=bearer(texts["read"])).status == 200
    revoke(file, fresh)
    wait_until(lambda: server.request("GET", "/v1/tabs", headers=bearer(fresh)).status == 401)


def test_rates_are_limits_with_names(locked):
    """Beyond one: 429, when to come back, the limit's name; counted by limit and token. Then it goes on."""
    server, texts, file = locked
    slow = issue(file, write=("*",), events_per_s=200, requests_per_s=1000)
    own = slow.split("_")[1]
    wait_until(lambda: server.post(frame_bytes("r", 1, {"r": [1]}), FRAME, **bearer(slow)).status == 200)
    for sequence in range(2, 20):  # the second of two within a second
        refused = server.post(frame_bytes("r", sequence, {"r": [1] * 400}), FRAME, **bearer(slow))
        if refused.status != 200:
            break
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert "more than 200 events per second (events_per_s)" in refused.content["error"]
    wait_until(lambda: server.post(frame_bytes("r", sequence, {"r": [1]}), FRAME, **bearer(slow)).status == 200)
    tab = f"taba.server.refused{{limit=events_per_s,status=429,token={own}}}"
    read = bearer(texts["read"])

    def counted():
        return server.request("GET", f"/v1/aggregates?tab=%3D{tab}&window=1h", headers=read).content["tabs"]

    wait_until(counted)
    answer = server.request("GET", "/v1/aggregates?tab=r&window=1h", headers=read).content
    assert answer["tabs"]["r"]["1h"]["count"] == 1 + 400 * (sequence - 2) + 1


def test_no_secret_is_written_anywhere(locked):
    """Not into the log, the status, the data, nor the process' own name."""
    server, texts, file = locked
    status = server.request("GET", "/v1/status", headers=bearer(texts["all"]))
    assert status.status == 200
    places = [server.log().encode(), status.body, file.read_bytes()]
    places += [path.read_bytes() for path in (file.parent / "data").rglob("*") if path.is_file()]
    places.append(Path(f"/proc/{server.pid}/cmdline").read_bytes())
    for text in texts.values():
        secret = text.split("_")[2].encode()
        assert not any(secret in place for place in places)


def test_ping_says_little_to_strangers(locked):
    """Whether all is well, and no more; with a token also why not."""
    server, _, _ = locked
    assert server.request("GET", "/ping").content == {"status": "ok"}
