"""Lazy frames: what Polars asks of them is asked of the log, and the answer is what the whole table would give."""

import math
from datetime import timedelta

import polars as pl
import pytest
from analysis_events import START, Click, Impression, fill

from eventlog.lazy import with_predicate


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with fill(tmp_path_factory.mktemp("lazy") / "log", events=300) as made:
        yield made


time, price = pl.col("time"), pl.col("Impression.price")
QUERIES = {
    "all": lambda frame: frame,
    "columns": lambda frame: frame.select("user", "advertiser_id"),
    "filter": lambda frame: frame.filter(price > 1).select("id"),
    "filters": lambda frame: frame.filter((price >= 1.0) & (pl.col("user") == "user001"), time < START + timedelta(2)),
    "or": lambda frame: frame.filter((price > 1) | (pl.col("type") == "Click")),
    "not": lambda frame: frame.filter(~(price > 1)),
    "in": lambda frame: frame.filter(pl.col("user").is_in(["user001", "user002"])).select("time"),
    "starts": lambda frame: frame.filter(pl.col("user").str.starts_with("user01")),
    "turned": lambda frame: frame.filter(pl.lit("a3") == pl.col("advertiser_id")),
    "notes": lambda frame: frame.filter(pl.col("notes.score") > 0.5, pl.col("notes.model") == "v7"),
    "two types": lambda frame: frame.filter(pl.col("price") == "1.0"),
    "group": lambda frame: frame.group_by("type").agg(pl.len(), price.sum()).sort("type"),
    "length": lambda frame: frame.select(pl.len()),
    "head": lambda frame: frame.head(7),
    "head of filter": lambda frame: frame.filter(price > 1).head(3),
    "arithmetic": lambda frame: frame.filter(price * 2 > 3),
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_lazy_query_answers_as_the_table_does(log, name):
    """Whatever is pushed down, the answer is that of the same query on the whole table."""
    scan = log.scan(
        columns=[
            "id",
            "user",
            "time",
            "type",
            "price",
            "advertiser_id",
            "Impression.price",
            "notes.score",
            "notes.model",
        ]
    )
    if name == "two types":
        scan = log.scan()
    assert QUERIES[name](scan.lazy()).collect().equals(QUERIES[name](scan.polars().lazy()).collect())


def test_filters_become_key_ranges(log):
    """A user and a day that only the query names are sought, not scanned for."""
    scan = log.scan(types=Impression)
    everything = log.scan()
    everything.polars()
    found = scan.lazy().filter(pl.col("user") == "user001", time >= START, time < START + timedelta(1)).collect()
    assert 0 < found.height <= scan.reads.rows_read < everything.reads.rows_read / 20
    assert scan.lazy().head(1).collect().height == 1


def test_nan_is_above_all_numbers_for_polars(tmp_path):
    """What Polars keeps is given to it, though `where` itself would not keep it."""
    with fill(tmp_path / "log", events=20) as log:
        log.write([Impression(user="nan", time=START, advertiser_id="x", price=float("nan"))])
        scan = log.scan(types=Impression)
        assert "nan" in scan.lazy().filter(pl.col("price") > 100).collect()["user"].to_list()
        assert "nan" in scan.lazy().filter(pl.col("price") == math.nan).collect()["user"].to_list()  # noqa: PLW0177


def test_only_what_is_certain_is_asked_of_the_log(log):
    """A part of a predicate is pushed down where the rest can't be, and nothing that `where` would mean otherwise."""
    scan = log.scan()
    assert str(with_predicate(scan, (pl.col("advertiser_id") == "a1") & (pl.col("url").str.len_chars() > 3)).where) == (
        "advertiser_id == 'a1'"
    )
    for other in (pl.col("price") == "1.0", pl.col("id") == "x", pl.col("seen") > START, pl.col("position") > 0.5):
        assert with_predicate(scan, other).where is None


def test_workers_read_lazy_frames_too(log):
    """A lazy query is read by several processes as a table is."""
    scan = log.scan(types=[Impression, Click])
    dear = pl.col("price") > 1
    assert scan.lazy(workers=2).filter(dear).collect().equals(scan.polars().filter(dear))
