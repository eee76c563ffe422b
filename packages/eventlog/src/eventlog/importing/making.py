"""Events as cells, many at a time: the same cells that `cells.take` makes of them, at a fraction of its cost.

A file's lines are decoded into a `Line`: a plain Struct of the type's fields under their names in files. Blocks of them
become cells as a whole; a block that does not is halved, until what is wrong with it stands alone.

What a Line can't hold (fields that the class does not know; a class with a `__post_init__` of its own; fields whose
name in files is the one that says the type) goes through `cells.take` itself.
"""

from collections.abc import Sequence
from itertools import repeat
from typing import Any, Final

import msgspec

from eventlog import keys
from eventlog.cells import Cells, parent_row, take
from eventlog.erasure import Erased
from eventlog.errors import EventError, EventlogError
from eventlog.importing.encoding import bodies_of, heads_of, line_type, plain_type, times_of, told_of
from eventlog.keys import Row
from eventlog.schema import Schema
from eventlog.times import DAY, Micros, day_start, moment

BLOCK: Final = 1024  # events that become cells at once

Day = int  # since 1970
Bad = tuple[int, str]  # an event's index, and why it can't be stored


class Limits(msgspec.Struct, frozen=True):
    """The times that the events of a day's files may have: from `since` up to, and without, `until`."""

    since: Micros
    until: Micros
    day: str

    @classmethod
    def of(cls, day: str, slack: Micros) -> "Limits":
        start = day_start(day)
        return cls(start - slack, start + DAY + slack, day)

    def check(self, time: Micros) -> None:
        """Raises EventError where a time is not of the day."""
        if not self.since <= time < self.until:
            raise EventError(
                f"time: {moment(time):%Y-%m-%dT%H:%M:%SZ} is not of {self.day}, nor within the slack around it"
            )


class Made(msgspec.Struct):
    """Cells by the day of their rows, and how many events were of erased users."""

    days: dict[Day, Cells] = {}
    erased: int = 0

    def add(self, days: Sequence[Day], cells: Cells) -> None:
        """Adds cells, of whose rows the days are told."""
        some = set(days)
        for day in some:
            held = self.days.setdefault(day, Cells())
            if len(some) == 1:
                held.add(cells)
            else:
                held.add(cells.picked([index for index, one in enumerate(days) if one == day]))


class Maker:
    """Makes cells of the events of one type.

    `batch` is the number of the import. Events that `erased` covers are counted, and not made.
    """

    def __init__(self, schema: Schema, batch: int, limits: Limits, erased: Erased = Erased()) -> None:  # noqa: B008  (frozen)
        self.schema = schema
        self.line = line_type(schema)
        self.plain = plain_type(schema)
        self.fast = self.line is not None and not hasattr(schema.cls, "__post_init__")
        self._batch = batch
        self._limits = limits
        self._erased = erased
        self._times = times_of(schema)
        self._told = told_of(schema)
        self._heads = heads_of(schema, batch)
        self._bodies = bodies_of(schema)

    def make(self, events: Sequence[Any], made: Made) -> list[Bad]:
        """Adds the cells of Lines, in their order. Gives those of which none can be made."""
        bad: list[Bad] = []
        for start in range(0, len(events), BLOCK):
            self._make_block(events[start : start + BLOCK], start, made, bad)
        return bad

    def _make_block(self, events: Sequence[Any], start: int, made: Made, bad: list[Bad]) -> None:
        try:
            days, cells = self._cells(events)
        except (EventlogError, ValueError, TypeError, OverflowError, RecursionError) as error:
            if len(events) == 1:
                bad.append((start, told(error, self.schema)))
            else:
                half = len(events) // 2
                self._make_block(events[:half], start, made, bad)
                self._make_block(events[half:], start + half, made, bad)
            return
        if self._erased:
            kept = [i for i, key in enumerate(cells.keys) if not self._erased.covers_row(key[: keys.row_end(key)])]
            made.erased += len(cells) - len(kept)
            days, cells = [days[i] for i in kept], cells.picked(kept)
        made.add(days, cells)

    def _cells(self, events: Sequence[Any]) -> tuple[list[Day], Cells]:
        """The cells of some events, and the days of their rows."""
        times = self._times(events)
        self._limits.check(min(times))
        self._limits.check(max(times))
        distinct = self._told(events)
        if self.schema.parent_field is None:
            days = [time // DAY for time in times]
            made = keys.root_keys([event.user for event in events], times, distinct, self.schema.code)
        else:
            rows = list(map(self._parent, events, times, distinct))
            days = [keys.row_time(row) // DAY for row in rows]
            places = map(keys.child_place, times, distinct, repeat(self.schema.code))
            made = [row + place for row, place in zip(rows, places, strict=True)]
        return days, Cells(made, self._heads(events), self._bodies(events))

    def _parent(self, event: Any, time: Micros, distinct: bytes) -> Row:
        field = self.schema.parent_field or ""
        user = event.user if "user" in self.schema.types else None
        return parent_row(self.schema, {field: getattr(event, field), "user": user}, time, distinct)

    def make_one(self, event: Any, unknown: dict[str, Any], made: Made) -> None:
        """Adds the cell of an event in the plain way. Raises EventlogError."""
        cell = take(self.schema, event, batch=self._batch, unknown=unknown).cell
        time = keys.place_time(cell.place) if cell.place[:1] == keys.CHILD else keys.row_time(cell.row)
        self._limits.check(time)
        if self._erased.covers_row(cell.row):
            made.erased += 1
        else:
            made.add([keys.row_time(cell.row) // DAY], Cells([cell.row + cell.place], [cell.head], [cell.body]))


def told(error: Exception, schema: Schema) -> str:
    """An error as the reason that stands beside a bad line."""
    text = str(error)
    return text if isinstance(error, EventlogError) else f"{schema.name}: can't be written: {text}"
