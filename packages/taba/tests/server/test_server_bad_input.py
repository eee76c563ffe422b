"""Bad input gets a 4xx or a rejection with the field and the reason, is counted, and harms nothing beside it."""

import gzip
import http.client
import json
import sys
import time
import zlib
from collections import Counter
from urllib.parse import urlsplit

import msgspec
import pytest
from server_process import FRAME, JSON, NDJSON, ServerProcess, frame_bytes, lines

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GOOD = {"tab": "good", "value": 1}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("bad"), limits={"body_mb": 1}, gather_ms=2)
    server.record([GOOD])
    yield server
    # After all that was sent to it, the server is well, and good events count once.
    before = server.totals("good")["good"]
    server.record([GOOD] * 3)
    assert server.totals("good")["good"] == before + 3
    assert server.get("/ping") == {"status": "ok"}
    server.close()


def refused(answer, status, *words):
    """The answer is the status, with a JSON error that holds the words."""
    assert answer.status == status, answer
    assert list(answer.content) == ["error"], answer
    for word in words:
        assert word in answer.content["error"]


BODIES = {
    "empty": (b"", "not JSON"),
    "cut off": (b'{"events": [', "not JSON"),
    "not JSON": (b"hello", "not JSON"),
    "not an object": (b"[]", "Expected `object`, got `array`"),
    "null": (b"null", "Expected `object`, got `null`"),
    "a number": (b"7", "Expected `object`, got `int`"),
    "no events": (b'{"client": "c"}', "missing required field `events`"),
    "events of a wrong type": (b'{"events": {}}', "Expected `array`, got `object` - at `$.events`"),
    "client of a wrong type": (b'{"client": 7, "events": []}', "Expected `str | null`, got `int` - at `$.client`"),
    "two documents": (b'{"events": []} {"events": []}', "not JSON"),
    "invalid UTF-8": (b'{"client": "c", "events": [{"tab": "a\xff", "value": 1}]}', "not JSON"),
    "half a surrogate pair": (b'{"client": "c", "events": [{"tab": "\\ud800", "value": 1}]}', "surrogate"),
    "NaN": (b'{"client": "c", "events": [{"tab": "a", "value": NaN}]}', "not JSON"),
    "Infinity": (b'{"client": "c", "events": [{"tab": "a", "value": Infinity}]}', "not JSON"),
    "deep": (b'{"events": ' + b"[" * 100_000, "nested"),
    "deep and closed": (b'{"events": [{"tab": "a", "value": 1, "x": ' + b"[" * 9_999 + b"]" * 9_999 + b"}]}", "nested"),
    "wrong in one event and cut off in another": (b'{"events": [{"tab": 1, "value": 1}, {"tab"', "truncated"),
    "a comment": (b'{"events": []} // none', "not JSON"),
    "a byte-order mark": (b'\xef\xbb\xbf{"events": []}', "not JSON"),
    "UTF-16": ('{"events": []}'.encode("utf-16"), "not JSON"),
}


@pytest.mark.parametrize(("body", "word"), BODIES.values(), ids=BODIES)
def test_bodies_that_cannot_be_read(server, body, word):
    """Nothing is taken of a body that is not what it should be as a whole."""
    refused(server.post(body), 400, word)


