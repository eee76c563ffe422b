"""Skew: keys with so many values that one partition has most of a stage's work. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from mrjerb.plan import Group, TaskReport

NOTABLE: Final = 0.2  # of a stage's values that one key has
FEWEST: Final = 10_000  # values of a key, below which nobody waits for it
LISTED: Final = 100  # values of a key, below which it is not worth a line


class Heavy(NamedTuple):
    """A key, and the part of its stage's values that it has, from 0 to 1; None where the engine did not tell all."""

    group: Group
    part: float | None

    @property
    def notable(self) -> bool:
        """Whether it is worth a word without being asked."""
        return self.part is not None and self.part >= NOTABLE and self.group.values >= FEWEST


def heaviest(groups: Sequence[Group], tasks: Sequence[TaskReport], number: int = 20) -> dict[int, list[Heavy]]:
    """The keys with the most values, of each stage, the largest first; those that have few are left out."""
    values: dict[int, int] = defaultdict(int)
    for task in tasks:
        values[task.stage] += task.values
    found: dict[int, list[Heavy]] = defaultdict(list)
    many = [group for group in groups if group.values >= LISTED]
    for group in sorted(many, key=lambda group: (group.stage, -group.values)):
        if len(found[group.stage]) < number:
            all_values = values[group.stage]
            found[group.stage].append(Heavy(group, group.values / all_values if all_values >= group.values else None))
    return dict(found)


def partition_values(tasks: Sequence[TaskReport]) -> dict[int, list[tuple[str, int]]]:
    """How many values each partition of a stage has, in the order of the partitions."""
    found: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for task in tasks:
        if task.stage and task.values:
            found[task.stage].append((task.of, task.values))
    return {stage: sorted(sizes, key=lambda size: _number(size[0])) for stage, sizes in sorted(found.items())}


def _number(of: str) -> int:
    """The number in `partition 12`."""
    digits = "".join(filter(str.isdigit, of))
    return int(digits) if digits else 0
