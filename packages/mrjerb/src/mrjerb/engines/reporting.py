"""What the tasks of a run tell of themselves, on engines whose tasks run elsewhere; gathered into an outcome.

Reports of a stage's tasks go through the shuffle to a task of the next stage, and from there on with that one's own.
Of a task that was repeated only one attempt's output is read, whole: so each task is counted once.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from mrjerb.keys import decode
from mrjerb.plan import BadRecord, Group, Outcome, PartFile, TaskReport
from mrjerb.running import beyond


class Report(msgspec.Struct, frozen=True):
    """What one task did, as the launcher hears of it when the run is over."""

    task: TaskReport
    counters: dict[str, int]
    bad: list[BadRecord]
    groups: list[Group]
    spilled: int = 0
    failed: int = 0
    """How many attempts at the task failed before this one."""
    part: PartFile | None = None


def gather(outcome: Outcome, reports: Iterable[Report], allowed: int) -> None:
    """Add reports to an outcome. Raises RecordError where tasks together skipped more records than `allowed`."""
    for report in sorted(reports, key=lambda report: report.task.stage):
        for name, amount in report.counters.items():
            outcome.counters[name] = outcome.counters.get(name, 0) + amount
        outcome.bad += report.bad
        outcome.groups += report.groups
        outcome.tasks.append(report.task)
        outcome.spilled += report.spilled
        outcome.retried += report.failed
        if report.part is not None:
            outcome.parts.append(report.part)
    beyond(outcome.bad, allowed)
    outcome.parts.sort(key=lambda part: part.of)


class Largest:
    """The groups of a partition with the most values."""

    LIMIT: Final = 10

    def __init__(self, stage: int, partition: int) -> None:
        self._stage, self._partition = stage, partition
        self._found: list[tuple[int, bytes]] = []
        self._least = 1
        self.number = 0

    def told(self, key: bytes, number: int) -> None:
        """A group is over, and had so many values."""
        self.number += 1
        if number > self._least:
            self._found.append((number, key))
            if len(self._found) > self.LIMIT:
                self._found.remove(min(self._found))
                self._least = min(self._found)[0]

    def groups(self) -> list[Group]:
        """What is told of them, the largest first."""
        found = sorted(self._found, reverse=True)
        return [Group(self._stage, repr(decode(key))[:200], number, self._partition) for number, key in found]
