"""Which words follow a word, how often, and how often in a hundred."""

import re
from collections import Counter
from itertools import pairwise


def map(line):
    yield from pairwise(re.findall(r"[\w']+", line.lower()))


def reduce(word, following):
    counts = Counter(following)
    total = sum(counts.values())
    for next_word, count in counts.items():
        yield (word, next_word), (total, count, 100.0 * count / total)
