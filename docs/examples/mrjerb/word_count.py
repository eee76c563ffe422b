"""How often each word is in some texts."""

import re

from mrjerb import Job


class WordCount(Job):
    def map(self, line):
        for word in re.findall(r"\w+", line.lower()):
            yield word, 1

    def combine(self, word, counts):
        yield word, sum(counts)

    reduce = combine
