"""How often each line is there; no two are alike where the benchmark runs it."""

from mrjerb import Job


class DistinctKeys(Job):
    input = "text"

    def map(self, line):
        yield line, 1

    def reduce(self, line, counts):
        yield line, sum(counts)
