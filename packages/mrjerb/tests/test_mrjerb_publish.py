"""The output appears at once or not at all, and nothing but what was asked for is ever taken away."""

import gzip
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
