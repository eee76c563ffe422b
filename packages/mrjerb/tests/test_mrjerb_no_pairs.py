"""What Python would take apart as a pair though it is none: a text of two signs, a dictionary of two fields."""

import pytest

import mrjerb
from mrjerb.errors import RecordError

JOBS = {
    "a text": "def map(line):\n    yield 'ab'\n",
    "bytes": "def map(line):\n    yield b'ab'\n",
    "a dictionary": "def map(line):\n    yield {'section': 'libs', 'kb': 7}\n",
    "a set": "def map(line):\n    yield {1, 2}\n",
    "of a reduce": "def map(line):\n    yield line, 1\ndef reduce(key, values):\n    yield {'key': key, 'n': 1}\n",
    "between two maps": (
        "from mrjerb import Job, Step\n"
        "class Two(Job):\n"
        "    def steps(self):\n        return [Step(map=self.one), Step(map=self.two)]\n"
        "    def one(self, line):\n        yield 'ab'\n"
        "    def two(self, key, value):\n        yield key, value\n"
    ),
}


@pytest.mark.parametrize("job", JOBS.values(), ids=list(JOBS))
def test_what_is_no_pair_is_told(tmp_path, job):
    """It ends the run at its record, with what to yield, and writes no field names or single letters."""
    (tmp_path / "job.py").write_text(job)
    (tmp_path / "in.txt").write_text("a line\n")
    with pytest.raises(RecordError, match=r"yield pairs \(key, value\), and this one yielded"):
        mrjerb.run(str(tmp_path / "job.py"), [str(tmp_path / "in.txt")], str(tmp_path / "out"), workers=1)
    assert not (tmp_path / "out").exists()


def test_other_pairs_are_pairs(tmp_path):
    """Tuples, named ones, lists, and what a function makes of them; the first item may yield nothing."""
    (tmp_path / "job.py").write_text(
        "from collections import namedtuple\nPair = namedtuple('Pair', 'key value')\n"
        "def map(line):\n"
        "    if line == 'a':\n        return\n"
        "    yield line, 1\n    yield [line, 2]\n    yield Pair(line, 3)\n"
    )
    (tmp_path / "in.txt").write_text("a\nb\nc\n")
    mrjerb.run(str(tmp_path / "job.py"), [str(tmp_path / "in.txt")], str(tmp_path / "out"), workers=1)
    assert (tmp_path / "out" / "part-00000").read_text() == '"b"\t1\n"b"\t2\n"b"\t3\n"c"\t1\n"c"\t2\n"c"\t3\n'
