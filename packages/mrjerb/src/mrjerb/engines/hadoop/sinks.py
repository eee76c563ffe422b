"""Where a task's pairs go: into Hadoop's shuffle, or into the job's output. Both are the task's standard output; but
parts that are no lines, or compressed as Hadoop may not know, are files that the task writes itself.

A sink wraps the stage's function, so that all that can go wrong with a pair happens at its record. What is to be
combined is gathered first, in a bounded memory; the rest is written pair by pair.
"""

import gc
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final, Protocol

from mrjerb.engines.hadoop.wire import REPORTS, pickled, prefix, record
from mrjerb.engines.reporting import Report
from mrjerb.errors import EngineError, JobError
from mrjerb.job import Step
from mrjerb.keys import composite, decode, encode
from mrjerb.memory import MEGABYTE, Meter, release
from mrjerb.outputs.parts import PartWriter
from mrjerb.outputs.protocols import Encoder
from mrjerb.running import Skipped, all_or_nothing, as_blocks, aside, keyed, pairs_of
from mrjerb.shuffle import Partition
from mrjerb.stages import Function

GATHER: Final = 96 * MEGABYTE
"""Memory that gathered pairs may take: a container of Hadoop's has 1 GB by default, most of which is Java's."""
LOOK: Final = 4096
"""Pairs between two looks at the memory."""

Pairs = Iterable[tuple[Any, Any]]


class Sink(Protocol):
    """What takes a task's pairs."""

    pairs: int

    def function(self, function: Function) -> Function:
        """What makes of an item what `take` takes: two things for each pair."""
        ...

    def take(self, pairs: Pairs) -> None: ...

    def close(self) -> None: ...


class Lines:
    """The job's output, by a protocol. Hadoop's part gets each line as it is."""

    def __init__(self, file: IO[bytes], encode_pair: Encoder) -> None:
        self._file, self._encode = file, encode_pair
        self.pairs = 0

    def function(self, function: Function) -> Function:
        encode_pair = self._encode

        def lines(item: Any) -> Iterator[tuple[bytes, bytes]]:
            for key, value in function(item) or ():
                line = encode_pair(key, value)
                if b"\r" in line:
                    raise JobError(
                        f"key {key!r:.200}: its line holds a carriage return, which Hadoop Streaming would make a "
                        "line's end; write it with --output-format json, pickle or repr, or with --compress zstd"
                    )
                yield line, b"\n"

        return lines

    def take(self, pairs: Pairs) -> None:
        write = self._file.write
        for line, end in pairs:
            write(line + end)
            self.pairs += 1

    def close(self) -> None:
        self._file.flush()


class Part:
    """A part of the output that the task writes itself, in any format, as on the other engines. skips: whether records
    may fail, and then leave nothing of what they yielded."""

    def __init__(self, part: PartWriter, *, skips: bool) -> None:
        self._part, self._skips = part, skips
        self.pairs = 0

    def function(self, function: Function) -> Function:
        write = self._part.write
        made = all_or_nothing(function) if self._skips else function

        def written(item: Any) -> Pairs:
            for key, value in made(item) or ():
                write(key, value)
                self.pairs += 1
            return ()

        return written

    def take(self, pairs: Pairs) -> None:
        """Have all pairs written: none is left of them."""
        deque(pairs, maxlen=0)

    def close(self) -> None:
        self._part.close()


class Shuffle:
    """The shuffle of a step: pairs by our own partition, or by a Java class's where `place` is None."""

    def __init__(self, file: IO[bytes], step: Step, place: Partition | None, partitions: int) -> None:
        self._file, self._step, self._place, self._partitions = file, step, place, partitions
        self._prefixes = [prefix(at, partitions) for at in range(partitions)] if place else [b""]
        self.pairs = 0

    def function(self, function: Function) -> Function:
        order, prefix_of = self._step.order, self._prefix_of()

        def sorted_by(item: Any) -> Iterator[tuple[bytes, bytes]]:
            for key, value in function(item) or ():
                encoded = encode(key)
                sorting = composite(key, order(key, value)) if order else encoded
                yield prefix_of(encoded) + sorting, pickled([value])

        return sorted_by

    def take(self, pairs: Pairs) -> None:
        """Write pairs, each as a record."""
        write = self._file.write
        for sorting, value in pairs:
            write(record(sorting, value))
            self.pairs += 1

    def send(self, reports: list[Report]) -> None:
        """Write what tasks tell of themselves, behind all pairs."""
        self._file.write(record(self._prefixes[0] + REPORTS, pickled(reports)))
        self._file.flush()

    def reach_all(self) -> None:
        """Write a record without a pair to each partition: streaming loses what a reducer without input writes."""
        for one in self._prefixes:
            self._file.write(record(one, b""))

    def close(self) -> None:
        self._file.flush()

    def _prefix_of(self) -> Callable[[bytes], bytes]:
        place, prefixes, partitions = self._place, self._prefixes, self._partitions
        return (lambda encoded: prefixes[place(encoded, partitions)]) if place else lambda _: b""


class Combining:
    """Gathers pairs by key, and hands them combined to a shuffle: whenever their memory is full, and at the end."""

    def __init__(self, shuffle: Shuffle, step: Step, skipped: Skipped, room: int = GATHER) -> None:
        self._shuffle, self._step, self._skipped, self._room = shuffle, step, skipped, room
        self._values: defaultdict[bytes, list[Any]] = defaultdict(list)
        self._meter = Meter()
        self._ground = self._meter.held()
        self._highest_ground = self._ground + room // 4  # what Python does not give back to the system
        self.pairs = 0

    def function(self, function: Function) -> Function:
        return keyed(function)

    def take(self, pairs: Pairs) -> None:
        left, values = LOOK, self._values
        for key, value in pairs:
            values[key].append(value)
            self.pairs += 1
            left -= 1
            if not left:
                left = LOOK
                if self._meter.held() - self._ground > self._room:
                    self._flush()

    def close(self) -> None:
        self._flush()
        self._shuffle.close()

    def _flush(self) -> None:
        """Combine what is gathered and write it, key by key."""
        gathered = dict(self._values)
        self._values.clear()
        self._shuffle.take(self._combined(gathered))
        gc.collect()
        release()
        self._ground = min(self._meter.held(), self._highest_ground)

    def _combined(self, gathered: dict[bytes, list[Any]]) -> Iterator[tuple[Any, Any]]:
        step, sent = self._step, self._shuffle.function
        combine = step.combine
        if combine is None:
            raise EngineError("nothing to combine with")
        if step.combine_begin is not None:
            yield from aside(step.combine_begin(), "combine, begin", sent)
        groups = ((decode(key), iter(gathered.pop(key))) for key in list(gathered))
        yield from pairs_of(
            as_blocks(groups, "combine"), sent(lambda group: combine(group[0], group[1])), self._skipped
        )
        if step.combine_end is not None:
            yield from aside(step.combine_end(), "combine, end", sent)
