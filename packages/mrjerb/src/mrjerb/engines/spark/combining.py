"""A step's combine, on the map side: pairs are gathered by key in a bounded table, and leave it combined."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mrjerb.job import Step
from mrjerb.keys import decode, encode
from mrjerb.running import Skipped, as_blocks, pairs_of
from mrjerb.stages import Function

PAIRS: Final = 200_000  # that are gathered at most


def keyed(function: Function) -> Function:
    """The function with its keys encoded: a key that can't be one fails at its record."""

    def encoded(item: Any) -> Iterator[tuple[bytes, Any]]:
        for key, value in function(item) or ():
            yield encode(key), value

    return encoded


class Combining:
    """Gathers pairs until there are too many, combines them, and lets them go where that did not help."""

    def __init__(self, step: Step, skipped: Skipped, limit: int = PAIRS) -> None:
        assert step.combine is not None
        self._combine, self._skipped, self._limit = step.combine, skipped, limit

    def groups(self, pairs: Iterable[tuple[bytes, Any]]) -> Iterator[tuple[Any, Iterator[Any]]]:
        """Pairs gathered by key, in parts: each group is to be combined, again perhaps, and sent."""
        gathered: defaultdict[bytes, list[Any]] = defaultdict(list)
        number = 0
        for key, value in pairs:
            gathered[key].append(value)
            number += 1
            if number >= self._limit:
                gathered, number = self._combined(gathered)
                if number > self._limit // 2:
                    yield from _decoded(gathered)
                    gathered.clear()
                    number = 0
        yield from _decoded(gathered)

    def _combined(self, gathered: defaultdict[bytes, list[Any]]) -> tuple[defaultdict[bytes, list[Any]], int]:
        """The pairs that are gathered, combined where a key has several, and how many there are by now."""
        result: defaultdict[bytes, list[Any]] = defaultdict(list)
        several: list[bytes] = []
        for key, values in gathered.items():
            if len(values) == 1:
                result[key] = values
            else:
                several.append(key)
        number = len(result)
        items = ((decode(key), iter(gathered.pop(key))) for key in several)
        for key, value in pairs_of(as_blocks(items, "combine"), keyed(self.function), self._skipped):
            result[key].append(value)
            number += 1
        return result, number

    def function(self, group: tuple[Any, Iterator[Any]]) -> Any:
        """The step's combine of a group."""
        return self._combine(group[0], group[1])


def _decoded(gathered: dict[bytes, list[Any]]) -> Iterator[tuple[Any, Iterator[Any]]]:
    for key, values in gathered.items():
        yield decode(key), iter(values)
