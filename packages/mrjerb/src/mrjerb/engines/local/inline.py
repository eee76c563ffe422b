"""A run in one process, all in memory: what `--debug` uses, so that pdb stops in the job; the plainest engine."""

import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any

import msgspec

from mrjerb.engines import Listener
from mrjerb.errors import RecordError
from mrjerb.groups import by_key, groups
from mrjerb.inputs import Block
from mrjerb.inputs.reading import read
from mrjerb.job import Step, context_of
from mrjerb.keys import composite, decode, encode
from mrjerb.outputs.parts import open_part
from mrjerb.plan import Group, Outcome, PartFile, Plan, Split, TaskReport
from mrjerb.running import Skipped, as_blocks, pairs_of, set_path
from mrjerb.shuffle import partition_for
from mrjerb.stages import Stage

Buckets = dict[int, list[tuple[bytes, list[Any]]]]


def run_inline(plan: Plan, listener: Listener, outcome: Outcome) -> None:
    """Run a plan in this process. With `debug`, a job that fails is looked at in pdb where a person is there."""
    plan.job.setup()
    inline = _Inline(plan, listener, outcome)
    try:
        inline.stages()
    except RecordError as error:
        if plan.settings.debug and error.__cause__ is not None and sys.stdin.isatty():
            print(error, file=sys.stderr)  # noqa: T201 - pdb speaks to the terminal, too
            import pdb

            pdb.post_mortem(error.__cause__.__traceback__)
        raise
    finally:
        inline.ended()
        plan.job.teardown()
        outcome.counters = dict(context_of(plan.job).counters)


class _Inline:
    """The stages of a plan, one after another, and the pairs between them."""

    def __init__(self, plan: Plan, listener: Listener, outcome: Outcome) -> None:
        self.plan, self.listener, self.outcome = plan, listener, outcome
        self.skipped = Skipped(plan.settings.skip_bad)
        self.skipped.found = outcome.bad
        self.running: TaskReport | None = None
        self.reducers = plan.settings.reducers or 1
        self.items = self.values = 0  # of the task that runs

    def stages(self) -> None:
        buckets: Buckets = {}
        for stage in self.plan.stages:
            pairs = self.mapped(stage) if stage.groups is None else self.reduced(stage, buckets)
            buckets = {}
            for of, made in pairs:
                if stage.shuffle is None:
                    self.write(of, made)
                else:
                    self.shuffle(stage.shuffle, made, buckets)

    def ended(self) -> None:
        """All is over: the task that still ran has failed."""
        if self.running is not None:
            seconds = time.time() - self.running.began
            self.outcome.tasks.append(msgspec.structs.replace(self.running, seconds=seconds))

    def mapped(self, stage: Stage) -> Iterator[tuple[tuple[int, int], Iterator[tuple[Any, Any]]]]:
        """The pairs of each split, with the split's place among the inputs."""
        splits = self.plan.splits
        self.listener.stage(stage.name, len(splits), self.plan.bytes)
        done = 0
        for at, split in enumerate(splits):
            yield (
                (at, split.start),
                self.timed(stage, f"{split.path}:{split.start}-{split.end}", self.split_pairs(stage, split)),
            )
            done += split.size
            self.listener.progress(done, at + 1, context_of(self.plan.job).counters)

    def split_pairs(self, stage: Stage, split: Split) -> Iterator[tuple[Any, Any]]:
        set_path(self.plan.job, split.path)
        yield from stage.begin()
        yield from pairs_of(self.told(read(split, record=self.plan.record)), stage.function, self.skipped)
        yield from stage.end()
        set_path(self.plan.job, None)

    def reduced(self, stage: Stage, buckets: Buckets) -> Iterator[tuple[tuple[int, int], Iterator[tuple[Any, Any]]]]:
        """The pairs of each partition."""
        self.listener.stage(stage.name, self.reducers, 0)
        assert stage.groups is not None
        for partition in range(self.reducers):
            chunks: Iterable[tuple[bytes, list[Any]]] = sorted(buckets.pop(partition, []), key=itemgetter(0))
            if stage.groups.order is not None:
                chunks = by_key(chunks)
            yield (
                (partition, 0),
                self.timed(stage, f"partition {partition}", self.group_pairs(stage, chunks, partition)),
            )
            self.listener.progress(0, partition + 1, context_of(self.plan.job).counters)

    def group_pairs(
        self, stage: Stage, chunks: Iterable[tuple[bytes, list[Any]]], partition: int
    ) -> Iterator[tuple[Any, Any]]:
        sizes: list[Group] = []
        found = groups(
            chunks, lambda key, number: sizes.append(Group(stage.number, repr(decode(key)), number, partition))
        )
        yield from stage.begin()
        yield from pairs_of(self.told(as_blocks(found, stage.name)), stage.function, self.skipped)
        yield from stage.end()
        self.values = sum(group.values for group in sizes)
        self.outcome.groups += sorted(sizes, key=lambda group: -group.values)[:10]

    def told(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Blocks, with their records counted."""
        for block in blocks:
            yield block
            self.items += len(block.records)  # of groups, that is known by now

    def timed(self, stage: Stage, of: str, pairs: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        """The pairs, and a report of the task when they are over."""
        began, clock, number = time.monotonic(), time.time(), 0
        self.items = self.values = 0
        self.running = TaskReport(stage.number, of, 0.0, 0, 0, began=clock, failed=True)
        for pair in pairs:
            number += 1
            yield pair
        seconds = time.monotonic() - began
        self.running = None
        self.outcome.tasks.append(
            TaskReport(stage.number, of, seconds, self.items, number, began=clock, values=self.values)
        )

    def shuffle(self, step: Step, pairs: Iterator[tuple[Any, Any]], buckets: Buckets) -> None:
        """Pairs into their partitions; the step's combine is called once for what one task has of a key."""
        place = partition_for(step, self.plan.settings.partitioner)
        for key, value in self.combined(step, pairs) if step.combine else pairs:
            encoded = encode(key)
            sorting = composite(key, step.order(key, value)) if step.order else encoded
            buckets.setdefault(place(encoded, self.reducers), []).append((sorting, [value]))

    def combined(self, step: Step, pairs: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        gathered: defaultdict[bytes, list[Any]] = defaultdict(list)
        for key, value in pairs:
            gathered[encode(key)].append(value)
        combine = step.combine
        assert combine is not None
        if step.combine_begin is not None:
            yield from step.combine_begin() or ()
        items = ((decode(key), iter(values)) for key, values in gathered.items())
        yield from pairs_of(as_blocks(items, "combine"), lambda item: combine(item[0], item[1]), self.skipped)
        if step.combine_end is not None:
            yield from step.combine_end() or ()

    def write(self, of: tuple[int, int], pairs: Iterator[tuple[Any, Any]]) -> None:
        """Pairs into a part of the output."""
        settings = self.plan.settings
        part = open_part(
            self.plan.staging, f"made-{of[0]}-{of[1]}", format=self.plan.output_format, compression=settings.compression
        )
        try:
            for key, value in pairs:
                part.write(key, value)
        except BaseException:
            part.abort()
            raise
        name, number, size = part.close()
        self.outcome.parts.append(PartFile(name, number, size, of))
