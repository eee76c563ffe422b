"""What becomes of the sorted runs of a day: one order, in which equal keys have been told apart.

Two cells of the same key are either one event that the files hold twice (it has an id of its own), or separate events
of the very same content: the second of these gets another key (`cells.repeated`). Which file, piece or process a cell
came from makes no difference. Nothing here does I/O beyond reading runs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Final

import msgspec

from eventlog import keys
from eventlog.cells import Cells, decode_body, read_head, repeated
from eventlog.engines import Portion
from eventlog.importing.runs import adjoining, gathered, of_buckets
from eventlog.schema import Schema

PORTION_BYTES: Final = 32 * 2**20  # of cells that are merged in memory at once

PORTION_CELLS: Final = 4096  # that are handed on at once, while they are at hand
Present = Mapping[bytes, bytes]  # the heads that are already stored, by key


class Told(msgspec.Struct):
    """Cells of which no two have the same key. `repeated` counts the events that were there more than once."""

    cells: Cells
    repeated: int = 0


def told_apart(cells: Cells, schemas: Mapping[bytes, Schema]) -> Told:
    """Cells with keys of their own. `schemas` are by code."""
    if len(set(cells.keys)) == len(cells):
        return Told(cells)
    made: list[tuple[bytes, bytes, bytes]] = []
    moved: list[tuple[bytes, bytes, bytes]] = []
    again = 0
    for key, group in groupby(sorted(cells), itemgetter(0)):
        same = list(group)
        made.append(same[0])
        if len(same) > 1:
            if _has_id(schemas[key[-2:]], same[0]):
                again += len(same) - 1
            else:
                moved += [(_moved(key, number), head, body) for number, (_, head, body) in enumerate(same[1:], 1)]
    return Told(Cells.of(made + moved), again)


def _has_id(schema: Schema, cell: tuple[bytes, bytes, bytes]) -> bool:
    if schema.id_field is None:
        return False
    head = read_head(cell[1])
    fields = head.columns
    if schema.id_field not in fields:
        fields = decode_body(head, cell[2], {schema.serializer.number: schema.serializer})
    return fields.get(schema.id_field) not in ("", None)


def _moved(key: bytes, number: int) -> bytes:
    """The key of a further event of the same content."""
    end = keys.row_end(key)
    row, place = key[:end], key[end:]
    code = place[-2:]
    if place[:1] == keys.ROOT:
        return row[:-8] + repeated(code, row[-8:], number) + place
    distinct = repeated(code, place[9:17], number)
    if row[-16:] == place[1:17]:  # a child that names no parent: its row is its own
        row = row[:-8] + distinct
    return row + place[:9] + distinct + code


class Task(msgspec.Struct, frozen=True):
    """A part of a day to merge: some adjoining buckets of all runs, as paths with the offsets of the buckets' edges.

    `stored` says whether the day holds anything that may be met; `over` are imports whose cells give way.
    """

    day: str
    sources: list[tuple[str, list[int]]]
    stored: bool
    over: frozenset[int]

    @property
    def bytes(self) -> int:
        return sum(offsets[-1] - offsets[0] for _, offsets in self.sources)


def merge(
    task: Task,
    schemas: Mapping[bytes, Schema],
    present: Callable[[str, Sequence[bytes]], Present] | None,
    counts: dict[str, int],
) -> Iterator[Portion]:
    """The cells of a part of a day that are to be written, in order. Adds to `counts` as it goes."""
    for cells in _portions(task):
        found = told_apart(cells, schemas)
        counts["repeated"] += found.repeated
        held = found.cells.keys
        order = found.cells.order()  # Python's sort finds the runs, and merges them
        stored = {} if present is None else present(task.day, [held[index] for index in order])
        over = frozenset(key for key, head in stored.items() if read_head(head).batch in task.over)
        if stored:  # what anything else has written stays as it is
            order = [index for index in order if held[index] not in stored or held[index] in over]
        counts["events"] += len(order)
        counts["present"] += len(held) - len(order)
        for start in range(0, len(order), PORTION_CELLS):
            yield Portion(found.cells.picked(order[start : start + PORTION_CELLS]), over)


def _portions(task: Task) -> Iterator[Cells]:
    """The cells of a part, in portions that fit into memory, of which each lies behind the one before."""
    for first, last in adjoining([offsets for _, offsets in task.sources], PORTION_BYTES):
        sources = of_buckets(task.sources, first, last)
        parts = sum(offsets[-1] - offsets[0] for _, offsets in sources) // PORTION_BYTES
        cuts = _cuts(sources, parts) if first == last and parts > 1 else []
        for low, high in pairwise([None, *cuts, None]):
            yield gathered(sources, None if low is high is None else (low, high))


def _cuts(sources: Sequence[tuple[str, Sequence[int]]], parts: int) -> list[bytes]:
    """Keys that cut a bucket into about `parts`, judged by its largest run.

    No cut lies between events of the same user and moment, so that equal events stay together.
    """
    largest = max(sources, key=lambda source: source[1][-1] - source[1][0])
    found = sorted(gathered([largest], None).keys)
    return sorted({_moment(found[len(found) * part // parts]) for part in range(1, parts)})


def _moment(key: bytes) -> bytes:
    return key[: keys.row_end(key) - 8]
