"""The frame: what its grammar says, that nothing is lost in it, and that no bytes do harm."""

import json
import struct
import tracemalloc
import zlib
from array import array
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from taba import frame
from taba.frame import Drops, Frame, FrameError, Header, Texts, decode, encode, pack_values

fuzz = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Machines differ in speed, and the first text that hypothesis makes takes a second."""

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_NAMES = ["closing", "counters", "drops", "heartbeat", "recorded", "texts", "tombstone", "two", "weights"]


def to_frame(meaning):
    """A frame from its meaning as written in a golden file."""
    fields = dict(meaning["header"])
    for part, kind in (("texts", Texts), ("drops", Drops)):
        if part in fields:
            fields[part] = kind(**fields[part])
    return Frame(Header(**fields), pack_values(array("d", meaning["numbers"] + meaning.get("weights", []))))


def packed(text, values=b"", magic=b"TABA", version=1, flags=0, checksum=None):
    """A frame's bytes put together by hand, as the grammar says, whatever is in them."""
    if checksum is None:
        checksum = zlib.crc32(text + values)
    return struct.pack("<4sHHIII", magic, version, flags, len(text), len(values), checksum) + text + values


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_golden_bytes_mean_what_their_json_says(name):
    meanings = json.loads((GOLDEN / f"{name}.json").read_text())
    decoded = list(decode((GOLDEN / f"{name}.frame").read_bytes()))
    assert [one.header for one in decoded] == [to_frame(meaning).header for meaning in meanings]
    assert [one.numbers() for one in decoded] == [meaning["numbers"] for meaning in meanings]
    ones = [[1.0] * len(meaning["numbers"]) for meaning in meanings]
    weights = [meaning.get("weights", one) for meaning, one in zip(meanings, ones, strict=True)]
    assert [one.weights() for one in decoded] == weights


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_encoding_the_meaning_gives_the_golden_bytes(name):
    frames = map(to_frame, json.loads((GOLDEN / f"{name}.json").read_text()))
    assert b"".join(encode(one.header, bytes(one.values)) for one in frames) == (GOLDEN / f"{name}.frame").read_bytes()


def test_every_golden_file_is_tested():
    assert sorted(path.stem for path in GOLDEN.glob("*.frame")) == GOLDEN_NAMES
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == GOLDEN_NAMES


def test_bytes_are_as_the_grammar_says():
    """The layout is checked without the decoder's help."""
    header = Header("web-1", "e", 7, 1.0, 1.25, ["a"], ["counter"], [2])
    text = (
        b'{"client":"web-1","epoch":"e","sequence":7,"start":1.0,"stop":1.25,'
        b'"names":["a"],"types":["counter"],"counts":[2]}'
    )
    assert encode(header, pack_values(array("d", [1, 2.5]))) == packed(text, struct.pack("<2d", 1, 2.5))


names = st.text(min_size=1, max_size=20)
kinds = st.sampled_from(["counter", "percentile", "gauge(30)", "top"])
finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def frames(draw):
    """Any frame that keeps the rules."""
    numbers = draw(st.lists(st.tuples(names, kinds, st.lists(finite, min_size=1, max_size=5)), max_size=5))
    texts = draw(st.none() | st.lists(st.tuples(names, kinds, st.lists(st.text(max_size=9), min_size=1)), max_size=3))
    drops = draw(st.none() | st.lists(st.tuples(names, names, st.integers(1, 2**60)), max_size=3))
    start = draw(st.floats(0, 4e9))
    sequence = draw(st.integers(1, 2**53 - 1))
    header = Header(
        client=draw(names),
        epoch=draw(st.text(min_size=1, max_size=64)),
        sequence=sequence,
        start=start,
        stop=start + draw(st.floats(0, 1)),
        names=[name for name, _, _ in numbers],
        types=[kind for _, kind, _ in numbers],
        counts=[len(values) for _, _, values in numbers],
        closing=draw(st.booleans()),
        began=draw(st.none() | st.floats(0, 4e9)),
        recorded=draw(st.none() | st.integers(0, 2**63 - 1)),
        first=draw(st.none() | st.integers(1, sequence)),
        weights=draw(st.booleans()),
        errors=draw(st.none() | st.lists(st.floats(0, 1), min_size=len(numbers), max_size=len(numbers))),
    )
    if texts is not None:
        header.texts = Texts(
            [name for name, _, _ in texts],
            [kind for _, kind, _ in texts],
            [len(values) for _, _, values in texts],
            [value for _, _, values in texts for value in values],
        )
    if drops is not None:
        header.drops = Drops(*(list(column) for column in zip(*drops, strict=True)))
    values = [value for _, _, values in numbers for value in values]
    weights = draw(st.lists(finite, min_size=len(values), max_size=len(values))) if header.weights else []
    return Frame(header, pack_values(array("d", values + weights)))


@given(st.lists(frames(), max_size=3))
@fuzz
def test_what_is_encoded_is_decoded(some):
    """Nothing is lost or changed, however many frames follow one another."""
    body = b"".join(encode(one.header, bytes(one.values)) for one in some)
    decoded = list(decode(body))
    assert [one.header for one in decoded] == [one.header for one in some]
    assert [bytes(one.values) for one in decoded] == [bytes(one.values) for one in some]


def only_frame_errors(body):
    """Decode; let nothing out but FrameError, whose text says something."""
    try:
        return list(decode(body))
    except FrameError as error:
        assert str(error)
        return None


@given(st.binary(max_size=200))
@fuzz
def test_arbitrary_bytes_do_no_harm(body):
    assert only_frame_errors(body) is None or body == b""


