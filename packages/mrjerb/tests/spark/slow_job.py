"""A job that takes its time, and says where it is: what is killed in its middle."""

import os
import time
from pathlib import Path

from mrjerb import Job


class Slow(Job):
    """Lines, counted by their first letter; a mark is left for each task that has begun."""

    marks: str
    map_seconds: float = 0.0
    reduce_seconds: float = 0.0

    def map(self, line):
        self.count("lines")
        self.mark("map", os.getpid())
        time.sleep(self.map_seconds)
        yield line[0], len(line)

    def reduce(self, letter, sizes):
        self.count("letters")
        self.mark("reduce", f"{letter}-{os.getpid()}")
        time.sleep(self.reduce_seconds)
        yield letter, sum(sizes)

    def mark(self, stage, name):
        (Path(self.marks) / f"{stage}-{name}").touch()
