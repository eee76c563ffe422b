"""What travels in a shuffle: pairs, and reports of tasks beside them, as bytes that Spark sorts and moves about.

    element  = (sorting, data)
    sorting  = partition (4 bytes), what sorts, task (4 bytes), number (8 bytes)
    sorts    = the encoded key | keys.composite where values have an order | 00 for reports
    data     = pickle of the value | pickle of a list of reports

No encoded key begins with 00, so that reports come before all pairs of their partition. Task and number are last: the
values of a key, where nothing else sorts them, come in the order of the inputs, whichever task was fetched first.

Reports (see `engines.reporting`) go to the first partition.
"""

import pickle
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any, Final

from mrjerb.engines.reporting import Report
from mrjerb.groups import Chunk
from mrjerb.job import Step
from mrjerb.keys import composite, encode
from mrjerb.running import stuck
from mrjerb.shuffle import partition_for
from mrjerb.stages import Function

Element = tuple[bytes, bytes]

HEAD: Final = Struct(">I")
TAIL: Final = Struct(">IQ")
REPORTS: Final = b"\0"
RUN: Final = 500  # values of a key that are handed on together

place_of = HEAD.unpack_from


def partition(sorting: bytes) -> int:
    """Which partition an element goes to."""
    return place_of(sorting)[0]


class Sender:
    """Makes pairs of a stage into elements. `function` wraps the stage's, and yields them without their last bytes."""

    def __init__(self, step: Step, partitions: int, partitioner: str | None, task: int) -> None:
        self._step, self._partitions, self._task = step, partitions, task
        self._place = partition_for(step, partitioner)
        self.number = 0
        """Of elements, when all are sent."""

    def function(self, function: Function) -> Function:
        """What makes elements of an item: all that can go wrong with a pair happens at its record."""
        order, place, partitions, pack = self._step.order, self._place, self._partitions, HEAD.pack

        def plain(item: Any) -> Iterator[Element]:
            for key, value in function(item) or ():
                encoded = encode(key)
                yield pack(place(encoded, partitions)) + encoded, _pickled(value)

        def ordered(item: Any) -> Iterator[Element]:
            assert order is not None
            for key, value in function(item) or ():
                head = pack(place(encode(key), partitions))
                yield head + composite(key, order(key, value)), _pickled(value)

        return plain if order is None else ordered

    def numbered(self, elements: Iterable[Element]) -> Iterator[Element]:
        """The elements with their last bytes."""
        pack, task, number = TAIL.pack, self._task, 0
        for sorting, data in elements:
            yield sorting + pack(task, number), data
            number += 1
        self.number = number

    def reports(self, reports: list[Report]) -> Element:
        """What tells of this task, and of those before it."""
        return HEAD.pack(0) + REPORTS + TAIL.pack(self._task, 0), pickle.dumps(reports, 5)


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value, 5)
    except Exception as error:
        raise stuck([value], error) from None


class Received:
    """The sorted elements of a partition: the reports that came with them, then the values of each key."""

    def __init__(self, elements: Iterable[Element]) -> None:
        self._elements = iter(elements)
        self._first: Element | None = None
        self.reports: list[Report] = []
        for element in self._elements:
            if not element[0].startswith(REPORTS, HEAD.size):
                self._first = element
                break
            self.reports += pickle.loads(element[1])  # noqa: S301 - of our own tasks

    def chunks(self) -> Iterator[Chunk]:
        """`(encoded key or composite, values)`."""
        if self._first is None:
            return
        loads, begin, end = pickle.loads, HEAD.size, -TAIL.size
        last, values = self._first[0][begin:end], [loads(self._first[1])]
        for sorting, data in self._elements:
            key = sorting[begin:end]
            if key != last or len(values) == RUN:
                yield last, values
                last, values = key, []
            values.append(loads(data))
        yield last, values
