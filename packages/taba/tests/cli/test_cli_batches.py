"""A file's batches are the same each time, its good lines become events, its bad ones are told by their number."""

import gzip
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taba.cli.batches import (
    CsvFile,
    FileError,
    Line,
    NdjsonFile,
    batches,
    content_hash,
    format_of,
    opened,
)


def csv_events(text: str | bytes):
    content = io.BytesIO(text if isinstance(text, bytes) else text.encode())
    reader = CsvFile(content)
    return reader.events(reader.lines(content))


def ndjson_events(text: bytes):
    reader = NdjsonFile()
    return reader.events(reader.lines(io.BytesIO(text)))


@given(st.lists(st.binary(max_size=20), max_size=50), st.integers(1, 10))
def test_batches_hold_every_line_once_in_order(raw, most):
    lines = [Line(number, line) for number, line in enumerate(raw, 1)]
    made = list(batches(lines, most))
    assert [line for batch in made for line in batch.lines] == lines
    assert [batch.sequence for batch in made] == list(range(1, len(made) + 1))
    assert all(len(batch.lines) == most for batch in made[:-1])


def test_a_batch_is_bounded_in_bytes_too():
    lines = [Line(number, b"x" * (1 << 20)) for number in range(20)]
    assert [len(batch.lines) for batch in batches(lines, 1000)] == [8, 8, 4]


def test_ndjson_lines_are_sent_as_they_are():
    found = ndjson_events(b'{"tab": "a", "value": 1}\r\n\n {"tab":"b","value":"x","client":"c"}\n')
    assert found.events == [b'{"tab": "a", "value": 1}', b' {"tab":"b","value":"x","client":"c"}']
    assert [line.number for line in found.lines] == [1, 3]
    assert found.refused == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{bad", "not JSON: object keys must be strings"),
        (b'{"tab": "a", "value": ', "not JSON: Input data was truncated"),
        (b'{"tab": "a"}', "missing required field `value`"),
        (b'{"tab": 1, "value": 1}', "Expected `str`, got `int`"),
        (b'{"tab": "a", "value": [1]}', "Expected `float | str`, got `array`"),
        (b"[1]", "Expected `object`, got `array`"),
        (b'{"tab": "\xff", "value": 1}', "not JSON"),
    ],
)
def test_a_bad_ndjson_line_is_told(line, told):
    found = ndjson_events(b'{"tab":"a","value":1}\n' + line + b"\n")
    assert len(found.events) == 1
    ((refused, reason),) = found.refused
    assert (refused.number, told in reason) == (2, True), reason


def test_csv_columns_come_in_any_order_and_the_others_are_tags():
    found = csv_events(
        "exchange,value,tab,time,type,client\n"
        "fbx,1,bids,1700000000.5,counter,web-1\n"
        ",v1.2,release,2026-01-31T12:00:00+01:00,gauge,\n"
        'rub,"""1.10""",release,2026-01-31T12:00:00,,\n'
    )
    assert [json.loads(event) for event in found.events] == [
        {
            "tab": "bids",
            "value": 1,
            "type": "counter",
            "client": "web-1",
            "time": 1700000000.5,
            "tags": {"exchange": "fbx"},
        },
        {"tab": "release", "value": "v1.2", "type": "gauge", "time": 1769857200.0},
        {"tab": "release", "value": "1.10", "time": 1769860800.0, "tags": {"exchange": "rub"}},
    ]


def test_bad_csv_rows_are_told_by_their_line():
    found = csv_events(b'tab,value,time\na,1,noon\nb\nc,,\n"d\nd",1,\n\xff,1,\nok,1,\n')
    assert [json.loads(event)["tab"] for event in found.events] == ["d\nd", "ok"]
    assert [(line.number, reason) for line, reason in found.refused] == [
        (2, "time: 'noon' is neither seconds since 1970 nor ISO 8601"),
        (3, "1 columns, where the heading has 3"),
        (4, "tab and value must not be empty"),
        (7, "not UTF-8 text"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "must name the columns"), ("tab,count\n", "must name the columns"), ("tab,value,a,a\n", "twice")],
)
def test_a_csv_file_needs_a_heading(text, told):
    with pytest.raises(FileError, match=told):
        csv_events(text)


def test_rejected_rows_can_be_imported_once_they_are_mended():
    content = io.BytesIO(b'tab,value,note\n"a,b",,"x ""y"""\n')
    reader = CsvFile(content)
    (line,) = reader.lines(content)
    again = io.BytesIO(reader.heading + reader.written(line))
    (same,) = CsvFile(again).lines(again)
    assert list(same.raw) == ["a,b", "", 'x "y"']


def test_a_spreadsheets_byte_order_mark_is_no_part_of_a_name():
    assert len(csv_events(b"\xef\xbb\xbftab,value\na,1\n").events) == 1


def test_the_hash_is_that_of_the_content(tmp_path):
    """So that a file is the same under another name and compressed, and another one with other options."""
    plain, packed = tmp_path / "a.ndjson", tmp_path / "b.ndjson.gz"
    plain.write_bytes(b"content")
    packed.write_bytes(gzip.compress(b"content"))

    def digest(path: Path, *options: str) -> str:
        return content_hash(path, options, lambda _: None)

    assert digest(plain, "csv", "1") == digest(packed, "csv", "1")
    assert digest(plain, "csv", "1") != digest(plain, "csv1")
    with packed.open("rb") as file, opened(file) as content:
        assert content.read() == b"content"


def test_a_format_is_known_by_the_files_name():
    names = ("a.csv", "a.csv.gz", "a.ndjson", "a.jsonl.gz", "a.json", "a.txt", "csv")
    assert [format_of(Path(name)) for name in names] == ["csv", "csv", "ndjson", "ndjson", "ndjson", None, None]
