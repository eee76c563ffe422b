"""However a file is cut, and whoever takes over the end of a split, each line is read once, in order."""

import io
import json
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrjerb import InputError
from mrjerb.inputs import lines as cutting
from mrjerb.inputs.lines import lines
from mrjerb.inputs.reading import read
from mrjerb.inputs.resolving import resolve
from mrjerb.inputs.splitting import cuttable, splits
from mrjerb.plan import Split

CONTENTS = st.lists(st.sampled_from([b"", b"a", b"bc", b"defg", b"x" * 30, b"\r", b"\n", b"\n\n"]), max_size=30)


def expected_lines(data: bytes) -> list[bytes]:
    return io.BytesIO(data).readlines()


class Shrinking:
    """A split from whose end another task takes something now and then."""

    def __init__(self, end, random, todo):
        self.end, self.random, self.todo = end, random, todo

    def until(self, position):
        if position < self.end and self.random.random() < 0.3:
            taken = self.random.randint(position, self.end)
            if taken < self.end:
                self.todo.append((taken, self.end))
                self.end = taken
        return self.end


@given(
    parts=CONTENTS,
    ends=st.booleans(),
    cuts=st.lists(st.integers(0, 200)),
    block=st.integers(1, 40),
    shrinks=st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=300)
def test_every_line_once_whatever_is_cut_and_taken_over(parts, ends, cuts, block, shrinks):
    """A chain of splits, each of which may lose its end to another task between any two blocks, gives the file."""
    data = b"\n".join(parts) + (b"\n" if ends else b"")
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    found: list[tuple[int, bytes]] = []
    todo = list(pairwise(edges))
    while todo:
        start, end = todo.pop()
        split = Shrinking(end, shrinks, todo)
        found += lines(io.BytesIO(data), "x", start, end, split.until, block)
    found.sort()
    assert [line for _, some in found for line in expected_lines(some)] == expected_lines(data)
    assert b"".join(some for _, some in found) == data


@given(content=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r")), max_size=20))
@settings(deadline=None)
def test_texts_come_without_their_line_ends(tmp_path_factory, content):
    """Only a line feed ends a line, with one carriage return before it: no other sign that Unicode calls a line end."""
    path = tmp_path_factory.mktemp("texts") / "a.txt"
    for end in ("\n", "\r\n"):
        path.write_bytes("".join(line + end for line in content).encode())
        assert [record for block in read_all(path) for record in block.records] == [
            line.removeprefix("\ufeff") if not at else line for at, line in enumerate(content)
        ]


def read_all(path: Path, **given):
    record = given.pop("record", None)
    size = given.pop("size", None)
    found = splits(resolve([str(path)], format=None, record=record, **given), size, workers=2)
    return [block for split in found for block in read(split, record=record)]


def test_where_a_record_is(tmp_path):
    """`path:line` is the line in the whole file, in whichever split and block it is, blank lines counted."""
    path = tmp_path / "a.ndjson"
    path.write_text("".join(f'{{"n": {number}}}\n' + "\n" * (number % 3) for number in range(1000)))
    written = path.read_text().split("\n")
    number = 0
    for block in read_all(path, size=777):
        for at, record in enumerate(block.records):
            name, line = block.where(at).rsplit(":", 1)
            assert name == str(path)
            assert json.loads(written[int(line) - 1]) == record == {"n": number}
            assert block.raw(at) == f'{{"n": {number}}}'
            number += 1
    assert number == 1000


class Click(msgspec.Struct, tag=True):
    user: str


class View(msgspec.Struct, tag=True):
    page: int


def test_typed_records_and_the_bad_ones(tmp_path):
    """A union of tagged types is read from a file without an ending; each line that is none is told of, with its
    line, and the others are read."""
    path = tmp_path / "events"
    path.write_bytes(
        b'{"type":"Click","user":"a"}\n{"type":"View","page":"x"}\n\n{"type":"View","page":3}\nnonsense\n'
        b'{"type":"Click","user":"\xff"}\n{"type":"Click","user":"b"}{"type":"Click","user":"c"}\n'
    )
    blocks = read_all(path, record=Click | View)
    assert [record for block in blocks for record in block.records] == [Click("a"), View(3)]
    bad = [block.bad for block in blocks if block.bad]
    assert [one.where for one in bad] == [f"{path}:{line}" for line in (2, 5, 6, 7)]
    assert "`int`, got `str`" in bad[0].error
    assert bad[1].raw == "nonsense"
    assert "UTF-8" in bad[2].error
    assert "2 values" in bad[3].error


def test_text_that_is_not_utf_8_is_told_of(tmp_path):
    """A line in another encoding is a bad record, and no line beside it is."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntw\xe9\nthree")
    blocks = read_all(path)
    assert [block.records for block in blocks] == [["one"], ["three"]]
    assert blocks[0].bad is not None
    assert blocks[0].bad.where == f"{path}:2"
    assert "0xe9" in blocks[0].bad.error
    assert blocks[1].where(0) == f"{path}:3"


def test_half_a_surrogate_pair(tmp_path):
    """What Python's json writes of a text that is no Unicode is read back: outputs are inputs of other jobs."""
    path = tmp_path / "a.json"
    path.write_text('1\n"\\ud800"\n')
    assert [record for block in read_all(path) for record in block.records] == [1, "\ud800"]


def test_a_line_that_never_ends(tmp_path, monkeypatch):
    """A file without line ends is refused with a word of what to do, before it fills the memory."""
    monkeypatch.setattr(cutting, "LONGEST", 5_000_000)
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 20_000_000)
    with pytest.raises(InputError, match=r"a\.txt: byte 0: a line is longer"):
        read_all(path, size=30_000_000)


def test_a_file_that_shrank(tmp_path):
    """What is gone since the run was planned is an error with the file and the place."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\nthree\n")
    with pytest.raises(InputError, match="ends at byte 14"):
        list(read(Split(str(path), 0, 20, "text")))
    with pytest.raises(InputError, match="ends at byte 14"):
        list(read(Split(str(path), 17, 20, "text")))
    path.unlink()
    with pytest.raises(InputError, match="No such file"):
        list(read(Split(str(path), 0, 20, "text")))


def test_splits_are_even_and_in_order(tmp_path):
    """Big files are cut into even pieces, small ones are not, an empty one is left out; the order is the inputs'."""
    for name, size in (("b", 10_000_000), ("a", 10), ("c", 0)):
        (tmp_path / name).write_bytes(b"line\n" * (size // 5))
    files = resolve([str(tmp_path / name) for name in "bac"], format=None, record=None)
    found = splits(files, 3_000_000, workers=2)
    assert [(Path(one.path).name, one.start, one.end) for one in found] == [
        ("b", 0, 3_333_333),
        ("b", 3_333_333, 6_666_666),
        ("b", 6_666_666, 10_000_000),
        ("a", 0, 10),
    ]
    assert all(map(cuttable, found))
    assert len(splits(files, None, workers=2)) > 4
