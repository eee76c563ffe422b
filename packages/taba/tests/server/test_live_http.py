"""`GET /v1/live` of real servers: soon, shared, resumable, and bounded whatever its readers do."""

import asyncio
import http.client
import json
import random
import socket
import threading
import time
from contextlib import ExitStack, closing, nullcontext
from types import SimpleNamespace
from urllib.parse import urlsplit

import psutil
import pytest
from engines import EngineServer, shared
from live_reader import Events, LiveReader, merged
from server_process import ServerProcess, wait_until

from taba.server.live import stream

SOON = 60.0
"""Seconds within which a change must show on a machine that is busy with other things; on an idle one it is 0.5."""


@pytest.fixture
def watch(server):
    """Watch the test's server, or another; closed at the end."""
    with ExitStack() as stack:

        def begun(of_server=None, **parameters):
            return stack.enter_context(closing(LiveReader((of_server or server).url, **parameters)))

        yield begun


def refusal(url, **parameters):
    """The status and the error of a question that is refused before a stream begins."""
    with closing(Events(url, **parameters)) as events:
        return events.answer.status, json.loads(events.answer.read())["error"]


def evaluations(server):
    """How often a watched question was answered, so far, by the server's own count."""
    server.record([{"tab": "flush", "value": 1}])
    return server.totals("taba.server.live.ms", of="count").get("taba.server.live.ms", 0)


