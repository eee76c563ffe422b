"""Frames at the server's door: counted once each, refused as a whole where the bytes are not what they say."""

import struct
import time
import zlib

import pytest
from server_process import FRAME, ServerProcess, frame_bytes

from taba import frame


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerProcess(tmp_path_factory.mktemp("frames"), gather_ms=2)
    yield server
    # After all that was sent to it, the server is well, and good events count once.
    server.record([{"tab": "well", "value": 1}])
    assert server.totals("well") == {"well": 1.0}
    assert server.get("/ping") == {"status": "ok"}
    server.close()


def total(server, tab):
    return server.totals(tab).get(tab, 0)


def test_a_frame_without_headers_counts_once(server):
    """Its own client, epoch and sequence tell a repeat; another epoch or client is something new."""
    body = frame_bytes("once", 1, {"f.once": [1, 2, 3]})
    assert server.post(body, FRAME).content == {"accepted": 3, "rejected": []}
    for _ in range(3):
        assert server.post(body, FRAME).content == {"accepted": 0, "rejected": [], "duplicate": True}
    server.post(frame_bytes("once", 1, {"f.once": [10]}, epoch="other"), FRAME)
    server.post(frame_bytes("once2", 1, {"f.once": [100]}), FRAME)
    assert total(server, "f.once") == 116


def test_each_frame_of_a_body_counts_by_itself(server):
    """Frames may be put together in any way when they are sent again: what was counted is not, what is new is."""
    one, two, three = (frame_bytes("each", number, {"f.each": [10**number]}) for number in (1, 2, 3))
    assert server.post(one + one, FRAME).content["accepted"] == 1
    assert server.post(one + two, FRAME).content == {"accepted": 1, "rejected": []}
    assert server.post(three + two + one, FRAME).content == {"accepted": 1, "rejected": []}
    assert server.post(one + two + three, FRAME).content["duplicate"] is True
    assert total(server, "f.each") == 1_110


def test_headers_of_frames_say_nothing(server):
    """Frames count by their own numbers, whatever way they come: with the same headers, others, none, or bad ones."""
    one, two = frame_bytes("h", 1, {"f.headers": [1]}), frame_bytes("h", 2, {"f.headers": [2]})
    assert server.post(one, FRAME, taba_source="lane", taba_sequence="1").content["accepted"] == 1
    assert server.post(two, FRAME, taba_source="lane", taba_sequence="1").content["accepted"] == 1
    for headers in ({"taba_source": "lane", "taba_sequence": "2"}, {"taba_source": "other"}, {}):
        assert server.post(one + two, FRAME, **headers).content["duplicate"] is True
    assert total(server, "f.headers") == 3


def test_a_tombstone_or_its_frames(server):
    """Of a frame and its tombstone the first that comes counts, in the same body too; the other changes nothing."""
    frames = [frame_bytes("grave", number, {"f.grave": [1, 1]}) for number in range(1, 7)]

    def grave(first, last):
        drops = frame.Drops(["f.grave"], ["spool_full"], [2 * (last - first + 1)])
        now = time.time()
        return frame.encode(frame.Header("grave", "e", last, now, now, drops=drops, first=first))

    assert server.post(frames[0], FRAME).content["accepted"] == 2
    assert server.post(grave(1, 1), FRAME).content["duplicate"] is True
    assert server.post(grave(2, 4), FRAME).content == {"accepted": 0, "rejected": []}
    for number in (2, 3, 4):
        assert server.post(frames[number - 1], FRAME).content["duplicate"] is True
    assert server.post(frames[4] + grave(5, 5) + frames[5], FRAME).content["accepted"] == 4
    assert total(server, "f.grave") == 6
    assert server.dropped()["spool_full", "f.grave"] == 6
    ledger = server.get("/v1/ledger", client="grave")["ledger"]["grave"]
    assert (ledger["folded"], ledger["dropped"], ledger["in_flight"]) == (6, {"spool_full": 6}, 0)


def test_clients_and_epochs_are_not_mixed_up(server):
    """Client a/b in epoch c is another source than client a in epoch b/c."""
    server.post(frame_bytes("a/b", 1, {"f.mixed": [1]}, epoch="c"), FRAME)
    server.post(frame_bytes("a", 1, {"f.mixed": [2]}, epoch="b/c"), FRAME)
    assert total(server, "f.mixed") == 3


