"""How many lines each file has."""

from mrjerb import Job


class CountLinesByFile(Job):
    def map(self, line):
        yield f"file://{self.path}", 1

    def combine(self, path, ones):
        yield path, sum(ones)

    reduce = combine
