"""Rolling an import back: what it wrote is removed, wherever that lies; what anything else wrote stays."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from eventlog import keys
from eventlog.cells import read_head
from eventlog.engines import Counts, Engine, Want
from eventlog.errors import EventlogError
from eventlog.importing.manifest import (
    DONE,
    PREPARING,
    REFUSED,
    REPLACED,
    ROLLED_BACK,
    ROLLING_BACK,
    ImportStateError,
    Manifest,
    all_imports,
    alone,
    finish,
    save,
)
from eventlog.keys import Place, Row
from eventlog.times import DAY, day_start

if TYPE_CHECKING:
    from eventlog.log import Log

REMOVE_CELLS: Final = 10_000


class RolledBack(msgspec.Struct):
    """What was taken away. `repeated` says that it had been before."""

    number: int
    day: str
    events: int
    repeated: bool = False


def batch_cells(engine: Engine, day: str, number: int) -> Iterator[tuple[Row, Place]]:
    """Where the cells of an import lie, within the rows of a day."""
    start = day_start(day)
    want = Want(since=start, until=start + DAY, bodies=False, notes=False)
    for batch in engine.read([keys.EVERYTHING], want, Counts()):
        for cell in batch:
            if cell.place[:1] != keys.NOTE and read_head(cell.head).batch == number:
                yield cell.row, cell.place


def remove_batch(engine: Engine, day: str, number: int) -> int:
    """Removes the cells of an import from the rows of a day; gives how many. Can be repeated."""
    some: list[tuple[Row, Place]] = []
    removed = 0
    for one in batch_cells(engine, day, number):
        some.append(one)
        if len(some) >= REMOVE_CELLS:
            engine.remove(some)
            removed += len(some)
            some = []
    if some:
        engine.remove(some)
    return removed + len(some)


def rollback(log: "Log", number: int, progress: Callable[[str, int, int], None] | None = None) -> RolledBack:
    """Takes away what an import wrote. Can be repeated, after a kill too."""
    with alone(log.engine):
        every = {one.number: one for one in all_imports(log.engine)}
        manifest = every.get(number)
        if manifest is None:
            raise ImportStateError(f"there is no import {number}; `eventlog imports` lists them")
        if manifest.state in (ROLLED_BACK, REPLACED):
            return RolledBack(number, manifest.day, 0, repeated=True)
        _begin(log.engine, manifest)
        removed = 0
        # An import that was replacing others, and did not end, has already gone over some of theirs.
        others = [every[one] for one in manifest.replaces if every[one].state == DONE]
        for one in [manifest, *others]:
            for at, day in enumerate(one.days):
                removed += remove_batch(log.engine, day, one.number)
                if progress is not None:
                    progress(day, at + 1, len(one.days))
        for one in others:
            one.state = REPLACED
            save(log.engine, one)
        finish(log.engine, manifest, ROLLED_BACK)
        return RolledBack(number, manifest.day, removed)


def _begin(engine: Engine, manifest: Manifest) -> None:
    if manifest.state in (PREPARING, REFUSED):  # nothing of it is in the log, and nothing has given way to it
        manifest.replaces = []
    manifest.state = ROLLING_BACK
    save(engine, manifest)


def rollback_day(log: "Log", day: str, progress: Callable[[str, int, int], None] | None = None) -> list[RolledBack]:
    """Takes away what all imports of a day wrote. Raises EventlogError where there are none."""
    day_start(day)
    numbers = [
        one.number for one in all_imports(log.engine) if one.day == day and one.state not in (ROLLED_BACK, REPLACED)
    ]
    if not numbers:
        raise EventlogError(f"{day}: there is no import of this day to roll back; `eventlog imports` lists them")
    return [rollback(log, number, progress) for number in numbers]
