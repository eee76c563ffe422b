"""Which key a line has: all of it but its value, found by a hash for all lines at once.

The hash is multilinear, with two independent rows of secret 64-bit multipliers over the key's 32-bit words, and 32 bits
of each: two different keys have the same one with a chance of about 2^-63, whatever they are and whoever chose them
(Lemire and Kaser, "Strongly universal string hashing is fast", 2014). So keys are not compared again.
"""

from __future__ import annotations

import secrets

import numpy as np

from taba.dialects.statsd.columns import KEPT, LONG, Integers, Spans, Words

MOST_KEYS = 1 << 17
UNKNOWN = -1

_HALF = np.uint64(32)
_LOW = np.uint64((1 << 32) - 1)
_WORDS = LONG // 8 + 1
_SMALLEST = 1 << 10


class Hasher:
    """Hashes keys of two parts, and of a whole number beside them."""

    def __init__(self) -> None:
        chance = np.random.default_rng(secrets.randbits(128))
        shape = (2, 2 * _WORDS, 2)
        self._factors = chance.integers(0, 1 << 64, shape, np.uint64, endpoint=False)
        self._seeds = chance.integers(0, 1 << 64, (2, 4), np.uint64, endpoint=False)

    def hash(
        self,
        words: Words,
        parts: tuple[tuple[Integers, Integers], tuple[Integers, Integers]],
        beside: Integers | int,
    ) -> Words:
        """Each key's hash, never 0: `parts` are where each part begins, and how many octets it has."""
        (_, first), (_, second) = parts
        sizes = (first.astype(np.uint64) << _HALF) | second.astype(np.uint64)
        sums = [seed[0] + seed[1] * (sizes >> _HALF) + seed[2] * (sizes & _LOW) for seed in self._seeds]
        for row, seed in enumerate(self._seeds):
            sums[row] += seed[3] * np.asarray(beside).astype(np.uint64)
        for part, (start, length) in enumerate(parts):
            self._add(sums, words, start, length, part * _WORDS)
        return ((sums[0] >> _HALF << _HALF) | (sums[1] >> _HALF)) | np.uint64(1)

    def _add(self, sums: list[Words], words: Words, start: Integers, length: Integers, place: int) -> None:
        """Add one part's words, those of all keys at once while most have one, then of the longer ones alone."""
        least, longest = int(length.min(initial=LONG)), int(length.max(initial=0))
        spans = Spans(words, start)
        rows: Integers | None = None
        for at in range(0, longest, 8):
            left = length - at
            if rows is None and at >= least and np.count_nonzero(left > 0) * 2 < len(left):
                rows = np.arange(len(left))
            if rows is not None:
                on = np.flatnonzero(left > 0)
                rows, length, left, spans = rows[on], length[on], left[on], spans.only(on)
            word = spans.next()
            if at + 8 > least:
                word &= KEPT[np.clip(left, 0, 8)]
            low, high = word & _LOW, word >> _HALF
            for row, factors in enumerate(self._factors):
                more = low * factors[place + at // 8, 0]
                more += high * factors[place + at // 8, 1]
                if rows is None:
                    sums[row] += more
                else:
                    sums[row][rows] += more


class Table:
    """Whole numbers from 0 on by hash: open addressing with linear probing, never more than half full."""

    def __init__(self) -> None:
        self._hashes = np.zeros(_SMALLEST, np.uint64)
        self._places = np.full(_SMALLEST, UNKNOWN, np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def find(self, hashes: Words) -> Integers:
        """The number of each hash, or UNKNOWN."""
        last = len(self._hashes) - 1
        at = (hashes >> _HALF).astype(np.int64) & last
        found = self._places[at]
        open_ = np.flatnonzero((self._hashes[at] != hashes) & (found != UNKNOWN))
        while len(open_):
            at[open_] = (at[open_] + 1) & last
            found[open_] = self._places[at[open_]]
            open_ = open_[(self._hashes[at[open_]] != hashes[open_]) & (found[open_] != UNKNOWN)]
        return found

    def add(self, key: int, number: int) -> None:
        """Give a hash that has none a number."""
        if 2 * (self._count + 1) > len(self._hashes):
            self._grow()
        self._put(key, number)
        self._count += 1

    def _put(self, key: int, number: int) -> None:
        last = len(self._hashes) - 1
        at = (key >> 32) & last
        while self._places[at] != UNKNOWN:
            at = (at + 1) & last
        self._hashes[at] = key
        self._places[at] = number

    def _grow(self) -> None:
        used = self._places != UNKNOWN
        hashes, places = self._hashes[used].tolist(), self._places[used].tolist()
        size = 4 * len(self._hashes)
        self._hashes, self._places = np.zeros(size, np.uint64), np.full(size, UNKNOWN, np.int64)
        for key, number in zip(hashes, places, strict=True):
            self._put(key, number)
