"""What a client of another protocol recorded: what a frame says, before it has a number. Standard library only."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from taba.frame import Drops, Texts


@dataclass(slots=True)
class Heard:
    """What one client recorded from `start` to `stop` (seconds since 1970, both in one second); lists as in a Header.

    `weights` is parallel to `numbers` or empty; `errors` is parallel to `names` or None.
    """

    client: str
    start: float
    stop: float
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    numbers: array[float] = field(default_factory=lambda: array("d"))
    weights: array[float] = field(default_factory=lambda: array("d"))
    errors: list[float] | None = None
    texts: Texts | None = None
    drops: Drops | None = None
    closing: bool = False
    """Whether the client is heard no more, for the time being: it is not waited for."""

    def events(self) -> int:
        """How many events it holds or says were lost."""
        parts = (self.counts, self.texts.counts if self.texts else (), self.drops.counts if self.drops else ())
        return sum(map(sum, parts))


PART_BYTES = 2 << 20
"""About what one frame may hold: a header is bounded, and so is what is written at once."""
_NUMBER, _ENTRY, _CHARACTER = 16, 64, 12
"""Bytes: of a number with its weight, of what a tab has besides its name, and of a character in JSON at most."""


class _Run(NamedTuple):
    """Values [begin, stop) of one tab, and about how many bytes they take with its name."""

    tab: int
    begin: int
    stop: int
    size: int


def parts(heard: Heard, most: int = PART_BYTES) -> list[Heard]:
    """What was heard as several that take about `most` bytes each; what takes no more stays as it is.

    They follow one another in its time, so values keep their order.
    """
    if _at_most(heard) <= most:
        return [heard]
    groups = [*_grouped(_numbers(heard, most), most, heard, _of_numbers)]
    if heard.texts is not None:
        groups += _grouped(_texts(heard.texts, most), most, heard, _of_texts)
    if heard.drops is not None:
        names = [_Run(place, place, place + 1, _size(name) + _ENTRY) for place, name in enumerate(heard.drops.names)]
        groups += _grouped(names, most, heard, _of_drops)
    seconds = (heard.stop - heard.start) / len(groups)
    for number, one in enumerate(groups):
        one.start = min(heard.start + number * seconds, heard.stop)
        one.stop = min(heard.start + (number + 1) * seconds, heard.stop)
    groups[-1].stop, groups[-1].closing = heard.stop, heard.closing
    return groups


def _at_most(heard: Heard) -> int:
    """Bytes that it takes at most, without a close look."""
    lists = [heard.names]
    lists += [heard.texts.names, heard.texts.values] if heard.texts else []
    lists += [heard.drops.names] if heard.drops else []
    of_texts = sum(_ENTRY * len(some) + _CHARACTER * sum(map(len, some)) for some in lists)
    return of_texts + _NUMBER * len(heard.numbers)


def _size(text: str) -> int:
    """Bytes of a text in JSON, about."""
    return len(text) * (1 if text.isascii() and text.isprintable() else _CHARACTER)


def _numbers(heard: Heard, most: int) -> Iterator[_Run]:
    begin, step = 0, max(most // _NUMBER, 1)
    for tab, (name, count) in enumerate(zip(heard.names, heard.counts, strict=True)):
        of_tab = _size(name) + _ENTRY
        for first in range(begin, begin + count, step):
            stop = min(first + step, begin + count)
            yield _Run(tab, first, stop, of_tab + (stop - first) * _NUMBER)
        begin += count


def _texts(texts: Texts, most: int) -> Iterator[_Run]:
    first = 0
    for tab, (name, count) in enumerate(zip(texts.names, texts.counts, strict=True)):
        begin, size = first, _size(name) + _ENTRY
        for place in range(first, first + count):
            more = _size(texts.values[place]) + _ENTRY
            if size + more > most and place > begin:
                yield _Run(tab, begin, place, size)
                begin, size = place, _size(name) + _ENTRY
            size += more
        first += count
        yield _Run(tab, begin, first, size)


def _grouped(
    runs: Iterable[_Run], most: int, heard: Heard, made: Callable[[Heard, Sequence[_Run]], Heard]
) -> Iterator[Heard]:
    """As many runs together as take `most` bytes, though one at least."""
    group: list[_Run] = []
    size = 0
    for run in runs:
        if group and size + run.size > most:
            yield made(heard, group)
            group, size = [], 0
        group.append(run)
        size += run.size
    if group:
        yield made(heard, group)


def _of_numbers(heard: Heard, runs: Sequence[_Run]) -> Heard:
    span = slice(runs[0].begin, runs[-1].stop)
    return Heard(
        heard.client,
        heard.start,
        heard.stop,
        *_lists(heard, runs),
        numbers=heard.numbers[span],
        weights=heard.weights[span],
        errors=None if heard.errors is None else [heard.errors[run.tab] for run in runs],
    )


def _of_texts(heard: Heard, runs: Sequence[_Run]) -> Heard:
    texts = heard.texts or Texts()
    some = Texts(*_lists(texts, runs), values=texts.values[runs[0].begin : runs[-1].stop])
    return Heard(heard.client, heard.start, heard.stop, texts=some)


def _of_drops(heard: Heard, runs: Sequence[_Run]) -> Heard:
    drops = heard.drops or Drops()
    span = slice(runs[0].begin, runs[-1].stop)
    some = Drops(drops.names[span], drops.reasons[span], drops.counts[span])
    return Heard(heard.client, heard.start, heard.stop, drops=some)


def _lists(lists: Heard | Texts, runs: Sequence[_Run]) -> tuple[list[str], list[str], list[int]]:
    """Names, types and counts of the runs."""
    names, types = ([some[run.tab] for run in runs] for some in (lists.names, lists.types))
    return names, types, [run.stop - run.begin for run in runs]