def test_texts_and_numbers_in_one_frame(server):
    """Texts travel in the header, numbers behind it; each reaches its type."""
    texts = frame.Texts(["f.users", "f.pages", "f.state"], ["uniques", "top", "gauge"], [2, 3, 1], list("ababaz"))
    body = frame_bytes("texts", 1, {"f.count": [1, 2]}, texts=texts)
    assert server.post(body, FRAME).content == {"accepted": 8, "rejected": []}
    found = server.get("/v1/aggregates", tab="f.*", window="1m")["tabs"]
    assert found["f.users"]["1m"]["uniques"] == 2
    assert found["f.pages"]["1m"]["values"] == [{"value": "a", "count": 2}, {"value": "b", "count": 1}]
    assert found["f.state"]["1m"]["values"] == [{"value": "z", "clients": 1}]


def test_what_a_client_lost_is_counted(server):
    """Drops in a frame are losses with the client's reason, whatever they claim."""
    drops = frame.Drops(["f.lost{k=v}", "f.lost", "f b"], ["memory", "", "Weird Reason!"], [5, 1, 10**400])
    server.post(frame_bytes("loser", 1, {}, drops=drops), FRAME)
    dropped = server.dropped()
    assert dropped["memory", "f.lost"] == 5
    assert dropped["unknown", "f.lost"] == 1
    assert dropped["_eird__eason_", "unnamed"] == 2.0**53


def test_the_last_closes(server):
    """Values spread over the frame's time; a frame of one second lies in that second."""
    second = int(time.time()) - 100
    server.post(frame_bytes("spread", 1, {"f.spread": [1] * 1_000}, start=second, stop=second + 1), FRAME)
    server.post(frame_bytes("spread", 2, {"f.spread": [1] * 10}, start=second + 1, stop=second + 11), FRAME)
    points = server.get("/v1/series", tab="f.spread", from_=second, to=second + 20, step="1s")["tabs"]["f.spread"]
    assert [(point["time"] - second, point["count"]) for point in points] == [(0, 1_000)] + [
        (n, 1) for n in range(1, 11)
    ]


def test_a_frame_over_a_year(server):
    """A client whose clock or header is wrong: what is in the range counts, what is not is told and counted."""
    answer = server.post(frame_bytes("wide", 1, {"f.wide": [1.0] * 4}, start=0.0, stop=2 * time.time()), FRAME)
    assert answer.status == 200
    assert answer.content["accepted"] + len(answer.content["rejected"]) == 4
    for start, stop in ((-1e308, 1e308), (0.0, 0.0), (1e300, 1e300)):
        answer = server.post(frame_bytes("wide", 2, {"f.wide": [1.0]}, epoch=str(stop), start=start, stop=stop), FRAME)
        assert (answer.status, answer.content["accepted"]) == (200, 0), answer


def test_values_that_are_not_finite(server):
    """NaN and infinities are rejected one by one; the values beside them count."""
    answer = server.post(frame_bytes("nan", 1, {"f.nan": [1.0, float("nan"), float("inf"), -float("inf"), 2.0]}), FRAME)
    assert answer.content["accepted"] == 2
    assert {rejection["error"] for rejection in answer.content["rejected"]} == {"value: not a finite number"}
    assert total(server, "f.nan") == 3.0


GOOD = frame_bytes("broken", 1, {"f.broken": [1.0, 2.0], "f.other": [3.0]})


def with_header(**changes):
    """The good frame with another header, and the checksum that fits it."""
    import json

    (text, values), *_ = frame.split(GOOD)
    header = json.loads(bytes(text)) | changes
    header = {name: value for name, value in header.items() if value != "absent"}
    text = json.dumps(header).encode()
    return raw(text, bytes(values))


def raw(text, values):
    return (
        frame.PREFIX.pack(b"TABA", 1, 0, len(text), len(values), zlib.crc32(values, zlib.crc32(text))) + text + values
    )