EVENTS = {
    "no tab": ({"value": 1}, "missing required field `tab`", "unreadable"),
    "no value": ({"tab": "a"}, "missing required field `value`", "unreadable"),
    "value of a wrong type": ({"tab": "a", "value": [1]}, "`$.value`", "unreadable"),
    "value is an object": ({"tab": "a", "value": {"x": 1}}, "`$.value`", "unreadable"),
    "value is true": ({"tab": "a", "value": True}, "got `bool` - at `$.value`", "unreadable"),
    "value is null": ({"tab": "a", "value": None}, "got `null` - at `$.value`", "unreadable"),
    "tab of a wrong type": ({"tab": 5, "value": 1}, "`$.tab`", "unreadable"),
    "type of a wrong type": ({"tab": "a", "value": 1, "type": 1}, "`$.type`", "unreadable"),
    "time of a wrong type": ({"tab": "a", "value": 1, "time": "now"}, "`$.time`", "unreadable"),
    "time is true": ({"tab": "a", "value": 1, "time": True}, "`$.time`", "unreadable"),
    "client of a wrong type": ({"tab": "a", "value": 1, "client": 1}, "`$.client`", "unreadable"),
    "an array": ([], "Expected `object`", "unreadable"),
    "null": (None, "Expected `object`", "unreadable"),
    "tags of a wrong type": ({"tab": "a", "value": 1, "tags": 3}, "tags", "bad_name"),
    "a tag of a wrong type": ({"tab": "a", "value": 1, "tags": {"k": {}}}, "tags", "bad_name"),
    "a tag's bad value": ({"tab": "a", "value": 1, "tags": {"k": "a,b"}}, "is not a value for the tag 'k'", "bad_name"),
    "a tag's empty value": ({"tab": "a", "value": 1, "tags": {"k": ""}}, "is not a value", "bad_name"),
    "a tag's bad key": ({"tab": "a", "value": 1, "tags": {"k k": "v"}}, "is not a tag's key", "bad_name"),
    "too many tags": ({"tab": "a", "value": 1, "tags": {f"k{n}": "v" for n in range(17)}}, "at most 16", "bad_name"),
    "too many tags in all": (
        {"tab": "a{z=1}", "value": 1, "tags": {f"k{n}": "v" for n in range(16)}},
        "at most 16",
        "bad_name",
    ),
    "an empty name": ({"tab": "", "value": 1}, "'' is not a name", "bad_name"),
    "a name with a space": ({"tab": "a b", "value": 1}, "'a b' is not a name", "bad_name"),
    "a name that begins wrongly": ({"tab": ".a", "value": 1}, "'.a' is not a name", "bad_name"),
    "a name with an exclamation mark": ({"tab": "!a", "value": 1}, "'!a' is not a name", "bad_name"),
    "a name with NUL": ({"tab": "a\0", "value": 1}, "is not a name", "bad_name"),
    "a name in another script": ({"tab": "é", "value": 1}, "'é' is not a name", "bad_name"),
    "a long name": ({"tab": "a" * 201, "value": 1}, "1 to 200", "bad_name"),
    "a tag that does not end": ({"tab": "a{k=v", "value": 1}, "write it as name{key=value", "bad_name"),
    "a tag twice": ({"tab": "a{k=v,k=w}", "value": 1}, "each key once", "bad_name"),
    "a name of the server's": ({"tab": "taba.client.events", "value": 1}, "the server's own", "bad_name"),
    "an unknown type": ({"tab": "u", "value": 1, "type": "histogram"}, "there is no type 'histogram'", "unknown_type"),
    "a parameter that the type does not take": (
        {"tab": "u", "value": 1, "type": "counter(3)"},
        "takes no parameter",
        "unknown_type",
    ),
    "a parameter without end": ({"tab": "u", "value": 1, "type": "gauge(1e999)"}, "too large", "unknown_type"),
    "a parameter that is no number": ({"tab": "u", "value": 1, "type": "gauge(1-2)"}, "is not a number", "bad_name"),
    "another type than before": ({"tab": "good", "value": 1, "type": "gauge"}, "is of type counter", "type_conflict"),
    "a text for a counter": ({"tab": "good", "value": "x"}, "takes numbers", "wrong_type"),
    "a long text": ({"tab": "t", "type": "top", "value": "x" * 1025}, "at most 1024 characters", "too_long"),
    "a bad client": ({"tab": "a", "value": 1, "client": "a b"}, "client: ", "bad_client"),
    "a long client": ({"tab": "a", "value": 1, "client": "a" * 201}, "client: ", "bad_client"),
    "an empty client": ({"tab": "a", "value": 1, "client": ""}, "client: ", "bad_client"),
    "long ago": ({"tab": "a", "value": 1, "time": 1.0}, "time: 1.0 is too long ago", "too_old"),
    "a negative time": ({"tab": "a", "value": 1, "time": -1}, "too long ago", "too_old"),
    "a far future": ({"tab": "a", "value": 1, "time": 1e300}, "too far in the future", "future"),
    "an hour ahead": ({"tab": "a", "value": 1, "time": time.time() + 3600}, "too far in the future", "future"),
}


@pytest.mark.parametrize(("event", "word", "reason"), EVENTS.values(), ids=EVENTS)
def test_events_that_are_rejected(server, event, word, reason):
    """Of several events the bad one is rejected with its place and why; the good ones are taken."""
    del reason
    events = [GOOD, event, GOOD]
    if len(word) % 2:
        answer = server.post(msgspec.json.encode({"client": "c1", "events": events}))
    else:
        answer = server.post(lines(events), NDJSON, "/v1/events?client=c1")
    assert answer.status == 200, answer
    assert answer.content["accepted"] == 2
    ((rejection),) = answer.content["rejected"]
    assert rejection["index"] == 1
    assert word in rejection["error"]


