"""Sending: the same bytes until answered, in order, once; quiet in the log; patient with a busy server."""

import logging
import time

import pytest
from engines import free_port
from event_sink import EventSink
from hypothesis import given
from hypothesis import strategies as st

from taba.client.link import NONE, Link, parse_address
from taba.client.pending import Encoded
from taba.client.recorder import Recorder
from taba.client.sender import LONGEST_PAUSE, Sender, pause
from taba.frame import CONTENT_TYPE, Header, decode, encode


def sender_to(sink, limit=1 << 20):
    sender = Sender(parse_address(sink.address, "server"), limit)
    sender.start()
    return sender


def put(sender, sequence, size=0):
    body = encode(Header("web-1", "e", sequence, 1.0, 1.25, ["a"], ["counter"], [1 + size]), bytes(8 * (1 + size)))
    sender.put(Encoded("web-1/e", sequence, body))


def received(sink):
    return [frame.header.sequence for frame in sink.frames]


@pytest.mark.parametrize("act", ["drop", "lose", 500, 502, 404, 429, 503, (503, 0.3), (429, 0)])
def test_the_same_bytes_are_sent_until_answered(sink, act):
    """Whether the request or only the answer was lost: the same bytes, which are counted once."""
    sink.script += [act, act]
    sender = sender_to(sink)
    put(sender, 1)
    assert sender.finish(30, patient=True)
    assert received(sink) == [1]
    assert len(sink.requests) == 3
    assert len({request.body for request in sink.requests}) == 1
    assert sink.drops() == {}


def test_a_link_sends_the_headers_that_it_is_given(sink):
    """An agent's lanes say who they are; the content's type is the link's own."""
    link = Link(parse_address(sink.address, "server"))
    body = encode(Header("web-1", "e", 1, 1.0, 1.25))
    assert link.post(body, {"Taba-Source": "agent/1/live", "Taba-Sequence": "7"}).status == 200
    link.close()
    (request,) = sink.requests
    assert (request.headers["Taba-Source"], request.headers["Taba-Sequence"]) == ("agent/1/live", "7")
    assert request.headers["Content-Type"] == CONTENT_TYPE


@pytest.mark.parametrize("kept", [False, True])
def test_a_request_may_have_a_timeout_of_its_own(sink, kept):
    """On a new connection and on one that is kept, and the link's own holds again afterwards."""
    link = Link(parse_address(sink.address, "server"), 30)
    body = encode(Header("web-1", "e", 1, 1.0, 1.25))
    if kept:
        assert link.post(body, {}).status == 200
    sink.script.append("hang")
    with pytest.raises(TimeoutError):
        link.post(body, {}, timeout=0.2)
    assert link.post(body, {}).status == 200
    assert link._connection.sock.gettimeout() == 30
    link.close()


def test_one_connection_is_kept(sink):
    sender = sender_to(sink)
    for sequence in range(1, 6):
        put(sender, sequence)
        assert sender.finish(30, patient=True)
    assert len({id(request.connection) for request in sink.requests}) == 1


def test_a_kept_connection_that_was_closed_is_no_outage(sink, caplog):
    """A server closes idle connections as it likes: sent again at once, without a word in the log."""
    sender = sender_to(sink)
    put(sender, 1)
    assert sender.finish(30, patient=True)
    sink.script.append("drop")
    put(sender, 2)
    assert sender.finish(0.09, patient=True)
    assert received(sink) == [1, 2]
    assert caplog.records == []


def test_retry_after_is_honoured(sink):
    sink.script.append((503, 0.7))
    sender = sender_to(sink)
    put(sender, 1)
    sink.wait(lambda: sink.frames)
    first, second = (request.time for request in sink.requests)
    assert 0.65 < second - first < 1.5


