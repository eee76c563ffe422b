"""The word that is used most often, of those that are no stop words."""

import re

from mrjerb import Job, Step


class MostUsedWord(Job):
    output = "json_value"

    def setup(self):
        self.stop_words = set(self.file("stop_words.txt").read_text().split())

    def words(self, line):
        for word in re.findall(r"[\w']+", line):
            if word.lower() not in self.stop_words:
                yield word.lower(), 1

    def count(self, word, counts):
        yield word, sum(counts)

    def total(self, word, counts):
        yield None, (sum(counts), word)

    def most(self, _, counts_and_words):
        yield max(counts_and_words)

    def steps(self):
        return [Step(map=self.words, combine=self.count, reduce=self.total), Step(reduce=self.most)]
