"""One line around an app, in real servers: what is recorded is exactly what a real client asked for and got."""

import http.client
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from framework_apps import CHUNK, CHUNKS, SLOW
from framework_server import PATIENCE

ROUTES = {
    "starlette": ("/users/<id>", "/api/items/<id>"),
    "fastapi": ("/users/<id>", "/api/items/<id>"),
    "litestar": ("/users/<id>", "/api/items/<id>"),
    "quart": ("/users/<int:id>", "/api/items/<int:id>"),
    "django_asgi": ("/users/<int:id>", "/api/items/<int:id>"),
    "flask": ("/users/<int:id>", "/api/items/<int:id>"),
    "django": ("/users/<int:id>", "/api/items/<int:id>"),
    "bottle": ("/users/<id:int>", "/api/items/<id:int>"),
    "falcon": ("/users/<id>", "/api/items/<id>"),
}
ASGI = ("starlette", "fastapi", "litestar", "quart", "django_asgi")
SERVED = [
    ("starlette", "uvicorn-2"),
    ("fastapi", "uvicorn"),
    ("django", "gunicorn-sync"),
    ("flask", "gunicorn-gevent"),
    ("flask", "pywsgi"),
]
MORE = [
    *((app, "uvicorn" if app in ASGI else "gunicorn-sync") for app in ROUTES if app not in ("fastapi", "django")),
    ("starlette", "hypercorn"),
    ("flask", "gunicorn-preload"),
    ("flask", "gunicorn-threads"),
]


def requests_of(sink):
    """How many requests by route, method and status."""
    found = {}
    for tab, total in sink.totals().items():
        name, _, rest = tab.partition("{")
        if name == "http.requests":
            tags = dict(tag.split("=", 1) for tag in rest.rstrip("}").split(","))
            found[tags["route"], tags["method"], tags["status"]] = total
    return found


def numbers_of(sink, name):
    """All numbers recorded to a tab, in order, by client."""
    found = {}
    for frame in list(sink.frames):
        numbers = iter(frame.numbers())
        for tab, count in zip(frame.header.names, frame.header.counts, strict=True):
            values = [next(numbers) for _ in range(count)]
            if tab == name:
                found.setdefault(frame.header.client, []).extend(values)
    return found


def all_idle(sink):
    """Whether every process says, last of all, that no request is on its way."""
    active = numbers_of(sink, "http.active")
    return bool(active) and all(values[-1] == 0 for values in active.values())


def traffic(server):
    """Requests from several threads at once; what a client saw of them, by path and status."""
    plan = [("GET", "/", None)] * 20 + [("GET", f"/users/{number}", None) for number in range(30)]
    plan += [("GET", f"/api/items/{number}", None) for number in range(10)] + [("POST", "/orders", b"o" * 1000)] * 5
    plan += [("GET", f"/nothing/{number}", None) for number in range(8)] + [("GET", "/fails", None)] * 4
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda one: server.request(*one), plan))
    return answers, Counter(answer.status for answer in answers), sum(len(answer.content) for answer in answers)


@pytest.mark.parametrize(
    ("app", "how"), [*SERVED, *(pytest.param(*one, marks=pytest.mark.slow) for one in MORE)], ids=lambda name: name
)
def test_requests_are_counted_by_their_routes_template(serve, sink, app, how):
    """Exactly, over all worker processes and their end, with bytes, codes, latencies and exceptions."""
    server = serve(how, app)
    user, item = ROUTES[app]
    answers, statuses, size = traffic(server)
    assert statuses == {200: 60, 201: 5, 404: 8, 500: 4}
    server.stop()
    assert requests_of(sink) == {
        ("/", "GET", "2xx"): 20,
        (user, "GET", "2xx"): 30,
        (item, "GET", "2xx"): 10,
        ("/orders", "POST", "2xx"): 5,
        ("unmatched", "GET", "4xx"): 8,
        ("/fails", "GET", "5xx"): 4,
    }
    totals, counts = sink.totals(), sink.counts()
    assert {tab: total for tab, total in totals.items() if tab.startswith("http.codes")} == {
        f"http.codes{{code={code}}}": count for code, count in statuses.items()
    }
    assert totals["http.request.bytes{method=POST,route=/orders}"] == 5000
    assert size - sum(total for tab, total in totals.items() if tab.startswith("http.bytes")) in (
        0,
        sum(len(answer.content) for answer in answers if answer.status == 500),
    ), "the page of a 500 may be the server's and not the app's"
    assert sum(count for tab, count in counts.items() if tab.startswith("http.ms")) == len(answers)
    assert not any(tab.startswith("http.disconnects") for tab in totals)
    assert sink.nothing_is_missing()