def test_a_refused_frame_is_given_up_and_said_once(sink, caplog):
    """Its tombstone comes in its place, before what follows."""
    sink.script += [(400, "no such thing"), 200, (413, "too large"), 200]
    sender = sender_to(sink)
    for sequence in (1, 2, 3):
        put(sender, sequence)
        assert sender.finish(30, patient=True)
    assert received(sink) == [1, 2, 3]
    assert [frame.header.drops is not None for frame in sink.frames] == [True, True, False]
    assert sink.drops() == {("a", "refused"): 2}
    assert len(caplog.records) == 1
    assert "no such thing" in caplog.text


def test_a_refused_tombstone_is_given_up_and_said(sink, caplog):
    """Else the client would send nothing else for ever."""
    sink.script += [(400, "no such client"), (400, "no such client")]
    sender = sender_to(sink)
    for sequence in (1, 2):
        put(sender, sequence)
        assert sender.finish(30, patient=True)
    assert received(sink) == [2]
    assert len(sink.requests) == 3
    assert "say what was dropped" in caplog.text


def test_what_a_large_frame_lost_is_told_in_a_small_one(sink):
    """Else it would be refused too, where a proxy takes only small bodies; what it counts stays exact."""
    sink.script += [413]
    sender = sender_to(sink)
    tabs = [f"tab{number}" for number in range(1500)]
    header = Header("web-1", "e", 1, 1.0, 1.25, tabs, ["counter"] * 1500, [1] * 1500)
    sender.put(Encoded("web-1/e", 1, encode(header, bytes(8 * 1500))))
    assert sender.finish(30, patient=True)
    drops = sink.drops()
    assert drops["other", "refused"] == 500
    assert (len(drops), sum(drops.values())) == (1001, 1500)


def test_of_frames_sent_together_only_the_bad_ones_are_refused(sink):
    """Frames that piled up travel as one request; when that is refused, each is tried on its own."""
    sender = Sender(parse_address(sink.address, "server"), 1 << 20)
    for sequence in (1, 2, 3, 4):
        put(sender, sequence)
    sink.script[:] = [400, 200, 400, 200, 400, 200, 200]
    sender.start()
    assert sender.finish(30, patient=True)
    assert [len(list(decode(request.body))) for request in sink.requests] == [4, 1, 1, 1, 1, 1, 1]
    assert received(sink) == [1, 2, 3, 4]
    assert [frame.header.drops is not None for frame in sink.frames] == [False, True, True, False]


def test_after_an_outage_everything_arrives_in_order_and_fast(caplog):
    """No server at first; a hundred frames wait; then one comes up: one line when lost, one when back."""
    sink = EventSink(port=free_port())
    sink.close()
    sender = sender_to(sink)
    for sequence in range(1, 101):
        put(sender, sequence)
        time.sleep(0.002)
    sink.wait(lambda: caplog.records)  # it has tried
    back = EventSink(port=sink.port)
    try:
        back.wait(lambda: len(back.frames) == 100)
        assert received(back) == list(range(1, 101))
        assert len(back.requests) < 10
        assert [record.getMessage().split(" (")[0].split(": ")[0] for record in caplog.records] == [
            f"{sink.address} takes no frames",
            f"{sink.address} takes frames again",
        ]
    finally:
        back.close()


def test_a_server_that_hangs_is_given_up_in_time_and_tried_again(sink, monkeypatch):
    monkeypatch.setattr("taba.client.link.TIMEOUT", 0.3)
    monkeypatch.setattr("taba.client.link.Link.__init__.__defaults__", (0.3, NONE))
    sink.script.append("hang")
    sender = sender_to(sink)
    put(sender, 1)
    assert sender.finish(30, patient=True)
    assert received(sink) == [1]
    assert len({request.body for request in sink.requests}) == 1


def test_waiting_frames_are_bounded_and_those_given_up_are_told():
    """However long the outage: memory is bounded, and no number and no event is missing afterwards."""
    sink = EventSink(port=free_port())
    sink.close()
    sender = sender_to(sink, limit=10_000)
    for sequence in range(1, 101):
        put(sender, sequence, size=100)
    assert len(sender) < 12
    back = EventSink(port=sink.port)
    try:
        assert sender.finish(30, patient=True)
        (account,) = back.accounts().values()
        assert account.sequences == list(range(1, 101))
        assert back.counts()["a"] + back.drops()["a", "pending_full"] == account.events == 100 * 101
    finally:
        back.close()


