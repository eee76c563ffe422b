"""Compat's protocols: mrjob's bytes, and back."""

import math

import mrjob.protocol
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrjerb.compat import protocols

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
plain = st.recursive(scalars, lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(), of, max_size=3))
mixed = plain | st.tuples(plain, st.binary(max_size=5)) | st.sets(st.integers(), max_size=3)

ANY = ["StandardJSONProtocol", "StandardJSONValueProtocol"]
RICH = ["PickleProtocol", "PickleValueProtocol", "ReprProtocol", "ReprValueProtocol"]
LINES = ["RawProtocol", "RawValueProtocol", "TextProtocol", "TextValueProtocol", "BytesProtocol", "BytesValueProtocol"]


def both(name):
    """A protocol of mrjob's, and ours."""
    return getattr(mrjob.protocol, name)(), getattr(protocols, name)()


def same(one, other):
    """Whether two values are the same, where NaN is itself."""
    return one == other or repr(one) == repr(other)


@pytest.mark.parametrize("name", ANY)
@given(key=plain, value=plain)
def test_json_is_mrjobs(name, key, value):
    """JSON of any values has mrjob's bytes, and is read as mrjob reads it."""
    theirs, ours = both(name)
    line = theirs.write(key, value)
    assert ours.write(key, value) == line
    assert same(ours.read(line), theirs.read(line))


@pytest.mark.parametrize("name", RICH)
@given(key=mixed, value=mixed)
def test_pickles_and_reprs_are_mrjobs(name, key, value):
    """Values of any type have mrjob's bytes, and are read as they were; a repr is never run, so `nan` is read too."""
    theirs, ours = both(name)
    line = theirs.write(key, value)
    assert ours.write(key, value) == line
    assert same(ours.read(line), (None if "Value" in name else key, value))


@pytest.mark.parametrize("name", LINES)
@given(line=st.binary().filter(lambda line: b"\n" not in line))
def test_lines_are_read_as_mrjob_reads_them(name, line):
    """Any line, of UTF-8 or not, with tabs or without, is read as mrjob reads it, and written as mrjob writes that."""
    theirs, ours = both(name)
    found = ours.read(line)
    assert found == theirs.read(line)
    assert ours.write(*found) == theirs.write(*found)


def test_a_repr_is_read_and_never_run():
    """What is no literal is refused, and a call in it is not made."""
    with pytest.raises(ValueError, match="malformed"):
        protocols.ReprValueProtocol().read(b"__import__('os').getcwd()")
    assert math.isinf(protocols.ReprValueProtocol().read(b"-inf")[1])


def test_a_protocol_of_a_library_that_is_not_there_says_so():
    """A job that asks for ujson's protocol hears what to install."""
    with pytest.raises(ImportError, match="ujson"):
        _ = protocols.UltraJSONProtocol
