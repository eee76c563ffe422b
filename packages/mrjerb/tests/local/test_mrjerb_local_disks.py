"""Full disks, real ones: said in words, the output as it was, nothing left; with room the same run ends well."""

import pytest
from worlds import small_disk, world

__all__ = ["world"]

WIDE = """
import random

def map(line):
    source = random.Random(int(line))
    for number in range(20):
        yield f"{line}-{number}", source.randbytes(3000).hex()
"""
REDUCE = """
def reduce(key, values):
    yield key, sum(len(value) for value in values)
"""


@pytest.fixture
def inputs(world):
    """Lines that become 30 MB of pairs, which do not compress below half of that."""
    world.lines(*range(250))


def test_a_full_disk_of_temporary_files(world, inputs):
    """The text names the folder and --tmp."""
    world.job(WIDE + REDUCE)
    with small_disk(world.folder / "tmp", "4m"):
        found = world.run("--workers", "2", code=1)
        message = found["error"]["message"]
        assert found["error"]["kind"] == "EngineError"
        assert message.startswith("temporary file tmp/mrjerb-")
        assert "No space left on device; make room in tmp/mrjerb-" in message
        assert "--tmp" in message
        world.as_before()
    assert world.run("--workers", "2")["pairs"] == 5000
    world.tidy()


def test_a_disk_that_is_full_before_anything_runs(world, inputs):
    """Not even a folder can be made on it: that is told, too."""
    world.job(WIDE + REDUCE)
    with small_disk(world.folder / "tmp", "4m,nr_inodes=1"):
        message = world.run(code=1)["error"]["message"]
        assert message == "tmp: no folder for temporary files can be made: No space left on device; give --tmp"
        world.as_before()


@pytest.mark.parametrize(
    "reduce", ["", "\ndef reduce(key, values):\n    for value in values:\n        yield key, value\n"]
)
@pytest.mark.parametrize("compression", [(), ("--compress", "gzip")])
def test_a_full_disk_of_the_output(world, inputs, reduce, compression):
    """The output that is on it is as it was, after a job without reduce as after one with it."""
    world.job(WIDE + reduce)
    disk = world.folder / "disk"
    with small_disk(disk, "4m"):
        (disk / "out").mkdir()
        (disk / "out" / "part-00000").write_text("before\n")
        found = world.run("--workers", "2", *compression, output="disk/out", code=1)
        message = found["error"]["message"]
        assert found["error"]["kind"] == "EngineError"
        assert "No space left on device; make room there, or give another output" in message
        assert str(disk) in message
        assert [path.name for path in disk.iterdir()] == ["out"]
        assert (disk / "out" / "part-00000").read_text() == "before\n"
        world.as_before()
