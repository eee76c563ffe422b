"""Spark: a log is read in parts by its executors, and notes are written back from a job, each exactly once."""

import os
import sys
from pathlib import Path

import polars as pl
import pytest
from analysis_events import Click, Impression, fill
from hbase_process import hbase  # noqa: F401
from pyspark.sql import SparkSession

import eventlog
from eventlog import QueryError
from eventlog import spark as eventlog_spark
from eventlog.spark import EventlogWriter, Left

pytestmark = pytest.mark.timeout(900)  # a session starts in seconds, or in a minute where others use the cores
HERE = str(Path(__file__).parent)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("spark") / "log"
    fill(path, events=400).close()
    return str(path)


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH")])])
    session = (
        SparkSession.builder.master("local[2, 4]")  # a task may be tried four times
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    eventlog_spark.register(session)
    yield session
    session.stop()


def read(spark, folder, **options):
    reader = spark.read.format("eventlog").option("log", folder).option("types", "analysis_events")
    for name, value in options.items():
        reader = reader.option(name, value)
    return reader.load()


def table(frame) -> pl.DataFrame:
    """What Spark gives, as a Polars table in the order of the ids."""
    found = pl.from_arrow(frame.toArrow())
    assert isinstance(found, pl.DataFrame)
    return found.sort("id")


def same(frame, scan) -> None:
    told, wanted = table(frame), scan.polars().sort("id")
    assert told.columns == wanted.columns
    assert told.cast(wanted.schema).equals(wanted)


def test_spark_reads_what_a_scan_reads(spark, folder):
    """All columns and types, with children and notes: the table of `scan.polars`, by several partitions."""
    frame = read(spark, folder, parts="6")
    assert frame.rdd.getNumPartitions() >= 4
    with (
        eventlog.open(folder, [Impression, Click], read_only=True),
        eventlog.open(folder, __import__("analysis_events"), read_only=True) as log,
    ):
        same(frame, log.scan())
        same(
            read(spark, folder, event_types="Click", columns="id, time, Impression.price", since="2011-02-15"),
            log.scan("2011-02-15", types=Click, columns=["id", "time", "Impression.price"]),
        )


def test_one_frame_answers_several_filters(spark, folder):
    """What one query of a frame filters by is not kept for the next."""
    frame = read(spark, folder)
    with eventlog.open(folder, __import__("analysis_events"), read_only=True) as log:
        whole = log.scan().polars().sort("id")
        cases = {
            "user = 'user001' and time >= timestamp'2011-02-15 00:00:00'": (pl.col("user") == "user001")
            & (pl.col("time").dt.date() >= pl.date(2011, 2, 15)),
            "advertiser_id in ('a1', 'a2') and position is null": pl.col("advertiser_id").is_in(["a1", "a2"])
            & pl.col("position").is_null(),
            "`notes.score` > 0.5 or user like 'user01%'": (pl.col("notes.score") > 0.5)
            | pl.col("user").str.starts_with("user01"),
        }
        for text, wanted in cases.items():
            assert table(frame.where(text)).cast(whole.schema).equals(whole.filter(wanted)), text


def test_an_rdd_holds_the_entries(spark, folder):
    """Entries as objects of their classes, in the scan's order."""
    with eventlog.open(folder, [Impression, Click], read_only=True) as log:
        scan = log.scan(types=[Impression, Click])
        assert eventlog_spark.rdd(spark.sparkContext, scan, 3).map(lambda one: one.id).collect() == [
            one.id for one in scan
        ]


def test_notes_are_written_back_once(spark, tmp_path):
    """A job's columns end beside their events, although a task fails at first and is repeated."""
    folder, marks = str(tmp_path / "log"), tmp_path / "marks"
    marks.mkdir()
    fill(Path(folder), events=100).close()

    def stumble(batches):
        for batch in batches:
            frame = pl.from_arrow(batch)
            yield from frame.select("id", margin=pl.col("price") * 2).to_arrow().to_batches()
        try:
            (marks / "stumbled").touch(exist_ok=False)
        except FileExistsError:
            return
        raise OSError("the task's machine went away")

    wanted = read(spark, folder, event_types="Impression", where="price > 0", columns="id, price", parts="3")
    made = wanted.mapInArrow(stumble, "id string, margin double")
    made.write.format("eventlog").option("log", folder).option("types", "analysis_events").mode("append").save()
    assert (marks / "stumbled").exists()
    with eventlog.open(folder, [Impression, Click], read_only=True) as log:
        found = log.scan(types=Impression, columns=["id", "price", "notes.margin"]).polars()
        priced = found.filter(pl.col("price") > 0)
        assert priced.height > 20
        assert (priced["notes.margin"] == priced["price"] * 2).all()
        assert found["notes.margin"].count() == priced.height
    assert not (Path(folder) / "incoming").exists()


def test_spark_on_a_log_in_hbase(spark, hbase):  # noqa: F811
    """Executors read their parts of a table of HBase's, and write notes into it themselves."""
    url = f"hbase://{hbase.host}:{hbase.port}/sparked"
    fill(url, events=100).close()
    frame = read(spark, url, parts="3")
    assert frame.rdd.getNumPartitions() == 3
    priced = read(spark, url, event_types="Impression", where="price > 0", columns="id, price", parts="2")
    made = priced.selectExpr("id", "price * 2 as margin")
    with eventlog.open(url, __import__("analysis_events"), read_only=True) as log:
        same(frame, log.scan())
        made.write.format("eventlog").option("log", url).option("types", "analysis_events").mode("append").save()
    with eventlog.open(url, __import__("analysis_events"), read_only=True) as log:
        found = log.scan(types=Impression, columns=["price", "notes.margin"]).polars()
    wanted = found.filter(pl.col("price") > 0)
    assert wanted.height > 20
    assert (wanted["notes.margin"] == wanted["price"] * 2).all()
    assert found["notes.margin"].count() == wanted.height


def test_what_a_failed_attempt_left_is_not_written(tmp_path):
    """The driver writes the files of the tasks that succeeded, and no other; an abort leaves nothing behind."""
    folder = tmp_path / "log"
    with fill(folder, events=20) as log:
        ids = [one.id for one in log.scan(types=Impression)][:4]
    options = {"log": str(folder), "types": "analysis_events"}
    writer = EventlogWriter(options, ["id", "score"])
    batches = [
        pl.DataFrame({"id": [one], "try": [number]}).to_arrow().to_batches()[0] for number, one in enumerate(ids)
    ]
    lost, kept = writer.write(iter(batches[:1])), writer.write(iter(batches[1:]))
    assert lost.file and kept.lines == 3
    writer.commit([kept, None, Left("", 0)])
    with eventlog.open(str(folder), __import__("analysis_events"), read_only=True) as log:
        tried = log.scan(types=Impression, columns=["id", "notes.try"]).polars().drop_nulls()
        assert sorted(tried["id"]) == sorted(ids[1:])
    again = EventlogWriter(options, ["id", "score"])
    again.write(iter(batches))
    again.abort([])
    assert not (folder / "incoming").exists()


def test_bad_options_are_told(spark, folder):
    """What is missing or unknown is named."""
    for options, told in [
        ({"colums": "id"}, "colums"),
        ({"sample": "much"}, "sample"),
        ({"where": "price >"}, "where"),
        ({"types": "no_such_module"}, "no_such_module"),
    ]:
        with pytest.raises(Exception, match=told):
            read(spark, folder, **options).schema  # noqa: B018
    with pytest.raises(QueryError, match="column id"):
        EventlogWriter({"log": folder}, ["score"])
