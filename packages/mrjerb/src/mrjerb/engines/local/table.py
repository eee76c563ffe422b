"""Pairs on their way to a shuffle: gathered by key, combined, and written as a sorted run where the memory is used up.

The way of each pair is the hottest loop that there is, so it is one dictionary and one append. A text or an int is its
own index there; every other key is indexed by its bytes, because 1, 1.0 and True are one to a dictionary and three keys
to us.
"""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import itemgetter, length_hint
from pathlib import Path
from typing import Any, Final, Protocol

from mrjerb.combining import total
from mrjerb.engines.local.runs import Chunk, RunWriter, Segment
from mrjerb.groups import by_key, groups
from mrjerb.job import Pairs, Step
from mrjerb.keys import composite, decode, encode
from mrjerb.memory import GATHER, Meter, release
from mrjerb.running import Skipped, as_blocks, pairs_of
from mrjerb.shuffle import Partition
from mrjerb.stages import Function

LOOK: Final = 4096
"""Pairs between two looks at the memory, at most."""
FIRST_LOOK: Final = 16
"""Pairs before the first look, which tells how large they are."""
COMBINE: Final = 1 << 22
"""Values, at least, between two combines that the memory does not ask for: what makes a long list of ones short. A call
of the combine costs as much as some values, so it is called for many; so many ones are lists of some 35 MB."""

Take = Callable[[Iterator[Any]], None]


class Table(Protocol):
    """What takes pairs in, and gives back the segments of the runs that it has written since it was asked last."""

    @property
    def pairs(self) -> int:
        """Pairs that were taken so far."""
        ...

    def take(self, function: Function) -> Take: ...

    def look_now(self) -> None:
        """See to the memory: a block of records is over, and they may have been large."""

    def flush(self) -> list[Segment]: ...


class Spill:
    """Where runs are written, and when: the memory that pairs may take, and the partitions that they are cut into."""

    def __init__(self, folder: Path, prefix: str, memory: int, partition: Partition, partitions: int) -> None:
        self.folder, self.prefix = folder, prefix
        self.partition, self.partitions = partition, partitions
        self.room = int(memory * GATHER)
        self.meter = Meter()
        self.number = 0
        self.segments: list[Segment] = []
        self.highest_ground = self.meter.held() + self.room // 4
        self.empty()

    def empty(self) -> None:
        """Nothing is gathered now: what the process holds is the ground that is measured from. What Python does not
        give back raises it, though not beyond a quarter of the room."""
        gc.collect()
        release()
        self.seen = self.meter.held()
        self.ground = min(self.seen, self.highest_ground)

    def full(self) -> bool:
        self.seen = self.meter.held()
        return self.seen - self.ground > self.room

    def until_look(self, pairs: int, before: int) -> int:
        """How many pairs may come until the next look, after so many of them took what is held beyond `before`: an
        eighth of the room, and no more than twice as many."""
        each = max(self.seen - before, 0) / pairs
        return max(1, min(LOOK, 2 * pairs, int(self.room / 8 / each) if each else LOOK))

    def write(self, buckets: list[list[Chunk]]) -> None:
        """Write what was gathered, a bucket for each partition. The buckets are sorted and emptied."""
        writer = RunWriter(self.folder / f"{self.prefix}-{self.number}.run")
        self.number += 1
        for number, bucket in enumerate(buckets):
            bucket.sort(key=itemgetter(0))
            writer.partition(number, bucket)
            bucket.clear()
        self.segments += writer.close()

    def taken(self) -> list[Segment]:
        """The segments since the last time."""
        found, self.segments = self.segments, []
        return found


class _Looking:
    """What all tables do: pairs are counted down to the next look at the memory, by marks. A look that fails is taken
    again."""

    def __init__(self, step: Step, spill: Spill, skipped: Skipped) -> None:
        self.step, self.spill, self.skipped = step, spill, skipped
        self.look = self.interval = FIRST_LOOK  # pairs until the next look, from one look to the next
        self.taken = 0  # pairs before the last look

    @property
    def pairs(self) -> int:
        return self.taken + self.interval - self.look

    def look_now(self) -> None:
        """See `Table`."""
        if self.look < self.interval:
            self.interval -= self.look
            self.look = self._looked()

    def _looked(self) -> int:
        """See to the memory; the pairs until the next look."""
        pairs, before = self.interval, self.spill.seen
        self.taken += pairs
        self._see(pairs)
        self.interval = self.spill.until_look(pairs, before)
        return self.interval

    def _see(self, pairs: int) -> None:
        """Write what is gathered if the memory is full. `pairs` came since the last time."""
        raise NotImplementedError