@pytest.mark.parametrize(
    ("app", "how"), [("starlette", "uvicorn"), ("flask", "gunicorn-gevent")], ids=lambda name: name
)
def test_in_flight_is_what_it_is_and_returns_to_nothing(serve, sink, app, how):
    """While requests hang, and after some have left in the midst of a response or had it broken off."""
    server = serve(how, app)
    with ThreadPoolExecutor(3) as threads:
        leaving = [threads.submit(server.leave, "/stream", CHUNK[:100]) for _ in range(3)]
        for one in leaving:
            one.result()
    for _ in range(2):
        answer = server.request("GET", "/breaks")
        assert answer.status == 200
    sink.wait(lambda: requests_of(sink) == {("/stream", "GET", "2xx"): 3, ("/breaks", "GET", "2xx"): 2}, PATIENCE)
    sink.wait(lambda: all_idle(sink), PATIENCE)
    totals = sink.totals()
    assert {tab: total for tab, total in totals.items() if "disconnects" in tab} == {
        "http.disconnects{method=GET,route=/stream}": 3
    }
    assert sink.texts().count("ValueError") == 2
    assert 0 < totals["http.bytes{method=GET,route=/stream}"] < 3 * CHUNKS * len(CHUNK)
    assert totals["http.bytes{method=GET,route=/breaks}"] == 2 * len(CHUNK)


@pytest.mark.parametrize(("app", "how"), [("starlette", "uvicorn"), ("flask", "pywsgi")], ids=lambda name: name)
def test_in_flight_counts_requests_that_hang(serve, sink, app, how):
    """The gauge is read while they hang, with no request beginning or ending."""
    server = serve(how, app)
    with ThreadPoolExecutor(4) as threads:
        hanging = [threads.submit(server.get, "/stream") for _ in range(4)]
        sink.wait(lambda: any(4 in values for values in numbers_of(sink, "http.active").values()), PATIENCE)
        assert [one.result() for one in hanging] == [200] * 4
    sink.wait(lambda: all_idle(sink), PATIENCE)
    assert sink.totals()["http.bytes{method=GET,route=/stream}"] == 4 * CHUNKS * len(CHUNK)


def test_latency_ends_with_the_body_and_not_with_the_background(serve, sink):
    """A slow handler is slow; a response with a task behind it is not."""
    server = serve("uvicorn", "starlette")
    server.get("/slow", 3)
    server.get("/background", 3)
    sink.wait(lambda: sum(requests_of(sink).values()) == 6, PATIENCE)
    slow = numbers_of(sink, "http.ms{method=GET,route=/slow}")
    quick = numbers_of(sink, "http.ms{method=GET,route=/background}")
    for values in slow.values():
        assert min(values) >= SLOW * 1000 * 0.99
    for values in quick.values():
        assert min(values) < SLOW * 1000


@pytest.mark.parametrize(
    ("wrapped", "bare", "how"),
    [
        ("starlette", "bare_starlette", "uvicorn"),
        pytest.param("flask", "bare_flask", "gunicorn-sync", marks=pytest.mark.slow),
        ("flask", "bare_flask", "pywsgi"),
    ],
    ids=lambda name: name,
)
def test_responses_are_byte_for_byte_as_without(serve, sink, wrapped, bare, how):
    """The same headers, lengths and bodies: lists, files, streams, HEAD and errors."""
    one, other = serve(how, wrapped), serve(how, bare)
    for method, path in (
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/file"),
        ("HEAD", "/file"),
        ("GET", "/breaks"),
        ("GET", "/x"),
    ):
        seen = [server.request(method, path) for server in (one, other)]
        heads = [[pair for pair in answer.getheaders() if pair[0].lower() != "date"] for answer in seen]
        assert heads[0] == heads[1]
        bodies = [getattr(answer, "content", None) for answer in seen]
        assert bodies[0] == bodies[1]
    one.stop()
    assert sum(requests_of(sink).values()) == 6
    assert not any("disconnects" in tab for tab in sink.totals())


