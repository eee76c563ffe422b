"""Sorted chunks of values become groups: each key once, with an iterator over its values that holds one chunk.

A chunk is `(encoded key, values)`, and the chunks of a key follow one another. Where values have an order, the chunk's
bytes are a `keys.composite` and hold one value (see `by_key`).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mrjerb.keys import decode, key_part

Chunk = tuple[bytes, list[Any]]


def by_key(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Chunks of composites as chunks of their keys, in the same order."""
    for data, values in chunks:
        yield key_part(data), values


def groups(
    chunks: Iterable[Chunk], told: Callable[[bytes, int], None] | None = None
) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Each key with its values. What a reduce leaves unread of them is passed over. `told(key, number)` hears of each
    group when it is over."""
    source = iter(chunks)
    following = next(source, None)
    while following is not None:
        key, values = following
        following = next(source, None)
        if following is None or following[0] != key:  # the key's only chunk: nothing needs to be kept
            yield decode(key), iter(values)
            if told is not None:
                told(key, len(values))
            continue
        group = _Values(key, values, following, source)
        yield decode(key), iter(group)
        following = group.rest()
        if told is not None:
            told(key, group.number)


class _Values:
    """The values of a key over several chunks, as they come from `source`."""

    def __init__(self, key: bytes, first: list[Any], following: Chunk | None, source: Iterator[Chunk]) -> None:
        self.key, self.source = key, source
        self.number = len(first)
        self._first: list[Any] = first
        self._following = following

    def __iter__(self) -> Iterator[Any]:
        values, self._first = self._first, []
        yield from values
        while (values := self._more()) is not None:
            yield from values

    def _more(self) -> list[Any] | None:
        """The next chunk's values, while it is the key's."""
        found = self._following
        if found is None or found[0] != self.key:
            return None
        self._following = next(self.source, None)
        self.number += len(found[1])
        return found[1]

    def rest(self) -> Chunk | None:
        """Pass over what was not read; the first chunk of the next key."""
        while self._more() is not None:
            pass
        return self._following
