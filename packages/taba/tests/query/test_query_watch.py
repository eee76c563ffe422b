"""`watch()` by both clients: live answers merged, connections resumed, trouble told, and a loop that is slow."""

import asyncio
import gc
import json
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
from query_world import HEAD, counts, event, stream, wait_for

from taba.query import AsyncClient, Client, QueryError, UnreachableError


class Loop:
    """A synchronous view of either client's watch; the asynchronous one has an event loop in a thread of its own."""

    def __init__(self, kind: str, url: str, settings: dict, name: str, named: dict) -> None:
        self._loop = None
        if kind == "sync":
            self.client = Client(url, **settings)
            self.watch = getattr(self.client, name)("a*", **named)
            return
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

        async def begin():
            self.client = AsyncClient(url, **settings)
            self.watch = getattr(self.client, name)("a*", **named)

        self._run(begin())

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def next(self):
        """The next answer; None where there are no more."""
        if self._loop is None:
            return next(self.watch, None)

        async def step():
            return await anext(self.watch, None)

        return self._run(step())

    def close(self) -> None:
        for what in (self.watch, self.client):
            closing = what.close()
            if self._loop is not None:
                self._run(closing)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)


@pytest.fixture(params=["sync", "async"])
def watching(request, scripted):
    """Watch the scripted server, or another."""

    @contextmanager
    def begin(name="watch", url=None, settings=None, **named):
        loop = Loop(request.param, url or scripted.url, settings or {}, name, named)
        try:
            yield loop
        finally:
            scripted.ending.set()
            loop.close()

    return begin


def test_answers_and_changes(watching, scripted):
    """The whole answer first, and then each as it is with its changes; what was asked reaches the server."""
    go = threading.Event()
    parts = [": hello\n\nretry: 50\n\n", event("answers", counts(a=1, ab=5), "1"), go.wait]
    parts += [event("changes", counts(a=2, ab=None, aa=7), "2")]
    scripted.script = [stream(*parts, held=scripted.ending)]
    with watching(window=["1m", 3600], client="web-*", by="shop") as loop:
        first = loop.next()
        assert {tab: windows["1m"].count for tab, windows in first.items()} == {"a": 1, "ab": 5}
        assert (first.changed, first.missed, first.trouble) == ({"a", "ab"}, 0, None)
        go.set()
        second = loop.next()
        assert {tab: windows["1m"].count for tab, windows in second.items()} == {"a": 2, "aa": 7}
        assert list(second) == ["a", "aa"]
        assert second.changed == {"a", "ab", "aa"}
        assert list(first) == ["a", "ab"], "an answer that was given does not change"
    path, asked, headers = scripted.requests[0]
    assert path == "/v1/live"
    told = [
        ("of", "aggregates"),
        ("tab", "a*"),
        ("window", "1m"),
        ("window", "1h"),
        ("client", "web-*"),
        ("by", "shop"),
    ]
    assert asked == told
    assert "last-event-id" not in headers


def test_a_connection_that_breaks(watching, scripted):
    """Between, the last answer says what the trouble is; then it goes on from where it was."""
    seen, go = threading.Event(), threading.Event()
    scripted.script = [
        stream("retry: 20\n\n", event("answers", counts(a=1), "x.1"), seen.wait),
        "cut",
        (503, {"Retry-After": "0.02"}, '{"error":"it ends"}'),
        lambda handler: (go.wait(60), stream(event("changes", counts(ab=2), "x.2"), held=scripted.ending)(handler)),
    ]
    with watching() as loop:
        assert loop.next().trouble is None
        seen.set()
        troubled = loop.next()
        assert "no Taba server at" in troubled.trouble or "it ends" in troubled.trouble
        assert list(troubled) == ["a"]
        wait_for(lambda: len(scripted.requests) == 4)
        go.set()
        answer = loop.next()
        while answer.trouble:
            answer = loop.next()
        assert list(answer) == ["a", "ab"]
        assert [headers.get("last-event-id") for _, _, headers in scripted.requests] == [None, *["x.1"] * 3]


def test_the_servers_trouble(watching, scripted):
    """It is told with the last answer, once, and gone with the next."""
    go = threading.Event()
    parts = [event("answers", counts(a=1)), go.wait, event("trouble", '{"error":"the store is away"}')]
    scripted.script = [stream(*parts, event("trouble", '{"error":"the store is away"}'), held=scripted.ending)]
    with watching(timeout=3.0) as loop:
        assert loop.next().trouble is None
        go.set()
        assert loop.next().trouble == "the store is away"
        assert loop.next() is None


def test_the_end_that_the_server_makes(watching, scripted):
    """An `error` event is raised, with the server's words; after it there is nothing."""
    scripted.script = [stream(event("answers", counts(a=1)), event("error", '{"error":"tab: too many by now"}'))]
    with watching() as loop:
        with pytest.raises(QueryError, match="tab: too many by now"):
            while loop.next():
                pass
        assert loop.next() is None


