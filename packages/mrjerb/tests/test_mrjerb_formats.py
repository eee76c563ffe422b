"""Each format in each compression gives the records that were written, says where they are, and what is damaged."""

import bz2
import csv
import datetime
import gzip
import io
import json
import lzma
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mrjerb import InputError
from mrjerb.inputs import lines
from mrjerb.inputs.reading import read
from mrjerb.inputs.resolving import resolve
from mrjerb.inputs.splitting import cuttable, splits
from mrjerb.plan import Split


def packed_by_zstd(data):
    """With the checksum that tells of damage, which zstd writes only when asked."""
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


PACKERS = {"": bytes, ".gz": gzip.compress, ".zst": packed_by_zstd, ".bz2": bz2.compress, ".xz": lzma.compress}
ROWS = [{"user": f"u{number}", "price": str(number / 4), "note": f"n,{number}"} for number in range(5000)]


def blocks_of(path, *, size=None, record=None):
    files = resolve([str(path)], format=None, record=record)
    return [block for split in splits(files, size, workers=2) for block in read(split, record=record)]


def records_of(path, **given):
    return [record for block in blocks_of(path, **given) for record in block.records]


def as_csv(rows, delimiter=","):
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


CONTENTS = {
    "a.txt": "".join(f"{row['note']}\n" for row in ROWS).encode(),
    "a.ndjson": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
    "a.csv": as_csv(ROWS),
    "a.tsv": as_csv(ROWS, "\t"),
}


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("name", CONTENTS)
def test_every_format_in_every_compression(tmp_path, monkeypatch, name, ending):
    """What a file's name says is how it is read, cut where it may be; sizes add up to the file's."""
    monkeypatch.setattr(lines.lines, "__defaults__", (None, 10_000))
    path = tmp_path / (name + ending)
    path.write_bytes(PACKERS[ending](CONTENTS[name]))
    blocks = blocks_of(path, size=20_000)
    found = [record for block in blocks for record in block.records]
    assert found == ([row["note"] for row in ROWS] if name == "a.txt" else ROWS)
    assert path.stat().st_size - 30 <= sum(block.size for block in blocks) <= path.stat().st_size
    at = next(block for block in reversed(blocks) if block.records)
    line = 5001 if name.endswith("sv") else 5000
    assert at.where(len(at.records) - 1) == f"{path}:{line}"
    assert "4999" in at.raw(len(at.records) - 1)


@pytest.mark.parametrize("ending", list(PACKERS)[1:])
@pytest.mark.parametrize("name", CONTENTS)
def test_a_compressed_file_that_breaks_off_or_is_damaged(tmp_path, ending, name):
    """A file that was copied in part, or in which bytes were changed, is an InputError with its name and place."""
    packed = PACKERS[ending](CONTENTS[name])
    path = tmp_path / (name + ending)
    for bad, words in (
        (packed[: len(packed) // 2], "breaks off"),
        (packed[:40] + b"\0\1\2\3" * 100 + packed[440:], "damaged|breaks off|not UTF-8|header"),
        (b"no such thing" * 10, "damaged|breaks off"),
    ):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=words) as error:
            if any(block.bad for block in blocks_of(path)):
                raise InputError(f"{path}: damaged")  # bytes that differ and can be unpacked: a record tells
        assert str(path) in str(error.value)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.sampled_from(
    ["", '"', "\n", "\r\n", ",", "a\nb", "\t", '""\n']
)


@given(
    rows=st.lists(st.fixed_dictionaries({"a": CELLS, "b": CELLS}), min_size=1),
    ending=st.sampled_from(["csv", "tsv"]),
    block=st.integers(1, 200),
)
@settings(deadline=None)
def test_any_cells_of_csv(tmp_path_factory, rows, ending, block):
    """Quotes, delimiters and line ends within cells come back as they were, wherever blocks end; so does the line."""
    path = tmp_path_factory.mktemp("csv") / f"a.{ending}"
    path.write_bytes(as_csv(rows, "\t" if ending == "tsv" else ","))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines.lines, "__defaults__", (None, block))
        blocks = blocks_of(path, size=10)
    assert [record for one in blocks for record in one.records] == rows
    text = path.read_bytes().decode()
    for one in blocks:
        for at, record in enumerate(one.records):
            line = int(one.where(at).rpartition(":")[2])
            rest = "".join(io.StringIO(text, newline="\n").readlines()[line - 1 :])
            first = next(csv.reader(io.StringIO(rest, newline=""), delimiter="\t" if ending == "tsv" else ","))
            assert first == list(record.values())


