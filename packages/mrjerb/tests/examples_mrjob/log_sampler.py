"""Some lines, picked at random."""

from itertools import islice
from random import random

from mrjerb import Job


class LogSampler(Job):
    output = "raw_value"
    sort_values = True
    sample_size: int
    expected_length: int = 0

    def map(self, line):
        if random() * self.expected_length < self.sample_size * 1.2:
            yield None, (random(), line)

    def reduce(self, key, lines):
        for _, line in islice(lines, self.sample_size):
            yield key, line
