"""Sending: the same bytes until answered, in order, once; quiet in the log; patient with a busy server."""

import logging
import time

import pytest
from event_sink import EventSink
from hypothesis import given
from hypothesis import strategies as st

from taba.client.link import parse_address
from taba.client.pending import Encoded
from taba.client.recorder import Recorder
from taba.client.sender import LONGEST_PAUSE, Sender, pause
from taba.frame import Header, decode, encode


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
    """Whether the request or only the answer was lost: same source, sequence and bytes; counted once."""
    sink.script += [act, act]
    sender = sender_to(sink)
    put(sender, 1)
    assert sender.finish(5, patient=True)
    assert received(sink) == [1]
    assert len(sink.requests) == 3
    assert len({(request.source, request.sequence, request.body) for request in sink.requests}) == 1
    assert not sender.lost


def test_headers_name_the_source_and_the_sequence(sink):
    sender = sender_to(sink)
    put(sender, 7)
    assert sender.finish(5, patient=True)
    assert [(one.source, one.sequence) for one in sink.requests] == [("web-1/e", 7)]


def test_one_connection_is_kept(sink):
    sender = sender_to(sink)
    for sequence in range(1, 6):
        put(sender, sequence)
        assert sender.finish(5, patient=True)
    assert len({id(request.connection) for request in sink.requests}) == 1


def test_a_kept_connection_that_was_closed_is_no_outage(sink, caplog):
    """A server closes idle connections as it likes: sent again at once, without a word in the log."""
    sender = sender_to(sink)
    put(sender, 1)
    assert sender.finish(5, patient=True)
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
    sink.script += [(400, "no such thing"), (413, "too large")]
    sender = sender_to(sink)
    for sequence in (1, 2, 3):
        put(sender, sequence)
        assert sender.finish(5, patient=True)
    assert received(sink) == [3]
    assert [(frame.sequence, reason) for frame, reason in sender.lost] == [(1, "refused"), (2, "refused")]
    assert len(caplog.records) == 1
    assert "no such thing" in caplog.text


def test_of_frames_sent_together_only_the_bad_one_is_refused(sink):
    """Frames that piled up travel as one request; when that is refused, each is tried on its own."""
    sink.script += ["hang"]
    sender = Sender(parse_address(sink.address, "server"), 1 << 20)
    for sequence in (1, 2, 3):
        put(sender, sequence)
    sink.script[:] = [400, 200, 400, 200]
    sender.start()
    assert sender.finish(5, patient=True)
    assert [len(list(decode(request.body))) for request in sink.requests] == [3, 1, 1, 1]
    assert received(sink) == [1, 3]
    assert [frame.sequence for frame, _ in sender.lost] == [2]


def test_after_an_outage_everything_arrives_in_order_and_fast(caplog):
    """No server at first; a hundred frames wait; then one comes up: one line when lost, one when back."""
    sink = EventSink()
    sink.close()
    sender = sender_to(sink)
    for sequence in range(1, 101):
        put(sender, sequence)
        time.sleep(0.002)
    time.sleep(0.3)
    back = EventSink(port=sink.port)
    try:
        back.wait(lambda: len(back.frames) == 100, 6)
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
    monkeypatch.setattr("taba.client.link.Link.__init__.__defaults__", (0.3,))
    sink.script.append("hang")
    sender = sender_to(sink)
    put(sender, 1)
    assert sender.finish(5, patient=True)
    assert received(sink) == [1]
    assert len({request.body for request in sink.requests}) == 1


def test_waiting_frames_are_bounded_and_those_given_up_are_told():
    sink = EventSink()
    sink.close()
    sender = sender_to(sink, limit=10_000)
    for sequence in range(1, 101):
        put(sender, sequence, size=100)
    gone = [frame.sequence for frame, reason in sender.lost if reason == "pending_full"]
    assert len(sender) < 12
    assert len(sender) + len(gone) == 100
    assert gone == sorted(gone)


def test_nobody_waits_for_a_server_that_was_never_there():
    """A program that ends does not hang because Taba is not running."""
    sink = EventSink()
    sink.close()
    sender = sender_to(sink)
    put(sender, 1)
    started = time.monotonic()
    assert not sender.finish(5, patient=False)
    assert time.monotonic() - started < 1


def test_a_deadline_holds_whatever_the_server_does(sink):
    sink.script.append("hang")
    sender = sender_to(sink)
    put(sender, 1)
    started = time.monotonic()
    assert not sender.finish(0.3, patient=True)
    assert time.monotonic() - started < 0.6


def test_over_a_unix_socket(tmp_path):
    sink = EventSink(unix=tmp_path / "taba.sock")
    try:
        sender = sender_to(sink)
        put(sender, 1)
        assert sender.finish(5, patient=True)
        assert received(sink) == [1]
    finally:
        sink.close()


def test_a_prefix_of_the_address_is_kept(sink):
    """For a server behind a proxy's path; the sink takes any path that ends in /v1/events."""
    sender = Sender(parse_address(sink.address + "/behind/proxy/", "server"), 1 << 20)
    sender.start()
    put(sender, 1)
    assert sender.finish(5, patient=True)


def test_events_that_the_server_rejected_are_told_once(sink, caplog):
    sink.rejected = [{"index": 0, "error": "tab a is of type gauge"}]
    sender = sender_to(sink)
    for sequence in (1, 2):
        put(sender, sequence)
        assert sender.finish(5, patient=True)
    assert len(caplog.records) == 1
    assert "tab a is of type gauge" in caplog.text


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
