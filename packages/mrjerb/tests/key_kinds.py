"""Keys of every kind, and their order and equality as the documentation has them, told without any bytes."""

import math
from functools import cmp_to_key
from typing import Any

from hypothesis import strategies as st

KINDS = (type(None), bool, float, str, bytes, tuple)  # int counts as float: numbers are one kind

AWKWARD_NUMBERS = """0 -0.0 0.0 1 1.0 -1 255 256 2**53 2**53+1 float(2**53) 2**53+2 -2**53-1 2**60+1 2**60-1
    float(2**60) 2**64 2**1000+1 2**1000 float(2**1000) -2**1000-1 math.inf -math.inf math.nan 5e-324 1e308"""
awkward_numbers = st.sampled_from([eval(number) for number in AWKWARD_NUMBERS.split()])
awkward_texts = st.sampled_from(
    [
        "",
        "\0",
        "\0\0",
        "a",
        "a\0",
        "a\0b",
        "a\xff",
        "ab",
        "é",
        "\ud800",
        "\udfff",
        "\uffff",
        "\U0001f600",
        "\xff",
        "\t",
        "\n",
        "a\tb",
    ]
)
awkward_bytes = st.sampled_from([b"", b"\0", b"\0\xff", b"\xff", b"a", b"a\0", b"a\0\xff", b"\0\0", b"\n\t"])
characters = st.characters(codec=None)  # half surrogate pairs too

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**1023) + 1, 2**1023 - 1),
    st.floats(),
    st.text(characters, max_size=8),
    st.binary(max_size=8),
    awkward_numbers,
    awkward_texts,
    awkward_bytes,
)
keys = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=6)
few_keys = st.one_of(
    st.sampled_from(["a", "b", "", "a\0", "ä"]),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([None, 1.0, -0.0, b"a", b"\0", (), ("a", 1), ("a", 1.0), ((), None)]),
    keys,
)
"""Keys that often meet: most jobs need some that are yielded twice."""


def kind_of(key: Any) -> int:
    """The place of a key's kind in the order: None, False and True, numbers, texts, bytes, tuples."""
    if isinstance(key, int) and not isinstance(key, bool):
        return KINDS.index(float)
    return KINDS.index(type(key))


def compared(one: Any, other: Any) -> int:
    """-1, 0 or 1, as `one` sorts before `other`, is the same key, or sorts behind it."""
    if kind_of(one) != kind_of(other):
        return _sign(kind_of(one), kind_of(other))
    if isinstance(one, tuple):
        inner = next((found for pair in zip(one, other, strict=False) if (found := compared(*pair))), 0)
        return inner or _sign(len(one), len(other))
    if kind_of(one) == KINDS.index(float):
        return _numbers(one, other)
    return 0 if one is None else _sign(one, other)


def _numbers(one: float, other: float) -> int:
    """By value; a whole number before the float of its value; what is no number behind all."""
    nan_one, nan_other = math.isnan(one), math.isnan(other)
    if nan_one or nan_other:
        return _sign(nan_one, nan_other)
    return _sign(one, other) or _sign(isinstance(one, float), isinstance(other, float))


def _sign(one: Any, other: Any) -> int:
    return (one > other) - (one < other)


in_order = cmp_to_key(compared)
"""A key for `sorted` that sorts keys in their order."""


def same(one: Any, other: Any) -> bool:
    """Whether two keys are one key."""
    return compared(one, other) == 0