class Gathered(_Looking):
    """The table of a step whose values have no order of their own."""

    def __init__(self, step: Step, spill: Spill, skipped: Skipped) -> None:
        super().__init__(step, spill, skipped)
        self.values: defaultdict[Any, list[Any]] = defaultdict(list)
        self.since = 0  # values since the last combine

    def take(self, function: Function) -> Take:
        """A loop that puts a function's pairs into the table."""
        values = self.values

        def loop(items: Iterator[Any]) -> None:
            pairs, marks, last = _pairs(function, items), _marks(self.look), 1
            try:
                while last:
                    last = 0
                    for last, (key, value) in zip(marks, pairs, strict=False):  # noqa: B007
                        if type(key) is not str and type(key) is not int:
                            key = encode(key)  # noqa: PLW2901 - the loop is the hottest there is
                        values[key].append(value)
                    if last:
                        marks = _marks(self._looked())
            finally:
                self.look = length_hint(marks) + 1

        return loop

    def flush(self) -> list[Segment]:
        """Write all that is gathered, combined."""
        if self.values:
            self._combine()
            self._write()
        return self.spill.taken()

    def _see(self, pairs: int) -> None:
        """Combine or write, where it is time."""
        self.since += pairs
        full = self.spill.full()
        if self.step.combine is not None and (full or self.since > COMBINE + 8 * len(self.values)):
            self._combine()
            self.since = 0
            full = full and self.spill.full()
        if full:
            self._write()

    def _combine(self) -> None:
        """What is gathered of each key becomes what the step's combine makes of it. A single value stays as it is."""
        combine = self.step.combine
        if combine is None:
            return
        old = dict(self.values)
        values = self.values
        values.clear()
        many = []
        for key, found in old.items():
            if len(found) > 1:
                many.append((_key_of(key), iter(found)))
            else:
                values[key] = found
        old.clear()
        made = pairs_of(as_blocks(iter(many), "combine"), lambda group: combine(group[0], group[1]), self.skipped)
        for pairs in (_called(self.step.combine_begin), made, _called(self.step.combine_end)):
            for key, value in pairs:
                values[key if type(key) is str or type(key) is int else encode(key)].append(value)

    def _write(self) -> None:
        buckets = _buckets(self.spill, self.values.items())
        self.values.clear()
        self.spill.write(buckets)
        self.since = 0
        self.spill.empty()


class Summed(_Looking):
    """The table of a step whose combine is `total`: one sum for each key. A list of each key's values, spread over the
    memory, is what costs most where keys are many and come often."""

    def __init__(self, step: Step, spill: Spill, skipped: Skipped) -> None:
        super().__init__(step, spill, skipped)
        self.values: defaultdict[Any, Any] = defaultdict(int)

    def take(self, function: Function) -> Take:
        """A loop that adds up a function's pairs."""
        # The loop of `Gathered` but for one line: a call for each pair would cost more than the sum.
        values = self.values

        def loop(items: Iterator[Any]) -> None:
            pairs, marks, last = _pairs(function, items), _marks(self.look), 1
            try:
                while last:
                    last = 0
                    for last, (key, value) in zip(marks, pairs, strict=False):  # noqa: B007
                        if type(key) is not str and type(key) is not int:
                            key = encode(key)  # noqa: PLW2901 - the loop is the hottest there is
                        values[key] += value
                    if last:
                        marks = _marks(self._looked())
            finally:
                self.look = length_hint(marks) + 1

        return loop

    def flush(self) -> list[Segment]:
        """Write all sums."""
        if self.values:
            self._write()
        return self.spill.taken()

    def _see(self, pairs: int) -> None:
        if self.spill.full():
            self._write()

    def _write(self) -> None:
        buckets = _buckets(self.spill, ((key, [value]) for key, value in self.values.items()))
        self.values.clear()
        self.spill.write(buckets)
        self.spill.empty()


