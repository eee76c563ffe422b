"""Real web servers whose requests block, wait or compute, for the tests of event loops.

python loops_server.py uvicorn LOOP PORT      an ASGI app on uvicorn; LOOP is asyncio or uvloop
python loops_server.py pywsgi PORT            a WSGI app on gevent's own server
gunicorn loops_server:wsgi_app …              the same app under gunicorn; see `gunicorn_command`

GET /block blocks the loop for 300 ms, GET /wait lets others run meanwhile, GET /parts blocks 3 times 30 ms between
waits, GET /pid tells the process.
"""

import os
import sys
import time

BLOCK_SECONDS = 0.3

GUNICORN = """
import taba.loops

bind = "127.0.0.1:{port}"
workers = 2
worker_class = "gevent"
preload_app = {preload}
control_socket_disable = True

def post_worker_init(worker):
    taba.loops.watch_gevent()
"""
"""Without preloading one line in a hook of the worker is what the page says; with it the app's own line does."""


def stand_in_the_way(seconds: float) -> None:
    """What a test looks for in the stacks: it sleeps as what gevent cannot patch does."""
    monkey = sys.modules.get("gevent.monkey")
    sleep = time.sleep if monkey is None else monkey.get_original("time", "sleep")
    sleep(seconds)


async def asgi_app(scope, receive, send):
    import asyncio

    import taba.loops

    if scope["type"] == "lifespan":
        await receive()
        taba.loops.watch()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = scope["taba.route"] = scope["path"]
    if path == "/block":
        stand_in_the_way(BLOCK_SECONDS)
    elif path == "/wait":
        await asyncio.sleep(BLOCK_SECONDS)
    elif path == "/parts":
        for _ in range(3):
            stand_in_the_way(0.03)
            await asyncio.sleep(0.03)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"ok\n"})


def wsgi_app(environ, start_response):
    import gevent

    path = environ["taba.route"] = environ["PATH_INFO"]
    body = b"ok\n"
    if path == "/block":
        stand_in_the_way(BLOCK_SECONDS)
    elif path == "/wait":
        gevent.sleep(BLOCK_SECONDS)
    elif path == "/parts":
        for _ in range(3):
            stand_in_the_way(0.03)
            gevent.sleep(0.03)
    elif path == "/pid":
        body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def main() -> None:
    if sys.argv[1] == "uvicorn":
        import uvicorn

        from taba.loops import spans

        app = spans.asgi(asgi_app, one_in=1)
        uvicorn.run(app, port=int(sys.argv[3]), loop=sys.argv[2], log_level="warning")
    else:
        from gevent import monkey

        monkey.patch_all()
        from gevent.pywsgi import WSGIServer

        import taba.loops
        from taba.loops import spans

        taba.loops.watch_gevent()
        WSGIServer(("127.0.0.1", int(sys.argv[2])), spans.wsgi(wsgi_app, one_in=1), log=None).serve_forever()


if __name__ == "__main__":
    main()
