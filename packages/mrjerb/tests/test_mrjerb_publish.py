"""The output appears at once or not at all, and nothing but what was asked for is ever taken away."""

import gzip
import os
import subprocess
import sys
import threading

import pytest

from mrjerb import OutputError
from mrjerb.outputs import publish
from mrjerb.outputs.parts import open_part
from mrjerb.outputs.publish import Staging
from mrjerb.plan import PartFile


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def filled(staging, pairs=(("a", 1), ("b", 2)), compression=""):
    parts = []
    for partition in (10, 2):
        writer = open_part(staging.folder, f"task-{partition}", format="json", compression=compression)
        for key, value in pairs:
            writer.write(key, value)
        name, number, size = writer.close()
        parts.append(PartFile(name, number, size, (partition, 0)))
    return staging.numbered(parts)


def test_parts_are_numbered_in_their_order_and_published(tmp_path):
    """Parts are named by the order of what they are of, not by when they were written."""
    staging = Staging.create(str(tmp_path / "out"), "r1", overwrite=False)
    assert not (tmp_path / "out").exists()
    parts = filled(staging)
    assert [(part.name, part.of, part.pairs, part.bytes) for part in parts] == [
        ("part-00000", (2, 0), 2, 12),
        ("part-00001", (10, 0), 2, 12),
    ]
    staging.publish({"run": "r1"})
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["_SUCCESS", "_manifest.json", "part-00000", "part-00001"]
    assert (tmp_path / "out" / "part-00000").read_bytes() == b'"a"\t1\n"b"\t2\n'


def test_compressed_parts_have_their_ending(tmp_path):
    """What is compressed says so in its name, and any gzip reads it."""
    staging = Staging.create(str(tmp_path / "out"), "r1", overwrite=False)
    [first, _] = filled(staging, compression="gzip")
    assert first.name == "part-00000.gz"
    staging.publish({})
    assert gzip.decompress((tmp_path / "out" / first.name).read_bytes()) == b'"a"\t1\n"b"\t2\n'


@pytest.mark.parametrize("exchange", [True, False])
def test_overwriting_replaces_the_whole_output(tmp_path, monkeypatch, exchange):
    """The old output goes when the new one is there, with or without the system's exchange; nothing else stays."""
    if not exchange:
        monkeypatch.setattr(publish, "_exchanged", lambda *_: False)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("x")
    staging = Staging.create(str(tmp_path / "out"), "r1", overwrite=True)
    filled(staging)
    assert (tmp_path / "out" / "old").exists()
    staging.publish({})
    assert names(tmp_path) == ["out"]
    assert "old" not in names(tmp_path / "out")


def test_a_reader_never_misses_the_output(tmp_path):
    """While outputs are replaced one after the other, a reader at any moment finds a whole one."""
    out, stop, missed = tmp_path / "out", threading.Event(), []
    first = Staging.create(str(out), "r0", overwrite=False)
    filled(first)
    first.publish({})

    def watch():
        while not stop.is_set():
            if not out.exists():
                missed.append(1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for run in range(50):
        staging = Staging.create(str(out), f"r{run}", overwrite=True)
        filled(staging)
        staging.publish({})
    stop.set()
    watcher.join()
    assert not missed


def test_discarding_leaves_nothing(tmp_path):
    """A failed run leaves the old output as it was, and no folder of its own."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("x")
    staging = Staging.create(str(tmp_path / "out"), "r1", overwrite=True)
    filled(staging)
    staging.discard()
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out" / "old").read_text() == "x"


def test_what_is_refused(tmp_path):
    """An output that is there, a file, a link, a folder that is missing: refused before anything runs."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    (tmp_path / "empty").mkdir()
    for name, words in (
        ("out", "--overwrite"),
        ("out/old", "is a file"),
        ("link", "is a link"),
        ("no/out", "there is no folder"),
    ):
        with pytest.raises(OutputError, match=words):
            Staging.create(str(tmp_path / name), "r1", overwrite=False)
    with pytest.raises(OutputError, match="lies in it"):
        Staging.create(str(tmp_path / "out"), "r1", overwrite=True, inputs=[str(tmp_path / "out" / "old")])
    assert names(tmp_path) == ["empty", "link", "out"]
    Staging.create(str(tmp_path / "empty"), "r1", overwrite=False).publish({})
    assert names(tmp_path / "empty") == ["_SUCCESS", "_manifest.json"]


def test_an_output_that_came_meanwhile(tmp_path):
    """What another wrote there during the run is not replaced without --overwrite."""
    staging = Staging.create(str(tmp_path / "out"), "r1", overwrite=False)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "theirs").write_text("x")
    with pytest.raises(OutputError, match="is there already"):
        staging.publish({})
    assert (tmp_path / "out" / "theirs").exists()


def test_an_output_within_an_input(tmp_path):
    """What is written into a folder that is read would be read with it next time: refused."""
    (tmp_path / "in").mkdir()
    with pytest.raises(OutputError, match="lies in the input"):
        Staging.create(str(tmp_path / "in" / "out"), "r1", overwrite=False, inputs=[str(tmp_path / "in")])


def test_tables_without_a_row_are_left_out(tmp_path):
    """A CSV file without a header, or a Parquet file without columns, would stop those who read the folder."""
    staging = Staging.create(str(tmp_path / "out"), "r1", overwrite=False)
    parts = []
    for partition, rows in enumerate(([], [{"a": 1}], [])):
        writer = open_part(staging.folder, f"t{partition}", format="parquet", compression="")
        for row in rows:
            writer.write(None, row)
        name, number, size = writer.close()
        parts.append(PartFile(name, number, size, (partition, 0)))
    assert [part.name for part in staging.numbered(parts)] == ["part-00000.parquet"]
    staging.publish({})
    assert names(tmp_path / "out") == ["_SUCCESS", "_manifest.json", "part-00000.parquet"]


PRINTING = """
import sys
from mrjerb.outputs.parts import open_part
from mrjerb.outputs.publish import Staging
from mrjerb.plan import PartFile
staging = Staging.create("-", "r1", overwrite=False, tmp=sys.argv[1])
parts = []
for partition in range(3):
    writer = open_part(staging.folder, f"t{partition}", format=sys.argv[2], compression="")
    for number in range(int(sys.argv[3])):
        writer.write(f"k{partition}", number)
    parts.append(PartFile(*writer.close(), (partition, 0)))
staging.numbered(parts)
staging.publish({})
"""


def printed(tmp_path, form, number, **given):
    command = [sys.executable, "-c", PRINTING, str(tmp_path), form, str(number)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True, **given)


def test_printing(tmp_path):
    """`-` prints the parts in their order, a table's header once, and leaves no file."""
    assert printed(tmp_path, "json", 1, stdout=subprocess.PIPE).stdout == '"k0"\t0\n"k1"\t0\n"k2"\t0\n'
    assert printed(tmp_path, "csv", 1, stdout=subprocess.PIPE).stdout == "key,value\nk0,0\nk1,0\nk2,0\n"
    assert names(tmp_path) == []


def test_printing_to_a_reader_that_ends_early(tmp_path):
    """`mrjerb run … -o - | head` is no error, and says nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    assert printed(tmp_path, "json", 100_000, stdout=writer).stderr == ""
    os.close(writer)
    assert names(tmp_path) == []
