"""Combines that a job need not write. Pure.

class WordCount(Job):
    def map(self, line): ...
    combine = reduce = total
"""

from collections.abc import Iterable, Iterator
from typing import Any


class _Total:
    """A combine and a reduce: the sum of a key's values, as `sum` makes it. An object, so that a class that has it as
    an attribute does not make a method of it."""

    def __call__(self, key: Any, values: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        yield key, sum(values)

    def __repr__(self) -> str:
        return "mrjerb.total"

    def __reduce__(self) -> str:
        return "total"  # the same object in every process


total = _Total()
"""Yields a key and the sum of its values. Where it is a step's combine, the local engine adds values up as they come,
in place of keeping them until they are combined."""
