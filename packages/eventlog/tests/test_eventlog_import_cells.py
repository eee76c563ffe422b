"""Imports into an engine that takes nothing but cells, as one that is elsewhere does."""

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from import_help import DAY, Elsewhere, batches, expected, some_events, stored, write_lines
from import_types import TYPES

from eventlog import EngineError, Log, erasure
from eventlog.engines import Bulk
from eventlog.importing import loading
from eventlog.keys import row_user
from eventlog.times import END


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(loading, "PART_BYTES", 4000)
    monkeypatch.setattr(loading, "PUT_CELLS", 20)
    engine: Any = Elsewhere(tmp_path / "store")
    assert not isinstance(engine, Bulk)
    with Log(engine, TYPES) as log:
        yield log


def test_eventlog_import_cells_interrupted(log: Log, tmp_path: Path) -> None:
    """An engine that goes away half-way has, after the import was repeated, exactly the files' events."""
    events = some_events(300)
    path = write_lines(tmp_path / "a", events)
    engine: Any = log.engine
    for left in (3, 7):
        engine.left = left
        with pytest.raises(EngineError, match="away"):
            log.import_day(DAY, [path], workers=0)
    engine.left = 10**9
    done = log.import_day(DAY, [path], workers=0)
    assert stored(log) == expected(events)
    assert done.counts.events == len(expected(events))
    assert done.counts.present == 0
    assert (tmp_path / "state" / "eventlog").is_dir()


def test_eventlog_import_cells_replace_and_back(log: Log, tmp_path: Path) -> None:
    """What was there stays; a day is replaced, and rolled back while it is half-way: as with bulk loading."""
    events = some_events(300)
    log.write(events[:20])
    log.import_day(DAY, [write_lines(tmp_path / "a", events[:150])], workers=0)
    done = log.import_day(DAY, [write_lines(tmp_path / "b", events[100:])], replace=True, workers=0)
    assert batches(log).keys() == {0, done.number}
    assert stored(log) == expected(events[100:]) | expected(events[:20])
    log.rollback(done.number)
    assert stored(log).keys() == expected(events[:20]).keys()
    engine: Any = log.engine
    engine.left = 4
    with pytest.raises(EngineError, match="away"):
        log.import_day(DAY, [tmp_path / "b"], workers=0)
    assert log.rollback(3).events > 0
    assert stored(log).keys() == expected(events[:20]).keys()


def test_eventlog_import_cells_of_users_erased_meanwhile(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user whom another machine erases while an import puts cells is in none that it puts from then on."""
    events = some_events(300)
    path = write_lines(tmp_path / "a", events)
    put, rows = log.engine.put, set()

    def putting(cells: Any) -> None:
        if not rows:
            salted = erasure.salted(log.engine, erasure.load(log.engine))
            users = {row_user(key) for key in map(attrgetter("row"), cells)}
            erasure.save(log.engine, salted, map(salted.digest, users), END - 1, "elsewhere")
            rows.update(users)
            return
        assert not rows & {row_user(cell.row) for cell in cells}
        put(cells)

    monkeypatch.setattr(log.engine, "put", putting)
    done = log.import_day(DAY, [path], workers=0)
    assert rows
    assert done.counts.erased > 0
