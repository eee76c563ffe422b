"""How often each word is in the texts of JSON lines."""

from msgspec import Struct

from mrjerb import Job, total


class Line(Struct):
    text: str


class WordCount(Job):
    input = "json"
    record = Line

    def map(self, line):
        for word in line.text.split():
            yield word, 1

    combine = reduce = total
