"""Keys as bytes: their order, equality and partition are those that are documented, for keys of every kind."""

import enum
import math
import subprocess
import sys
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from key_kinds import compared, few_keys, in_order, keys, same

from mrjerb.errors import JobError
from mrjerb.keys import composite, decode, encode, key_part, partition_of

MANY = settings(max_examples=300)


def sign(one, other):
    return (one > other) - (one < other)


@MANY
@given(st.one_of(keys, few_keys))
def test_a_key_comes_back(key):
    """Nothing is lost: the key and its type, down to the last bit of a whole number."""
    found = decode(encode(key))
    assert same(found, key)
    assert type(found) is type(key)


@MANY
@given(st.one_of(keys, few_keys), st.one_of(keys, few_keys))
@example("a", "a\0")
@example(2**53 + 1, float(2**53))
@example((1,), (1, None))
@example(math.nan, math.inf)
def test_bytes_sort_as_keys_do(one, other):
    """The order of bytes is the order of keys, and what has the same bytes is the same key."""
    assert sign(encode(one), encode(other)) == compared(one, other)


@MANY
@given(*[st.one_of(keys, few_keys)] * 4)
@example("a", "\0", "a\0", None)
@example("a", math.inf, "a\0", None)
def test_values_never_move_their_key(one, first, other, second):
    """A composite sorts by its key, then by what the values are sorted by, and gives its key back."""
    wanted = compared(one, other) or compared(first, second)
    assert sign(composite(one, first), composite(other, second)) == wanted
    assert key_part(composite(one, first)) == encode(one)


@given(st.lists(few_keys))
def test_many_keys_sort(some):
    """A whole list is sorted by bytes as it is by the documented order."""
    found = [decode(data) for data in sorted(map(encode, some))]
    assert [encode(key) for key in found] == [encode(key) for key in sorted(some, key=in_order)]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, False),
        (1, True, False),
        (0, False, False),
        (0.0, -0.0, True),
        (math.nan, float("-nan"), True),
        ("a", b"a", False),
        ((), None, False),
        ([1, "a"], (1, "a"), True),
        (((1,),), (1,), False),
        (2**64, float(2**64), False),
        ("é", "e\u0301", False),
    ],
)
def test_what_is_one_key(one, other, equal):
    """The equality of the documentation, where Python's own or a reader's could differ."""
    assert (encode(one) == encode(other)) is equal


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int
    y: str


@pytest.mark.parametrize(
    ("like", "key"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Point(1, "a"), (1, "a")),
        (numpy.int64(7), 7),
        (numpy.float32(0.5), 0.5),
        (numpy.float64("nan"), math.nan),
        (Fraction(1, 4), 0.25),
        (numpy.str_("a"), "a"),
        (numpy.bytes_(b"a"), b"a"),
        (bytearray(b"ab"), b"ab"),
        ([1, [2]], (1, (2,))),
    ],
)
def test_what_is_like_a_key_is_that_key(like, key):
    """An enum, a named tuple, numpy's scalars: the plain key that they are like."""
    assert encode(like) == encode(key)


@pytest.mark.parametrize(
    "wrong",
    [date(2013, 2, 16), {"a": 1}, {1}, Ellipsis, Decimal("0.1"), Fraction(1, 3), 1j, 2**1023, ("a", date(2013, 2, 16))],
    ids=repr,
)
def test_what_can_be_no_key(wrong):
    """A type without a place in the order is refused, and the text names it or says what to yield."""
    with pytest.raises(JobError, match=r"[Yy]ield"):
        encode(wrong)


@given(st.lists(few_keys, min_size=1), st.integers(1, 7))
def test_partitions_are_in_bounds(some, partitions):
    """Every key has one partition, and equal keys the same."""
    for key in some:
        assert partition_of(encode(key), partitions) in range(partitions)
        assert partition_of(encode(decode(encode(key))), partitions) == partition_of(encode(key), partitions)


def test_partitions_are_those_of_other_processes():
    """No hash that differs from process to process: another Python finds the same partitions."""
    program = (
        "from mrjerb.keys import encode, partition_of\n"
        "print([partition_of(encode(key), 97) for key in (None, True, 1, 1.5, 'ä', b'b', ('a', 1))])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
