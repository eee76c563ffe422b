"""A step's combine, on the map side: pairs are gathered by key in a bounded table, and leave it combined."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mrjerb.job import Step
from mrjerb.keys import decode
from mrjerb.running import Skipped, as_blocks, keyed, pairs_of

PAIRS: Final = 200_000  # that are gathered at most
LOOK: Final = 1000  # pairs between two looks at the memory


def used_memory() -> int:
    """Megabytes of this process."""
    from pyspark.shuffle import get_used_memory

    return get_used_memory()


class Combining:
    """Gathers pairs until there are too many, combines them, and lets them go where that did not help.

    memory: megabytes that the process may use; pairs: how many are gathered, at most.
    """

    def __init__(self, step: Step, skipped: Skipped, *, memory: int, pairs: int = PAIRS) -> None:
        assert step.combine is not None
        self._combine, self._skipped = step.combine, skipped
        self._memory, self._pairs = memory, pairs

    def groups(self, pairs: Iterable[tuple[bytes, Any]]) -> Iterator[tuple[Any, Iterator[Any]]]:
        """Pairs gathered by key, in parts: each group is to be combined, again perhaps, and sent."""
        gathered: defaultdict[bytes, list[Any]] = defaultdict(list)
        number, look = 0, LOOK
        for key, value in pairs:
            gathered[key].append(value)
            number += 1
            if number < look:
                continue
            look = number + LOOK
            full = self._full()
            if full or number >= self._pairs:
                gathered, number = self._combined(gathered)
                if full or number > self._pairs // 2:
                    yield from _decoded(gathered)
                    gathered.clear()
                    number = 0
                look = number + LOOK
        yield from _decoded(gathered)

    def _full(self) -> bool:
        """Whether the process has no memory left. What it does not give back raises the bound: it would be full for
        ever."""
        used = used_memory()
        if used <= self._memory:
            return False
        self._memory = used + used // 20
        return True

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