def test_websockets_are_counted(serve, sink):
    """Connections, messages each way, how long they were open; a refused one apart."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    server = serve("uvicorn", "starlette")
    url = f"ws://127.0.0.1:{server.port}"
    for room in range(3):
        with connect(f"{url}/echo/{room}") as socket:
            for text in ("one", "two"):
                socket.send(text)
                assert socket.recv() == text
            if room == 2:
                sink.wait(lambda: any(1 in one for one in numbers_of(sink, "http.websocket.active").values()), PATIENCE)
    with pytest.raises(InvalidStatus):
        connect(f"{url}/refuse").close()
    sink.wait(lambda: sink.counts().get("http.websocket.ms{route=/echo/<room>}") == 3, PATIENCE)
    sink.wait(lambda: numbers_of(sink, "http.websocket.active").popitem()[1][-1] == 0, PATIENCE)
    server.stop()
    totals = {tab: total for tab, total in sink.totals().items() if ".websocket." in tab and ".ms" not in tab}
    totals.pop("http.websocket.active")
    assert totals == {
        "http.websocket.opened{route=/echo/<room>}": 3,
        "http.websocket.messages{direction=in,route=/echo/<room>}": 6,
        "http.websocket.messages{direction=out,route=/echo/<room>}": 6,
        "http.websocket.refused{route=/refuse}": 1,
    }
    assert sink.texts() == []


def test_mounts_with_parameters_keep_them_out_of_the_tags(serve, sink):
    """A tenant in a mount's path is as unbounded as an id."""
    server = serve("uvicorn", "starlette")
    for number in range(3):
        server.get(f"/shops/shop{number}/items/7")
    server.stop()
    assert requests_of(sink) == {("/shops/<shop>/items/<id>", "GET", "2xx"): 3}


def test_wsgi_in_all_its_ways(serve, sink):
    """`write`, a status replaced by exc_info, a generator that answers late, a `route` of one's own."""
    server = serve("gunicorn-sync", "raw_wsgi")
    assert server.request("GET", "/write").content == b"onetwo"
    assert server.get("/second") == 503
    assert [server.get(f"/{number}") for number in range(5)] == [404] * 5
    server.request("BREW", "/write")
    server.stop()
    assert requests_of(sink) == {
        ("/write", "GET", "2xx"): 1,
        ("/write", "other", "2xx"): 1,
        ("/second", "GET", "5xx"): 1,
        ("unmatched", "GET", "4xx"): 5,
    }
    assert sink.totals()["http.bytes{method=GET,route=/write}"] == 6


def test_apps_run_as_ever_without_a_server_and_when_disabled(serve, sink):
    """Nobody answers at the address; or nothing is to be recorded at all."""
    for variables in ({"TABA_SERVER": "http://127.0.0.1:9"}, {"TABA_DISABLED": "1"}):
        server = serve("uvicorn", "starlette", **variables)
        assert server.get("/users/1") == 200
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < PATIENCE
        assert "Traceback" not in server.log()
    assert sink.frames == []


def test_a_killed_worker_is_replaced_and_counts_on(serve, sink):
    """Each process has an id and an account of its own; what a client saw answered before is not lost."""
    import os
    import signal

    server = serve("gunicorn-sync", "flask")
    server.get("/users/1", 20)
    sink.wait(lambda: sum(requests_of(sink).values()) == 20, PATIENCE)
    before = {client for client, _ in sink.accounts()}
    for client in before:
        os.kill(int(client.rpartition("-")[2]), signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if server.get("/users/2") == 200 and sum(requests_of(sink).values()) > 20:
                break
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    server.stop()
    after = {client for client, _ in sink.accounts()} - before
    assert after
    assert sink.nothing_is_missing()