@given(frames(), st.data())
@fuzz
def test_a_cut_off_frame_is_refused(one, data):
    body = encode(one.header, bytes(one.values))
    cut = data.draw(st.integers(1, len(body) - 1))
    with pytest.raises(FrameError, match="cut off"):
        list(decode(body[:cut]))


@given(frames(), st.data())
@fuzz
def test_a_changed_byte_is_noticed(one, data):
    body = bytearray(encode(one.header, bytes(one.values)))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] ^= data.draw(st.integers(1, 255))
    assert only_frame_errors(bytes(body)) is None


@given(frames(), st.data())
@settings(fuzz, max_examples=200)
def test_a_well_wrapped_but_changed_header_does_no_harm(one, data):
    """A sender may compute the checksum of nonsense: still FrameError or a frame that keeps the rules."""
    body = encode(one.header, bytes(one.values))
    length = struct.unpack_from("<I", body, 8)[0]
    text = bytearray(body[frame.PREFIX.size : frame.PREFIX.size + length])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    only_frame_errors(packed(bytes(text), bytes(one.values)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(frames(), st.data())
@settings(fuzz, max_examples=200)
def test_a_field_of_any_type_does_no_harm(one, data):
    """Each field, at each level, replaced by any JSON value or taken out."""
    fields = json.loads(bytes(next(frame.split(encode(one.header, bytes(one.values))))[0]))
    place = data.draw(st.sampled_from([fields, *(part for part in fields.values() if isinstance(part, dict))]))
    name = data.draw(st.sampled_from([*place, "texts", "drops", "other"]))
    if data.draw(st.booleans()):
        place[name] = data.draw(json_values)
    else:
        place.pop(name, None)
    only_frame_errors(packed(json.dumps(fields).encode(), bytes(one.values)))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=64))
@fuzz
def test_lengths_that_lie_are_refused_before_anything_is_allocated(header, values, rest):
    assume(len(rest) != header + values)
    body = struct.pack("<4sHHIII", b"TABA", 1, 0, header, values, 0) + rest
    tracemalloc.start()
    try:
        assert only_frame_errors(body) is None
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"TABA", "cut off after 4 of 20 prefix bytes"),
        (packed(b"{}", magic=b"ATAB"), "begins with b'ATAB'"),
        (packed(b"{}", version=2), "version 2"),
        (packed(b"{}", flags=1), "flags 1"),
        (packed(b"{}", b"123"), "8 bytes each"),
        (packed(b"{}", checksum=1), "the checksum does not fit"),
        (packed(b"{"), "not JSON"),
        (packed(b"\xff\xfe\xfd"), "not JSON"),
        (packed(b"[]"), "not a JSON object"),
        (packed(b"[" * 100_000), "frame 0"),
        (packed(b'{"client":"c"}'), "no epoch"),
    ],
)
def test_an_error_says_what_is_wrong(body, said):
    with pytest.raises(FrameError, match=said.replace("(", r"\(")):
        list(decode(body))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": ["a", "b"]}, "lists are not parallel: 2, 1 and 1"),
        ({"counts": [0]}, "each is at least 1"),
        ({"counts": [2]}, "counts add up to 2, but 1 values are here"),
        ({"counts": [True]}, "counts is not of type"),
        ({"start": 2.0}, "time goes from 2.0 to 1.25"),
        ({"start": float("nan")}, "time goes from nan"),
        ({"stop": 10**400}, "too large"),
        ({"sequence": 0}, "it counts from 1"),
        ({"sequence": 1 << 53}, "ends at 9007199254740991"),
        ({"first": 0}, "first is 0: it lies from 1 to the sequence, 1"),
        ({"first": 2}, "first is 2: it lies from 1 to the sequence, 1"),
        ({"recorded": -1}, "recorded is -1: it is a number of events"),
        ({"recorded": 1 << 63}, "it is a number of events"),
        ({"recorded": 1.5}, "recorded is not of type"),
        ({"began": float("inf")}, "began is inf"),
        ({"epoch": ""}, "1 to 64 characters"),
        ({"epoch": "e" * 65}, "1 to 64 characters"),
        ({"texts": {"names": ["a"], "types": ["top"], "counts": [1], "values": []}}, "texts.counts add up"),
        ({"texts": []}, "texts is not an object"),
        ({"drops": {"names": ["a"], "reasons": [], "counts": [1]}}, "drops.lists are not parallel"),
        ({"weights": True}, "weights: one follows for each value, but there are 1 of both"),
        ({"weights": 1}, "weights is not of type bool"),
        ({"errors": []}, "errors are not parallel to its names"),
        ({"errors": [1.5]}, "not all from 0 to 1"),
        ({"errors": [float("nan")]}, "not all from 0 to 1"),
    ],
)
def test_a_header_whose_parts_disagree_is_refused(change, said):
    good = {
        "client": "web-1", "epoch": "e", "sequence": 1, "start": 1.0, "stop": 1.25,
        "names": ["a"], "types": ["counter"], "counts": [1],
    }  # fmt: skip
    with pytest.raises(FrameError, match=said):
        list(decode(packed(json.dumps(good | change).encode(), struct.pack("<d", 1))))


def test_golden_frames_add_up_to_what_they_say_was_recorded():
    """`recorded` counts a frame's numbers and texts, and what it says was lost; also where a tombstone came instead."""
    for name in ("recorded", "tombstone"):
        so_far = 0
        for one in decode((GOLDEN / f"{name}.frame").read_bytes()):
            so_far += one.header.events()
            assert one.header.recorded == so_far


def test_the_second_frame_of_a_body_is_named_in_its_error():
    good = encode(Header("web-1", "e", 1, 1.0, 1.25))
    with pytest.raises(FrameError, match=f"frame at byte {len(good)}"):
        list(decode(good + b"nonsense" * 4))