def test_an_event_shows_soon_and_a_late_one_corrects(server, watch):
    """First all answers, then what changes of them; an event of ten minutes ago changes the hour and its old slice."""
    server.record([{"tab": "a", "value": 1}, {"tab": "quiet", "value": 1}])
    shown = watch(window=["1m", "1h"])
    points = watch(of="series", tab="a", span="1h", step="1m")
    shown.shows_total("a", 1.0)
    points.shows(lambda tabs: [point["total"] for point in tabs["a"]] == [1.0])
    assert shown.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert shown.headers["Cache-Control"] == "no-store"
    assert shown.headers["X-Accel-Buffering"] == "no"
    server.record([{"tab": "a", "value": 2}])
    shown.shows_total("a", 3.0, seconds=SOON)
    late = time.time() - 600
    server.record([{"tab": "a", "value": 4, "time": late}])
    shown.shows_total("a", 7.0, "1h", SOON)
    assert shown.state["tabs"]["a"]["1m"]["total"] == 3.0
    points.shows(lambda tabs: any(p["total"] == 4 and p["time"] == late // 60 * 60 for p in tabs["a"]), SOON)
    assert len(shown.of("answers")) == 1
    assert all("quiet" not in data["tabs"] for data in shown.of("changes")), "it never changed"


def test_it_holds_what_the_routes_answer(server, watch):
    """Whatever is recorded: the whole body, of each kind, by who has only merged what came."""
    chance = random.Random(5)
    kinds = {"c": "counter", "p": "percentile", "g": "gauge", "u": "uniques", "t": "top", "b": "buffer"}
    readers = {
        ("/v1/aggregates", "1m"): watch(window="1h"),
        ("/v1/aggregates", "by"): watch(window="1h", by="x", client="web*"),
        ("/v1/projections", "1m"): watch(of="projections", window="1h"),
    }
    for _ in range(30):
        events = [
            {"tab": f"{letter}{{x={chance.randrange(3)}}}", "type": kinds[letter], "value": chance.randrange(100)}
            | {"time": time.time() - chance.choice([0, 0, 5, 900])}
            for letter in chance.choices("cpgutb", k=5)
        ]
        server.record(events, client=f"web-{chance.randrange(4)}")
        time.sleep(0.05)
    for (path, which), reader in readers.items():
        more = {"by": "x", "client": "web*"} if which == "by" else {}
        wait_until(lambda: reader.state["tabs"] == server.get(path, window="1h", **more)["tabs"])  # noqa: B023
        assert reader.state.keys() == server.get(path, window="1h", **more).keys()
        assert len(reader.of("answers")) == 1


def test_who_comes_back_gets_only_what_changed_and_elsewhere_all_there_is(tmp_path):
    """By the id that was seen last: on its own server the changes, on another one, which shares the store, all."""
    store = {"store": f"{shared('redis').url}?prefix={tmp_path.name}"}
    with ExitStack() as stack:
        for name in "ab":
            (tmp_path / name).mkdir()
        one, other = (stack.enter_context(closing(ServerProcess(tmp_path / n, gather_ms=10, **store))) for n in "ab")
        one.record([{"tab": "a", "value": 1}, {"tab": "b", "value": 1}])
        with closing(LiveReader(one.url, window="1h")) as reader:
            reader.shows_total("b", 1.0, "1h")
            held, last = reader.state, reader.last_id
        one.record([{"tab": "b", "value": 2}])
        again = stack.enter_context(closing(LiveReader(one.url, last, held, window="1h")))
        again.shows_total("b", 3.0, "1h")
        assert again.of("answers") == []
        assert [data for data in again.of("changes") if "a" in data["tabs"]] == []
        named = LiveReader(one.url, held=held, window="1h", last_event_id=last)
        parameter = stack.enter_context(closing(named))
        parameter.shows_total("b", 3.0, "1h")
        assert parameter.of("answers") == []
        elsewhere = stack.enter_context(closing(LiveReader(other.url, last, window="1h")))
        elsewhere.shows_total("b", 3.0, "1h")
        assert elsewhere.seen[0][1] == "answers"
        assert elsewhere.state["tabs"].keys() == {"a", "b"}
        # What another server writes, and a tab that it was the first to record, is looked for.
        one.record([{"tab": "b", "value": 10}, {"tab": "new", "value": 1}])
        elsewhere.shows_total("b", 13.0, "1h", SOON)
        elsewhere.shows_total("new", 1.0, "1h", SOON)


def test_an_id_that_nobody_knows_gets_all_there_is(server):
    """Whatever it is."""
    server.record([{"tab": "a", "value": 1}])
    for last in ("x", "0123456789abcdef.3", ".", "9" * 400, "a.-1", "é"):
        with closing(LiveReader(server.url, window="1h", last_event_id=last)) as reader:
            reader.shows_total("a", 1.0, "1h")
            assert reader.seen[0][1] == "answers", last


def test_fifty_watchers_of_a_question_have_it_answered_once(server, watch):
    """And all are told the same, at the same moments; in another order of its parameters it is the same question."""
    server.record([{"tab": "a", "value": 1}, {"tab": "b", "value": 1}])
    readers = [watch(tab=["a", "b"] if number % 2 else ["b", "a"], window="1h") for number in range(50)]
    for reader in readers:
        reader.shows_total("a", 1.0, "1h")
    before, moments = evaluations(server), [len(reader.seen) for reader in readers]
    for number in range(10):
        server.record([{"tab": "a", "value": 1}])
        readers[number].shows_total("a", 2.0 + number, "1h")
    for reader in readers:
        reader.shows_total("a", 11.0, "1h")
    told = max(len(reader.seen) - since for reader, since in zip(readers, moments, strict=True))
    assert 1 <= evaluations(server) - before <= 3 * (told + 2), "not fifty times as many"
    ids = {reader.last_id.partition(".")[0] for reader in readers}
    assert len(ids) == 1
    status = server.get("/v1/status")
    assert (status["watched"], status["watchers"]) == (1, 50)


def stalled(url, path):
    """A watcher that asks and then reads nothing, with as little room as the system gives."""
    address = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((address.hostname, address.port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def wide(server, value, tabs=3000):
    """An event in each of so many tabs, so that an update is half a megabyte."""
    server.record([{"tab": f"wide.{number:05d}", "value": value} for number in range(tabs)])


def test_a_watcher_that_does_not_read_delays_nobody_and_is_told_what_it_missed(server, watch):
    """It holds up its sockets' buffers and one update, so memory stays; when it reads, it has it all at once."""
    wide(server, 1)
    reader = watch(tab="wide.*", window="1h")
    reader.shows_total("wide.00000", 1.0, "1h")
    asleep = [stalled(server.url, "/v1/live?tab=wide.*&window=1h") for _ in range(5)]
    for value in range(2, 8):
        wide(server, 1)
        reader.shows_total("wide.02999", float(value), "1h")
    process = psutil.Process(server.pid)
    memory = process.memory_info().rss
    for value in range(8, 20):
        wide(server, 1)
        reader.shows_total("wide.02999", float(value), "1h", SOON)
    assert process.memory_info().rss < memory + (100 << 20), "12 updates of half a megabyte for each of five"
    answer = http.client.HTTPResponse(asleep[0])
    answer.begin()
    events = Events.__new__(Events)
    events.answer, events.comments = answer, []
    held, missed = None, 0
    for event, _, data in events:
        held, missed = merged(held, event, data), missed + data.get("missed", 0)
        if held["tabs"]["wide.02999"]["1h"]["total"] == 19.0:
            break
    assert missed > 0
    assert held["tabs"] == server.get("/v1/aggregates", tab="wide.*", window="1h")["tabs"]
    for connection in asleep:
        connection.close()


def test_a_watcher_that_reads_nothing_for_too_long_is_cut_off(tmp_path):
    """Its connection and its place are given back; who reads stays, however long."""
    with closing(ServerProcess(tmp_path, gather_ms=10, limits={"live_stall_s": 4.0, "live_watchers": 2})) as server:
        wide(server, 1)
        asleep = stalled(server.url, "/v1/live?tab=wide.*&window=1h")
        with closing(LiveReader(server.url, tab="wide.*", window="1h")) as reader:
            reader.shows_total("wide.00000", 1.0, "1h")
            process = psutil.Process(server.pid)

            def cut():
                wide(server, 1)
                held = [one for one in process.net_connections() if one.raddr and one.raddr.port == port]
                return not held

            port = asleep.getsockname()[1]
            wait_until(cut)
            with closing(LiveReader(server.url, tab="wide.*", window="1h")) as another:
                assert another.status == 200
                wide(server, 1)
                wait_until(lambda: server.totals("taba.server.live.dropped") == {"taba.server.live.dropped": 1.0})
            assert not reader.ended
        asleep.close()


class Connection:
    """A transport with so many bytes in its buffer, at one look after the other."""

    def __init__(self, *sizes):
        self.sizes = list(sizes)

    def get_write_buffer_size(self):
        return self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0]


@pytest.mark.parametrize(("sizes", "taken"), [((900, 500, 100, 0), True), ((900, 500, 500), False)])
def test_who_reads_slowly_and_goes_on_is_not_cut_off(sizes, taken):
    """Only one of whose update nothing at all is taken for the time allowed."""
    sent = []

    async def send(message):
        if connection.sizes[0]:
            await asyncio.sleep(60)
        sent.append(message)

    async def run():
        watcher = stream._Stream({"method": "GET", "extensions": {stream.TRANSPORT: connection}}, send, topic, "", 0.05)
        await watcher._sent(b"x")

    connection = Connection(*sizes)
    topic = SimpleNamespace(seen=lambda _: None, ended=False)
    with nullcontext() if taken else pytest.raises(TimeoutError):
        asyncio.run(run())
    assert len(sent) == taken


def test_limits_of_questions_watchers_and_rows(tmp_path):
    """Each is refused before a stream begins, with the limit's name; a place that is left can be had."""
    limits = {"live_questions": 2, "live_watchers": 3, "live_rows": 5}
    with closing(ServerProcess(tmp_path, gather_ms=10, limits=limits)) as server, ExitStack() as stack:
        server.record([{"tab": f"t{number}", "value": 1} for number in range(6)])
        status, told = refusal(server.url, window="1m")
        assert (status, "(limits.live_rows)" in told) == (400, True)
        for tab in ("t1", "t2"):
            stack.enter_context(closing(LiveReader(server.url, tab=tab)))
        status, told = refusal(server.url, tab="t3")
        assert (status, "(limits.live_questions)" in told) == (503, True)
        last = stack.enter_context(closing(LiveReader(server.url, tab="t1")))
        status, told = refusal(server.url, tab="t1")
        assert (status, "(limits.live_watchers)" in told) == (503, True)
        last.close()
        wait_until(lambda: refusal_or_stream(server.url) == 200)


def refusal_or_stream(url):
    with closing(Events(url, tab="t1")) as events:
        return events.answer.status


def test_questions_that_grow_too_large_end_with_the_reason(tmp_path):
    """The answer was small when it began to be watched."""
    with closing(ServerProcess(tmp_path, gather_ms=10, limits={"live_rows": 5})) as server:
        server.record([{"tab": "t0", "value": 1}])
        with closing(LiveReader(server.url, tab="t*", window="1m")) as reader:
            reader.shows_total("t0", 1.0)
            server.record([{"tab": f"t{number}", "value": 1} for number in range(6)])
            wait_until(lambda: reader.ended)
            (told,) = reader.of("error")
            assert "(limits.live_rows)" in told["error"]


BAD = {
    "of=everything": "of: 'everything' is none of aggregates, projections, series",
    "window=7x": "window: '7x' is not a duration",
    "of=series&from=1": "from: there is no such parameter",
    "of=series&span=-1m": "span: ",
    "tab=a{": "tab: ",
    "of=series&step=1s&step=2s": "step: it is given 2 times",
    "last_event_id=a&last_event_id=b": "last_event_id: it is given 2 times",
}


def test_a_bad_question_is_refused_before_a_stream_begins(server):
    """With the field, as everywhere."""
    for query, told in BAD.items():
        answer = server.request("GET", f"/v1/live?{query}")
        assert answer.status == 400
        assert answer.content["error"].startswith(told)
    assert server.request("HEAD", "/v1/live").status == 200
    assert server.request("POST", "/v1/live").status == 405


def test_while_the_store_is_away_watchers_are_told_and_then_it_goes_on(tmp_path):
    """What is shown stays; when the store is back, what changed meanwhile follows. A new question gets a 503."""
    with ExitStack() as stack:
        engine = stack.enter_context(closing(EngineServer(tmp_path / "engine", appendonly="yes", appendfsync="always")))
        server = stack.enter_context(closing(ServerProcess(tmp_path, gather_ms=10, store=engine.url)))
        server.record([{"tab": "a", "value": 1}])
        reader = stack.enter_context(closing(LiveReader(server.url, tab="a", window="1h")))
        reader.shows_total("a", 1.0, "1h")
        engine.kill()
        wait_until(lambda: reader.of("trouble"))
        status, told = refusal(server.url, tab="other")
        assert (status, bool(told)) == (503, True)
        engine.start()
        wait_until(lambda: server.request("GET", "/ping").status == 200)
        server.record([{"tab": "a", "value": 2}])
        reader.shows_total("a", 3.0, "1h")
        assert len(reader.of("trouble")) == 1
        assert len(reader.of("answers")) == 1


def test_a_server_that_stops_ends_its_streams_and_is_gone_soon(server, watch):
    """Those that read and those that do not: a stop does not wait for its watchers."""
    wide(server, 1)
    readers = [watch(tab="wide.*", window="1h") for _ in range(3)]
    for reader in readers:
        reader.shows_total("wide.00000", 1.0, "1h")
    asleep = stalled(server.url, "/v1/live?tab=wide.*&window=1h&by=")
    for value in range(2, 8):  # more than the system holds of what is not read
        wide(server, 1)
        readers[0].shows_total("wide.02999", float(value), "1h")
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 45
    for reader in readers:
        wait_until(lambda: reader.ended)  # noqa: B023
        assert reader.of("error") == []
    assert "Cancel" not in server.log()
    asleep.close()


def test_watchers_that_come_and_go_leave_nothing(server):
    """Sockets, questions and memory are given back."""
    server.record([{"tab": "a", "value": 1}])
    process = psutil.Process(server.pid)

    def hurry(number):
        for turn in range(10):
            with closing(Events(server.url, tab="a", window=f"{1 + (number + turn) % 5}m")) as events:
                next(iter(events))

    threads = [threading.Thread(target=hurry, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: server.get("/v1/status")["watchers"] == 0)
    wait_until(lambda: server.get("/v1/status")["watched"] == 0)
    wait_until(lambda: len(process.net_connections()) <= 2)