def test_what_is_rejected_is_counted_by_reason(server):
    """All of those bad events in one request, good ones between: each counts once, in its total or under its reason."""
    goods, before = server.totals("good")["good"], server.dropped()
    events = [one for event, _, _ in EVENTS.values() for one in (event, GOOD)]
    answer = server.post(msgspec.json.encode({"client": "c1", "events": events}))
    assert (answer.content["accepted"], len(answer.content["rejected"])) == (len(EVENTS), len(EVENTS))
    assert server.totals("good")["good"] == goods + len(EVENTS)
    after = server.dropped()
    for reason, count in Counter(reason for _, _, reason in EVENTS.values()).items():
        assert sum_of(after, reason) == sum_of(before, reason) + count, reason


def sum_of(dropped, reason):
    return sum(count for (why, _), count in dropped.items() if why == reason)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "1" + "0" * 5_000, "0.1e+400"])
@pytest.mark.parametrize("field", ["value", "time"])
def test_numbers_beyond_a_float(server, number, field):
    """A number that no float holds is that event's fault alone."""
    event = '{"tab": "a", "value": 1, "time": 1}'.replace(f'"{field}": 1', f'"{field}": {number}')
    answer = server.post(b'{"client": "c", "events": [%s, {"tab": "good", "value": 1}]}' % event.encode())
    assert (answer.status, answer.content["accepted"]) == (200, 1)
    assert answer.content["rejected"][0]["index"] == 0


def test_whole_numbers_are_numbers(server):
    """Any whole number within a float's range is taken, to the nearest float."""
    values = [2**53 + 1, -(2**63), 2**64, 10**300, 0]
    for value in values:
        server.record([{"tab": "whole", "value": value}])
    found = server.get("/v1/aggregates", tab="whole", window="1m")["tabs"]["whole"]["1m"]
    assert (found["count"], found["max"], found["min"]) == (5, 1e300, -(2.0**63))


def test_many_rejections_are_cut_off_and_counted(server):
    """At most 100 rejections are listed, in order, with how many there were."""
    events = [{"tab": "a b", "value": 1}] * 150 + [GOOD] + [{"tab": "a", "value": True}] * 50
    answer = server.post(msgspec.json.encode({"client": "c", "events": events}))
    assert (answer.status, answer.content["accepted"], answer.content["rejected_total"]) == (200, 1, 200)
    assert [rejection["index"] for rejection in answer.content["rejected"]] == list(range(100))


@pytest.mark.parametrize("body", [b'{"client": "c", "events": []}', b'{"events": []}'])
def test_no_events_are_no_fault(server, body):
    """A client that has nothing to say is answered."""
    answer = server.post(body)
    assert (answer.status, answer.content) == (200, {"accepted": 0, "rejected": []})


@pytest.mark.parametrize("body", [b"", b"\n\n", b" \r\n"])
def test_ndjson_without_events(server, body):
    """Empty lines are no events and no faults."""
    answer = server.post(body, NDJSON)
    assert (answer.status, answer.content) == (200, {"accepted": 0, "rejected": []})


def test_ndjson_lines_with_faults(server):
    """Each line by itself: a broken one takes no other with it, and the last needs no end."""
    good = b'{"tab": "good", "value": 1, "client": "c"}'
    broken = [b"{", b"null", b'{"tab": "a", "value": 1, "client": "\xff"}', b"x" * 1_000, b"[" * 5_000]
    body = b"\n".join(part for line in broken for part in (line, good))
    answer = server.post(body, NDJSON)
    if answer.status == 200:
        assert answer.content["accepted"] == len(broken)
        assert [rejection["index"] for rejection in answer.content["rejected"]] == [0, 2, 4, 6, 8]
    else:
        refused(answer, 400, "nested")


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "a;b"]
)
def test_content_types_that_are_not_taken(server, content_type):
    """The error names what came and what is taken."""
    refused(server.post(b'{"events": []}', content_type), 400, "Content-Type", "application/json")


def test_content_types_with_parameters(server):
    """`; charset=utf-8` and capitals mean nothing."""
    answer = server.post(msgspec.json.encode({"client": "c", "events": [GOOD]}), "Application/JSON; charset=utf-8")
    assert answer.content["accepted"] == 1


