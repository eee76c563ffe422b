"""Which files each word is in."""

import re
from itertools import groupby
from pathlib import PurePath

from mrjerb import Job


class InvertedIndex(Job):
    sort_values = True

    def map(self, line):
        for word in re.findall(r"\w+", line.lower()):
            yield word, PurePath(self.path).name

    def combine(self, word, files):
        for file in set(files):
            yield word, file

    def reduce(self, word, files):
        yield word, [file for file, _ in groupby(files)]
