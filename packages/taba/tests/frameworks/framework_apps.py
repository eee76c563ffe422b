"""The same small shop in each framework, so that one test fits them all, with the one line that has it recorded.

GET  /                 b"hello"
GET  /users/ID         b"user ID"
GET  /api/items/ID     b"item ID", on a router under a prefix
POST /orders           201, the body's length
GET  /fails            the handler raises ValueError
GET  /slow             takes SLOW seconds
GET  /stream           CHUNKS parts; the client may leave between them
GET  /breaks           raises after the first part
"""

# ruff: noqa: A002, A006, C901 - the parameter of a route is called `id`, and an app is all its handlers

import asyncio
import sys
import time
from functools import cache

import taba.asgi
import taba.wsgi

SLOW = 0.3
CHUNKS = 100
CHUNK = b"x" * 4096
PAUSE = 0.02


@cache
def __getattr__(name):
    """An app, made once and when a server asks for it: the frameworks are imported only where they are used."""
    if f"make_{name}" not in globals():
        raise AttributeError(name)
    return globals()[f"make_{name}"]()


def parts():
    for _ in range(CHUNKS):
        yield CHUNK
        time.sleep(PAUSE)


def broken_parts():
    yield CHUNK
    raise ValueError("broken")


async def async_parts():
    for _ in range(CHUNKS):
        yield CHUNK
        await asyncio.sleep(PAUSE)


async def async_broken_parts():
    yield CHUNK
    raise ValueError("broken")


async def late():
    await asyncio.sleep(SLOW)


@cache
def starlette_app():
    from starlette.applications import Starlette
    from starlette.background import BackgroundTask
    from starlette.responses import FileResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Mount, Route, WebSocketRoute

    async def hello(request):
        return PlainTextResponse("hello")

    async def user(request):
        return PlainTextResponse(f"user {request.path_params['id']}")

    async def orders(request):
        return PlainTextResponse(str(len(await request.body())), status_code=201)

    async def fails(request):
        raise ValueError("no")

    async def slow(request):
        await late()
        return PlainTextResponse("slow")

    async def background(request):
        return PlainTextResponse("at once", background=BackgroundTask(late))

    async def stream(request):
        return StreamingResponse(async_parts())

    async def breaks(request):
        return StreamingResponse(async_broken_parts())

    async def file(request):
        return FileResponse(__file__)

    async def echo(websocket):
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    async def refuse(websocket):
        await websocket.close()

    return Starlette(
        routes=[
            Route("/", hello),
            Route("/users/{id}", user),
            Mount("/api", routes=[Route("/items/{id:int}", user)]),
            Mount("/shops/{shop}", routes=[Route("/items/{id}", user)]),
            Route("/orders", orders, methods=["POST"]),
            Route("/fails", fails),
            Route("/slow", slow),
            Route("/background", background),
            Route("/stream", stream),
            Route("/breaks", breaks),
            Route("/file", file),
            WebSocketRoute("/echo/{room}", echo),
            WebSocketRoute("/refuse", refuse),
        ]
    )


def make_starlette():
    return taba.asgi.Middleware(starlette_app())


def make_bare_starlette():
    return starlette_app()


def make_fastapi():
    from fastapi import APIRouter, FastAPI, Request, Response
    from fastapi.responses import StreamingResponse

    app = FastAPI()
    app.add_middleware(taba.asgi.Middleware)
    items = APIRouter()

    @app.get("/")
    async def hello():
        return Response("hello")

    @app.get("/users/{id}")
    def user(id: int):
        return Response(f"user {id}")

    @items.get("/items/{id}")
    async def item(id: int):
        return Response(f"item {id}")

    @app.post("/orders", status_code=201)
    async def orders(request: Request):
        return Response(str(len(await request.body())), status_code=201)

    @app.get("/fails")
    async def fails():
        raise ValueError("no")

    @app.get("/stream")
    async def stream():
        return StreamingResponse(async_parts())

    app.include_router(items, prefix="/api")
    return app


def make_litestar():
    from litestar import Litestar, Request, Response, Router, get, post

    @get("/")
    async def hello() -> str:
        return "hello"

    @get("/users/{id:int}")
    async def user(id: int) -> str:
        return f"user {id}"

    @get("/items/{id:int}")
    async def item(id: int) -> str:
        return f"item {id}"

    @post("/orders")
    async def orders(request: Request) -> Response:
        return Response(str(len(await request.body())), status_code=201)

    @get("/fails")
    async def fails() -> None:
        raise ValueError("no")

    app = Litestar([hello, user, orders, fails, Router("/api", route_handlers=[item])], openapi_config=None)
    return taba.asgi.Middleware(app)


