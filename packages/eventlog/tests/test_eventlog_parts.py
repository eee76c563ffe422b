"""Parts of a scan: together they are the scan, in its order, wherever they run."""

import pickle
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from analysis_events import START, TYPES, Click, Impression, fill

import eventlog
from eventlog import QueryError
from eventlog.parts import Part, groups


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with fill(tmp_path_factory.mktemp("parts") / "log") as made:
        yield made


QUESTIONS = {
    "all": {},
    "one day": {"since": "2011-02-15", "until": "2011-02-16"},
    "within a day": {"since": "2011-02-15T03:00:00Z", "until": "2011-02-16T05:00:00Z"},
    "types": {"types": Click},
    "where": {"where": Impression.price >= 1.0, "columns": ["id", "Impression.price", "notes.score"]},
    "sample": {"sample": 0.3},
    "prefix": {"prefix": "user01"},
    "users": {"users": ["user001", "user002", "ü", "nobody"]},
    "nothing": {"since": "2030-01-01"},
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_parts_one_after_the_other_are_the_scan(log, name, count):
    """No event is lost, twice, or in another place, however a scan is cut."""
    scan = log.scan(**QUESTIONS[name])
    answers = [part.scan(log).polars() for part in scan.parts(count)]
    assert pl.concat([scan.empty(), *answers]).equals(scan.polars())


def test_a_part_travels_and_opens_the_log_itself(log):
    """A part is plain values, and gives events as well as tables."""
    scan = log.scan(types=[Impression, Click])
    parts: list[Part] = pickle.loads(pickle.dumps(scan.parts(5)))
    assert [one.id for part in parts for one in part] == [one.id for one in scan]
    assert sum(frame.height for part in parts for frame in part.frames()) == scan.polars().height


def test_parts_hold_what_was_written_before_they_were_made(tmp_path):
    """A log that this process keeps open for parts is not an old one."""
    with fill(tmp_path / "log", events=20) as log:
        before = sum(part.polars().height for part in log.scan().parts(2))
        log.write([Impression(user="new", time=START, advertiser_id="a1")])
        assert sum(part.polars().height for part in log.scan().parts(2)) == before + 1


def test_parts_are_about_equal(log):
    """The parts of a full scan carry about the same work, so that workers end together."""
    lines = [part.polars().height for part in log.scan().parts(8)]
    assert 6 <= len(lines) <= 12
    assert max(lines) < 3 * sum(lines) / len(lines)


def test_days_are_grouped_by_size():
    """Small days share a part, a large one is cut."""
    days = [("1", 10), ("2", 10), ("3", 80), ("4", 10), ("5", 10)]
    assert groups(days, 6) == [(["1", "2"], 1), (["3"], 4), (["4", "5"], 1)]
    assert groups(days, 3) == [(["1", "2"], 1), (["3"], 2), (["4", "5"], 1)]
    assert groups(days, 1) == [(["1", "2", "3", "4", "5"], 1)]
    assert groups([], 3) == []


@pytest.mark.parametrize("name", ["all", "where"])
def test_workers_give_the_same_table_and_count_the_same_reads(log, name):
    """Two processes read what one does, in the same order, beside the process that has the log open for writing."""
    scan = log.scan(**QUESTIONS[name])
    alone = scan.polars()
    reads = scan.reads
    assert scan.polars(workers=2).equals(alone)
    assert (scan.reads.rows_read, scan.reads.cells_read) == (reads.rows_read, reads.cells_read)
    assert (scan.reads.rows_returned, scan.reads.events_returned) == (reads.rows_returned, reads.events_returned)


def test_threads_read_an_engine_that_other_processes_cannot_open(log, monkeypatch):
    """On an engine such as HBase the workers are threads."""
    monkeypatch.setattr(type(log.engine), "apart", False)
    scan = log.scan()
    assert scan.polars(workers=3).equals(log.scan().polars())
    assert scan.arrow(workers=2).num_rows == sum(batch.num_rows for batch in scan.batches())


def test_a_scan_that_is_left_early_ends(log):
    """Stopping after the first table leaves no work behind, and the pool takes the next scan."""
    scan = log.scan()
    first = next(iter(scan.frames(workers=2)))
    assert first.height > 0
    assert scan.polars(workers=2).height == scan.polars().height


def test_errors_of_a_worker_come_back_as_they_are(log):
    """What goes wrong in another process is told as here."""
    with pytest.raises(QueryError, match="can't be compared"):
        log.scan(where=Impression.price > "dear").polars(workers=2)
    with pytest.raises(QueryError, match="workers"):
        log.scan().polars(workers=0)
    with pytest.raises(QueryError, match="parts"):
        log.scan().parts(0)


def test_an_engine_without_days_is_cut_by_ranges(log, monkeypatch):
    """Where days do not lie apart, the parts are key ranges alone."""
    monkeypatch.delattr(type(log.engine), "day_sizes")
    parts = log.scan().parts(4)
    assert len(parts) == 4
    ids = Counter(one.id for part in parts for one in part.scan(log))
    assert ids == Counter(one.id for one in log.scan())


def test_types_of_a_module_travel(log):
    """A log that was opened with a module is opened with its classes elsewhere."""
    import analysis_events

    with eventlog.open(log.engine.url, analysis_events, read_only=True) as again:
        part = again.scan(types=Click).parts(1)[0]
        assert set(part.types) == set(TYPES)
        assert Path(part.url) == Path(log.engine.url)
