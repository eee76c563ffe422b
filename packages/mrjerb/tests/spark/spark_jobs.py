"""Jobs that the tests of Spark run: each shows a promise."""

from pathlib import Path

import msgspec
import spark_neighbour

from mrjerb import Job, Step


class Hit(msgspec.Struct):
    """A value of the job's own class."""

    count: int


class Click(msgspec.Struct):
    """A typed record."""

    user: str
    at: int
    page: str = "home"


class Words(Job):
    """Words, counted; with a combine, values of an own class, counters, and an import from beside the file."""

    least: int = 0

    def map(self, line):
        self.count("lines")
        for word in spark_neighbour.words(line):
            yield word, Hit(1)

    def combine(self, word, hits):
        yield word, Hit(sum(hit.count for hit in hits))

    def reduce(self, word, hits):
        self.count("words")
        if (found := sum(hit.count for hit in hits)) >= self.least:
            yield word, found


class Letters(Job):
    """Three steps: words, how many words have a count, and which count is had by most; order of values throughout."""

    def steps(self):
        return [
            Step(map=self.split, reduce=self.total),
            Step(map=self.swap, reduce=self.listed, order=lambda key, value: value),
            Step(map=lambda key, value: [(len(value), key)], reduce=lambda key, values: [(key, list(values))]),
        ]

    def split(self, line):
        for word in line.split():
            yield word, 1

    def total(self, word, counts):
        yield word, sum(counts)

    def swap(self, word, count):
        yield count, word

    def listed(self, count, words):
        yield count, list(words)


class Visits(Job):
    """Typed records, values by time, a partition of the job's own, values that a reduce leaves unread."""

    input = "json"
    record = Click

    def map(self, click):
        yield click.user, (click.at, click.page)

    def order(self, user, value):
        return -value[0]

    def partition(self, user, partitions):
        return len(user) % partitions

    def reduce(self, user, values):
        yield user, next(values)


class Arrivals(Job):
    """The values of a key as they come: in the order of the inputs."""

    def map(self, line):
        word, _, rest = line.partition(" ")
        yield word, rest

    def reduce(self, word, rests):
        yield word, list(rests)


class Longer(Job):
    """Nothing is shuffled."""

    output = "raw_value"

    def map(self, line):
        if len(line) > 20:
            yield None, line


class Numbers(Job):
    """Lines that are no numbers fail; so does the group of 13, and one whose value no JSON can hold."""

    unwritable: int = -1

    def map(self, line):
        yield int(line) % 20, 1

    def reduce(self, key, values):
        if key == 13:
            raise LookupError("unlucky")
        yield key, {1, 2} if key == self.unwritable else sum(values)


class Flaky(Job):
    """The first attempt at each task of both stages fails in its middle, after it has counted and written."""

    marks: str

    def map(self, line):
        self.count("lines")
        yield line, 1
        self.fail_once("map", line)

    def reduce(self, line, ones):
        self.count("groups")
        yield line, sum(ones)
        self.fail_once("reduce", line)

    def fail_once(self, stage, line):
        mark = Path(self.marks) / line
        if line == f"{stage}-fail" and not mark.exists():
            mark.touch()
            raise OSError("not yet")


class Where(Job):
    """What executors see: their Python, side files, environment."""

    def map(self, line):
        import sys

        yield "python", sys.executable
        yield "side", self.file("side.txt").read_text()
        yield "path", Path(self.path).name
        yield "module", spark_neighbour.__file__


class Around(Job):
    """Pairs that come before and after the items of a task, and around what is combined."""

    def steps(self):
        return [
            Step(
                map=self.seeing,
                map_begin=self.begin,
                map_end=lambda: [("seen", self.seen)],
                combine=lambda key, values: [(key, sum(values))],
                combine_begin=lambda: [("combine begin", 1)],
                combine_end=lambda: [("combine end", 1)],
                reduce=lambda key, values: [(key, sum(values))],
                reduce_end=lambda: [("end", None)],
            )
        ]

    def begin(self):
        self.seen = 0
        yield "begin", 1

    def seeing(self, line):
        self.seen += 1
        yield "line", 1
