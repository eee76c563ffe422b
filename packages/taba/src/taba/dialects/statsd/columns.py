"""Lines as columns: where each one's name, value and rest lie, and its octets as words of eight.

A buffer ends with PADDING zeros, so that words may be read beyond the last line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEWLINE, COLON, BAR = b"\n:|"
LONG = 1024
"""A name, or what follows a value, that is longer is read by itself."""
PADDING = bytes(LONG + 16)

Integers = NDArray[np.int64]
Words = NDArray[np.uint64]
Octets = NDArray[np.uint8]
Truths = NDArray[np.bool_]

KEPT: Words = np.array([(1 << 8 * octets) - 1 for octets in range(8)] + [(1 << 64) - 1], np.uint64)
"""What to keep of a word of which so many octets count."""
_WORD_BITS = np.uint64(64)


@dataclass(frozen=True, slots=True)
class Lines:
    """Positions in the buffer, parallel: a line's first octet, its first colon, the bar behind that, and its end.

    `number` counts lines in their order. Only lines of the plain form `name:value|…` are here; `others` are the
    numbers of those that are not, with their bounds, blank ones left out. `count` is of all that are not blank.
    """

    number: Integers
    start: Integers
    colon: Integers
    bar: Integers
    end: Integers
    others: list[tuple[int, int, int]]
    count: int

    def only(self, at: Integers) -> Lines:
        """Some of the plain lines."""
        return Lines(self.number[at], self.start[at], self.colon[at], self.bar[at], self.end[at], [], len(at))


class Cutter:
    """Finds lines; keeps memory for what it needs on the way."""

    def __init__(self) -> None:
        self._masks = np.empty((2, 0), np.bool_)

    def cut(self, octets: Octets, size: int) -> Lines:
        """The lines in the first `size` octets, of which the last is a newline."""
        marks = self._marks(octets, size)
        kinds = octets[marks]
        if len(marks) % 3 == 0 and (found := _bare(marks.reshape(-1, 3), kinds.reshape(-1, 3))):
            return found
        last = np.flatnonzero(kinds == NEWLINE)
        first = np.empty_like(last)
        first[0] = 0
        np.add(last[:-1], 1, out=first[1:])
        end = marks[last]
        start = np.empty_like(end)
        start[0] = 0
        np.add(end[:-1], 1, out=start[1:])
        second = np.minimum(first + 1, len(marks) - 1)
        colon, bar = marks[first], marks[second]
        plain = (kinds[first] == COLON) & (kinds[second] == BAR) & (last - first >= 2)
        plain &= (colon > start) & (colon - start <= LONG) & (end - bar <= LONG)
        if plain.all():
            return Lines(np.arange(len(start)), start, colon, bar, end, [], len(start))
        rest = np.flatnonzero(~plain & (end > start))
        others = list(zip(rest.tolist(), start[rest].tolist(), end[rest].tolist(), strict=True))
        of = np.flatnonzero(plain)
        return Lines(of, start[of], colon[of], bar[of], end[of], others, len(of) + len(others))

    def _marks(self, octets: Octets, size: int) -> Integers:
        """Where newlines, colons and bars are."""
        if self._masks.shape[1] < size:
            self._masks = np.empty((2, size), np.bool_)
        found, other = self._masks[0, :size], self._masks[1, :size]
        view = octets[:size]
        np.equal(view, NEWLINE, out=found)
        for mark in (COLON, BAR):
            np.equal(view, mark, out=other)
            np.logical_or(found, other, out=found)
        return np.flatnonzero(found)


def words(buffer: bytes) -> Words:
    """A buffer as words of eight octets, the first of them lowest; what is no whole word at the end is left out."""
    return np.frombuffer(buffer, np.dtype("<u8"), len(buffer) // 8)


def _bare(marks: Integers, kinds: Octets) -> Lines | None:
    """The lines where all are `name:value|type`, as most are, so that nothing has to be searched for."""
    if not (kinds == (COLON, BAR, NEWLINE)).all():
        return None
    colon, bar, end = (np.ascontiguousarray(column) for column in marks.T)
    start = np.empty_like(end)
    start[0] = 0
    np.add(end[:-1], 1, out=start[1:])
    length = colon - start
    if length.min() < 1 or length.max() > LONG or (end - bar).max() > LONG:
        return None
    return Lines(np.arange(len(start)), start, colon, bar, end, [], len(start))


class Spans:
    """Where some spans of octets begin, ready to read words of them wherever they lie.

    A word that does not lie on a multiple of eight is put together of two that do, which numpy gathers five times as
    fast.
    """

    def __init__(self, words: Words, start: Integers) -> None:
        self._words = words
        self._at = start >> 3
        self._shift = ((start & 7) << 3).astype(np.uint64)
        self._back = _WORD_BITS - self._shift
        self._next = words[self._at]

    def next(self) -> Words:
        """The next eight octets of each."""
        here = self._next >> self._shift
        self._at += 1
        self._next = self._words[self._at]
        here |= self._next << self._back  # a shift by all 64 bits leaves 0
        return here

    def only(self, of: Integers) -> Spans:
        """Some of the spans, as far as they are read."""
        some = object.__new__(Spans)
        some._words = self._words
        some._at, some._shift, some._back, some._next = (
            column[of] for column in (self._at, self._shift, self._back, self._next)
        )
        return some
