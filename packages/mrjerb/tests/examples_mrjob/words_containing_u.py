"""How often each word with a "u" is used."""

import re


def map(line):
    for word in re.findall(r"[\w']*u[\w']*", line, re.IGNORECASE):
        yield word.lower(), 1


def combine(word, counts):
    yield word, sum(counts)


reduce = combine
