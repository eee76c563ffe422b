"""A real HBase for tests: one that all share, and one of a test's own, which it may kill.

A test module imports the fixture that it wants, or its conftest does. Where Java or Maven is missing the tests are
skipped, with a warning that pytest prints; under CI they fail.
"""

import atexit
import contextlib
import functools
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "hbase"))
import hbase_server
from hbase_server import ERASING, HBase


def require_hbase() -> None:
    """Skip the test where HBase can't run; never in CI."""
    lack = hbase_server.missing()
    if lack is None:
        return
    assert "CI" not in os.environ, lack
    warnings.warn(f"THE TESTS ON HBASE ARE SKIPPED. {lack}", stacklevel=2)
    pytest.skip(lack)


def holding(folder: Path, needle: bytes) -> list[Path]:
    """The files of a folder that hold these bytes. HBase moves and removes files and folders meanwhile; one that
    vanishes holds nothing."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                if needle in Path(place, name).read_bytes():
                    found.append(Path(place, name))
    return found


@functools.cache
def shared_hbase() -> HBase:
    """The one of this process, started when it is first asked for; each test uses tables of its own."""
    folder = Path(tempfile.mkdtemp(prefix="hbase-"))
    hbase = HBase(folder, settings=ERASING)

    def end() -> None:
        hbase.kill()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    hbase.start()
    return hbase


@pytest.fixture
def hbase():
    """The shared one, running."""
    require_hbase()
    shared = shared_hbase()
    if not (shared.server.runs and shared.thrift.runs):
        shared.start()
    return shared


@pytest.fixture
def own_hbase(tmp_path):
    """One of the test's own, not started."""
    require_hbase()
    own = HBase(tmp_path / "hbase", settings=ERASING)
    yield own
    own.kill()