BODY = msgspec.json.encode({"client": "c", "events": [GOOD] * 100})
GZIPPED = gzip.compress(BODY)
ZSTD = zstd.compress(BODY)
CHECKED = zstd.compress(BODY, options={zstd.CompressionParameter.checksum_flag: 1})
# Of unknown length, so that whoever unpacks it must have room for the window.
HUGE_WINDOW = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
ENCODINGS = {
    "unknown": (BODY, "br", 400, "Content-Encoding 'br' is not taken"),
    "two": (GZIPPED, "gzip, gzip", 400, "is not taken"),
    "not gzip": (BODY, "gzip", 400, "the body is not gzip"),
    "zlib": (zlib.compress(BODY), "gzip", 400, "the body is not gzip"),
    "cut off": (GZIPPED[:-9], "gzip", 400, "cut off"),
    "empty": (b"", "gzip", 400, "JSON"),
    "garbled": (GZIPPED[:40] + b"\xff\xff" + GZIPPED[42:], "gzip", 400, "gzip"),
    "wrong checksum": (GZIPPED[:-8] + b"\0" * 8, "gzip", 400, "not gzip"),
    "garbage behind": (GZIPPED + b"garbage", "gzip", 400, "not gzip"),
    "bomb": (gzip.compress(b" " * (200 << 20)), "gzip", 413, "unpacks to more than 1 MB"),
    "not zstd": (GZIPPED, "zstd", 400, "the body is not zstd"),
    "zstd, cut off": (ZSTD[:-3], "zstd", 400, "zstd is cut off"),
    "zstd, only the beginning": (ZSTD[:3], "zstd", 400, "zstd is cut off"),
    "zstd, empty": (b"", "zstd", 400, "JSON"),
    "zstd, garbled": (CHECKED[:20] + b"\xff\xff" + CHECKED[22:], "zstd", 400, "not zstd"),
    "zstd, garbage behind": (ZSTD + b"garbage", "zstd", 400, "not zstd"),
    "zstd, bomb": (zstd.compress(b" " * (200 << 20)), "zstd", 413, "unpacks to more than 1 MB"),
    "zstd, bomb in parts": (zstd.compress(b" " * (900 << 10)) * 50, "zstd", 413, "unpacks to more than 1 MB"),
    "zstd, many pieces of nothing": (zstd.compress(b"") * 2_000, "zstd", 400, "in more than 1000 pieces"),
    "gzip, many pieces of nothing": (gzip.compress(b"") * 2_000, "gzip", 400, "in more than 1000 pieces"),
    "zstd, a huge window": (HUGE_WINDOW.compress(BODY) + HUGE_WINDOW.flush(), "zstd", 400, "not zstd"),
    "bomb in members": (gzip.compress(b" " * (900 << 10)) * 50, "gzip", 413, "unpacks to more than 1 MB"),
}


@pytest.mark.parametrize(("body", "encoding", "status", "word"), ENCODINGS.values(), ids=ENCODINGS)
def test_encodings_that_cannot_be_read(server, body, encoding, status, word):
    """What is no whole gzip or zstd, or unpacks to more than a body may be, is refused as a whole."""
    refused(server.post(body, content_encoding=encoding), status, word)


def test_gzip_counts_every_member(server):
    """A gzip body may have several members; all of their lines count."""
    before = server.totals("good").get("good", 0)
    members = b"".join(gzip.compress(lines([GOOD | {"client": "c"}] * 3)) for _ in range(4))
    assert server.post(members, NDJSON, content_encoding="gzip").content["accepted"] == 12
    assert server.post(GZIPPED, content_encoding="GZIP").content["accepted"] == 100
    assert server.totals("good")["good"] == before + 112


def test_zstd_counts_every_part(server):
    """Bodies of either kind may be packed with zstd, in several parts one after another."""
    before = server.totals("good").get("good", 0)
    parts = b"".join(zstd.compress(lines([GOOD | {"client": "c"}] * 3)) for _ in range(4))
    assert server.post(parts, NDJSON, content_encoding="zstd").content["accepted"] == 12
    packed = zstd.compress(frame_bytes("z", 1, {"good": [1.0] * 50}), 19)
    assert server.post(packed, FRAME, content_encoding="zstd").content["accepted"] == 50
    assert server.totals("good")["good"] == before + 62


