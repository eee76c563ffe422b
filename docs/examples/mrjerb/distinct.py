"""Each line once, however often and in however many files it is: a job that is two functions."""

output = "raw"


def map(line):
    yield line, None


def reduce(line, _):
    yield line, None


combine = reduce
