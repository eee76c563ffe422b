"""Classes that only one process knows travel to another: those of msgspec, with their defaults, methods and bases."""

import subprocess
import sys

import pytest

WRITES = """
import msgspec, sys
from mrjerb.engines.spark.pickling import dumps

class Base(msgspec.Struct, tag=True):
    kind: str

class Point(Base, frozen=True, order=True):
    x: int
    y: int = 3
    tags: list[str] = []
    width: int = msgspec.field(default=1, name="w")

    def moved(self):
        return Point(self.kind, self.x + 1, self.y)

    @property
    def sum(self):
        return self.x + self.y

sys.stdout.buffer.write(dumps({"Point": Point, "points": lambda: [Point("a", 1), Point("b", 2, 5, ["t"])]}))
"""
READS = """
import msgspec, pickle, sys
found = pickle.load(sys.stdin.buffer)
Point = found["Point"]
sys.modules["__main__"].Point = Point
one, two = found["points"]()
assert type(one) is Point and one.moved() == Point("a", 2) and two.sum == 7 and one < two, (one, two)
assert one.tags == [] and pickle.loads(pickle.dumps(two)) == two
assert msgspec.json.encode(one) == b'{"type":"Point","kind":"a","x":1,"y":3,"tags":[],"w":1}', msgspec.json.encode(one)
try:
    one.x = 5
except AttributeError:
    print("right")
"""
SCRIPT = """
import mrjerb, msgspec
from mrjerb import Job

class Sum(msgspec.Struct):
    total: int

class Lengths(Job):
    def map(self, line):
        yield line[0], Sum(len(line))

    def combine(self, letter, sums):
        yield letter, Sum(sum(one.total for one in sums))

    def reduce(self, letter, sums):
        yield letter, sum(one.total for one in sums)

print(sorted(mrjerb.run(Lengths, "in.txt", on="spark", workers=2)))
"""


def test_structs_travel():
    """Made in one process and used in another, that has never seen the code."""
    written = subprocess.run([sys.executable, "-c", WRITES], check=True, capture_output=True, timeout=200).stdout
    read = subprocess.run([sys.executable, "-c", READS], input=written, check=True, capture_output=True, timeout=200)
    assert read.stdout == b"right\n"


@pytest.mark.slow
def test_a_job_that_was_typed(tmp_path):
    """A script on standard input, as a notebook: neither the job nor its values' class has a file."""
    (tmp_path / "in.txt").write_text("ab\nb\nabc\n")
    done = subprocess.run(
        [sys.executable, "-"], input=SCRIPT, cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert done.stdout == "[('a', 5), ('b', 1)]\n", done.stderr
