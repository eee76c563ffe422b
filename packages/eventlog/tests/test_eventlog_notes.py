"""Derived columns from a table land beside their events, all of them or none."""

import polars as pl
import pytest
from analysis_events import Impression, fill

from eventlog import EventError


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
