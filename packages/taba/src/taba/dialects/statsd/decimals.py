"""Decimal numbers read together, many at once, from words of eight octets.

Digits are turned into a number within a word as Daniel Lemire describes ("Quickly parsing eight digits", 2018). The
result is what `float()` gives: at most 15 digits are a whole number that a float64 holds exactly, a power of ten up to
22 is too, and one division of the two rounds once (Clinger, "How to read floating point numbers accurately", 1990).
Numbers that are longer, or have an exponent, are read one by one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from taba.dialects.statsd import lines, naming
from taba.dialects.statsd.columns import KEPT, Integers, Octets, Spans, Truths, Words

Floats = NDArray[np.float64]

_TENS: Floats = np.array([float(10**power) for power in range(17)])
_EXACT = float(1 << 53)
_Word = np.uint64
_ZEROS, _DOTS, _ABOVE_NINE = _Word(0x3030303030303030), _Word(0x2E2E2E2E2E2E2E2E), _Word(0x7676767676767676)
_LOWS, _HIGHS = _Word(0x0101010101010101), _Word(0x8080808080808080)
_FOURTHS, _LEFT, _RIGHT = _Word(0x000000FF000000FF), _Word(0x000F424000000064), _Word(0x0000271000000001)
_ONE, _SEVEN, _OCTET, _TWO_OCTETS, _HALF = _Word(1), _Word(7), _Word(8), _Word(16), _Word(32)
_LEADING: Words = np.array([int(_ZEROS) & ((1 << 8 * (8 - length)) - 1) for length in range(9)], _Word)
"""The zeros before a number of so many octets."""
_SHIFTS: Words = np.array([8 * (8 - length) for length in range(8)] + [0], _Word)
_EXPONENT = 1023
"""What a float64's exponent field has more than the exponent."""


def read(octets: Octets, words: Words, start: Integers, stop: Integers) -> tuple[Floats, Truths]:
    """The numbers between `start` and `stop` of each, and which are numbers at all; others are NaN."""
    signs = octets[start]
    signed = (signs == ord("-")) | (signs == ord("+"))
    if not signed.any():
        return _unsigned(octets, words, start, stop)
    numbers, good = _unsigned(octets, words, start + signed, stop)
    np.negative(numbers, out=numbers, where=signs == ord("-"))
    twice = signed & np.isin(octets[start + 1], (ord("-"), ord("+")))
    numbers[twice], good[twice] = np.nan, False
    return numbers, good


def _unsigned(octets: Octets, words: Words, start: Integers, stop: Integers) -> tuple[Floats, Truths]:
    length = stop - start
    numbers = np.empty(len(start))
    good = np.zeros(len(start), np.bool_)
    short = (length > 0) & (length <= 8)
    if short.all():
        _short(words, start, length, numbers, good)
    else:
        at = np.flatnonzero(short)
        some, fine = np.empty(len(at)), np.zeros(len(at), np.bool_)
        _short(words, start[at], length[at], some, fine)
        numbers[at], good[at] = some, fine
        at = np.flatnonzero((length > 8) & (length <= 16))
        if len(at):
            numbers[at], good[at] = _long(words, start[at], length[at])
    for at in np.flatnonzero(~good).tolist():
        numbers[at], good[at] = _alone(octets[start[at] : stop[at]].tobytes())
    return numbers, good


def _short(words: Words, start: Integers, length: Integers, numbers: Floats, good: Truths) -> None:
    """Numbers of up to eight octets, into `numbers`; `good` says which are read."""
    whole, dotted, decimals, fine = _digits(Spans(words, start).next(), length)
    np.divide(whole, _TENS[decimals], out=numbers)
    np.logical_and(fine, length > dotted, out=good)


def _long(words: Words, start: Integers, length: Integers) -> tuple[Floats, Truths]:
    """Numbers of nine to sixteen octets: the last eight, and what is before them."""
    left, left_dotted, left_decimals, left_fine = _digits(Spans(words, start).next(), length - 8)
    right, right_dotted, right_decimals, right_fine = _digits(
        Spans(words, start + length - 8).next(), np.full_like(length, 8)
    )
    whole = left * _TENS[8 - right_dotted.astype(np.int64)] + right
    decimals = np.where(left_dotted, left_decimals + 8, right_decimals)
    good = left_fine & right_fine & ~(left_dotted & right_dotted) & (whole < _EXACT)
    return whole / _TENS[decimals], good


def _digits(word: Words, length: Integers) -> tuple[Floats, Truths, Integers, Truths]:
    """The digits of 1 to 8 octets as a whole number, whether a dot is among them, how many stand behind it.

    The last part says where there is nothing but digits and one dot at most. `word` is used up.
    """
    word = ((word & KEPT[length]) << _SHIFTS[length]) | _LEADING[length]
    other = word ^ _DOTS
    found = (other - _LOWS) & ~other & _HIGHS
    dot = found & (~found + _ONE)  # the first one's high bit; 0 without
    dotted = dot != 0
    place = (dot.astype(np.float64).view(np.int64) >> 52) - _EXPONENT >> 3
    decimals = (7 - place) * dotted
    before = word & ((dot >> _SEVEN) - _ONE)
    behind = word & ~((dot << _ONE) - _ONE)
    moved = dotted.astype(np.uint64) * _OCTET
    word = ((before << moved) | behind | (moved * np.uint64(6))) ^ _ZEROS  # 6 * 8 is "0"
    fine = ((word + _ABOVE_NINE) | word) & _HIGHS == 0
    word = word * np.uint64(10) + (word >> _OCTET)
    word = ((word & _FOURTHS) * _LEFT + ((word >> _TWO_OCTETS) & _FOURTHS) * _RIGHT) >> _HALF
    return word.astype(np.float64), dotted, decimals, fine


def _alone(written: bytes) -> tuple[float, bool]:
    """One number, for which there is no quick way; nor may it have a sign."""
    try:
        return (lines.number(written), True) if written[:1] not in (b"+", b"-") else (np.nan, False)
    except naming.UnfitError:
        return np.nan, False
