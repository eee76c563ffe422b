"""What is written as parts is read back as it was; a full disk and a pair that does not fit are errors, and no part."""

import csv
import datetime
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mrjerb import EngineError, JobError, OutputError, UsageError
from mrjerb.inputs.reading import read
from mrjerb.inputs.resolving import resolve
from mrjerb.inputs.splitting import splits
from mrjerb.outputs.parts import open_part
from mrjerb.outputs.rows import row_of

TEXTS = st.text(st.characters(codec="utf-8"))


class Total(msgspec.Struct, rename="camel"):
    ad_id: str
    n: int


@dataclass
class Point:
    x: int
    y: float


class Pair(NamedTuple):
    one: int
    two: int


def written(folder, pairs, *, form="json", compression=""):
    writer = open_part(str(folder), "part", format=form, compression=compression)
    for key, value in pairs:
        writer.write(key, value)
    name, number, size = writer.close()
    assert number == len(pairs)
    assert (Path(folder) / name).stat().st_size == size
    return Path(folder) / name


def records_of(path, record=None, form=None):
    files = resolve([str(path)], format=form, record=record)
    return [one for split in splits(files, 100, workers=2) for b in read(split, record=record) for one in b.records]


@given(
    rows=st.lists(st.fixed_dictionaries({"a": TEXTS, "b c": TEXTS}), min_size=1),
    name=st.sampled_from(["csv", "tsv", "parquet", "json_value"]),
    compression=st.sampled_from(["", "gzip", "zstd"]),
)
@example(rows=[{"a": "", "b c": "\r"}], name="csv", compression="")
@settings(deadline=None)
def test_rows_come_back(tmp_path_factory, rows, name, compression):
    """The output of one job is the input of the next, in every format and compression."""
    path = written(tmp_path_factory.mktemp("part"), [(None, row) for row in rows], form=name, compression=compression)
    assert records_of(path, form="json" if name == "json_value" else None) == rows


@pytest.mark.parametrize(("form", "ending"), [("json", ""), ("csv", ".csv"), ("tsv", ".tsv"), ("parquet", ".parquet")])
@pytest.mark.parametrize(("compression", "packed"), [("", ""), ("gzip", ".gz"), ("zstd", ".zst")])
def test_names_of_parts(tmp_path, form, ending, compression, packed):
    """A part's name tells any reader what it is; Parquet is compressed within."""
    path = written(tmp_path, [("a", 1)], form=form, compression=compression)
    assert path.name == "part" + ending + (packed if form != "parquet" else "")


def test_pairs_as_rows():
    """Nothing of a pair is lost in a row, and two cells never share a name."""
    assert row_of(None, {"a": 1}) == {"a": 1}
    assert row_of("k", 2) == {"key": "k", "value": 2}
    assert row_of(("k", "l"), (2, 3)) == {"key1": "k", "key2": "l", "value1": 2, "value2": 3}
    assert row_of("k", Total("a", 3)) == {"key": "k", "adId": "a", "n": 3}
    assert row_of(None, Point(1, 2.5)) == {"x": 1, "y": 2.5}
    assert row_of(Pair(1, 2), Pair(3, 4)[0:1]) == {"one": 1, "two": 2, "value1": 3}
    with pytest.raises(JobError, match="twice"):
        row_of("k", {"key": 1})
    with pytest.raises(JobError, match="names of columns are texts"):
        row_of(None, {1: 1})


def test_cells_of_csv(tmp_path):
    """Cells are written so that typed records read them again, in the header's order whatever the dict's."""
    day = datetime.date(2024, 5, 1)
    pairs = [
        (None, {"a": None, "b": True, "c": 0.1, "d": day, "e": [1, "x"]}),
        (None, {"e": {}, "a": 7, "d": datetime.datetime(2024, 5, 1, 10, tzinfo=datetime.UTC), "c": 1e300, "b": False}),
    ]
    path = written(tmp_path, pairs, form="csv")
    assert list(csv.reader(io.StringIO(path.read_text()))) == [
        ["a", "b", "c", "d", "e"],
        ["", "true", "0.1", "2024-05-01", '[1, "x"]'],
        ["7", "false", "1e+300", "2024-05-01T10:00:00+00:00", "{}"],
    ]


@pytest.mark.parametrize(
    ("form", "first", "second", "words"),
    [
        ("csv", {"a": 1}, {"b": 1}, "its columns are b"),
        ("csv", {"a": 1}, {"a": b"x"}, "bytes"),
        ("csv", {}, {}, "no cell"),
        ("csv", {"a": "\ud800"}, {}, "surrogates"),
        ("json", 1, math.nan, "nan is no number"),
    ],
)
def test_a_pair_that_does_not_fit(tmp_path, form, first, second, words):
    """It is an error of the job with the key, and the pairs beside it are written whole."""
    writer = open_part(str(tmp_path), "part", format=form, compression="")
    with pytest.raises(JobError, match=words):
        for value in (first, second):
            writer.write(None if form == "csv" else "k", value)
    writer.abort()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"a": 1}] * 5000 + [{"a": "x"}], r"the row \{'a': 'x'\} does not fit the columns \(a int64\)"),
        ([{"a": 1}, {"b": 2}], "has other columns than the rows before: a, b"),
        ([{"a": object()}], "does not fit"),
    ],
)
def test_a_row_that_does_not_fit_parquet(tmp_path, rows, words):
    """Types that differ end the run in words, naming the row, and leave no part."""
    writer = open_part(str(tmp_path), "part", format="parquet", compression="")
    with pytest.raises(OutputError, match=words):
        for row in rows:
            writer.write(None, row)
        writer.close()
    writer.abort()
    assert not list(tmp_path.iterdir())


def test_parquet_of_many_rows(tmp_path):
    """Rows are handed on in row groups; nulls, numbers, texts and nested values come back as they were."""
    rows = [{"n": number, "x": None if number % 3 else number / 2, "t": [str(number)]} for number in range(20_000)]
    assert records_of(written(tmp_path, [(None, row) for row in rows], form="parquet", compression="zstd")) == rows


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
@pytest.mark.parametrize("pairs", [1, 50_000])
def test_a_full_disk(tmp_path, form, compression, pairs):
    """A disk that is full, at the last byte or in the middle, is an EngineError with the path and what to do."""
    ending = {"json": "", "csv": ".csv", "parquet": ".parquet"}[form]
    name = "part" + ending + ({"": "", "gzip": ".gz", "zstd": ".zst"}[compression] if form != "parquet" else "")
    (tmp_path / name).symlink_to("/dev/full")
    writer = None
    with pytest.raises(EngineError, match=r"part.*: can't be written: No space left on device; make room") as error:
        writer = open_part(str(tmp_path), "part", format=form, compression=compression)
        for number in range(pairs):
            writer.write(None, {"a": f"{number * 7919 % 100_003} {number**5}"})
        writer.close()
    if writer is not None:
        writer.abort()
    assert str(tmp_path) in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_gone(tmp_path):
    """A part can't be begun where its folder was removed: said at once."""
    with pytest.raises(EngineError, match="No such file"):
        open_part(str(tmp_path / "gone"), "part", format="json", compression="")


def test_unknown_names(tmp_path):
    """A typing error lists what there is."""
    with pytest.raises(UsageError, match="parquet"):
        open_part(str(tmp_path), "part", format="parket", compression="")
    with pytest.raises(UsageError, match="gzip and zstd"):
        open_part(str(tmp_path), "part", format="json", compression="rar")
    assert not list(tmp_path.iterdir())