def test_csv_without_quotes_is_cut(tmp_path):
    """A large file without a quote is read by several tasks, one with quotes by one."""
    row = "x" * 1000
    plain, quoted = tmp_path / "plain.csv", tmp_path / "quoted.csv"
    plain.write_text("a,b\n" + f"{row},1\r\n" * 6000)
    quoted.write_text("a,b\n" + f"{row},1\n" * 6000 + '"x\ny",2\n')
    found = splits(resolve([str(plain)], format=None, record=None), 1 << 20, workers=2)
    assert len(found) > 3
    assert all(map(cuttable, found))
    assert records_of(plain, size=1 << 20) == [{"a": row, "b": "1"}] * 6000
    assert len(splits(resolve([str(quoted)], format=None, record=None), 1 << 20, workers=2)) == 1
    assert records_of(quoted)[-1] == {"a": "x\ny", "b": "2"}
    last = blocks_of(plain, size=1 << 20)[-1]
    assert last.where(len(last.records) - 1) == f"{plain}:6001"


class Bid(msgspec.Struct):
    user: str
    price: float | None
    day: datetime.date
    won: bool = False


@dataclass
class Won:
    user: str
    price: float


def test_typed_rows_of_csv_and_those_that_are_none(tmp_path):
    """Cells become what the record's fields are; an empty one is None, or the default, or a text; the bad rows are told
    of with their lines."""
    path = tmp_path / "a.csv"
    path.write_bytes(
        b"user,price,day,won\n"
        b"u1,2.5,2024-05-01,true\n"
        b",,2024-05-02,\n"
        b'"u\n3",x,2024-05-01,1\n'
        b"u4,1\n"
        b'u5,1,2024-05-01,"0"x\n'
        b"u6\xff,1,2024-05-01,0\n"
        b"\n"
        b"u7,7,2024-05-03,0\n"
    )
    blocks = blocks_of(path, record=Bid)
    day = datetime.date(2024, 5, 1)
    assert [record for block in blocks for record in block.records] == [
        Bid("u1", 2.5, day, True),
        Bid("", None, datetime.date(2024, 5, 2)),
        Bid("u7", 7.0, datetime.date(2024, 5, 3)),
    ]
    bad = {one.bad.where: one.bad.error for one in blocks if one.bad}
    assert list(bad) == [f"{path}:{line}" for line in (4, 6, 7, 8)]
    assert "$.price" in bad[f"{path}:4"]
    assert "2 cells" in bad[f"{path}:6"]
    assert "no row of CSV" in bad[f"{path}:7"]
    assert "UTF-8" in bad[f"{path}:8"]
    last = [block for block in blocks if block.records][-1]
    assert last.where(len(last.records) - 1) == f"{path}:10"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b,a\n1,2,3\n", "names a more than once"),
        (b"\n1\n", "is empty"),
        (b'"a\n1\n', "no header"),
        (b"\xff\n", ":1:"),
    ],
)
def test_a_header_that_is_none(tmp_path, content, words):
    """A header that could lose a column is refused at once."""
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        records_of(path)


def test_a_quote_that_is_never_closed(tmp_path):
    """The rows before it are read, and it is told of at its line."""
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,2\n3,"x\n' + "4,5\n" * 100)
    blocks = blocks_of(path)
    assert [block.records for block in blocks if block.records] == [[{"a": "1", "b": "2"}]]
    assert [block.bad.where for block in blocks if block.bad] == [f"{path}:3"]


def some_table(rows=1000):
    return pa.table(
        {
            "user": [f"u{number}" for number in range(rows)],
            "price": [number / 4 for number in range(rows)],
            "at": pa.array([1_700_000_000_123_456_789 + number for number in range(rows)], pa.timestamp("ns", "UTC")),
            "tags": [["a", str(number)] for number in range(rows)],
        }
    )


