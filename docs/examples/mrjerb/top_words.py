"""The most frequent words, most frequent first: two steps."""

import re
from heapq import nsmallest
from typing import Annotated

from mrjerb import Job, Step


class TopWords(Job):
    n: Annotated[int, "how many words"] = 10

    def steps(self):
        return [
            Step(map=self.words, combine=self.counted, reduce=self.counted),
            Step(map=self.to_one, combine=self.largest, reduce=self.ranked),
        ]

    def words(self, line):
        for word in re.findall(r"\w+", line.lower()):
            yield word, 1

    def counted(self, word, counts):
        yield word, sum(counts)

    def to_one(self, word, count):
        """All under one key; a negative count, so that words of one count are in the order of the alphabet."""
        yield None, (-count, word)

    def largest(self, key, found):
        """The first `n` of a part of the words: no more travel than are wanted."""
        for one in nsmallest(self.n, found):
            yield key, one

    def ranked(self, key, found):
        for _, (count, word) in self.largest(key, found):
            yield word, -count
