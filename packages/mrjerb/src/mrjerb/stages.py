"""A job's steps as stages: what runs in one task, from items to where pairs go. Pure; every engine runs these.

    step:   map → [combine] → shuffle → reduce
    stage:  input or groups → functions, one into the next → shuffle or output

A shuffle ends a stage. So the reduce of one step and the map of the next run in the same task, and nothing is written
between them. A stage's `function` takes one item, a record or a group `(key, values)`, and yields pairs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mrjerb.job import Job, Pairs, Step, checked_steps

Function = Callable[[Any], Pairs]
NO_PAIRS = (str, bytes, dict, set, frozenset)
"""What may have two items and is no pair."""


class NoPairError(TypeError):
    """What was yielded is no pair; the text says so, and needs no type before it."""


@dataclass(frozen=True)
class Stage:
    """What one task does. `groups` is the step whose reduce it begins with (None: it reads the input), `maps` are the
    steps whose maps follow, `shuffle` is the step whose shuffle it ends in (None: it writes the output)."""

    number: int
    groups: Step | None
    maps: tuple[Step, ...]
    shuffle: Step | None

    @property
    def name(self) -> str:
        """`map`, `reduce 1`, `reduce 2` …"""
        return f"reduce {self.number}" if self.number else "map"

    @property
    def function(self) -> Function:
        """One item's pairs, after all that is in the stage."""
        functions: list[Callable[..., Pairs]] = [step.map for step in self.maps if step.map]
        first = functions.pop(0) if self.groups is None else _of_group(self.groups.reduce)
        return _chained(_looked_at(first), [_looked_at(function, of_pairs=True) for function in functions])

    def begin(self) -> Iterator[tuple[Any, Any]]:
        """Pairs that come before the first item of a task."""
        return self._around("begin")

    def end(self) -> Iterator[tuple[Any, Any]]:
        """Pairs that come after the last item of a task."""
        return self._around("end")

    def _around(self, when: str) -> Iterator[tuple[Any, Any]]:
        parts = [] if self.groups is None else [getattr(self.groups, f"reduce_{when}")]
        parts += [getattr(step, f"map_{when}") for step in self.maps]
        behind = [step.map for step in self.maps]
        if self.groups is None:
            behind = behind[1:]
        places = list(enumerate(parts))
        for at, around in reversed(places) if when == "begin" else places:  # a map has begun before pairs come to it
            if around is not None:
                rest = [function for function in behind[at:] if function]
                yield from _chained(lambda _, around=around: around(), rest)(None) or ()


def stages_of(job: Job) -> list[Stage]:
    """The stages of a job, in their order: one more than it has shuffles. Raises JobError."""
    stages: list[Stage] = []
    groups: Step | None = None
    maps: list[Step] = []
    for step in checked_steps(job):
        if step.map is not None:
            maps.append(step)
        if step.reduce is not None:
            stages.append(Stage(len(stages), groups, tuple(maps), step))
            groups, maps = step, []
    if groups is not None or maps:
        stages.append(Stage(len(stages), groups, tuple(maps), None))
    return stages


def _of_group(reduce: Callable[..., Pairs] | None) -> Function:
    assert reduce is not None
    return lambda group: reduce(group[0], group[1])


def _looked_at(function: Callable[..., Pairs], *, of_pairs: bool = False) -> Callable[..., Pairs]:
    """The function of an item, or of a key and a value, with what its first call that yields anything yields looked at:
    Python would take a text of two signs apart, or a dictionary of two fields, as a pair. Not all is looked at: each
    look is a part of the inner loop. What has no pairs gives none in place of None.
    """
    seen = False

    def of_item(item: Any) -> Pairs:
        return (function(item) or ()) if seen else looking(function(item))

    def of_pair(key: Any, value: Any) -> Pairs:
        return (function(key, value) or ()) if seen else looking(function(key, value))

    def looking(pairs: Pairs) -> Iterator[tuple[Any, Any]]:
        nonlocal seen
        for pair in pairs or ():
            if isinstance(pair, NO_PAIRS):
                raise NoPairError(
                    f"map, combine and reduce yield pairs (key, value), and this one yielded {pair!r:.100}"
                )
            seen = True
            yield pair

    return of_pair if of_pairs else of_item


def _chained(first: Function, functions: list[Callable[..., Pairs]]) -> Function:
    """`first`, and each of its pairs through the next function, and so on."""
    for following in functions:
        first = _into(first, following)
    return first


def _into(first: Function, following: Callable[..., Pairs]) -> Function:
    def both(item: Any) -> Iterator[tuple[Any, Any]]:
        for key, value in first(item) or ():
            yield from following(key, value) or ()

    return both