def test_parquet_by_row_groups(tmp_path):
    """Each row group is read once, whatever the splits and however they shrink, and rows know their number."""
    path = tmp_path / "a.parquet"
    parquet.write_table(some_table(), path, row_group_size=100)
    whole = records_of(path)
    assert [row["user"] for row in whole] == [f"u{number}" for number in range(1000)]
    assert whole[3]["tags"] == ["a", "3"]
    assert whole[0]["at"] == datetime.datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=datetime.UTC)
    for size in (1, 500, 3000, 10_000_000):
        assert records_of(path, size=size) == whole
    found = splits(resolve([str(path)], format=None, record=None), 1000, workers=1)
    assert 5 <= len(found) <= 10
    total = path.stat().st_size
    for taken in range(0, total, 997):
        first = [
            row
            for block in read(Split(str(path), 0, total, "parquet"), until=lambda _, end=taken: end)
            for row in block.records
        ]
        second = [row for block in read(Split(str(path), taken, total, "parquet")) for row in block.records]
        assert first + second == whole
    last = blocks_of(path)[-1]
    assert last.where(len(last.records) - 1) == f"{path}: row 1000"


def test_typed_rows_of_parquet(tmp_path):
    """Only a record's columns are read; a row that is none is told of."""
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"user": ["a", None, "c"], "price": [1.0, 2.0, 3.0], "more": [1, 2, 3]}), path)
    blocks = blocks_of(path, record=Won)
    assert [record for block in blocks for record in block.records] == [Won("a", 1.0), Won("c", 3.0)]
    assert [block.bad.where for block in blocks if block.bad] == [f"{path}: row 2"]
    assert blocks[1].where(0) == f"{path}: row 3"


def test_parquet_that_is_damaged(tmp_path):
    """Anything else under that name, or half of a file, is an InputError."""
    path = tmp_path / "a.parquet"
    parquet.write_table(some_table(), path)
    whole = path.read_bytes()
    for bad in (b"x" * 100, whole[:-100], whole[:100] + b"\xff" * 300 + whole[400:]):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=r"a\.parquet: is damaged"):
            records_of(path)
    packed = tmp_path / "b.parquet.gz"
    packed.write_bytes(gzip.compress(whole))
    with pytest.raises(InputError, match="uncompressed"):
        records_of(packed)


def test_a_mark_before_utf_8_is_no_part_of_the_first_record(tmp_path):
    """Files of programs that mark UTF-8 read like others."""
    for name, expected in (("a.txt", "x"), ("a.json", 1), ("a.csv", {"x": "1"})):
        content = {"a.txt": "x\n", "a.json": "1\n", "a.csv": "x\n1\n"}[name]
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content.encode())
        assert records_of(tmp_path / name) == [expected]
        packed = Path(f"{tmp_path / name}.gz")
        packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + content.encode()))
        assert records_of(packed) == [expected]


class Deep(msgspec.Struct):
    a: int
    b: list["Deep"] = []


@given(
    data=st.binary(max_size=400)
    | st.lists(
        st.sampled_from(["a,b\n", '"', "\n", "\r", ",", "1", '{"a":1}', "[" * 3000, "\xff", "\0", "\t", " "])
    ).map(lambda parts: "".join(parts).encode("latin-1")),
    name=st.sampled_from(
        ["a.txt", "a.json", "a.csv", "a.tsv", "a.parquet", "a.json.gz", "a.csv.zst", "a.txt.xz", "a.bz2"]
    ),
    record=st.sampled_from([None, Deep, dict]),
)
@settings(deadline=None)
def test_any_bytes_are_records_or_told_of(tmp_path_factory, data, name, record):
    """Whatever a file holds, it is read, or bad records and InputError say what is wrong: never another exception."""
    path = tmp_path_factory.getbasetemp() / name
    for content in (data, PACKERS[path.suffix](data)) if path.suffix in PACKERS else (data,):
        path.write_bytes(content)
        try:
            for block in blocks_of(path, record=record):
                for at in range(len(block.records)):
                    assert block.where(at).startswith(str(path))
                    block.raw(at)
                if block.bad:
                    assert block.bad.where.startswith(str(path))
                    assert block.bad.error
        except InputError as error:
            assert str(path) in str(error)