def raw_request(server, headers, parts):
    """A POST of any headers and chunks, whatever they say of each other."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    try:
        connection.putrequest("POST", "/v1/events")
        for name, value in ({"Content-Type": JSON} | headers).items():
            connection.putheader(name, value)
        connection.endheaders()
        try:
            for part in parts:
                connection.send(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_bodies_over_the_limit(server):
    """A body that says that it is too large, and one that turns out to be, get 413 and name the limit."""
    large = b" " * ((1 << 20) + 1)
    for headers, parts in (
        ({"Content-Length": str(len(large))}, [large]),
        ({"Content-Length": str(10**30)}, []),
        ({"Transfer-Encoding": "chunked"}, [b"40000\r\n" + b" " * 0x40000 + b"\r\n"] * 5 + [b"0\r\n\r\n"]),
    ):
        try:
            status, body = raw_request(server, headers, parts)
        except (ConnectionResetError, http.client.RemoteDisconnected):
            # The server closes while more is on its way; the answer may be lost with it.
            continue
        if status == 400:  # the protocol's own limit on numbers
            continue
        assert status == 413, body
        assert "more than 1 MB (limits.body_mb)" in json.loads(body)["error"]


def test_a_body_at_the_limit_is_taken(server):
    """Exactly the limit is not too much."""
    body = msgspec.json.encode({"client": "c", "events": [GOOD]})
    assert server.post(body + b" " * ((1 << 20) - len(body))).content["accepted"] == 1


def test_a_body_that_is_cut_off(server):
    """A client that goes away in the middle of its body has sent nothing."""
    address = urlsplit(server.url)
    for _ in range(3):
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        connection.putrequest("POST", "/v1/events")
        connection.putheader("Content-Type", JSON)
        connection.putheader("Content-Length", "1000")
        connection.endheaders()
        connection.send(BODY[:500])
        connection.close()
    time.sleep(0.2)


SOURCES = {
    "no sequence": ({"taba_source": "s"}, "Taba-Sequence"),
    "no source": ({"taba_sequence": "1"}, "Taba-Source"),
    "an empty source": ({"taba_source": "", "taba_sequence": "1"}, "Taba-Source"),
    "a long source": ({"taba_source": "s" * 301, "taba_sequence": "1"}, "Taba-Source"),
    "zero": ({"taba_source": "s", "taba_sequence": "0"}, "Taba-Sequence"),
    "negative": ({"taba_source": "s", "taba_sequence": "-1"}, "Taba-Sequence"),
    "a fraction": ({"taba_source": "s", "taba_sequence": "1.5"}, "Taba-Sequence"),
    "a word": ({"taba_source": "s", "taba_sequence": "one"}, "Taba-Sequence"),
    "too large": ({"taba_source": "s", "taba_sequence": "9" * 19}, "Taba-Sequence"),
    "far too large": ({"taba_source": "s", "taba_sequence": "0" * 19 + "1" + "9" * 30}, "Taba-Sequence"),
    "another script": ({"taba_source": "s", "taba_sequence": "\xb2"}, "Taba-Sequence"),
}


@pytest.mark.parametrize(("headers", "word"), SOURCES.values(), ids=SOURCES)
def test_sources_and_sequences_that_mean_nothing(server, headers, word):
    """Half an identity is refused: nobody could tell a repeat from something new."""
    refused(server.post(msgspec.json.encode({"client": "c", "events": [GOOD]}), **headers), 400, word)


def test_methods_and_paths(server):
    """Other methods and paths are answered with JSON too."""
    for method, path, status in (
        ("GET", "/v1/events", 405),
        ("PUT", "/v1/events", 405),
        ("POST", "/v1/aggregates", 405),
        ("DELETE", "/v1/tabs", 405),
        ("POST", "/", 405),
        ("GET", "/nothing", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v2/events", 404),
        ("GET", "/v1/tabs/../../etc/passwd", 404),
    ):
        refused(server.request(method, path), status)
    refused(server.post(b"{}", path="/v1/events?clent=c"), 400, "clent: there is no such parameter", "client")
    refused(server.post(b"{}", path="/v1/events?client=a&client=b"), 400, "client: it is given 2 times")


def test_what_is_refused_is_counted(server):
    """How many requests were refused, by status, is an answer as well."""
    server.record([GOOD])
    before = server.totals("taba.server.refused").get("taba.server.refused{status=400}", 0)
    for _ in range(3):
        server.post(b"nothing")
    server.record([GOOD])
    assert server.totals("taba.server.refused")["taba.server.refused{status=400}"] == before + 3


def test_a_frame_with_a_wrong_type_names_its_place(server):
    """In a frame the place of a rejection is that of its tab in the header; every value of it counts as lost."""
    before = sum_of(server.dropped(), "unknown_type")
    body = frame_bytes("f1", 1, {"good": [1.0], "nope": [1.0] * 3}, kind={"good": "counter", "nope": "nope"})
    answer = server.post(body, FRAME)
    assert (answer.content["accepted"], [one["index"] for one in answer.content["rejected"]]) == (1, [1, 1, 1])
    assert sum_of(server.dropped(), "unknown_type") == before + 3
