"""What frameworks leave behind, in shapes that no server here makes; bounds; an app that nothing here can break."""

import asyncio
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import taba
import taba.asgi
import taba.wsgi
from taba.client.recorder import Recorder
from taba.frameworks import http, routes


@pytest.fixture(autouse=True)
def recorder(monkeypatch):
    """A client of the test's own that sends nothing."""
    monkeypatch.setenv("TABA_DISABLED", "1")
    own = Recorder()
    for name in ("counter", "percentile", "gauge", "top"):
        monkeypatch.setattr(taba, name, getattr(own, name))
    monkeypatch.setattr(http, "_by_prefix", {})


def test_routes_of_an_older_starlette_are_found_by_their_endpoint():
    """One that leaves no route in the scope; an endpoint of two routes is none's."""
    one, two = object(), object()
    route = types.SimpleNamespace
    inner = [route(path="/items/{id}", endpoint=one), route(path="/a", endpoint=two), route(path="/b", endpoint=two)]
    router = route(routes=[route(path="/api", routes=inner), route(path="/", endpoint=None)])
    find = routes.asgi_finder(object())
    assert find({"router": router, "endpoint": one}) == "/api/items/{id}"
    assert find({"router": router, "endpoint": two}) is None
    assert find({"router": router}) is None
    assert find({}) is None
    assert find({"taba.route": "/own"}) == "/own"


def test_a_mounts_value_that_cannot_be_told_is_left_out():
    """As where a converter changed it: rather a star than a value in a tag."""
    scope = {"app_root_path": "", "root_path": "/shops/007", "path_params": {"shop": 7, "id": 1}}
    route = types.SimpleNamespace(path="/items/{id}", path_format="/items/{id}")
    assert routes.asgi_finder(None)(scope | {"route": route}) == "/*/items/{id}"
    scope["root_path"] = "/shops/7"
    assert routes.asgi_finder(None)(scope | {"route": route}) == "/shops/{shop}/items/{id}"


def test_routes_and_methods_are_bounded():
    """Whatever is asked for from afar, the tabs are so many and no more."""
    tabs = http.tabs_under("bounded")
    made = {tabs.of(f"/{number}", method) for number in range(http.ROUTES + 50) for method in ("GET", f"X{number}")}
    assert len(made) <= http.ROUTES + len(http.METHODS) + 1
    assert len(tabs._by_route) <= http.ROUTES + len(http.METHODS) + 1


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def answer(app, scope=None):
    """The messages of an app's answer."""
    said = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        said.append(message)

    asyncio.run(app({"type": "http", "method": "GET", "path": "/"} | (scope or {}), receive, send))
    return said


def test_an_app_answers_whatever_fails_here(capsys):
    """A `route` that raises; a tab that the program has with another type; said once each."""

    def broken(_):
        raise KeyError("route")

    taba.top("taken.requests")
    for app in (taba.asgi.Middleware(hello, route=broken), taba.asgi.Middleware(hello, prefix="taken")):
        for _ in range(3):
            assert [message["type"] for message in answer(app)] == ["http.response.start", "http.response.body"]
    assert not http.tabs_under("taken").active


def test_a_prefix_that_cannot_be_one_is_refused_at_once():
    for middleware in (taba.asgi.Middleware, taba.wsgi.Middleware):
        with pytest.raises(ValueError, match="is not a name"):
            middleware(hello, prefix="no name")


def test_a_status_by_the_way_a_request_ended():
    """A client that left before any status is 499, as nginx writes it; an app that says nothing is the server's 500."""
    seen = []

    class Seen(http.HttpTabs):
        def codes(self, status):
            seen.append(status)
            return super().codes(status)

    for left, status in ((False, 0), (True, 0), (True, 200), (False, 404)):
        exchange = http.Exchange(Seen("seen"), "GET", lambda _: None, None)
        exchange.left, exchange.status = left, status
        exchange.end()
        exchange.end()
    assert seen == [500, 499, 200, 404]


def test_nothing_but_pythons_own_library_is_imported():
    """An app that has none of Taba's extras can be recorded."""
    program = (
        "import sys\nbefore = set(sys.modules)\nimport taba.asgi, taba.wsgi, taba.logs\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before} - {'taba'}\n"
        "print(sorted(name for name in new if name not in sys.stdlib_module_names))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"


def test_the_examples_that_no_page_runs_can_be_imported():
    """Their frameworks take them as they stand."""
    examples = Path(__file__).parents[4] / "docs/examples"
    program = "import shop, tasks; print(shop.app.test_client().get('/users/7').text, tasks.resize('four'))"
    environment = os.environ | {"PYTHONPATH": str(examples), "TABA_DISABLED": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout == "hello 7 4\n", done.stderr