class Ordered(_Looking):
    """The table of a step whose values are sorted: each value is a chunk of its own, under its key and order."""

    def __init__(self, step: Step, spill: Spill, skipped: Skipped) -> None:
        super().__init__(step, spill, skipped)
        self.buckets: list[list[Chunk]] = [[] for _ in range(spill.partitions)]

    def take(self, function: Function) -> Take:
        """A loop that puts a function's pairs into the buckets of their partitions."""
        order, buckets, spill = self.step.order, self.buckets, self.spill
        assert order is not None

        def loop(items: Iterator[Any]) -> None:
            pairs, marks, last = _pairs(function, items), _marks(self.look), 1
            try:
                while last:
                    last = 0
                    for last, (key, value) in zip(marks, pairs, strict=False):  # noqa: B007
                        bucket = buckets[spill.partition(encode(key), spill.partitions)]
                        bucket.append((composite(key, order(key, value)), [value]))
                    if last:
                        marks = _marks(self._looked())
            finally:
                self.look = length_hint(marks) + 1

        return loop

    def flush(self) -> list[Segment]:
        """Write all that is gathered."""
        if any(self.buckets):
            self._write()
        return self.spill.taken()

    def _see(self, pairs: int) -> None:
        if self.spill.full():
            self._write()

    def _write(self) -> None:
        self.spill.write(self._combined() if self.step.combine else self.buckets)
        self.spill.empty()

    def _combined(self) -> list[list[Chunk]]:
        """The buckets after the step's combine, which gets each key's values in their order."""
        combine, order, spill = self.step.combine, self.step.order, self.spill
        assert combine is not None
        assert order is not None
        fresh: list[list[Chunk]] = [[] for _ in self.buckets]
        for bucket in self.buckets:
            bucket.sort(key=itemgetter(0))
            found = as_blocks(groups(by_key(bucket)), "combine")
            made = pairs_of(found, lambda group: combine(group[0], group[1]), self.skipped)
            for pairs in (_called(self.step.combine_begin), made, _called(self.step.combine_end)):
                for key, value in pairs:
                    place = spill.partition(encode(key), spill.partitions)
                    fresh[place].append((composite(key, order(key, value)), [value]))
            bucket.clear()
        return fresh


def table_of(step: Step, spill: Spill, skipped: Skipped) -> Table:
    """The table that a step's pairs are gathered in. Where records may fail, values are added up later: one that can't
    be added must not leave half a record."""
    around = step.combine_begin or step.combine_end
    if step.combine is total and step.order is None and not around and not skipped.allowed:
        return Summed(step, spill, skipped)
    return Gathered(step, spill, skipped) if step.order is None else Ordered(step, spill, skipped)


def _pairs(function: Function, items: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    """The pairs of all items. An item is taken when its first pair is asked for, so that who fails is known."""
    return chain.from_iterable(map(function, items))  # type: ignore[arg-type] (a stage's function gives no None)


def _marks(pairs: int) -> Iterator[int]:
    """A mark for each of the pairs until the next look; of the last it is 1. To go before pairs in a `zip`, which costs
    less than a subtraction for each. It takes one mark more than there are pairs, where these end or fail before the
    look is due."""
    return iter(bytes(pairs - 1) + b"\1")


def _buckets(spill: Spill, gathered: Iterable[tuple[Any, list[Any]]]) -> list[list[Chunk]]:
    """Each index's values as a chunk, in the bucket of its partition."""
    buckets: list[list[Chunk]] = [[] for _ in range(spill.partitions)]
    partition, partitions = spill.partition, spill.partitions
    for index, values in gathered:
        encoded = index if type(index) is bytes else encode(index)
        buckets[partition(encoded, partitions)].append((encoded, values))
    return buckets


def _key_of(index: Any) -> Any:
    return decode(index) if type(index) is bytes else index


def _called(around: Callable[[], Pairs] | None) -> Iterable[tuple[Any, Any]]:
    return (around() or ()) if around is not None else ()
