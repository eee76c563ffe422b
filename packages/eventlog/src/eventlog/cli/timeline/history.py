"""What a page shows: a user's rows as plain values that JSON holds, all texts ready to be read. No I/O.

    types    [{name, parent}]       the types that occur, and their parents; `parent` is a place in `types`, or null
    rows     [{id, time, root, state, children}]     in the order of their times
    event    {id, type, time, version, fields, notes}     `type` is a place in `types`; fields and notes: [[name, text]]
    state    "came", "missing" (the root has not come), or "expired" (it came, and is past its time to live)

Times are microseconds since 1970, which a number of JavaScript holds exactly up to the year 2255.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from eventlog.cli.shown import fields_of, plain, safe
from eventlog.errors import QueryError
from eventlog.reading import Entry, Row
from eventlog.times import Micros, micros

EVENTS: Final = 100_000  # of one page: more of them no browser shows quickly
CHARACTERS: Final = 2_000  # of one value


class Asked(msgspec.Struct, frozen=True):
    """What the page was asked to show, as it was written."""

    user: str
    since: str | None = None
    until: str | None = None
    types: tuple[str, ...] = ()
    limit: int | None = None


class Kind(msgspec.Struct):
    """A type of events."""

    name: str
    parent: int | None = None


class Shown(msgspec.Struct):
    """One event."""

    id: str
    type: int
    time: Micros
    version: int
    fields: list[tuple[str, str]]
    notes: list[tuple[str, str]]


class Group(msgspec.Struct):
    """One row: a root event and its children."""

    id: str
    time: Micros
    root: Shown | None
    state: str
    children: list[Shown]


class History(msgspec.Struct):
    """All that a page shows."""

    asked: Asked
    made: Micros
    types: list[Kind]
    rows: list[Group]

    @property
    def events(self) -> int:
        """How many events there are."""
        return sum(len(row.children) + (row.root is not None) for row in self.rows)


def history(
    asked: Asked, rows: Iterable[Row], parent: Callable[[str], str | None], made: Micros, most: int = EVENTS
) -> History:
    """A user's rows, to be shown. `parent` gives the parent of a type by name. Raises QueryError above `most` events.

    The user's name, the fields and the notes hold no character that is not seen, nor one that turns the direction of
    what stands beside it: those are written as escapes.
    """
    shown_asked = msgspec.structs.replace(
        asked, user=safe(asked.user), since=_safe(asked.since), until=_safe(asked.until)
    )
    found = History(shown_asked, made, [], [])
    numbers: dict[str, int] = {}
    count = 0
    for row in rows:
        count += len(row.entries())
        if count > most:
            raise QueryError(
                f"more than {most:,} events are too many for one page; narrow them with --since, --until or --limit"
            )
        found.rows.append(_group(row, numbers))
    parents = {name: above for name in list(numbers) if (above := parent(name)) is not None}
    for above in parents.values():
        numbers.setdefault(above, len(numbers))
    found.types = [Kind(safe(name), numbers[parents[name]] if name in parents else None) for name in numbers]
    return found


def _safe(text: str | None) -> str | None:
    return None if text is None else safe(text)


def _group(row: Row, numbers: dict[str, int]) -> Group:
    state = "came" if row.root else "expired" if row.expired else "missing"
    root = _shown(row.root, numbers) if row.root else None
    return Group(row.id, micros(row.time), root, state, [_shown(child, numbers) for child in row.children])


def _shown(entry: Entry, numbers: dict[str, int]) -> Shown:
    return Shown(
        entry.id,
        numbers.setdefault(entry.type, len(numbers)),
        micros(entry.time),
        entry.version,
        _pairs(fields_of(entry)),
        _pairs(entry.notes),
    )


def _pairs(values: Any) -> list[tuple[str, str]]:
    return [(safe(str(name)), _cut(plain(value))) for name, value in values.items()]


def _cut(text: str) -> str:
    """A text of a length that a page bears; it says what is left out."""
    left = len(text) - CHARACTERS
    return text if left <= 0 else f"{text[:CHARACTERS]} … and {left:,} characters more"
