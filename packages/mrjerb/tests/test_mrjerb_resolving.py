"""Names become the files that a person means, and every name that can't be is an error that says what to do."""

import os
import subprocess
import sys

import fsspec
import msgspec
import pytest

from mrjerb import InputError
from mrjerb.inputs.reading import read
from mrjerb.inputs.resolving import resolve
from mrjerb.inputs.splitting import splits


def names_of(folder, *inputs, **given):
    found = resolve([str(folder / one) for one in inputs], format=given.get("format"), record=given.get("record"))
    return [os.path.relpath(one.path, folder) for one in found]


@pytest.fixture
def tree(tmp_path):
    for name in ("b/2.txt", "b/1.csv", "b/sub/3.json.gz", "b/_SUCCESS", "b/.hidden", "b/_tmp/x", "b/.git/y", "a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    (tmp_path / "empty" / ".git").mkdir(parents=True)
    (tmp_path / "b" / "sub" / "loop").symlink_to(tmp_path / "b")
    return tmp_path


def test_files_folders_and_globs(tree):
    """Files come in the order of the inputs, a folder's and a glob's sorted; what is hidden is left out, loops end."""
    assert names_of(tree, "b", "a.txt") == ["b/1.csv", "b/2.txt", "b/sub/3.json.gz", "a.txt"]
    assert names_of(tree, "*.txt", "b/*.*") == ["a.txt", "b/1.csv", "b/2.txt"]
    assert names_of(tree, "**/*.gz") == ["b/sub/3.json.gz"]
    assert names_of(tree, "b*") == ["b/1.csv", "b/2.txt", "b/sub/3.json.gz"]
    assert names_of(tree, "b/_SUCCESS") == ["b/_SUCCESS"]
    assert names_of(tree, "a.txt", "a.txt") == ["a.txt", "a.txt"]


def test_what_files_are(tree):
    """The name tells format and compression; what is asked for, and a type of records, decide where it says nothing."""
    found = resolve([str(tree / "b")], format="auto", record=None)
    assert [(one.format, one.compression, one.splittable, one.size) for one in found] == [
        ("csv", "", False, 2),
        ("text", "", True, 2),
        ("json", "gzip", False, 2),
    ]
    assert [one.format for one in resolve([str(tree / "b")], format=None, record=dict)] == ["csv", "json", "json"]
    assert [one.format for one in resolve([str(tree / "b")], format="tsv", record=None)] == ["tsv", "tsv", "tsv"]


def test_what_is_no_input(tree):
    """Missing, empty, unreadable, unknown: each is an InputError with the name and a way out."""
    (tree / "[x]").write_text("")
    for name, words in (
        ("no.txt", "no such file"),
        ("*.nope", "no file matches"),
        ("empty", "a folder without files"),
        ("a.txt/b", "no such file"),
        ("nowhere://x/y", "nowhere"),
        ("memory://no/such", "no such file"),
        ("eventlog:", "name the log"),
        ("eventlog:x?size=1", "can't be asked"),
    ):
        with pytest.raises(InputError, match=words) as error:
            resolve([name if ":" in name else str(tree / name)], format=None, record=None)
        assert name in str(error.value)
    with pytest.raises(InputError, match="no input"):
        resolve([], format=None, record=None)
    with pytest.raises(InputError, match="format 'xml' is not known"):
        resolve([str(tree / "a.txt")], format="xml", record=None)
    assert names_of(tree, "[x]") == ["[x]"]


def test_a_file_that_may_not_be_read(tmp_path):
    """A file without permission is refused before anything runs."""
    path = tmp_path / "a.txt"
    path.write_text("x")
    path.chmod(0)
    run = subprocess.run(
        [sys.executable, "-c", READ_AS_NOBODY, str(path)], capture_output=True, text=True, cwd="/", check=False
    )
    assert "InputError" in run.stderr
    assert "a.txt: can't be read" in run.stderr
    assert "ermission denied" in run.stderr


READ_AS_NOBODY = """
import os, sys
from pathlib import Path
from mrjerb.inputs.resolving import resolve
for one in Path(sys.argv[1]).parents[:-1]:
    os.chmod(one, os.stat(one).st_mode | 0o055) if os.getuid() == 0 else None
os.setuid(65534) if os.getuid() == 0 else None
resolve([sys.argv[1]], format=None, record=None)
"""


STDIN = """
import sys
from mrjerb.inputs.reading import read
from mrjerb.inputs.resolving import resolve
from mrjerb.inputs.splitting import splits
files = resolve(["-"], format=None, record=None)
blocks = [block for split in splits(files, 4, workers=2) for block in read(split)]
records = [record for block in blocks for record in block.records]
print(len(records), records[-1], blocks[-1].where(0))
"""


def test_standard_input(tmp_path):
    """`-` is what is piped or redirected in, cut and read like a file, and named as people call it."""
    (tmp_path / "in").write_text("one\ntwo\nthree\n")
    for given in ({"input": "one\ntwo\nthree\n"}, {"stdin": (tmp_path / "in").open()}):
        run = subprocess.run([sys.executable, "-c", STDIN], capture_output=True, text=True, **given, check=True)
        assert run.stdout == "3 three standard input:3\n"


def test_urls(tmp_path):
    """Files of a filesystem of fsspec's are found, cut and read as here; `file://` is this machine."""
    memory = fsspec.filesystem("memory")
    for name, content in (("a.txt", b"1\n2\n"), ("sub/b.json", b'"x"\n'), ("_SUCCESS", b""), ("c.csv", b"k\nv\n")):
        memory.pipe_file(f"/urls/{name}", content)
    found = resolve(["memory://urls"], format=None, record=None)
    assert [one.path for one in found] == ["memory:///urls/a.txt", "memory:///urls/c.csv", "memory:///urls/sub/b.json"]
    records = [record for split in splits(found, 2, workers=2) for block in read(split) for record in block.records]
    assert records == ["1", "2", {"k": "v"}, "x"]
    assert len(resolve(["memory://urls/*.csv"], format=None, record=None)) == 1
    (tmp_path / "x.txt").write_text("x\n")
    [local] = resolve([f"file://{tmp_path}/x.txt"], format=None, record=None)
    assert local.path == f"{tmp_path}/x.txt"


def test_splits_travel(tree):
    """A split is plain values: it can be kept as JSON and sent to another machine."""
    files = resolve([str(tree / "b")], format=None, record=None)
    for split in splits(files, None, workers=2):
        assert msgspec.json.decode(msgspec.json.encode(split), type=type(split)) == split
