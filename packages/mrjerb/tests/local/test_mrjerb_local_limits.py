"""Limits: what is far larger than the memory passes through it, measured over all processes of a run together.

Each in a size that takes seconds, and, marked `slow`, in the size that is promised.
"""

import json
import time
from pathlib import Path

import pytest
from launched import SECONDS, mrjerb
from worlds import processes_in, world

__all__ = ["world"]

MEGABYTE = 1 << 20
SLOW = (pytest.mark.slow, pytest.mark.timeout(3000))
KILOBYTES = {"Pss_Anon:", "Pss_Shmem:"}
MANY = """
from mrjerb import Job

class Many(Job):
    pairs: int = 1000
    key: str = "number"
    size: int = 10

    def map(self, line):
        first = int(line) * self.pairs
        for number in range(first, first + self.pairs):
            yield self.of(number), f"{number:x}" * self.size

    def of(self, number):
        if self.key == "hot":
            return "hot"
        return number * 2654435761 % (1 << 32)

    def reduce(self, key, values):
        number = size = 0
        for value in values:
            number += 1
            size += len(value)
        self.count("values", number)
        self.count("size", size)
        if key == "hot" or key % 1000 == 0:
            yield key, number
"""


def held(folder):
    """Bytes that the processes of a folder hold together, without files, what they share counted once."""
    found = 0
    for pid in processes_in(folder):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        found += sum(int(line.split()[1]) for line in lines if line.split()[0] in KILOBYTES)
    return found * 1024


def measured(world, lines, *more, memory, seconds=SECONDS):
    """What a run of `lines` records says, and the most that its processes have held together, in bytes."""
    world.job(MANY)
    world.lines(*range(lines))
    process = world.start("--memory", f"{memory}MB", *more)
    most, end = 0, time.monotonic() + seconds
    while process.poll() is None:
        assert time.monotonic() < end, "waited for the run in vain"
        most = max(most, held(world.folder))
        time.sleep(0.02)
    found = world.ended(process)
    print(f"{lines} records {more}: {found['seconds']:.1f} s, {most / MEGABYTE:.0f} of {memory} MB")  # noqa: T201
    world.tidy()
    return found, most


def assert_sorted(world):
    """The keys of each part are in order, and none is there twice."""
    for part in (world.folder / "out").glob("part-*"):
        keys = [json.loads(line.split("\t")[0]) for line in part.open()]
        assert keys == sorted(set(keys))


@pytest.mark.parametrize(
    ("lines", "pairs", "size", "memory", "workers"),
    [
        (120, 1000, 1700, 80, 1),
        pytest.param(1200, 10_000, 20, 120, 2, marks=SLOW),
    ],
)
def test_data_ten_times_larger_than_the_memory(world, lines, pairs, size, memory, workers):
    """It is sorted and reduced within it: every value comes to its key."""
    given = ["--pairs", f"{pairs}", "--size", f"{size}", "--workers", f"{workers}", "--split-size", "200"]
    found, most = measured(world, lines, *given, memory=memory, seconds=2800)
    assert found["counters"]["values"] == lines * pairs
    assert found["counters"]["size"] >= 10 * memory * MEGABYTE
    assert most <= memory * MEGABYTE
    assert_sorted(world)


@pytest.mark.parametrize(
    ("lines", "pairs"),
    [(100, 20_000), pytest.param(500, 100_000, marks=SLOW)],
)
def test_a_key_with_very_many_values_streams(world, lines, pairs):
    """Two million, fifty million: within the memory, and told as the key that outweighs the others."""
    given = ["--pairs", f"{pairs}", "--key", "hot", "--size", "1", "--workers", "2", "--split-size", "100"]
    found, most = measured(world, lines, *given, memory=120, seconds=2800)
    assert world.pairs() == [("hot", lines * pairs)]
    assert most <= 120 * MEGABYTE
    assert [(one["key"], one["values"]) for one in found["groups"]] == [("'hot'", lines * pairs)]
    assert f"{lines * pairs:,}" in mrjerb("show").stdout


@pytest.mark.parametrize(
    ("lines", "pairs"),
    [(30, 10_000), pytest.param(1000, 10_000, marks=SLOW)],
)
def test_very_many_distinct_keys(world, lines, pairs):
    """Three hundred thousand, ten million: each once, in order, within the memory; none is told as heavy."""
    given = ["--pairs", f"{pairs}", "--size", "1", "--workers", "2", "--split-size", "200", "--reducers", "3"]
    found, most = measured(world, lines, *given, memory=120, seconds=2800)
    assert found["counters"]["values"] == lines * pairs
    assert sum(task["items"] for task in found["tasks"] if task["stage"] == 1) == lines * pairs
    assert most <= 120 * MEGABYTE
    assert_sorted(world)
    assert found["groups"] == []


@pytest.mark.parametrize("pairs", [500_000, pytest.param(10_000_000, marks=SLOW)])
def test_a_record_with_very_many_pairs(world, pairs):
    """A generator that does not end for long: its pairs are written as they come."""
    found, most = measured(world, 1, "--pairs", f"{pairs}", "--size", "4", "--workers", "1", memory=80, seconds=2800)
    assert found["counters"]["values"] == pairs
    assert most <= 80 * MEGABYTE
    assert_sorted(world)


def test_skew_is_told_where_somebody_waits_for_it(world):
    """A key with most of very many values is; keys of few values are not, whatever part of them is theirs."""
    world.job(MANY)
    world.lines(*range(20))
    world.run("--pairs", "1000", "--key", "hot", "--size", "1")
    done = mrjerb("run", "job.py", "in.txt", "-o", "new", "--pairs", "1000", "--key", "hot", "--size", "1")
    assert "keys that outweigh the others\n  'hot'  20,000  100% of the values" in done.stdout
    assert "keys with the most values, reduce 1\n  'hot'  20,000  100.0%  partition 0" in mrjerb("show").stdout
    (world.folder / "few.txt").write_text("0\n")
    done = mrjerb("run", "job.py", "few.txt", "-o", "few", "--pairs", "50", "--key", "hot", "--size", "1")
    assert "outweigh" not in done.stdout
    assert "keys with the most values" not in mrjerb("show").stdout
