"""Derived columns from a table land beside their events, all of them or none."""

from datetime import UTC, datetime

import polars as pl
import pytest
from analysis_events import TYPES, Impression, fill

import eventlog
from eventlog import EventError, QueryError, Scan, note
from eventlog.catalog import Catalog
from eventlog.questions import ask


def test_columns_of_a_table_become_notes(tmp_path):
    """Numbers, texts, bools and times, by the ids of a scan; an empty value leaves what is there."""
    with fill(tmp_path / "log", events=30) as log:
        found = log.scan(types=Impression, columns=["id", "price", "time", "user"]).polars().sort("id")
        made = found.select(
            "id", cheap=pl.col("price") < 1, twice=pl.col("price") * 2, seen=pl.col("time"), name=pl.col("user")
        )
        assert log.annotate_frame(made) == sum(made.height - made[name].null_count() for name in made.columns[1:])
        again = log.scan(
            types=Impression, columns=["id", "notes.cheap", "notes.twice", "notes.seen", "notes.name"]
        ).polars()
        assert again.sort("id").rename(lambda name: name.removeprefix("notes.")).equals(made)
        log.annotate_frame(made.select("id", twice=pl.lit(None, dtype=pl.Float64)))
        assert (
            log.scan(types=Impression, columns=["id", "notes.twice"]).polars().sort("id")["notes.twice"].to_list()
            == made["twice"].to_list()
        )


def test_a_table_with_a_bad_line_writes_nothing(tmp_path):
    """The line and the column are named."""
    with fill(tmp_path / "log", events=30) as log:
        ids = log.scan(types=Impression, columns=["id"]).polars()["id"].to_list()[:2]
        for frame, told in [
            (pl.DataFrame({"id": [*ids, "nonsense"], "grade": [1, 2, 3]}), "line 2"),
            (pl.DataFrame({"id": ids, "grade": [[1], [2]]}), "grade"),
            (pl.DataFrame({"id": ids, "score": ["high", "low"]}), "score"),
            (pl.DataFrame({"grade": [1]}), "column id"),
        ]:
            with pytest.raises(EventError, match=told):
                log.annotate_frame(frame)
        assert "grade" not in log.catalog.notes


def notes_of(log):
    """The note `points` of each impression: as tables give it, and as objects do."""
    table = log.scan(types=Impression, columns=["time", "notes.points"]).polars()
    return table["notes.points"], [entry.notes.get("points") for entry in log.scan(types=Impression)]


@pytest.mark.parametrize("events", [6, 1000])
def test_whole_numbers_become_floats_when_a_float_comes(tmp_path, events):
    """A note that began as whole numbers is one of floats from then on, those before included, in every way to read.

    Few events and many, since many are read as columns.
    """
    with fill(tmp_path / "log", events=events, days=1) as log:
        ids = log.scan(types=Impression, columns=["id"]).polars()["id"].to_list()
        log.annotate_frame(pl.DataFrame({"id": ids, "points": range(len(ids))}))
        column, held = notes_of(log)
        assert column.dtype == pl.Int64
        assert set(map(type, held)) == {int}
        log.annotate(ids[1], points=0.5)
        log.annotate(ids[2], points=7)
        wanted = [0.0, 0.5, 7.0, *map(float, range(3, len(ids)))]
        column, held = notes_of(log)
        assert column.dtype == pl.Float64
        assert column.to_list() == held == wanted
        assert set(map(type, held)) == {float}
        plain = pl.concat(log.scan(types=Impression, columns=["time", "notes.points"]).plain_frames())
        assert plain["notes.points"].to_list() == wanted
        low = log.scan(types=Impression, where=note("points") < 3.5, columns=["notes.points"]).polars()
        assert low["notes.points"].to_list() == [one for one in wanted if one < 3.5]
        assert log.scan(columns=["notes.points"]).lazy().filter(pl.col("notes.points") == 0.5).collect().height >= 1
    with eventlog.open(str(tmp_path / "log"), read_only=True) as log:
        assert log.catalog.notes["points"] == "float"
        assert log.scan(types="Impression", columns=["notes.points"]).polars()["notes.points"].to_list() == wanted


def test_both_in_one_table_and_one_call(tmp_path):
    """The order within a call does not matter: whole numbers and floats together are floats."""
    with fill(tmp_path / "log", events=6, days=1) as log:
        one, two = log.scan(types=Impression, columns=["id"]).polars()["id"].to_list()[:2]
        log.annotate_all([(one, {"points": 1}), (two, {"points": 0.5}), (one, {"grade": 0.5}), (two, {"grade": 1})])
        assert log.catalog.notes == {**log.catalog.notes, "points": "float", "grade": "float"}
        assert notes_of(log)[1][:2] == [1.0, 0.5]


def test_a_note_changes_its_kind_in_no_other_way(tmp_path):
    """The message says what to do, and a call of which a part is refused leaves no kind behind, and no value."""
    with fill(tmp_path / "log", events=6, days=1) as log:
        one, two = log.scan(types=Impression, columns=["id"]).polars()["id"].to_list()[:2]
        log.annotate(one, count=1, share=0.5)
        for value in ("much", True, datetime(2011, 2, 14, tzinfo=UTC)):
            with pytest.raises(EventError, match=r"note count: holds int since its first value, not .*another name"):
                log.annotate(one, count=value)
        with pytest.raises(EventError, match="none exactly"):
            log.annotate(one, share=2**53 + 1)
        before = dict(log.catalog.notes)
        with pytest.raises(EventError, match="share"):
            log.annotate_all([(one, {"count": 0.5, "fresh": 1}), (two, {"share": "half"})])
        with pytest.raises(EventError, match="share"):
            log.annotate_frame(pl.DataFrame({"id": [one], "count": [0.5], "fresh": [1], "share": ["half"]}))
        assert log.catalog.notes == before
        assert log.engine.list_meta("note/fresh") == {}
        assert log.engine.get_meta("note/count") == b"int"


def test_programs_that_run_meanwhile_never_see_a_wrong_number(tmp_path):
    """Who opened the log, or asked, while the note was one of whole numbers, reads as it was or asks again."""
    folder = str(tmp_path / "log")
    with fill(tmp_path / "log", events=600, days=2) as log:
        ids = log.scan(types=Impression, columns=["id"]).polars()["id"].to_list()
        log.annotate_frame(pl.DataFrame({"id": ids, "points": [1] * len(ids)}))
        other = Catalog(log.engine, TYPES)  # of another program, on an engine that many write to
        lazy = log.scan(types=Impression, columns=["notes.points"]).lazy()
        with eventlog.open(folder, TYPES, read_only=True) as before:
            log.annotate_frame(pl.DataFrame({"id": ids, "points": [0.5] * len(ids)}))
            scan = before.scan(types=Impression, columns=["notes.points"])
            assert scan.polars()["notes.points"].to_list() == [1] * len(ids)
            with pytest.raises(QueryError, match=r"floats now.*opened anew"):
                scan.polars(workers=2)
        with pytest.raises((QueryError, pl.exceptions.ComputeError), match="floats now"):
            lazy.collect()
        scan = Scan(log.engine, other, ask(other, types=Impression, columns=["notes.points"]))
        with pytest.raises(QueryError, match=r"floats now.*ask again"):
            scan.polars()
        assert scan.polars()["notes.points"].to_list() == [0.5] * len(ids)
        kinds = {}
        assert Catalog(log.engine, TYPES).note_value("points", 3, kinds) == 3.0
        assert kinds == {}
