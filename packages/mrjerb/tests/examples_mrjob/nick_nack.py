"""How often each word is used, with its first letter in front, which Hadoop makes folders of."""

import json
import re

output = "raw_value"


def map(line):
    for word in re.findall(r"[A-Za-z]+", line):
        yield word.lower(), 1


def reduce(word, counts):
    yield None, f"{word[0]}\t{json.dumps(word)}\t{sum(counts)}"
