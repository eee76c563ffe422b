"""`watch()` against a real server: what is recorded is seen, over restarts too, and live answers are those of a GET."""

import asyncio
import threading
import time

import pytest
from engines import free_port
from server_process import ServerProcess

from taba.query import AsyncClient, Client, Counter, Percentile, QueryError


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server for all of these tests; each has tabs of its own."""
    server = ServerProcess(tmp_path_factory.mktemp("live"), gather_ms=2)
    yield server
    server.close()


def record(server, tab="queue.depth", value=1, client="web-1", **more):
    server.record([{"tab": tab, "value": value} | more], client=client)


def first(answers, wanted):
    """The first answer that is as wanted; the watch's timeout ends it otherwise."""
    for answer in answers:
        if wanted(answer):
            return answer
    raise AssertionError("it never came")


def test_a_loop_sees_what_is_recorded(server):
    """Each event changes the next answer, which is whole and typed."""
    with Client(server.url) as client, client.watch("seen.*", window="1d", kind=Counter, timeout=60) as answers:
        assert dict(next(answers)) == {}
        for count in range(1, 4):
            record(server, "seen.a", 2)
            answer = first(answers, lambda answer, count=count: answer and answer.one().count == count)
            assert answer.one().total == 2.0 * count
            assert answer.changed == {"seen.a"}


def test_live_answers_are_those_of_a_get(server):
    """After any number of changes, for each of the routes: merged here, it is what the server would say anew."""
    for number in range(5):
        for tab in ("orders", "orders{shop=berlin}"):
            record(server, tab, number, f"web-{number % 2}")
        record(server, "pages", "/x", type="top")
    tabs = ["orders", "pages"]
    with Client(server.url) as client:
        whole = client.watch(tabs, window="1d", timeout=60)
        by_client = client.watch_projections(tabs, window="1d", timeout=60)
        series = client.watch_series(tabs, span="1h", step="1h", timeout=60)
        assert next(whole).tabs == client.aggregates(tabs, window="1d").tabs
        assert next(by_client).tabs == client.projections(tabs, window="1d").tabs
        clients = client.watch_client_series("orders", span="1h", step="1h", timeout=60)
        next(series)
        next(clients)
        for number in range(5):
            record(server, f"orders{{shop={number}}}", number, f"web-{number}")
            record(server, "orders", 10)
        told = client.aggregates(tabs, window="1d").tabs
        first(whole, lambda answer: answer.tabs == told)
        each = client.projections(tabs, window="1d").tabs
        first(by_client, lambda answer: answer.tabs == each)
        first(series, lambda answer: sum(point.count for point in answer["orders"].values()) == 10)
        answer = first(clients, lambda answer: "web-4" in answer.get("orders{shop=4}", {}))
        assert sum(point.count for points in answer["orders"].values() for point in points.values()) >= 5


def test_over_a_restart_of_the_server(tmp_path):
    """It says that the server is away, is tried until it is back, and nothing that was recorded between is missing."""
    server = ServerProcess(tmp_path, gather_ms=2, port=(port := free_port()))
    try:
        record(server)
        with Client(server.url) as client, client.watch("queue.depth", window="1d", timeout=60) as answers:
            assert next(answers).one().count == 1
            server.kill()
            troubled = first(answers, lambda answer: answer.trouble)
            assert troubled.one().count == 1
            server = ServerProcess(tmp_path, gather_ms=2, port=port)
            record(server)
            answer = first(answers, lambda answer: not answer.trouble and answer.one().count == 2)
            assert answer.missed >= 0
    finally:
        server.close()


def test_a_feedback_loop_acts_on_the_newest(server):
    """A loop that is slower than events come is told how many answers it missed, and sees the last one."""
    record(server, "slow")
    done = threading.Event()

    def recording():
        for _ in range(20):
            record(server, "slow")
            time.sleep(0.1)
        done.set()

    with Client(server.url) as client, client.watch("slow", window="1d", timeout=60) as answers:
        next(answers)
        threading.Thread(target=recording, daemon=True).start()
        assert done.wait(60)
        seen = missed = count = 0
        while count < 21:
            answer = next(answers)
            count, seen, missed = answer.one().count, seen + 1, missed + answer.missed
        assert missed > seen


def test_the_asynchronous_one(server):
    """Several watches at once in one event loop, with other work between."""

    async def follow(client, tab):
        async for answer in client.watch(tab, window="1d", kind=Percentile, timeout=60):
            if answer and answer.one().count == 3:
                return answer.one().p50
        return None

    async def main():
        async with AsyncClient(server.url) as client:
            following = [asyncio.create_task(follow(client, f"a.{n}")) for n in range(5)]
            for _ in range(3):
                for n in range(5):
                    await asyncio.to_thread(record, server, f"a.{n}", n + 1.0, type="percentile")
            return await asyncio.gather(*following)

    assert asyncio.run(main()) == pytest.approx([1, 2, 3, 4, 5], rel=0.01)


def test_what_cannot_be_watched(server):
    """Refused at the first step, with the field."""
    with Client(server.url) as client:
        for watch in (client.watch(window="7x"), client.watch_series(step="7x"), client.watch_projections(window="7x")):
            with pytest.raises(QueryError, match="'7x' is not a duration") as failure:
                next(watch)
            assert failure.value.field in ("window", "step")
