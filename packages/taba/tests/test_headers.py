"""A header as agents and servers read it, and as the full decoder does: the same fields, or the same refusal."""

import json
from dataclasses import asdict, fields

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from taba.frame import Drops, Header, Texts, write_header
from taba.headers import _Plain, parse, write

_whole = msgspec.json.Decoder(Header).decode

names = st.lists(st.text(max_size=4), max_size=4)
anything = st.none() | st.booleans() | st.integers(-2, 1 << 64) | st.floats(0, 9) | names | st.lists(st.integers(0, 3))
lists = {"names": names, "types": names, "counts": st.lists(st.integers(0, 9), max_size=4)}
required = {
    "client": st.text(max_size=4),
    "epoch": st.text(max_size=4),
    "sequence": st.integers(0, 9),
    "start": st.floats(0, 9),
    "stop": st.floats(0, 9),
}
optional = {
    "texts": st.fixed_dictionaries({**lists, "values": names}),
    "drops": st.fixed_dictionaries({"names": names, "reasons": names, "counts": lists["counts"]}),
    "closing": st.booleans(),
    "began": st.floats(0, 9),
    "recorded": st.integers(0, 9),
    "first": st.integers(0, 9),
    "of another version": anything,
}
headers = st.fixed_dictionaries(required, optional=lists | optional)


def _read(decoder, text):
    try:
        header = decoder(text)
    except ValueError as error:
        return str(error)
    header.names, header.types = list(header.names), list(header.types)
    return asdict(header)


@settings(max_examples=400)
@given(header=headers, field=st.sampled_from([*required, *lists, *optional]), value=anything, spoilt=st.booleans())
def test_it_reads_what_the_full_decoder_reads(header, field, value, spoilt):
    """As compact JSON and with white space, with escapes and without, with one field of any kind."""
    if spoilt:
        header[field] = value
    for text in (
        json.dumps(header),
        json.dumps(header, separators=(",", ":")),
        json.dumps(header, separators=(",", ":"), ensure_ascii=False),
    ):
        raw = text.encode("utf-8", "surrogatepass")
        assert _read(parse, raw) == _read(_whole, raw)


@settings(max_examples=300)
@given(cut=st.integers(0, 200), put=st.binary(max_size=3))
def test_damaged_json_is_refused_with_the_same_words(cut, put):
    """Whatever stands in the place of some bytes."""
    header = Header("c", "e", 1, 0.0, 0.25, ["a", "b{c=d}"], ["counter", "gauge"], [1, 1])
    raw = json.dumps({name: value for name, value in asdict(header).items() if value is not None}).encode()
    raw = raw.replace(b", ", b",").replace(b": ", b":")
    raw = raw[:cut] + put + raw[cut + len(put) :]
    assert _read(parse, raw) == _read(_whole, raw)


written = st.builds(
    Header,
    **required,
    **lists,
    texts=st.none() | st.builds(Texts, **lists, values=names),
    drops=st.none() | st.builds(Drops, names, names, lists["counts"]),
    closing=st.booleans(),
    began=st.none() | st.floats(0, 9),
    recorded=st.none() | st.integers(0, (1 << 63) - 1),
    first=st.none() | st.integers(0, 9),
    weights=st.booleans(),
    errors=st.none() | st.lists(st.floats(0, 1), max_size=3),
)


@given(header=written, odd=st.booleans())
def test_it_writes_what_the_standard_library_writes(header, odd):
    """The same fields with the same values, also where a name is no text that UTF-8 could carry."""
    header.names += ["\ud800"] * odd
    assert json.loads(write(header)) == json.loads(write_header(header))


def test_it_has_every_field_in_its_place():
    """A field that a header gets is read here too, or this fails."""
    assert list(_Plain.__struct_fields__) == [field.name for field in fields(Header)]
