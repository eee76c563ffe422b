"""Arrays of texts that are counted without being decoded, compared with the decoder."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taba.listed import REMEMBERED_BYTES, listed

awkward = st.text(st.sampled_from('a,"[]{}:\\ \n\x7fé😀'), max_size=4)
texts = st.lists(st.text(max_size=8) | awkward, max_size=8)
plain = st.text(st.sampled_from("a,[]{}: é"), max_size=4)
anything = st.recursive(
    st.none() | st.integers(0, 9) | plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=12,
)


class Held(msgspec.Struct):
    """What passes an array on as it came."""

    some: msgspec.Raw


_whole = msgspec.json.Decoder(list[str]).decode
_holding = msgspec.json.Decoder(Held).decode


def compact(value, **options):
    return json.dumps(value, separators=(",", ":"), **options).encode("utf-8", "surrogatepass")


@settings(max_examples=500)
@given(texts)
def test_a_list_of_texts_is_what_the_decoder_makes_of_it(some):
    """Whoever wrote it: counted and read the same, or left to the decoder; and nothing plain is left to it."""
    for raw in (compact(some), compact(some, ensure_ascii=False), json.dumps(some).encode(), msgspec.json.encode(some)):
        found = listed(raw)
        if found is not None:
            assert list(found) == some
            assert len(found) == len(some)
        else:
            assert b"\\" in raw or b", " in raw


@settings(max_examples=500)
@given(st.lists(anything, max_size=6) | anything)
def test_what_is_no_list_of_texts_is_left_to_the_decoder(value):
    """Arrays within arrays, objects and numbers between texts, and texts that look like what lies between texts."""
    raw = compact(value, ensure_ascii=False)
    found = listed(raw)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        assert found is not None
        assert list(found) == value
    else:
        assert found is None


@pytest.mark.parametrize(
    "raw", ['[",",1,"a","b"]', '["a",{",":1},"b"]', '[",",{",":1},"b"]', '["a"],["b"]', '["a":"b"]', '["]', '[ "a"]']
)
def test_commas_within_texts_do_not_make_up_for_those_between(raw):
    """The count of quotes alone would let some of these pass."""
    assert listed(raw.encode()) is None


@settings(max_examples=500)
@given(st.binary(max_size=12))
def test_what_passes_is_what_the_decoder_takes(inner):
    """Bytes of any kind between two quotes: no UTF-8, control characters, cut escapes."""
    raw = b'["' + inner + b'"]'
    try:
        found = listed(_holding(b'{"some":' + raw + b"}").some)
    except msgspec.DecodeError:
        return
    if found is not None:
        assert list(found) == _whole(raw)
        assert len(found) == len(_whole(raw))


@pytest.mark.parametrize("length", [10, REMEMBERED_BYTES])
def test_the_same_bytes_are_found_the_same_again(length):
    """Remembered or too long for it: what is canonical stays so, what is not stays so."""
    for some, canonical in ((["a" * length, "b"], True), (["a" * length, 1], False)):
        assert [listed(compact(some)) is not None for _ in range(3)] == [canonical] * 3