def make_quart():
    from quart import Blueprint, Quart, request

    app = Quart("shop")
    items = Blueprint("items", "items", url_prefix="/api")

    @app.get("/")
    async def hello():
        return "hello"

    @app.get("/users/<int:id>")
    async def user(id):
        return f"user {id}"

    @items.get("/items/<int:id>")
    async def item(id):
        return f"item {id}"

    @app.post("/orders")
    async def orders():
        return str(len(await request.get_data())), 201

    @app.get("/fails")
    async def fails():
        raise ValueError("no")

    app.register_blueprint(items)
    app.asgi_app = taba.asgi.Middleware(app.asgi_app)
    return app


@cache
def flask_app():
    from flask import Blueprint, Flask, Response, request, send_file

    app = Flask("shop")
    items = Blueprint("items", "items", url_prefix="/api")

    @app.get("/")
    def hello():
        return "hello"

    @app.get("/users/<int:id>")
    def user(id):
        return f"user {id}"

    @items.get("/items/<int:id>")
    def item(id):
        return f"item {id}"

    @app.post("/orders")
    def orders():
        return str(len(request.get_data())), 201

    @app.get("/fails")
    def fails():
        raise ValueError("no")

    @app.get("/slow")
    def slow():
        time.sleep(SLOW)
        return "slow"

    @app.get("/stream")
    def stream():
        return Response(parts())

    @app.get("/breaks")
    def breaks():
        return Response(broken_parts())

    @app.get("/file")
    def file():
        return send_file(__file__)

    app.register_blueprint(items)
    return app


def make_flask():
    app = flask_app()
    app.wsgi_app = taba.wsgi.Middleware(app.wsgi_app)
    return app


def make_bare_flask():
    return flask_app()


def django_urls():
    import django
    from django.conf import settings
    from django.http import HttpResponse
    from django.urls import include, path

    def fails(request):
        raise ValueError("no")

    items = [path("items/<int:id>", lambda request, id: HttpResponse(f"item {id}"))]
    urls = [
        path("", lambda request: HttpResponse("hello")),
        path("users/<int:id>", lambda request, id: HttpResponse(f"user {id}")),
        path("api/", include((items, "items"))),
        path("orders", lambda request: HttpResponse(str(len(request.body)), status=201)),
        path("fails", fails),
    ]
    settings.configure(ROOT_URLCONF=tuple(urls), ALLOWED_HOSTS=["*"], SECRET_KEY="test", USE_TZ=True)
    django.setup()


def make_django():
    django_urls()
    from django.core.wsgi import get_wsgi_application

    return taba.wsgi.Middleware(get_wsgi_application())


def make_django_asgi():
    django_urls()
    from django.core.asgi import get_asgi_application

    return taba.asgi.Middleware(get_asgi_application())


def make_bottle():
    from bottle import Bottle, HTTPResponse, request

    app = Bottle()
    app.get("/", callback=lambda: "hello")
    app.get("/users/<id:int>", callback=lambda id: f"user {id}")
    app.get("/api/items/<id:int>", callback=lambda id: f"item {id}")
    app.post("/orders", callback=lambda: HTTPResponse(str(len(request.body.read())), 201))

    @app.get("/fails")
    def fails():
        raise ValueError("no")

    return taba.wsgi.Middleware(app)


def make_falcon():
    import falcon

    class TellRoute:
        def process_resource(self, request, response, resource, parameters):
            request.env["taba.route"] = request.uri_template

    class Page:
        def on_get(self, request, response, **parameters):
            response.text = " ".join(["page", *parameters.values()])

        def on_post(self, request, response):
            response.status, response.text = 201, str(len(request.bounded_stream.read()))

    class Fails:
        def on_get(self, request, response):
            raise ValueError("no")

    app = falcon.App(middleware=[TellRoute()])
    for path in ("/", "/users/{id}", "/api/items/{id}", "/orders"):
        app.add_route(path, Page())
    app.add_route("/fails", Fails())
    return taba.wsgi.Middleware(app)


def make_raw_wsgi():
    """No framework: `write`, a generator that starts late, a second status by exc_info, a list without close."""

    def app(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/write":
            write = start_response("200 OK", [])
            write(b"one")
            return [b"two"]
        if path == "/second":
            start_response("200 OK", [])
            try:
                raise ValueError("second thoughts")
            except ValueError:
                start_response("503 Later", [], sys.exc_info())
            return [b"later"]
        return late_start(environ, start_response)

    def late_start(environ, start_response):
        start_response("404 Not Found", [("Content-Length", "4")])
        yield b"gone"

    known = {"/write": "/write", "/second": "/second"}
    return taba.wsgi.Middleware(app, route=lambda environ: known.get(environ["PATH_INFO"]))
