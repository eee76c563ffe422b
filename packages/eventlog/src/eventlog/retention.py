"""Time to live: which cells are past it, and how they leave the engine.

An event is past its time to live when its own time and the `ttl` of its type come to now or earlier. Reads leave it out
from that moment on; `expire` removes it. A note lives as long as its event.

A child may live longer than its root. Then of the root's cell nothing is left but its place (version 0, no fields), so
that the child is not taken for an orphan, whose root never came; that goes with the last child.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

import msgspec

from eventlog import keys
from eventlog.cells import EXPIRED, Cell, expired_cell, read_head
from eventlog.engines import Batch, Counts, Want
from eventlog.keys import Place
from eventlog.times import DAY, Micros, day_of

if TYPE_CHECKING:
    from eventlog.log import Log

REMOVED: Final = 10_000  # cells of one removal
Past = Mapping[bytes, Micros]
Progress = Callable[[str, int, int], None]


class Expired(msgspec.Struct):
    """What was past its time to live. `types` counts events by type; `days_dropped` went as a whole, files and all."""

    types: dict[str, int] = {}
    notes: int = 0
    days_dropped: list[str] = []
    days_rewritten: list[str] = []
    dry_run: bool = False


class Sorted(msgspec.Struct):
    """A row's cells by what becomes of them. `left` is what is written in the place of an expired root."""

    gone: list[Cell]
    kept: int
    left: Cell | None = None


def sort_out(row: Sequence[Cell], past: Past) -> Sorted:
    """Divides the cells of one row, which come in the order of their places."""
    here: dict[Place, bool] = {}  # whether the event at a place lives
    root: Cell | None = None
    gone: list[Cell] = []
    kept = 0
    for cell in row:
        kind = cell.place[:1]
        if kind == keys.NOTE:
            lives = _note_lives(cell, here, past)
        else:
            lives = _event_lives(cell, past)
            here[keys.ROOT if kind == keys.ROOT else cell.place] = lives
            root = cell if kind == keys.ROOT and not lives else root
        if lives:
            kept += 1
        elif cell is not root:
            gone.append(cell)
    if root is None:
        return Sorted(gone, kept)
    if not any(lives for place, lives in here.items() if place != keys.ROOT):
        return Sorted([root, *gone], kept)
    if read_head(root.head).version == EXPIRED:
        return Sorted(gone, kept + 1)
    return Sorted([root, *gone], kept + 1, expired_cell(root))


def _event_lives(cell: Cell, past: Past) -> bool:
    time = keys.place_time(cell.place) if cell.place[:1] == keys.CHILD else keys.row_time(cell.row)
    if time <= past.get(keys.place_type(cell.place), -1):
        return False
    return cell.place[:1] != keys.ROOT or read_head(cell.head).version != EXPIRED


def _note_lives(cell: Cell, here: Mapping[Place, bool], past: Past) -> bool:
    """Of an event that has not come: a child's type and time lie in the note's place; a root's type is not known."""
    subject, _ = keys.read_note_place(cell.place)
    if subject in here:
        return here[subject]
    return subject == keys.ROOT or keys.place_time(subject) > past.get(keys.place_type(subject), -1)


def expire(log: "Log", now: Micros, dry_run: bool, progress: Progress) -> Expired:
    """Removes what is past its time to live; see `Log.expire`."""
    past = log.catalog.past(now)
    told = Expired(dry_run=dry_run)
    latest = max(past.values(), default=-1)
    spans = [span for span in log.engine.spans() if span[0] <= latest]
    for number, (since, until) in enumerate(spans):
        name = day_of(since) if until - since == DAY else "all"
        progress(name, number, len(spans))
        found = _Tally(log, past)
        found.add(_rows(log, since, until))
        if not found.gone:
            continue
        if not dry_run:
            found = _remove(log, past, since, until, found)
        found.into(told)
        if not found.kept and _goes_whole(since, until):
            told.days_dropped.append(name)
        else:
            told.days_rewritten.append(name)
    progress("", len(spans), len(spans))
    return told


class _Tally:
    """Counts of what goes and what stays."""

    def __init__(self, log: "Log", past: Past) -> None:
        self._log = log
        self._past = past
        self.gone = self.kept = self.notes = 0
        self.types: dict[str, int] = {}

    def add(self, rows: Iterator[list[Cell]]) -> None:
        for row in rows:
            self.one(sort_out(row, self._past))

    def one(self, row: Sorted) -> None:
        self.kept += row.kept
        for cell in row.gone:
            self.gone += 1
            if cell.place[:1] == keys.NOTE:
                self.notes += 1
            elif read_head(cell.head).version != EXPIRED:
                name = self._log.catalog.name(keys.place_type(cell.place))
                self.types[name] = self.types.get(name, 0) + 1

    def into(self, told: Expired) -> None:
        told.notes += self.notes
        for name, count in self.types.items():
            told.types[name] = told.types.get(name, 0) + count


def _remove(log: "Log", past: Past, since: Micros, until: Micros, seen: _Tally) -> _Tally:
    """Removes a span whole where nothing in it lives, else what is past in it."""
    if not seen.kept and _goes_whole(since, until):
        with log.gate.alone():  # nothing may come between looking and dropping
            again = _Tally(log, past)
            again.add(_rows(log, since, until))
            if not again.kept:
                log.engine.drop(since, until)
                return again
    done = _Tally(log, past)
    cells: Batch = []
    places: list[tuple[bytes, Place]] = []
    for row in _rows(log, since, until):
        sorted_out = sort_out(row, past)
        done.one(sorted_out)
        if sorted_out.left is not None:
            cells.append(sorted_out.left)
        places += [
            (cell.row, cell.place) for cell in sorted_out.gone if sorted_out.left is None or cell.place[:1] != keys.ROOT
        ]
        if len(places) + len(cells) >= REMOVED:
            _write(log, cells, places)
            cells, places = [], []
    _write(log, cells, places)
    log.engine.compact(since, until)
    return done


def _goes_whole(since: Micros, until: Micros) -> bool:
    """Whether a span may be dropped. One span for all is an engine's that other processes write to between the two."""
    return until - since == DAY


def _write(log: "Log", cells: Batch, places: list[tuple[bytes, Place]]) -> None:
    if cells:
        log.engine.put(cells)
    if places:
        log.engine.remove(places)


def _rows(log: "Log", since: Micros, until: Micros) -> Iterator[list[Cell]]:
    """The rows of a span, heads only."""
    want = Want(since=since, until=until, bodies=False)
    for batch in log.engine.read([keys.EVERYTHING], want, Counts()):
        for _, row in groupby(batch, lambda cell: cell.row):
            cells = list(row)
            if since <= keys.row_time(cells[0].row) < until:
                yield cells
