"""Small jobs, each of which needs one thing that every engine promises."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePath

from mrjerb import Job


def by_length(key, partitions):
    """A partitioner that is named on the command line."""
    return len(key) % partitions


@dataclass(frozen=True)
class Own:
    """A value of a class that the job's file defines."""

    name: str
    when: datetime


class Fails(Job):
    """Raises at records and keys that contain `bad`."""

    def map(self, line):
        self.count("seen")
        yield line, 1
        if line.startswith("bad record"):
            raise ValueError(f"no good: {line}")

    def reduce(self, line, counts):
        if line.startswith("bad key"):
            raise ValueError(f"no good: {line}")
        yield line, sum(counts)


class Paths(Job):
    """Which files a record is in; none while reducing."""

    def map(self, line):
        yield line, PurePath(self.path).name

    def reduce(self, line, names):
        yield line, [*sorted(names), self.path]


class Side(Job):
    """Reads a side file of its own and one of the run's, once a process."""

    files = ("side.txt",)

    def setup(self):
        self.known = self.file("side.txt").read_text().split()
        self.more = self.file("more.txt").read_text().split()

    def teardown(self):
        self.known = None

    def map(self, line):
        yield line, (line in self.known, line in self.more)

    def reduce(self, line, found):
        yield line, [*found, len(self.known)]


class Unknown(Job):
    """Asks for a side file that it does not have."""

    def map(self, line):
        yield line, self.file("nowhere.txt").read_text()


class Values(Job):
    """Values of every kind, from map to reduce."""

    def map(self, line):
        yield "all", Own(line, datetime(2013, 2, 16, tzinfo=UTC))
        yield "all", Decimal("0.10")
        yield "all", {"a": [1, {2}, b"\0\n\t\xff"], "b": None}
        yield "all", "tab\tline\nend\r\0"

    def reduce(self, key, values):
        yield key, sorted(map(repr, values))


class Options(Job):
    """Options of several types reach every process."""

    since: date
    only: list[str] = []
    rate: float = 0.5

    def map(self, line):
        yield line, (self.since.isoformat(), self.only, self.rate)


class Wrong(Job):
    """What a job may get wrong, by name."""

    what: str

    def map(self, line):
        match self.what:
            case "key":
                yield date(2013, 2, 16), 1
            case "pair":
                yield 1
            case "value":
                yield line, lambda: 1
            case _:
                yield line, 1

    def partition(self, key, partitions):
        return {"negative": -1, "beyond": partitions, "text": "1"}.get(self.what, 0)

    def reduce(self, key, values):
        yield key, len(list(values))
