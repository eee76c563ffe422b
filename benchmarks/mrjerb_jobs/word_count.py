"""How often each word is in the texts of JSON lines."""

from msgspec import Struct

from mrjerb import Job


class Line(Struct):
    text: str


class WordCount(Job):
    input = "json"
    record = Line

    def map(self, line):
        for word in line.text.split():
            yield word, 1

    def combine(self, word, counts):
        yield word, sum(counts)

    reduce = combine
