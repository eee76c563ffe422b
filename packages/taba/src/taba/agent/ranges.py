"""Ranges of whole numbers, [start, stop), merged where they touch. Pure."""

from __future__ import annotations

from collections.abc import Iterator

Range = tuple[int, int]


class Ranges:
    """A set of numbers as few ranges; few, because what is added mostly touches what is there."""

    def __init__(self) -> None:
        self._ranges: list[Range] = []

    def __iter__(self) -> Iterator[Range]:
        """The ranges, ascending."""
        return iter(self._ranges)

    def __bool__(self) -> bool:
        return bool(self._ranges)

    @property
    def total(self) -> int:
        """How many numbers are in it."""
        return sum(stop - start for start, stop in self._ranges)

    def add(self, start: int, stop: int) -> None:
        """Add [start, stop)."""
        apart = [one for one in self._ranges if one[1] < start or one[0] > stop]
        touched = [one for one in self._ranges if one[1] >= start and one[0] <= stop]
        whole = (min([start, *(one[0] for one in touched)]), max([stop, *(one[1] for one in touched)]))
        self._ranges = sorted([*apart, whole]) if start < stop else self._ranges

    def remove(self, start: int, stop: int) -> None:
        """Take [start, stop) out."""
        left = [(first, min(last, start)) for first, last in self._ranges if first < start]
        right = [(max(first, stop), last) for first, last in self._ranges if last > stop]
        self._ranges = [one for one in [*left, *right] if one[0] < one[1]]


def gaps(size: int, *taken: Ranges) -> Iterator[Range]:
    """The ranges of [0, size) that are in none of `taken`, ascending."""
    at = 0
    for start, stop in sorted(one for ranges in taken for one in ranges):
        if start > at:
            yield at, start
        at = max(at, stop)
    if at < size:
        yield at, size
