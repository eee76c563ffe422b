"""Inputs and outputs on S3, and on other filesystems of fsspec's: a real server answers, on loopback."""

import http.server
import os
import subprocess
import sys
import threading
import time
import urllib.request
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from s3fs import S3FileSystem

from mrjerb import InputError, OutputError
from mrjerb.inputs.reading import read
from mrjerb.inputs.resolving import resolve
from mrjerb.inputs.splitting import splits
from mrjerb.outputs import publish_remote
from mrjerb.outputs.parts import open_part
from mrjerb.outputs.publish import Staging
from mrjerb.plan import PartFile


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """The address of an S3 server, which this process and those that it starts talk to."""
    errors = tmp_path_factory.mktemp("s3") / "log"
    with errors.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], stdout=log, stderr=log
        )
    patch = pytest.MonkeyPatch()
    try:
        url = _address(server, errors)
        for name, value in (
            ("AWS_ENDPOINT_URL", url),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_CONFIG_FILE", os.devnull),
            ("AWS_SHARED_CREDENTIALS_FILE", os.devnull),
        ):
            patch.setenv(name, value)
        S3FileSystem.clear_instance_cache()
        S3FileSystem().mkdir("bucket")
        yield url
    finally:
        patch.undo()
        S3FileSystem.clear_instance_cache()
        server.kill()
        server.wait()


def _address(server, errors):
    """Where the server listens, once it answers."""
    for _ in range(1500):
        said = [word for word in errors.read_text().split() if word.startswith("http://127.0.0.1:")]
        if said:
            try:
                urllib.request.urlopen(said[0], timeout=5).read()
                return said[0].rstrip("/")
            except OSError:
                pass
        assert server.poll() is None, errors.read_text()
        time.sleep(0.1)
    raise AssertionError(errors.read_text())


def records_of(*urls, size=None):
    files = resolve(urls, format=None, record=None)
    return [one for split in splits(files, size, workers=2) for block in read(split) for one in block.records]


def filled(staging, number=2, form="json"):
    parts = []
    for partition in range(number):
        writer = open_part(staging.folder, f"task-{partition}", format=form, compression="")
        writer.write(f"k{partition}", 1)
        name, pairs, size = writer.close()
        parts.append(PartFile(name, pairs, size, (number - partition, 0)))
    return staging.numbered(parts)


def test_s3_inputs(s3):
    """Objects below a prefix are read like a folder's files; a large one in pieces, with right lines."""
    files = S3FileSystem()
    files.pipe_file("bucket/in/a.txt", b"".join(b"line %d\n" % number for number in range(20_000)))
    files.pipe_file("bucket/in/day=1/b.csv", b"a,b\n1,2\n")
    files.pipe_file("bucket/in/_SUCCESS", b"")
    found = records_of("s3://bucket/in", size=50_000)
    assert found == [f"line {number}" for number in range(20_000)] + [{"a": "1", "b": "2"}]
    assert records_of("s3://bucket/in/*/*.csv") == [{"a": "1", "b": "2"}]
    [first, _] = resolve(["s3://bucket/in"], format=None, record=None)
    last = splits([first], 50_000, workers=2)[-1]
    [*_, block] = read(last)
    assert block.where(len(block.records) - 1) == "s3://bucket/in/a.txt:20000"
    before = first.version
    files.pipe_file("bucket/in/a.txt", b"other\n")
    [after, _] = resolve(["s3://bucket/in"], format=None, record=None)
    assert before
    assert after.version != before


def test_a_large_object_in_pieces(s3):
    """A part that is larger than what is held of it is uploaded in pieces, and read back the same."""
    staging = Staging.create("s3://bucket/large", "r1", overwrite=False)
    writer = open_part(staging.folder, "t", format="text_value", compression="")
    for number in range(20_000):
        writer.write(None, f"{number} " + "x" * 1000)
    staging.numbered([PartFile(*writer.close(), (0, 0))])
    staging.publish({})
    found = records_of("s3://bucket/large", size=3_000_000)
    assert [line.partition(" ")[0] for line in found] == list(map(str, range(20_000)))


class Pages(http.server.BaseHTTPRequestHandler):
    """A web server of files, of which `/stream` says no length."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        content = {"/a.csv": b"a,b\n1,2\n", "/stream": b"one\ntwo\n"}.get(self.path)
        self.send_response(404 if content is None else 200)
        if self.path != "/stream":
            self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content or b"")

    def log_message(self, *_):
        pass


def test_pages_of_a_web_server():
    """A page is an input, also one whose length nobody knows; a missing one is an InputError."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            assert records_of(f"{url}/a.csv", f"{url}/stream") == [{"a": "1", "b": "2"}, "one", "two"]
            with pytest.raises(InputError, match="no such file"):
                records_of(f"{url}/none")
        finally:
            server.shutdown()


