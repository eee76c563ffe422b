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
from eventlog.cells import decode_body, read_head, repeated
from eventlog.engines import NewCell
from eventlog.importing.runs import Sorted, merged
from eventlog.schema import Schema

PORTION_BYTES: Final = 64 * 2**20  # of cells that are merged in memory at once

Present = Mapping[bytes, bytes]  # the heads that are already stored, by key

_key: Final = itemgetter(0)


class Told(msgspec.Struct):
    """Cells of which no two have the same key. `repeated` counts the events that were there more than once."""

    cells: Sorted
    repeated: int = 0


def told_apart(cells: Sorted, schemas: Mapping[bytes, Schema]) -> Told:
    """Sorted cells with keys of their own, in order. `schemas` are by code."""
    if not _has_equal(cells):
        return Told(cells)
    made: Sorted = []
    moved: Sorted = []
    again = 0
    for key, group in groupby(cells, _key):
        same = list(group)
        made.append(same[0])
        if len(same) > 1:
            schema = schemas[key[-2:]]
            if _has_id(schema, same[0]):
                again += len(same) - 1
            else:
                moved += [(_moved(key, number), head, body) for number, (_, head, body) in enumerate(same[1:], 1)]
    if moved:
        made += moved
        made.sort()
    return Told(made, again)


def _has_equal(cells: Sorted) -> bool:
    found = list(map(_key, cells))
    return len(set(found)) < len(found)


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
) -> Iterator[NewCell]:
    """The cells of a part of a day that are to be written, in order. Adds to `counts` as it goes."""
    for cells in _portions(task):
        found = told_apart(cells, schemas)
        counts["repeated"] += found.repeated
        stored = {} if present is None else present(task.day, list(map(_key, found.cells)))
        if not stored:
            counts["events"] += len(found.cells)
            for key, head, body in found.cells:
                yield key, head, body, False
        else:
            for cell in absent(found.cells, stored, task.over):
                counts["events"] += 1
                yield cell
        counts["present"] += len(found.cells)
    counts["present"] -= counts["events"]


def _portions(task: Task) -> Iterator[Sorted]:
    """The sorted cells of a part, in portions that fit into memory."""
    parts = -(-task.bytes // PORTION_BYTES)
    if parts <= 1:
        yield merged(task.sources, None)
        return
    cuts = [None, *_cuts(task, parts), None]
    for low, high in pairwise(cuts):
        yield merged(task.sources, (low, high))


def _cuts(task: Task, parts: int) -> list[bytes]:
    """Keys that cut a part into about `parts`, judged by its largest run.

    No cut lies between events of the same user and moment, so that equal events stay together.
    """
    path, offsets = max(task.sources, key=lambda source: source[1][-1] - source[1][0])
    cells = merged([(path, offsets)], None)
    return sorted({_moment(cells[len(cells) * part // parts][0]) for part in range(1, parts)})


def _moment(key: bytes) -> bytes:
    return key[: keys.row_end(key) - 8]


def absent(cells: Sorted, present: Present, over: frozenset[int]) -> Iterator[NewCell]:
    """The cells to write, each with whether it goes over a stored one: of the imports `over`, which it replaces.

    What anything else has written stays as it is.
    """
    for key, head, body in cells:
        stored = present.get(key)
        if stored is None:
            yield key, head, body, False
        elif read_head(stored).batch in over:
            yield key, head, body, True