BROKEN = {
    "no bytes": (b"", "holds no frame"),
    "not a frame": (b'{"events": []}' * 3, "begins with"),
    "cut off in the prefix": (GOOD[:10], "cut off after 10 of 20"),
    "cut off in the header": (GOOD[:40], "cut off"),
    "cut off in the values": (GOOD[:-1], "cut off"),
    "bytes behind": (GOOD + b"x", "cut off after 1 of 20"),
    "a newer version": (GOOD[:4] + struct.pack("<H", 2) + GOOD[6:], "version 2"),
    "flags": (GOOD[:6] + struct.pack("<H", 1) + GOOD[8:], "flags 1"),
    "a huge header": (GOOD[:8] + struct.pack("<I", 1 << 31) + GOOD[12:], "at most"),
    "huge values": (GOOD[:12] + struct.pack("<I", 1 << 31) + GOOD[16:], "at most"),
    "a lying length": (GOOD[:8] + struct.pack("<I", 30) + GOOD[12:], "checksum"),
    "half a value": (raw(b"{}", b"\0" * 7), "8 bytes each"),
    "a flipped bit": (GOOD[:60] + bytes([GOOD[60] ^ 4]) + GOOD[61:], "checksum"),
    "not JSON": (raw(b"hello", b""), "frame 0"),
    "not an object": (raw(b"[]", b""), "frame 0"),
    "deep": (raw(b"[" * 50_000, b""), "frame 0"),
    "deep in a field": (raw(b'{"x": ' + b"[" * 9_000 + b"]" * 9_000 + b"}", b""), "frame 0"),
    "invalid UTF-8": (raw(b'{"client": "\xff"}', b""), "frame 0"),
    "no client": (with_header(client="absent"), "client"),
    "a client of a wrong type": (with_header(client=7), "client"),
    "a bad client": (with_header(client="a b"), "is not a client id"),
    "no sequence": (with_header(sequence="absent"), "sequence"),
    "sequence zero": (with_header(sequence=0), "it counts from 1"),
    "a huge sequence": (with_header(sequence=1 << 63), "sequence"),
    "a sequence of a wrong type": (with_header(sequence=True), "sequence"),
    "an empty epoch": (with_header(epoch=""), "epoch"),
    "a long epoch": (with_header(epoch="e" * 65), "epoch"),
    "time backwards": (with_header(start=2.0, stop=1.0), "goes from 2.0 to 1.0"),
    "names of a wrong type": (with_header(names="abc"), "names"),
    "fewer names": (with_header(names=["f.broken"]), "not parallel"),
    "fewer types": (with_header(types=["counter"]), "not parallel"),
    "fewer counts": (with_header(counts=[3]), "not parallel"),
    "counts too small": (with_header(counts=[1, 1]), "add up to 2, but 3 values are here"),
    "counts too large": (with_header(counts=[2, 10**30]), "add up to"),
    "a count of zero": (with_header(counts=[3, 0]), "each is at least 1"),
    "a negative count": (with_header(counts=[4, -1]), "each is at least 1"),
    "texts that are not there": (
        with_header(texts={"names": ["a"], "types": ["top"], "counts": [1], "values": []}),
        "texts.counts add up to 1, but 0 values",
    ),
    "texts of a wrong type": (
        with_header(texts={"names": ["a"], "types": ["top"], "counts": [1], "values": [5]}),
        "texts",
    ),
    "drops that are not parallel": (with_header(drops={"names": ["a"], "reasons": [], "counts": [1]}), "drops."),
    "negative drops": (with_header(drops={"names": ["a"], "reasons": ["b"], "counts": [-1]}), "drops.counts"),
}


@pytest.mark.parametrize(("body", "word"), BROKEN.values(), ids=BROKEN)
def test_broken_frames_are_refused_as_a_whole(server, body, word):
    """Nothing of a body is taken in which one frame is broken; the error says which and why."""
    good = frame_bytes("beside", 1, {"f.beside": [1]})
    for whole in (body, good + body) if body else (body,):
        answer = server.post(whole, FRAME)
        assert answer.status == 400, answer
        assert (
            word in answer.content["error"]
            or "frame 1" in answer.content["error"]
            or "at byte" in answer.content["error"]
        )


def test_what_was_beside_broken_frames_is_new(server):
    """A good frame that was refused with a broken one counts when it comes alone; nothing of the broken ones did."""
    assert server.post(frame_bytes("beside", 1, {"f.beside": [1]}), FRAME).content["accepted"] == 1
    assert server.totals("f.b*") == {"f.beside": 1.0}


def test_names_and_types_that_break_the_rules(server):
    """A frame whose bytes are well but whose tabs are not: those tabs are rejected, the others count."""
    events = {"f.good": [1.0], "bad name": [1.0, 1.0], "f.good{k=}": [1.0], "taba.server.x": [1.0], "f.kind": [1.0]}
    kinds = dict.fromkeys(events, "counter") | {"f.kind": "no_such_type"}
    answer = server.post(frame_bytes("rules", 1, events, kind=kinds), FRAME)
    assert answer.content["accepted"] == 1
    assert [rejection["index"] for rejection in answer.content["rejected"]] == [1, 1, 2, 3, 4]
    dropped = server.dropped()
    assert sum(count for (reason, _), count in dropped.items() if reason == "bad_name") >= 4
    assert dropped["unknown_type", "f.kind"] == 1


def test_unknown_fields_are_for_later_versions(server):
    """A header may say more than is read here."""
    answer = server.post(
        with_header(epoch="unknown", host="h", zone={"a": [1]}, names=["f.u", "f.u"], types=["counter"] * 2), FRAME
    )
    assert answer.content == {"accepted": 3, "rejected": []}
    assert total(server, "f.u") == 6.0
