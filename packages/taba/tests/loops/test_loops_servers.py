"""Real web servers: what blocks one is in the answers of a real Taba server, and what only waits is not."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from engines import free_port
from loops_server import GUNICORN
from loops_web import EXAMPLES, HERE, serving
from server_process import wait_until

PROGRAM = str(HERE / "loops_server.py")
KINDS = {
    "asyncio": [sys.executable, PROGRAM, "uvicorn", "asyncio"],
    "uvloop": [sys.executable, PROGRAM, "uvicorn", "uvloop"],
    "pywsgi": [sys.executable, PROGRAM, "pywsgi"],
}


@pytest.fixture(scope="module", params=KINDS)
def web(request, taba_server):
    port = free_port()
    with serving(taba_server, request.param, [*KINDS[request.param], str(port)], port) as (web, _):
        wait_until(web.beats)
        yield web


def test_what_blocks_is_found_with_its_function_and_its_duration(web):
    """The promise itself: who blocks the loop for 300 ms stands in the answers, each time once."""
    before = web.blocked()
    for _ in range(3):
        web.get("/block")
        time.sleep(0.1)
    wait_until(lambda: web.blocked() >= before + 3)
    assert web.blocked() == before + 3
    assert web.count("loop.stalls{cause=blocked}") >= before + 3
    assert web.answers("loop.stall_ms")["loop.stall_ms"]["max"] > 250
    assert web.answers("loop.lag_ms")["loop.lag_ms"]["max"] > 200


def test_what_waits_and_what_rests_is_no_stall(web):
    """Twenty requests that wait, at a time; then nothing to do at all."""
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(web.get, ["/wait"] * 20))
    time.sleep(1)
    assert [stack for stack in web.stacks() if "stand_in_the_way" not in stack and "loops_server" in stack] == []


def test_a_request_that_waits_did_not_run_and_one_that_blocks_did(web):
    """Spans, in a real server: milliseconds of both, and the longest run without a pause."""
    for path in ("/block", "/wait", "/parts") * 3:
        web.get(path)
    tabs = [f"request.{name}{{route={path}}}" for name in ("run_ms", "wait_ms") for path in ("/block", "/wait")]
    wait_until(lambda: all(web.count(tab) >= 3 for tab in [*tabs, "request.longest_run_ms{route=/parts}"]))
    mean = {name: answer["mean"] for name, answer in web.answers("request.*").items()}
    least = {name: answer["min"] for name, answer in web.answers("request.*").items()}
    assert least["request.run_ms{route=/block}"] > 290
    assert least["request.wait_ms{route=/block}"] < 100, "of three that a busy machine held up, one at least"
    assert least["request.run_ms{route=/wait}"] < 100
    assert least["request.wait_ms{route=/wait}"] > 290
    assert 29 < mean["request.longest_run_ms{route=/parts}"] < mean["request.run_ms{route=/parts}"] - 50
    assert mean["request.switches{route=/parts}"] >= 3


@pytest.mark.parametrize("how", ["hook", "preload"])
def test_each_worker_of_gunicorn_is_watched(taba_server, tmp_path, how):
    """Prefork, by one line in a hook, or by the app's own line before the fork: the watch begins anew in the child."""
    port, config, client = free_port(), tmp_path / "gunicorn.conf.py", f"gunicorn-{how}"
    text = GUNICORN.format(port=port, preload=how == "preload")
    app = "loops_server:wsgi_app"
    if how == "preload":
        text = text[: text.index("def post_worker_init")]
        app = "loops_preloaded:wsgi_app"
    config.write_text(text)
    command = [sys.executable, "-m", "gunicorn", "-c", str(config), app]
    with serving(taba_server, client, command, port) as (web, _):
        pids = set()
        wait_until(lambda: (pids.add(web.get("/pid")), len(pids) == 2)[1])
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(web.get, ["/block"] * 8))
        wait_until(lambda: web.blocked() >= 2)
        wait_until(lambda: {f"{client}-{pid}" for pid in pids} <= web.clients("loop.lag_ms"))


@pytest.mark.parametrize("example", ["uvicorn", "gunicorn"])
def test_the_examples_do_what_their_page_says(taba_server, example):
    """As they stand in the documentation, started as it says."""
    port = free_port()
    told = {
        "uvicorn": ["uvicorn", "--port", str(port), "--log-level", "warning", "loops_asgi:app"],
        "gunicorn": ["gunicorn", "-k", "gevent", "-b", f"127.0.0.1:{port}", "--no-control-socket", "loops_gevent:app"],
    }
    command = [sys.executable, "-m", *told[example]]
    with serving(taba_server, f"example-{example}", command, port, EXAMPLES) as (web, _):
        wait_until(web.beats)
        web.get("/slow")
        with ThreadPoolExecutor(40) as pool:
            list(pool.map(web.get, ["/patient"] * 120))
        wait_until(lambda: any("look_up_price" in stack for stack in web.stacks()))
        wait_until(lambda: web.count("request.wait_ms{route=/patient}"))
        assert web.answers("request.wait_ms*")["request.wait_ms{route=/patient}"]["min"] > 290