def test_a_slow_loop_gets_the_newest(watching, scripted):
    """What came meanwhile is one answer, which says how many changes are folded into it: here's and the server's."""
    go, done = threading.Event(), threading.Event()
    missed = json.loads(counts(ab=3)) | {"missed": 4}
    parts = [event("answers", counts(a=0)), go.wait, *(event("changes", counts(a=n)) for n in range(1, 10))]
    parts += [event("changes", json.dumps(missed)), done.set]
    scripted.script = [stream(*parts, held=scripted.ending)]
    with watching() as loop:
        loop.next()
        go.set()
        done.wait(60)
        answer, seen = loop.next(), 0
        while "ab" not in answer:
            seen += 1 + answer.missed
            answer = loop.next()
        assert answer["a"]["1m"].count == 9
        assert seen + answer.missed == 9 + 4


def test_it_ends_in_time(watching, scripted):
    """After `timeout` seconds, whether anything comes or not."""
    scripted.script = [stream(": nothing\n\n", held=scripted.ending)]
    with watching(timeout=0.3) as loop:
        begun = time.monotonic()
        assert loop.next() is None
        assert time.monotonic() - begun >= 0.3
        assert loop.next() is None


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ((400, {}, '{"error":"window: no"}'), QueryError, "window: no"),
        ((503, {}, '{"error":"too many"}'), QueryError, "too many"),
        ((404, {}, "<html>"), QueryError, "not as a Taba server does"),
        (stream(event("answers", "[]")), QueryError, "what a Taba server does not"),
        ("cut", UnreachableError, "no Taba server at"),
    ],
)
def test_what_is_refused_at_once(watching, scripted, answer, error, text):
    """A question that cannot be watched is no endless loop."""
    scripted.script = [answer]
    with watching(settings={"retries": 1}) as loop, pytest.raises(error, match=text):
        loop.next()


def test_series_move_on(watching, scripted):
    """Points that are new or changed come in, those before the series' begin go."""

    def body(start, points):
        told = ",".join(f'{{"time":{time},"n":{n}}}' for time, n in points)
        return f'{{{HEAD},"from":{start},"to":{start + 3},"step":1,"tabs":{{"a":[{told}]}}}}'

    go = threading.Event()
    parts = [event("answers", body(1, [(1, 5), (2, 6)])), go.wait, event("changes", body(2, [(3, 7), (2, 8)]))]
    scripted.script = [stream(*parts, held=scripted.ending)]
    with watching("watch_series", span="3s", step=1) as loop:
        assert list(loop.next()["a"]) == [1, 2]
        go.set()
        answer = loop.next()
        assert [(time, point.n) for time, point in answer["a"].items()] == [(2, 8), (3, 7)]
        assert (answer.start, answer.stop) == (2, 5)
    assert scripted.requests[0][1] == [("of", "series"), ("tab", "a*"), ("span", "3s"), ("step", "1s")]


def test_closing_ends_a_step_that_waits(scripted):
    """From another thread; and the client's own end does so too."""
    scripted.script = [stream(event("answers", counts(a=1)), held=scripted.ending)]
    for close in (lambda client, watch: watch.close(), lambda client, watch: client.close()):
        client = Client(scripted.url)
        watch = client.watch("a")
        next(watch)
        threading.Timer(0.1, close, [client, watch]).start()
        assert list(watch) == []
        client.close()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "taba-watch"]


def test_a_watch_that_is_forgotten_ends(scripted):
    """`break` in a loop is enough: neither thread nor connection stay."""
    scripted.script = [stream(event("answers", counts(a=1)), held=scripted.ending)]
    with Client(scripted.url) as client:
        for answer in client.watch("a"):
            assert answer.one().count == 1
            break
        gc.collect()
        wait_for(lambda: not threads())


def test_a_task_that_is_forgotten_ends(scripted):
    """The same of the asynchronous one, also where its loop ends."""
    scripted.script = [stream(event("answers", counts(a=1)), held=scripted.ending)]

    async def main():
        async with AsyncClient(scripted.url) as client:
            async for answer in client.watch("a"):
                assert answer.one().count == 1
                break
            gc.collect()
            for _ in range(6000):
                await asyncio.sleep(0.01)
                if not [task for task in asyncio.all_tasks() if task.get_name() == "taba-watch"]:
                    return True
        return False

    assert asyncio.run(main())


class SlowToClose(httpx.AsyncByteStream):
    """A stream with one answer, whose connection takes its time to close."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()

    async def __aiter__(self):
        yield event("answers", counts(a=1)).encode()
        await asyncio.sleep(60)

    async def aclose(self):
        self.closing.set()
        await asyncio.sleep(60)


def test_who_is_cancelled_while_closing_is_cancelled():
    """The end of the watch's own task is not taken for the end of the one that closes it."""

    async def main() -> bool:
        stream = SlowToClose()
        answers = httpx.MockTransport(lambda request: httpx.Response(200, stream=stream))
        watch = AsyncClient("http://taba", http=httpx.AsyncClient(transport=answers)).watch("a")
        await anext(watch)
        closing = asyncio.create_task(watch.close())
        await stream.closing.wait()
        closing.cancel()
        await asyncio.wait([closing])
        return closing.cancelled()

    assert asyncio.run(main())
