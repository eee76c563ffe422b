"""Lines of output are mrjob's to the byte, and are read back as what was written."""

import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mrjob import protocol as original

from mrjerb import JobError, UsageError
from mrjerb.outputs.protocols import PROTOCOLS, decoder, encoder

TEXTS = st.text(st.characters(codec="utf-8"))
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | TEXTS
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner), max_leaves=8
)
ORIGINALS = {
    "json": original.StandardJSONProtocol,
    "json_value": original.StandardJSONValueProtocol,
    "pickle": original.PickleProtocol,
    "pickle_value": original.PickleValueProtocol,
    "repr": original.ReprProtocol,
    "repr_value": original.ReprValueProtocol,
}
PARTS = {
    "text": (original.TextProtocol, TEXTS),
    "text_value": (original.TextValueProtocol, TEXTS),
    "raw": (original.RawProtocol, TEXTS),
    "raw_value": (original.RawValueProtocol, TEXTS),
    "bytes": (original.BytesProtocol, st.binary()),
    "bytes_value": (original.BytesValueProtocol, st.binary()),
}


@dataclass
class Point:
    x: int
    y: float


class Seen(msgspec.Struct):
    user: str
    day: date


@given(key=JSON, value=JSON)
def test_lines_are_those_of_mrjob(key, value):
    """A downstream program that reads mrjob's lines reads ours: the bytes are the same, and so is what is read back."""
    for name, theirs in ORIGINALS.items():
        if name.startswith("repr"):
            try:
                expected = theirs().write(key, value)
            except UnicodeEncodeError:
                continue  # half a surrogate pair within a repr
        else:
            expected = theirs().write(key, value)
        assert encoder(name)(key, value) == expected
        assert decoder(name)(expected) == theirs().read(expected)


@given(data=st.data())
def test_parts_are_those_of_mrjob(data):
    """Texts and bytes are written as they are, with None and its tab left out, and read as mrjob reads them."""
    for name, (theirs, values) in PARTS.items():
        key = data.draw(st.none() | values)
        value = data.draw(values if name.endswith("_value") else st.none() | values)
        line = encoder(name)(key, value)
        assert line == theirs().write(key, value)
        assert decoder(name)(line) == theirs().read(line)


@given(line=st.binary())
def test_any_bytes_are_read_as_mrjob_reads_texts(line):
    """A line that is no UTF-8 is taken as Latin-1 by the text protocols, as mrjob takes it."""
    assert decoder("text")(line) == original.TextProtocol().read(line)
    assert decoder("text_value")(line) == original.TextValueProtocol().read(line)


@pytest.mark.parametrize("value", [math.nan, math.inf, [1, -math.inf], {"a": math.nan}])
@pytest.mark.parametrize("name", ["json", "json_value"])
def test_a_number_that_json_lacks_names_the_key(name, value):
    """NaN is no JSON: it is an error that says for which key, never a line that others can't read."""
    with pytest.raises(JobError, match=r"key 'ctr': can't be written as json"):
        encoder(name)("ctr", value)


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("json", {1, 2}, "sorted list"),
        ("json", b"x", "decode it"),
        ("json", object(), "choose pickle"),
        ("json", {(1, 2): 3}, "keys must be"),
        ("text", [1], "choose json"),
        ("bytes", "x", "choose text"),
        ("pickle", lambda: None, "pickle"),
    ],
)
def test_what_a_protocol_lacks_says_what_to_do(name, value, advice):
    """A value of a wrong type is an error with its key and a way out."""
    with pytest.raises(JobError, match=advice) as error:
        encoder(name)("k", value)
    assert "'k'" in str(error.value)


def test_a_value_that_holds_itself():
    """A circle is an error of the job, and ends nothing else."""
    circle: list = []
    circle.append(circle)
    with pytest.raises(JobError, match="holds itself"):
        encoder("json")("k", circle)


def test_values_of_declared_types():
    """A Struct, a dataclass and a date, which mrjob refuses, are written as msgspec writes them."""
    assert encoder("json")(date(2024, 5, 1), Seen("u", date(2024, 5, 2))) == (
        b'"2024-05-01"\t{"user": "u", "day": "2024-05-02"}'
    )
    assert encoder("json_value")(None, [Point(1, 2.5)]) == b'[{"x": 1, "y": 2.5}]'


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_line_that_is_none_of_the_protocol(name):
    """A bad line is a ValueError, which readers of lines know to report."""
    for line in (b"", b"\t", b"\xff", b"{", b"a b", b"\\x80\\x04\tx", b"c" * 50, b"(" * 500):
        with suppress(ValueError):
            assert len(decoder(name)(line)) == 2


def test_an_unknown_name():
    """A typing error in --output-format lists what there is."""
    with pytest.raises(UsageError, match="json_value"):
        encoder("jsn")