def test_nobody_waits_for_a_server_that_was_never_there():
    """A program that ends does not hang because Taba is not running."""
    sink = EventSink()
    sink.close()
    sender = sender_to(sink)
    put(sender, 1)
    started = time.monotonic()
    assert not sender.finish(30, patient=False)
    assert time.monotonic() - started < 25


def test_a_deadline_holds_whatever_the_server_does(sink):
    sink.script.append("hang")
    sender = sender_to(sink)
    put(sender, 1)
    started = time.monotonic()
    assert not sender.finish(0.3, patient=True)
    assert time.monotonic() - started < 9, "a request has ten seconds"


def test_over_a_unix_socket(tmp_path):
    sink = EventSink(unix=tmp_path / "taba.sock")
    try:
        sender = sender_to(sink)
        put(sender, 1)
        assert sender.finish(30, patient=True)
        assert received(sink) == [1]
    finally:
        sink.close()


def test_a_missing_socket_is_said_plainly(tmp_path, caplog):
    """The path is wrong, or nothing was started yet; when it is, what waited is sent."""
    path = tmp_path / "taba.sock"
    sender = Sender(parse_address(f"unix://{path}", "TABA_AGENT"), 1 << 20)
    sender.start()
    put(sender, 1)
    assert not sender.finish(0.3, patient=True)
    assert f"there is no socket {path}" in caplog.text
    sink = EventSink(unix=path)
    try:
        assert sender.finish(30, patient=True)
        assert received(sink) == [1]
    finally:
        sink.close()


def test_a_prefix_of_the_address_is_kept(sink):
    """For a server behind a proxy's path; the sink takes any path that ends in /v1/events."""
    sender = Sender(parse_address(sink.address + "/behind/proxy/", "server"), 1 << 20)
    sender.start()
    put(sender, 1)
    assert sender.finish(30, patient=True)


def test_events_that_the_server_rejected_are_told_once(sink, caplog):
    sink.rejected = [{"index": 0, "error": "tab a is of type gauge"}]
    sender = sender_to(sink)
    for sequence in (1, 2):
        put(sender, sequence)
        assert sender.finish(30, patient=True)
    assert len(caplog.records) == 1
    assert "tab a is of type gauge" in caplog.text
    assert "index" not in caplog.text, "a person is told, and not what the answer is made of"


@pytest.mark.parametrize(
    "written",
    ["", "127.0.0.1:8300", "ftp://a", "http://", "http://a:x", "http://a:99999", "unix://", "unix:///", "http://a?b"],
)
def test_an_address_that_is_none_is_refused_saying_where_it_was_given(written):
    with pytest.raises(ValueError, match=r"TABA_AGENT: .* is not an address: write it as http://"):
        parse_address(written, "TABA_AGENT")


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("http://127.0.0.1:8300", ("http", "127.0.0.1", 8300, "")),
        ("http://[::1]:8300/", ("http", "::1", 8300, "")),
        ("https://taba.example/in", ("https", "taba.example", 443, "/in")),
        ("unix:///run/taba.sock", ("unix", "localhost", 0, "/run/taba.sock")),
    ],
)
def test_addresses(written, parts):
    address = parse_address(written, "server")
    assert (address.scheme, address.host, address.port, address.path) == parts


def test_a_host_that_cannot_be_one_does_no_harm(caplog):
    recorder = Recorder()
    recorder.start("c", server=f"http://{'x' * 70}.example:1")
    recorder.counter("a").record(1)
    assert not recorder.flush(0.2)
    assert not recorder.stop(0.2)
    assert "takes no frames" in caplog.text


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_grow_but_are_bounded(failures, chance):
    assert 0.1 <= pause(failures, chance) <= LONGEST_PAUSE
    assert pause(failures + 1, chance) >= pause(failures, chance)


@pytest.fixture(autouse=True)
def warnings_only(caplog):
    caplog.set_level(logging.WARNING, "taba")