def test_what_s3_lacks(s3):
    """A missing object, bucket or prefix is an InputError, with no traceback of a library's."""
    for url in ("s3://bucket/none.txt", "s3://nobucket/x", "s3://bucket/none/*.txt"):
        with pytest.raises(InputError, match=r"no such file|no file matches"):
            records_of(url)


@pytest.mark.parametrize("where", ["s3://bucket", "memory://outputs"])
@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_remote_outputs(s3, where, form):
    """Parts appear under the output's name, `_SUCCESS` with them; a replaced output leaves nothing of the old one."""
    output = f"{where}/{form}/out"
    files, place = fsspec.core.url_to_fs(output)
    first = Staging.create(output, "r1", overwrite=False)
    parts = filled(first, 3, form)
    assert [part.of[0] for part in parts] == [1, 2, 3]
    assert not files.exists(place)
    first.publish({"run": "r1"})
    assert len(records_of(output)) == 3
    with pytest.raises(OutputError, match="--overwrite"):
        Staging.create(output, "r2", overwrite=False)
    second = Staging.create(output, "r2", overwrite=True)
    kept = second.take_over(output, parts[0].name, "done-0")
    assert kept == parts[0].bytes
    second.remove("done-0")
    filled(second, 2, form)
    assert len(records_of(output)) == 3
    second.publish({"run": "r2"})
    files.invalidate_cache()
    names = sorted(path.rpartition("/")[2] for path in files.find(place))
    assert len(names) == 4
    assert names[:2] == ["_SUCCESS", "_manifest.json"]
    assert b"r2" in files.cat_file(f"{place}/_manifest.json")
    assert len(records_of(output)) == 2
    assert not [path for path in files.find(place.rpartition("/")[0]) if "mrjerb" in path]


def test_a_failed_run_leaves_nothing_on_s3(s3):
    """An aborted part and a discarded staging folder are gone; the old output is as it was."""
    output = "s3://bucket/failed"
    staging = Staging.create(output, "r1", overwrite=False)
    writer = open_part(staging.folder, "part", format="json", compression="gzip")
    writer.write("k", "v" * 100)
    writer.abort()
    filled(staging)
    staging.discard()
    S3FileSystem.clear_instance_cache()
    assert not [path for path in S3FileSystem().find("bucket") if "failed" in path]


def test_outputs_that_are_refused(s3):
    """A bucket that is not there, an output that is a file or holds an input: said before anything runs."""
    S3FileSystem().pipe_file("bucket/file", b"x")
    for output, inputs, words in (
        ("s3://nobucket/out", (), "can't be written"),
        ("s3://bucket", (), "name a folder"),
        ("hdfs:///", (), "name a folder"),
        ("s3://bucket/file", (), "is a file"),
        ("s3://bucket/x", ("s3://bucket/x/a.txt",), "lies in it"),
        ("nowhere://x/y", (), "nowhere"),
    ):
        with pytest.raises(OutputError, match=words):
            Staging.create(output, "r1", overwrite=True, inputs=inputs)


def test_an_output_without_a_host():
    """`hdfs:///counts` is on the cluster that is set up: its staging folder lies beside it, there."""
    staging = Staging.create("memory:///counts/", "r1", overwrite=False)
    assert (staging.output, staging.folder) == ("memory:///counts", "memory:///.counts.mrjerb-r1")
    staging.discard()


class Renaming(MemoryFileSystem):
    """A filesystem that renames folders in one step, and refuses to where something is in the place."""

    protocol = "renaming"
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]

    def mv(self, path1, path2, **_):
        assert not self.exists(path2)
        before, after = self._strip_protocol(path1), self._strip_protocol(path2)
        for path in [path for path in self.store if path == before or path.startswith(before + "/")]:
            self.store[after + path.removeprefix(before)] = self.store.pop(path)
        self.pseudo_dirs[:] = [path for path in self.pseudo_dirs if not (path + "/").startswith(before + "/")]

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("renaming://", "memory://"))


def test_filesystems_that_rename(monkeypatch):
    """Where folders can be renamed, as on HDFS, the old output goes aside and the new one takes its place."""
    fsspec.register_implementation("renaming", Renaming, clobber=True)
    monkeypatch.setattr(publish_remote, "RENAMING", ("renaming",))
    output = "renaming://renamed/out"
    for run, number in (("r1", 3), ("r2", 1)):
        staging = Staging.create(output, run, overwrite=True)
        filled(staging, number)
        staging.publish({"run": run})
        assert len(records_of(output)) == number
    assert sorted(fsspec.filesystem("renaming").find("/renamed")) == [
        "/renamed/out/_SUCCESS",
        "/renamed/out/_manifest.json",
        "/renamed/out/part-00000",
    ]
