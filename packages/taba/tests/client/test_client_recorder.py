"""The client as a program sees it: exact, on time, quiet, and harmless."""

import asyncio
import itertools
import logging
import math
import sys
import threading
import time
from contextlib import suppress

import pytest
from engines import free_port
from event_sink import EventSink

from taba import names
from taba.client import drain, flusher, sender
from taba.client.recorder import Recorder
from taba.client.settings import fill_in, resolve
from taba.client.spans import Spans


def test_what_threads_record_arrives_exactly(sink, client):
    """Eight threads record into shared tabs while frames are cut and answers are lost."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        _record_from_eight_threads(sink, client)
    finally:
        sys.setswitchinterval(interval)
    assert client.flush(30)
    assert sink.totals() == {"shared": 160_000} | {f"own{{thread={n}}}": sum(range(20_000)) for n in range(8)}
    assert sink.drops() == {}
    assert sink.nothing_is_missing()
    assert [frame.header.sequence for frame in sink.frames] == list(range(1, len(sink.frames) + 1))


def _record_from_eight_threads(sink, client):
    sink.script += ["lose", 503, "drop", 200, "lose", "lose"]
    shared = client.counter("shared").record

    def work(number):
        own = client.counter("own", thread=number)
        for value in range(20_000):
            shared(1)
            own.record(value)
            if value % 4000 == 0:
                time.sleep(0.05)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_an_event_arrives_within_half_a_second(sink, client):
    """Over and over; a machine that is busy may hold up some of them, and not all."""
    took = []
    for number in range(1, 6):
        time.sleep(0.06 * number)  # wherever in a quarter of a second it is
        started = time.monotonic()
        client.counter("a").record(1)
        sink.wait(lambda number=number: sink.totals() == {"a": number})
        took.append(time.monotonic() - started)
    assert sorted(took)[2] < 0.5, took


def test_each_type_arrives_under_its_name(sink, client):
    client.counter("c").record(1)
    client.percentile("p").record(2)
    client.gauge("g").record("v1")
    client.gauge("x", expiry=30).record(3)
    client.gauge("y", 0.5, host="a").record(4)
    client.uniques("u").record("anna")
    client.top("t").record(5)
    client.buffer("b").record(6)
    client.record("r", 7)
    client.record("s", 8, type="gauge(2)", name="n", value="v")
    assert client.flush(30)
    found = {}
    for frame in sink.frames:
        found |= dict(zip(frame.header.names, frame.header.types, strict=True))
        if frame.header.texts:
            found |= dict(zip(frame.header.texts.names, frame.header.texts.types, strict=True))
    assert found == {
        "c": "counter", "p": "percentile", "g": "gauge", "x": "gauge(30)", "y{host=a}": "gauge(0.5)",
        "u": "uniques", "t": "top", "b": "buffer", "r": "counter", "s{name=n,value=v}": "gauge(2)",
    }  # fmt: skip
    assert sink.texts() == ["v1", "anna", "5"]


def test_frames_lie_in_quarters_of_a_second_one_after_another(sink, client):
    """Where one is late, as on a machine that is busy, it is of several quarters."""
    record = client.counter("a").record

    def spans():
        record(1)
        return [(frame.header.start, frame.header.stop) for frame in list(sink.frames)]

    sink.wait(lambda: sum(stop - start <= 0.25 for start, stop in spans()) > 6)
    client.flush(30)
    for (start, stop), (following, _) in itertools.pairwise(spans()):
        assert start < stop == following
        assert stop % 0.25 == 0
        assert stop - start > 0.25 or math.floor(start) == math.floor(math.nextafter(stop, 0))


def test_an_idle_client_says_once_a_second_that_it_lives(sink, client):
    sink.wait(lambda: len(sink.frames) > 4)
    assert client.counter("a").events == []
    headers = [frame.header for frame in sink.frames]
    apart = [later.stop - before.stop for before, later in itertools.pairwise(headers)]
    assert 0.75 <= min(apart) <= 1.5, apart
    assert all(header.names == [] and header.drops is None for header in headers)


def test_stop_closes_the_epoch_once(sink, client):
    client.counter("a").record(1)
    assert client.stop(30)
    assert client.stop(30)
    assert [frame.header.closing for frame in sink.frames] == [True]
    assert sink.totals() == {"a": 1}


def test_after_stop_nothing_is_sent_and_memory_does_not_grow(sink, client):
    handle = client.counter("a")
    client.stop(30)
    handle.record(1)
    client.record("b", 1)
    time.sleep(0.6)
    assert handle.events == []
    assert sink.totals() == {}
    client.start("test-1", server=sink.address)
    handle.record(2)
    assert client.flush(30)
    assert sink.totals() == {"a": 2}
    assert sink.drops() == {("a", "stopped"): 1, ("b", "stopped"): 1}
    assert len({frame.header.epoch for frame in sink.frames}) == 2


def test_start_sets_up_anew(sink, client):
    """Another address takes what comes from then on; another client id begins another epoch."""
    handle = client.counter("a")
    handle.record(1)
    assert client.flush(30)
    other = EventSink()
    try:
        client.start("test-1", server=other.address)
        handle.record(2)
        assert client.flush(30)
        assert [frame.header.sequence for frame in other.frames] == [2]
        client.start("test-2", agent=other.address, server=sink.address)
        handle.record(3)
        assert client.flush(30)
        assert [(one.header.client, one.header.sequence, one.header.closing) for one in other.frames] == [
            ("test-1", 2, False),
            ("test-1", 3, True),
            ("test-2", 1, False),
        ]
        assert (sink.totals(), other.totals()) == ({"a": 1}, {"a": 5})
    finally:
        other.close()


def test_starting_again_with_the_same_settings_changes_nothing(sink, client):
    client.counter("a").record(1)
    client.flush(30)
    client.start("test-1", server=sink.address)
    client.counter("a").record(1)
    client.flush(30)
    assert len({frame.header.epoch for frame in sink.frames}) == 1


def test_bad_values_never_raise_and_are_counted(sink, client, caplog):
    for value in ("text", None, math.nan, 10**400, 1):
        client.counter("a").record(value)
    client.top("t").record("x" * (names.MAX_TEXT + 1))
    assert client.flush(30)
    sink.wait(lambda: sum(sink.drops().values()) == 5)
    assert sink.totals() == {"a": 1}
    assert sink.drops() == {("a", "wrong_type"): 2, ("a", "not_finite"): 2, ("t", "too_long"): 1}
    assert len([record for record in caplog.records if record.name == "taba"]) == 2


def test_frames_given_up_for_want_of_room_are_counted_by_tab(caplog):
    """During an outage memory is bounded, and afterwards sent + dropped = recorded."""
    sink = EventSink(port=free_port())
    sink.close()
    client = Recorder()
    client.start("test-1", server=sink.address, pending_bytes=20_000)
    for _ in range(30):
        client.counter("a").events.extend([1.0] * 200)
        client.top("t").events.extend(["text"] * 10)
        client.flush(0)
    back = EventSink(port=sink.port)
    try:
        back.wait(lambda: back.counts().get("a", 0) + back.drops().get(("a", "pending_full"), 0) == 6000)
        assert back.counts()["t"] + back.drops()["t", "pending_full"] == 300
        assert back.counts()["a"] >= 1000
        assert client.stop(30)
        assert back.nothing_is_missing()
    finally:
        client.stop(1)
        back.close()


def test_refused_frames_are_counted_by_tab(sink, client):
    sink.script += [400]
    client.counter("a").record(1)
    client.uniques("u").record("x")
    client.flush(30)
    client.counter("a").record(1)
    client.flush(30)
    assert sink.drops() == {("a", "refused"): 1, ("u", "refused"): 1}
    assert sink.totals() == {"a": 1}
    assert sink.nothing_is_missing()


def test_each_frame_says_what_was_recorded_so_far(sink, client):
    """Also heartbeats and the closing frame; and when the epoch began. What was dropped has been recorded too."""
    before = time.time()
    client.start("test-2", server=sink.address)
    for value in (1, "bad", 2):
        client.counter("a").record(value)
        assert client.flush(30)
    sink.wait(lambda: not sink.frames[-1].header.names)
    client.top("t").record("x")
    assert client.stop(30)
    headers = [frame.header for frame in sink.frames if frame.header.client == "test-2"]
    recorded = list(itertools.accumulate(header.events() for header in headers))
    assert [header.recorded for header in headers] == recorded
    assert recorded[-1] == 4
    assert headers[-1].closing
    assert {header.began for header in headers} == {headers[0].start}
    assert before <= headers[0].start <= time.time()


def test_limits_are_those_given(sink):
    client = Recorder()
    client.start("test-1", server=sink.address, flush_limit=10, tab_limit=2)
    client.counter("a").events.extend([1] * 25)
    for name in ("b", "c", "d"):
        client.counter(name).record(1)
    assert client.flush(30)
    client.stop(30)
    assert sink.counts() == {"a": 10, "b": 1}
    assert sink.drops() == {("a", "flush_limit"): 15, ("taba.client.tab_limit", "tab_limit"): 2}


def test_asyncio_beside(sink, client):
    """A running loop is not held up by flushes, though the server does not answer for ten seconds."""
    sink.script.append("hang")

    async def work(number):
        for _ in range(50):
            client.counter("a").record(1)
            await asyncio.sleep(0.005)

    async def main():
        late = 0.0
        tasks = [asyncio.create_task(work(number)) for number in range(20)]
        for _ in range(40):
            started = time.monotonic()
            await asyncio.sleep(0.01)
            late = max(late, time.monotonic() - started - 0.01)
        await asyncio.gather(*tasks)
        return late

    assert asyncio.run(main()) < 8
    sink.closing.set()  # it need hang no longer
    assert client.flush(30)
    assert sink.totals() == {"a": 1000}


def test_arguments_win_over_the_environment_and_agents_over_servers():
    environ = {"TABA_CLIENT": "env", "TABA_AGENT": "http://agent", "TABA_SERVER": "http://server"}

    def found(client=None, server=None, agent=None, **variables):
        settings = resolve(client, server, agent, environ=variables)
        return settings.client, settings.address, settings.origin

    assert found() == ("{host}-{pid}", "http://127.0.0.1:8300", "server")
    assert found(**environ) == ("env", "http://agent", "TABA_AGENT")
    assert found(server="http://s", **environ) == ("env", "http://s", "server")
    assert found("mine", "http://s", "unix:///a", **environ) == ("mine", "unix:///a", "agent")
    assert found(TABA_SERVER="http://server") == ("{host}-{pid}", "http://server", "TABA_SERVER")


def test_a_client_id_that_breaks_the_rules_is_refused(sink):
    assert names.check_client(fill_in("{host}-{pid}"))
    with pytest.raises(ValueError, match="is not a client id"):
        Recorder().start("web 1", server=sink.address)


def test_a_wrong_address_is_refused_and_changes_nothing(sink, client):
    with pytest.raises(ValueError, match="server: '8300' is not an address"):
        client.start("test-1", server="8300")
    client.counter("a").record(1)
    assert client.flush(30)
    assert sink.totals() == {"a": 1}


@pytest.mark.parametrize("expiry", [-1, math.nan, math.inf, "x"])
def test_a_gauges_expiry_must_be_seconds(client, expiry):
    with pytest.raises(ValueError, match="expiry is a number of seconds"):
        client.gauge("g", expiry)


@pytest.fixture(autouse=True)
def warnings_only(caplog):
    caplog.set_level(logging.WARNING, "taba")


@pytest.mark.parametrize("error", [MemoryError, SystemExit])
def test_a_flush_that_is_broken_off_leaves_no_gap(sink, client, monkeypatch, error):
    """Its frame has a number already: a tombstone says what it held, and what follows arrives."""
    encode, failed, recorded = flusher.encode, [], 0

    def broken(header, values=b""):
        if values and not failed and threading.current_thread() is threading.main_thread():
            failed.append(header.sequence)
            raise error
        return encode(header, values)

    monkeypatch.setattr(flusher, "encode", broken)
    while not failed or recorded < 5:
        client.counter("a").record(1)
        client.counter("b").record(1)
        recorded += 1
        with suppress(error):
            client.flush(30)
    assert client.flush(30)
    totals, drops = sink.totals(), sink.drops()
    for name in ("a", "b"):
        assert drops[name, "flush_failed"] == 1
        assert totals[name] == recorded - 1
    assert sink.nothing_is_missing()


def test_the_closing_frame_says_all_that_was_dropped(sink, client, monkeypatch):
    """Also what one frame cannot hold."""
    monkeypatch.setattr(drain, "DROPS_BYTES", 500)
    for number in range(50):
        client.counter(f"t{number}").record("no number")
    client.stop(30)
    assert sink.drops() == {(f"t{number}", "wrong_type"): 1 for number in range(50)}
    assert [frame.header.closing for frame in sink.frames][-1]


def test_the_sending_outlives_a_bad_moment(sink, client, monkeypatch, caplog):
    """No memory for a moment: what waits is sent later, and it is told once."""
    monkeypatch.setattr(sender, "LONGEST_PAUSE", 0.05)
    deliver, failures = sender.Sender._deliver, []

    def broken(self, batch):
        if len(failures) < 3:
            failures.append(batch)
            raise MemoryError
        deliver(self, batch)

    monkeypatch.setattr(sender.Sender, "_deliver", broken)
    client.counter("a").record(1)
    assert client.flush(30)
    assert sink.totals() == {"a": 1}
    assert [record.message for record in caplog.records if "MemoryError" in record.message][1:] == []


def test_a_broken_off_stop_can_be_made_good(sink, client, monkeypatch):
    """A signal's handler exits while the program stops: what the flush had taken is told when the process ends."""
    broken = []

    def leave(spans, *arguments):
        if threading.current_thread() is not threading.main_thread():
            return following(spans, *arguments)
        broken.append(spans)
        raise SystemExit

    following = Spans.next
    monkeypatch.setattr(Spans, "next", leave)
    client.counter("a").record(1)
    with pytest.raises(SystemExit):
        client.stop(0.1)
    monkeypatch.undo()
    assert broken
    assert client.stop(30)
    assert sink.drops().get(("a", "flush_failed"), 0) + sink.totals().get("a", 0) == 1
    assert sink.frames[-1].header.closing
    assert sink.nothing_is_missing()
