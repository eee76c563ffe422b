"""How often each word is used."""

import re


def map(line):
    for word in re.findall(r"[\w']+", line):
        yield word.lower(), 1


def combine(word, counts):
    yield word, sum(counts)


reduce = combine
