"""Spans and the middleware that counts requests, one around the other: both see the request, and its route."""

import asyncio

import flask
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from taba.frameworks import http, routes
from taba.loops import spans

asgi = pytest.importorskip("taba.asgi")
wsgi = pytest.importorskip("taba.wsgi")


@pytest.fixture
def seen(monkeypatch):
    """The tags of what the spans measured."""
    seen = []
    monkeypatch.setenv("TABA_DISABLED", "1")
    monkeypatch.setattr(spans.Tabs, "record", lambda tabs, work, now, tags: seen.append(tags))
    return seen


@pytest.mark.parametrize("inside", ["spans", "requests"])
def test_an_asgi_app_may_have_both(seen, inside):
    async def app(scope, receive, send):
        scope["taba.route"] = "/orders/{id}"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    sent = []

    async def send(message):
        sent.append(message["type"])

    stacked = asgi.Middleware(spans.asgi(app, 1)) if inside == "spans" else spans.asgi(asgi.Middleware(app), 1)
    asyncio.run(stacked({"type": "http", "method": "GET", "path": "/orders/5", "headers": []}, None, send))
    assert sent == ["http.response.start", "http.response.body"]
    assert seen == [{"route": "/orders/<id>"}]


@pytest.mark.parametrize("inside", ["spans", "requests"])
def test_a_wsgi_app_may_have_both(seen, inside):
    def app(environ, start_response):
        environ["taba.route"] = "/orders/{id}"
        start_response("200 OK", [])
        return iter([b"o", b"k"])

    stacked = wsgi.Middleware(spans.wsgi(app, 1)) if inside == "spans" else spans.wsgi(wsgi.Middleware(app), 1)
    answer = stacked({"REQUEST_METHOD": "GET", "PATH_INFO": "/orders/5"}, lambda *_: None)
    assert b"".join(answer) == b"ok"
    answer.close()
    assert seen == [{"route": "/orders/<id>"}]


@pytest.fixture
def counted(monkeypatch):
    """The routes of what the middleware counted."""
    counted = []
    find = http.HttpTabs.of
    monkeypatch.setattr(
        http.HttpTabs, "of", lambda tabs, route, method: counted.append(route) or find(tabs, route, method)
    )
    return counted


def test_both_call_a_route_the_same(seen, counted):
    """So that what is slow in the one can be looked up in the other: below mounts, in Flask, and where none matched."""
    user = Route("/users/{id}", lambda request: PlainTextResponse("hello"))
    site = spans.asgi(asgi.Middleware(Starlette(routes=[Mount("/shop", routes=[user])])), 1)
    shop = flask.Flask(__name__)
    shop.add_url_rule("/carts/<int:number>", view_func=lambda number: "a cart", endpoint="cart")
    shop.wsgi_app = spans.wsgi(wsgi.Middleware(shop.wsgi_app), 1)
    for path in ("/shop/users/5", "/nowhere"):
        asyncio.run(site({"type": "http", "method": "GET", "path": path, "headers": []}, None, ignore))
    for path in ("/carts/7", "/nowhere"):
        shop.test_client().get(path).close()
    assert counted == ["/shop/users/{id}", "unmatched", "/carts/<int:number>", "unmatched"]
    assert seen == [{"route": routes.written(route)} for route in counted]


async def ignore(message):
    """Where a response goes that nobody reads."""
