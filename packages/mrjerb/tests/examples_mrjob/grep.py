"""All lines in which an expression is found."""

import re

from mrjerb import Job


class Grep(Job):
    output = "raw_value"
    expression: str

    def map(self, line):
        if re.search(self.expression, line):
            yield None, line
